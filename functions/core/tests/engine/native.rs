//! The four steps of Secrets Manager's own rotation.

use super::*;
use crate::engine::native::{NativeError, Step};
use crate::rotation::Stop;

impl World {
    async fn step(&self, step: Step, token: &str) -> Result<(), NativeError> {
        let arn = format!("arn:aws:secretsmanager:eu-central-1:0:secret:{SECRET}-a1B2c3");
        self.engine().await.native_step(step, &arn, token, deadline()).await
    }

    /// What `RotateSecret` does before it calls the function.
    fn begin(&self, token: &Token) {
        let mut state = self.aws.state();
        let kept = state.secrets.get_mut(SECRET).unwrap();
        kept.rotation_enabled = true;
        assert!(kept.secret.begin_rotation(&token.clone().into()));
    }
}

const STEPS: [Step; 4] = [Step::Create, Step::Set, Step::Test, Step::Finish];

#[tokio::test]
async fn the_steps_lead_to_a_new_current_version() {
    let (world, first) = World::rotated().await;
    let second = token(2);
    world.begin(&second);
    let id = second.to_string();
    world.step(Step::Create, &id).await.unwrap();
    assert_eq!(world.keys(APP).len(), 2);
    assert!(world.labels(&second).contains(&Label::Pending));
    world.step(Step::Create, &id).await.unwrap();
    assert_eq!(world.keys(APP).len(), 2, "a step may be called again");

    let began = Instant::now();
    world.step(Step::Set, &id).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1), "it proves for the settle time");
    world.step(Step::Test, &id).await.unwrap();
    assert!(world.labels(&first).contains(&Label::Current), "not before finishSecret");
    let began = Instant::now();
    world.step(Step::Finish, &id).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1), "it proves for the settle time");
    assert!(world.labels(&second).contains(&Label::Current));
    for step in STEPS {
        world.step(step, &id).await.unwrap();
    }
    assert_eq!(world.keys(APP).len(), 2);
    let state = world.aws.state();
    let promoted = state.events.last().unwrap();
    assert_eq!(promoted["type"], "keywheel.rotation.promoted");
    assert_eq!(promoted["data"]["requested_by"], "secretsmanager.amazonaws.com");
    assert!(promoted["data"].get("request").is_none());
}

#[tokio::test]
async fn finish_secret_mends_a_promotion_that_was_cut_off_and_no_other_step_does() {
    let (world, first) = World::rotated().await;
    let is_since = |label: &Label| matches!(label, Label::Since(_));
    {
        let mut state = world.aws.state();
        let kept = state.secrets.get_mut(SECRET).unwrap();
        kept.rotation_enabled = true;
        let version = kept.secret.versions.get_mut(&first.clone().into()).unwrap();
        version.labels.retain(|label| !is_since(label));
    }
    for step in [Step::Create, Step::Set, Step::Test] {
        world.step(step, &first.to_string()).await.unwrap();
        assert!(!world.labels(&first).iter().any(is_since), "{step:?}");
    }
    world.step(Step::Finish, &first.to_string()).await.unwrap();
    assert!(world.labels(&first).iter().any(is_since));
}

#[tokio::test]
async fn test_secret_proves_what_was_minted_and_nothing_else() {
    let (world, _) = World::rotated().await;
    let second = token(2);
    world.begin(&second);
    let id = second.to_string();
    world.step(Step::Test, &id).await.unwrap();
    assert_eq!(world.keys(APP).len(), 1, "a trial mints nothing");
    world.step(Step::Create, &id).await.unwrap();
    let before = world.emulator.sign_ins().len();
    world.step(Step::Test, &id).await.unwrap();
    assert!(world.emulator.sign_ins().len() >= before + 6);
}

