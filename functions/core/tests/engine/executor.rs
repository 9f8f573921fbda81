//! What a try does at Graph and at Secrets Manager: minting, carrying over, making room, removing.

use azure_emulator::{FaultKind, Faults, Limits, Operation, Rule};

use super::jobs::{key_of, shown};
use super::*;

#[tokio::test]
async fn the_key_that_keywheel_signs_in_with_is_not_removed() {
    let other = KeyId(Uuid::from_u128(0x0113));
    let manifest = format!(
        "credentials:
  one:
    application: {OWN}
    secret: {SECRET}
    settle: 1s
    retire_keys: [{OWN_KEY}, {other}]
"
    );
    let world = World::new(vec![], &manifest).await;
    let with = |key| Job { application: OWN, ..retirement(None, key) };
    let first = Job { application: OWN, ..rotation(&token(1), None) };
    assert_eq!(shown(&world.work(&first).await), "done");
    let ended = shown(&world.work(&at_once(with(OWN_KEY))).await);
    let why = crate::rotation::Stop::OwnKey.explanation();
    assert!(ended.contains(why), "{ended}");
    assert!(world.keys(OWN).iter().any(|(key, _)| *key == OWN_KEY));
}

#[tokio::test]
async fn where_no_further_key_fits_one_that_may_go_makes_room() {
    let (world, first) = World::rotated().await;
    let second = token(2);
    assert_eq!(shown(&world.work(&rotation(&second, Some(&first))).await), "done");
    let limits = Limits { max_passwords: 2, ..Limits::default() };
    world.emulator.set_faults(Faults { limits, ..Faults::default() }).unwrap();
    let third = rotation(&token(3), Some(&second));
    let ended = shown(&world.work(&third).await);
    assert!(ended.starts_with("failed"), "both keys are in use: {ended}");
    assert_eq!(world.keys(APP).len(), 2);
    // Whoever wants the old key gone at once wants the older one gone as well.
    let ended = shown(&world.work(&at_once(third.clone())).await);
    assert!(ended.starts_with("again after 20 s: the object held as many"), "{ended}");
    assert_eq!(world.keys(APP).len(), 1);
    assert_eq!(shown(&world.work(&at_once(third)).await), "done");
}

#[tokio::test]
async fn a_key_that_is_due_makes_room_without_anybody_wanting_it() {
    let (world, first) = World::rotated().await;
    let second = token(2);
    assert_eq!(shown(&world.work(&rotation(&second, Some(&first))).await), "done");
    world.wait(TimeDelta::hours(25));
    let limits = Limits { max_passwords: 2, ..Limits::default() };
    world.emulator.set_faults(Faults { limits, ..Faults::default() }).unwrap();
    let third = rotation(&token(3), Some(&second));
    let ended = shown(&world.work(&third).await);
    assert!(ended.starts_with("again after 20 s: the object held as many"), "{ended}");
    assert_eq!(world.keys(APP).len(), 1);
    assert_eq!(shown(&world.work(&third).await), "done");
}

#[tokio::test]
async fn a_key_that_lost_is_removed_an_hour_after_it_was_minted() {
    let (world, first) = World::rotated().await;
    let scope = crate::rotation::Scope::of("000000000000", "eu-central-1", SECRET);
    let lost = token(9);
    let key = world.mint(APP, &format!("keywheel/{scope}/{lost}")).await;
    let resolve = job(Work::Resolve { rotation: lost, key });
    assert_eq!(shown(&world.work(&resolve).await), "done");
    assert_eq!(world.keys(APP).len(), 2, "too young");
    world.wait(TimeDelta::minutes(61));
    assert_eq!(shown(&world.work(&resolve).await), "done");
    assert_eq!(world.keys(APP).len(), 1);
    assert_eq!(world.keys(APP)[0].0, key_of(&world.labels(&first)));
    assert_eq!(world.told().last().unwrap(), "keywheel.key.removed");
    let named = key_of(&world.labels(&first));
    let resolve = job(Work::Resolve { rotation: first, key: named });
    assert_eq!(shown(&world.work(&resolve).await), "done");
    assert_eq!(world.keys(APP).len(), 1, "a version names it");
}

#[tokio::test]
async fn the_other_fields_of_a_value_are_carried_over() {
    let manifest = format!("credentials:{ONE}    adopt: true\n");
    let world = World::new(vec![named("one", APP)], &manifest).await;
    let by_hand = token(7);
    let before = r#"{"client_secret":"old","password":"of a database","port":5432}"#;
    world.aws.state().by_hand(SECRET, &by_hand.clone().into(), before);
    let first = token(1);
    assert_eq!(shown(&world.work(&at_once(rotation(&first, Some(&by_hand)))).await), "done");
    let value = world.text(&first);
    assert_eq!((&value["password"], &value["port"]), (&json!("of a database"), &json!(5432)));
    assert!(
        world.emulator.secrets().contains(&value["client_secret"].as_str().unwrap().to_owned())
    );
    // The key of a version that was made by hand is not known, so nobody can remove it.
    assert_eq!(world.told().last().unwrap(), "keywheel.finding.replaced-key-unknown");
    let state = world.aws.state();
    let found = &state.events.last().unwrap()["data"];
    assert_eq!((&found["requested_by"], &found["credential"]), (&json!("ada"), &json!("one")));
    assert_eq!(found["request"], json!(Uuid::from_u128(0x5E)));
}

#[tokio::test]
async fn half_the_life_is_asked_for_where_the_tenant_allows_no_more() {
    let more = "    lifetime: 180d\n    shortest_lifetime: 60d\n";
    let world = World::new(vec![named("one", APP)], &format!("credentials:{ONE}{more}")).await;
    let allowed = |days| {
        let limits = Limits { max_lifetime_days: Some(days), ..Limits::default() };
        world.emulator.set_faults(Faults { limits, ..Faults::default() }).unwrap();
    };
    allowed(59);
    let ended = shown(&world.work(&rotation(&token(1), None)).await);
    assert!(!ended.starts_with("done"), "{ended}");
    allowed(61);
    assert_eq!(shown(&world.work(&rotation(&token(1), None)).await), "done");
    let end: DateTime<Utc> = world.text(&token(1))["expires_on"].as_str().unwrap().parse().unwrap();
    assert_eq!((end - world.now()).num_days(), 59);
}

#[tokio::test]
async fn the_answer_to_an_add_password_that_was_lost_ends_the_try() {
    let world = World::of_one().await;
    let rules = vec![Rule::new(FaultKind::LostAnswer).on(Operation::AddPassword).times(1)];
    world.emulator.set_faults(Faults { rules, ..Faults::default() }).unwrap();
    let ended = shown(&world.work(&rotation(&token(1), None)).await);
    assert!(ended.starts_with("again"), "{ended}");
    assert_eq!(world.keys(APP).len(), 1);
    assert_eq!(shown(&world.work(&rotation(&token(1), None)).await), "done");
    assert_eq!(world.keys(APP).len(), 2);
}

#[tokio::test]
async fn a_sign_in_without_an_answer_says_nothing_of_the_secret() {
    let world = World::of_one().await;
    let rules = vec![Rule::new(FaultKind::ServerError).on(Operation::Token).times(1)];
    let engine = world.engine().await;
    // Keywheel's own sign-in comes first, and is not the one that fails.
    engine.inspect(&credential(&engine), deadline()).await.unwrap();
    world.emulator.set_faults(Faults { rules, ..Faults::default() }).unwrap();
    let ended = engine.work(&rotation(&token(1), None), deadline()).await;
    assert_eq!(shown(&ended), "done");
}

#[tokio::test]
async fn a_removal_that_graph_does_not_take_is_asked_for_again() {
    let (world, first) = World::rotated().await;
    let rules = vec![Rule::new(FaultKind::ServerError).on(Operation::RemovePassword).times(1)];
    world.emulator.set_faults(Faults { rules, ..Faults::default() }).unwrap();
    let ended = world.work(&at_once(rotation(&token(2), Some(&first)))).await;
    assert_eq!(shown(&ended), "done");
    assert_eq!(world.keys(APP).len(), 1);
}

#[tokio::test]
async fn a_value_that_would_lock_keywheel_out_is_not_minted_for() {
    let manifest = |format: &str| {
        format!(
            "credentials:\n  one:\n    application: {OWN}\n    secret: {OWN_SECRET}\n    settle: 1s\n    adopt: true\n    format: {format}\n"
        )
    };
    let job = |world: &World| {
        let current = world.aws.state().secrets[OWN_SECRET].secret.holder(&Label::Current);
        let mut job = Job { application: OWN, ..rotation(&token(1), None) };
        if let Work::Rotate { replaces, .. } = &mut job.work {
            *replaces = current;
        }
        job
    };
    let world = World::new(vec![], &manifest("raw")).await;
    let ended = shown(&world.work(&job(&world)).await);
    assert!(ended.contains("is the secret that Keywheel signs in with"), "{ended}");
    assert_eq!(world.keys(OWN).len(), 1);
    let world = World::new(vec![], &manifest("json")).await;
    assert_eq!(shown(&world.work(&job(&world)).await), "done");
    assert_eq!(world.keys(OWN).len(), 2);
}

#[tokio::test]
async fn what_is_not_a_json_object_has_no_fields_to_carry_over() {
    for (format, binary) in [("raw", false), ("json", true)] {
        let manifest = format!("credentials:{ONE}    adopt: true\n    format: {format}\n");
        let world = World::new(vec![named("one", APP)], &manifest).await;
        let by_hand = token(7);
        {
            let mut state = world.aws.state();
            state.by_hand(SECRET, &by_hand.clone().into(), "old");
            let kept = state.secrets.get_mut(SECRET).unwrap();
            kept.binary = binary;
            if !binary {
                // Of a value in one piece nothing is read, so it may be missing.
                kept.secret.versions.get_mut(&by_hand.clone().into()).unwrap().value = None;
            }
        }
        let ended = world.work(&rotation(&token(1), Some(&by_hand))).await;
        assert!(!shown(&ended).contains("cannot be read yet"), "{format}: {ended:?}");
        assert_eq!(world.keys(APP).len(), 1, "{format}: {ended:?}");
    }
}

/// A value that others keep passwords in would lose them.
#[tokio::test]
async fn nothing_is_minted_while_the_fields_to_carry_over_cannot_be_read() {
    let world =
        World::new(vec![named("one", APP)], &format!("credentials:{ONE}    adopt: true\n")).await;
    let by_hand = token(7);
    world.aws.state().by_hand(SECRET, &by_hand.clone().into(), "{}");
    let job = rotation(&token(1), Some(&by_hand));
    world.aws.state().refused.insert("GetSecretValue");
    let ended = shown(&world.work(&job).await);
    assert!(ended.contains("AccessDenied"), "{ended}");
    world.aws.state().refused.clear();
    {
        let mut state = world.aws.state();
        let kept = state.secrets.get_mut(SECRET).unwrap();
        kept.secret.versions.get_mut(&by_hand.clone().into()).unwrap().value = None;
    }
    let ended = shown(&world.work(&job).await);
    assert!(
        ended.starts_with("again after 20 s") && ended.contains("cannot be read yet"),
        "{ended}"
    );
    assert!(world.keys(APP).is_empty());
}