#[tokio::test]
async fn a_step_that_is_not_of_this_rotation_is_refused() {
    let (world, _) = World::rotated().await;
    let (known, id) = (token(2), token(2).to_string());
    let off = world.step(Step::Create, &id).await.unwrap_err();
    assert!(matches!(off, NativeError::NotEnabled(_)), "{off}");
    world.begin(&known);
    for step in STEPS {
        let error = world.step(step, "no token").await.unwrap_err();
        assert!(matches!(error, NativeError::Token(_)), "{error}");
        let error = world.step(step, &token(3).to_string()).await.unwrap_err();
        assert!(matches!(error, NativeError::UnknownVersion { .. }), "{error}");
    }
    {
        let mut state = world.aws.state();
        let secret = &mut state.secrets.get_mut(SECRET).unwrap().secret;
        let version = known.into();
        assert!(secret.move_label(&Label::Other("mine".to_owned()), Some(&version), None));
        assert!(secret.move_label(&Label::Pending, None, Some(&version)));
    }
    let error = world.step(Step::Create, &id).await.unwrap_err();
    assert!(matches!(error, NativeError::NotPending { .. }), "{error}");
    assert_eq!(world.keys(APP).len(), 1);
}

#[tokio::test]
async fn another_secret_or_none_is_refused() {
    let (world, _) = World::rotated().await;
    let engine = world.engine().await;
    let id = token(2).to_string();
    let error = engine.native_step(Step::Create, "keywheel/two", &id, deadline()).await;
    assert!(matches!(error.unwrap_err(), NativeError::NotManaged(name) if name == "keywheel/two"));
    world.aws.state().secrets.get_mut(SECRET).unwrap().deleted = true;
    let error = engine.native_step(Step::Create, SECRET, &id, deadline()).await.unwrap_err();
    let scheduled = Stop::SecretScheduledForDeletion.explanation();
    assert!(matches!(error, NativeError::NoSecret(why) if why == scheduled));
    world.aws.state().secrets.clear();
    let error = engine.native_step(Step::Create, SECRET, &id, deadline()).await.unwrap_err();
    assert!(
        matches!(error, NativeError::NoSecret(why) if why == Stop::SecretMissing.explanation())
    );
}

#[tokio::test]
async fn a_rule_entitles_only_what_it_tags() {
    let rules = "rules:\n  - match: { tag: red }\n    secret: keywheel/{appId}\n    settle: 1s\n";
    for (tag, is_managed) in [("red", true), ("blue", false)] {
        let app = SeedApplication { tags: vec![tag.to_owned()], ..named("one", APP) };
        let world = World::new(vec![app], rules).await;
        let name = format!("keywheel/{APP}");
        {
            let mut state = world.aws.state();
            state.by_hand(&name, &token(1).into(), "{}");
            let kept = state.secrets.get_mut(&name).unwrap();
            kept.rotation_enabled = true;
            assert!(kept.secret.begin_rotation(&token(2).into()));
        }
        let engine = world.engine().await;
        let id = token(2).to_string();
        let step = engine.native_step(Step::Test, &name, &id, deadline()).await;
        assert_eq!(step.is_ok(), is_managed, "{tag}");
        assert!(is_managed || matches!(step, Err(NativeError::NotManaged(_))));
    }
}

#[tokio::test]
async fn a_rotation_that_stops_or_comes_to_nothing_is_an_error() {
    let (world, first) = World::rotated().await;
    let second = token(2);
    world.begin(&second);
    world.cut_off(&second);
    let error = world.step(Step::Finish, &second.to_string()).await.unwrap_err();
    assert!(matches!(error, NativeError::Void(_)), "{error}");
    assert!(world.labels(&first).contains(&Label::Current));

    let (world, _) = World::rotated().await;
    world.begin(&second);
    world.manifest(&format!(
        "credentials:{}",
        ONE.replace(&APP.to_string(), &Uuid::from_u128(0xC).to_string())
    ));
    let error = world.step(Step::Create, &second.to_string()).await.unwrap_err();
    assert!(matches!(error, NativeError::Stopped(Stop::ApplicationGone)), "{error}");
}
