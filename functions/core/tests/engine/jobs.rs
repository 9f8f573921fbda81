//! What becomes of a job, in Entra, in Secrets Manager and on the record.

use std::collections::BTreeSet;

use azure_emulator::{Operation, RequestRecord};

use super::*;
use crate::engine::jobs::Ended;

/// How a job ended, with the reason.
pub(super) fn shown(ended: &Ended) -> String {
    match ended {
        Ended::Done => "done".to_owned(),
        Ended::HandOn(job) => format!("handed on {}", job.continuation),
        Ended::Again { after, why } => format!("again after {} s: {why}", after.as_secs()),
        Ended::Failed(why) => format!("failed: {why}"),
    }
}

pub(super) fn key_of(labels: &[Label]) -> KeyId {
    let key = |label: &Label| if let Label::Key(key) = label { Some(*key) } else { None };
    labels.iter().find_map(key).unwrap()
}

#[tokio::test]
async fn a_first_rotation_makes_the_secret_and_tells_of_each_step() {
    let more = "    tags: { team: platform }\n    kms_key: alias/one\n    lifetime: 90d\n";
    let manifest = format!("credentials:{ONE}{more}");
    let world = World::new(vec![named("one", APP)], &manifest).await;
    let first = token(1);
    assert_eq!(shown(&world.work(&rotation(&first, None)).await), "done");

    let keys = world.keys(APP);
    let [(key, name)] = &keys[..] else { panic!("{keys:?}") };
    let scope = crate::rotation::Scope::of("000000000000", "eu-central-1", SECRET);
    assert_eq!(*name, format!("keywheel/{scope}/{first}"));
    let labels = world.labels(&first);
    assert!(labels.contains(&Label::Current) && labels.contains(&Label::Key(*key)), "{labels:?}");
    assert!(labels.iter().any(|label| matches!(label, Label::Since(_))), "{labels:?}");

    let value = world.text(&first);
    assert_eq!(value["client_id"], json!(APP));
    assert_eq!(value["tenant_id"], json!(world.tenant()));
    assert_eq!(value["key_id"], json!(key));
    let text = value["client_secret"].as_str().unwrap().to_owned();
    assert!(world.emulator.secrets().contains(&text));
    let end: DateTime<Utc> = value["expires_on"].as_str().unwrap().parse().unwrap();
    assert_eq!((end - world.now()).num_days(), 89);

    let signed_in: Vec<_> = world.emulator.sign_ins().into_iter().collect();
    let proofs = signed_in.iter().filter(|one| one.key_id == Some(key.0) && one.code == 0);
    assert!(proofs.count() >= 6, "{signed_in:?}");

    let state = world.aws.state();
    let made = &state.secrets[SECRET].made;
    assert_eq!(made["KmsKeyId"], "alias/one");
    assert_eq!(made["Tags"], json!([{ "Key": "team", "Value": "platform" }]));
    assert!(made["Description"].as_str().unwrap().contains(&APP.to_string()));

    // Each is told at least once, always under the same id.
    let kinds: BTreeSet<_> =
        state.events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let told = ["keywheel.key.minted", "keywheel.rotation.promoted", "keywheel.rotation.stored"];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), told);
    for event in &state.events {
        let data = &event["data"];
        assert_eq!(data["credential"], "one");
        assert_eq!(data["application"], json!(APP));
        assert_eq!(data["tenant"], json!(world.tenant()));
        assert_eq!(data["requested_by"], "ada");
        assert_eq!(data["request"], json!(Uuid::from_u128(0x5E)));
        assert_eq!(data["key"], json!(key));
        assert_eq!((&data["rotation"], &data["version"]), (&json!(first), &json!(first)));
        assert!(!event.to_string().contains(&text));
    }
    let minted = &state.events[0]["data"];
    let asked = world.emulator.requests().into_iter();
    let asked = asked.filter(|one| one.operation == Some(Operation::AddPassword));
    let [asked] = &asked.collect::<Vec<_>>()[..] else { panic!("one addPassword") };
    assert_eq!(minted["graph_request_id"], json!(asked.request_id));
    assert_eq!(minted["client_request_id"], json!(asked.client_request_id));
    assert!(state.events[1]["data"].get("client_request_id").is_none());
    let ids: BTreeSet<_> = state.events.iter().map(|event| event["id"].to_string()).collect();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn an_old_key_stays_for_the_overlap_and_goes_when_its_job_comes_after_it() {
    let (world, first) = World::rotated().await;
    let old = key_of(&world.labels(&first));
    let second = token(2);
    assert_eq!(shown(&world.work(&rotation(&second, Some(&first))).await), "done");
    assert_eq!(world.keys(APP).len(), 2);
    assert!(world.labels(&second).contains(&Label::Current));

    let retire = retirement(Some(&first), old);
    assert_eq!(shown(&world.work(&retire).await), "done");
    assert_eq!(world.keys(APP).len(), 2, "the overlap is not over");
    world.wait(TimeDelta::hours(25));
    assert_eq!(shown(&world.work(&retire).await), "done");
    let new = key_of(&world.labels(&second));
    assert_eq!(world.keys(APP).iter().map(|(key, _)| *key).collect::<Vec<_>>(), [new]);
    assert_eq!(world.labels(&first), [], "its labels went with it");

    let state = world.aws.state();
    let removed = state.events.last().unwrap();
    assert_eq!(removed["type"], "keywheel.key.removed");
    let data = &removed["data"];
    assert_eq!((&data["key"], &data["version"]), (&json!(old), &json!(first)));
    let requests = world.emulator.requests();
    let is_removal = |one: &&RequestRecord| one.operation == Some(Operation::RemovePassword);
    let asked = requests.iter().rfind(is_removal).unwrap();
    assert_eq!(data["graph_request_id"], json!(asked.request_id));
    assert_eq!(data["client_request_id"], json!(asked.client_request_id));
    assert_ne!(data["client_request_id"], json!(Uuid::nil()));
}

#[tokio::test]
async fn whoever_wants_the_old_key_gone_at_once_does_not_wait_for_the_overlap() {
    let (world, first) = World::rotated().await;
    let second = token(2);
    let job = at_once(rotation(&second, Some(&first)));
    assert_eq!(shown(&world.work(&job).await), "done");
    let new = key_of(&world.labels(&second));
    assert_eq!(world.keys(APP).iter().map(|(key, _)| *key).collect::<Vec<_>>(), [new]);
    // Told again, it finds all done.
    assert_eq!(shown(&world.work(&job).await), "done");
    assert_eq!(world.keys(APP).len(), 1);

    // One that another rotation was faster than still has the old key removed.
    let third = token(3);
    assert_eq!(shown(&world.work(&rotation(&third, Some(&second))).await), "done");
    assert_eq!(world.keys(APP).len(), 2);
    let late = at_once(rotation(&token(4), Some(&second)));
    assert_eq!(shown(&world.work(&late).await), "done");
    assert_eq!(world.keys(APP).len(), 1);
}

#[tokio::test]
async fn a_revocation_that_is_told_twice_does_not_call_the_removed_key_unknown() {
    let world =
        World::new(vec![named("one", APP)], &format!("credentials:{ONE}    adopt: true\n")).await;
    let (first, second) = (token(1), token(2));
    assert_eq!(shown(&world.work(&rotation(&first, None)).await), "done");
    let job = at_once(rotation(&second, Some(&first)));
    for _ in 0..2 {
        assert_eq!(shown(&world.work(&job).await), "done");
    }
    let told = world.told();
    assert!(!told.contains(&"keywheel.finding.replaced-key-unknown".to_owned()), "{told:?}");
}

#[tokio::test]
async fn a_revocation_waits_where_a_rotation_is_under_way_on_the_version() {
    let (world, _) = World::rotated().await;
    let second = token(2);
    world.cut_off(&second);
    let key = key_of(&world.labels(&second));
    let ended = shown(&world.work(&at_once(retirement(Some(&second), key))).await);
    assert!(ended.starts_with("again after 20 s: the key is still there"), "{ended}");
    assert_eq!(shown(&world.work(&retirement(Some(&second), key)).await), "done");
}

#[tokio::test]
async fn the_first_secret_has_no_old_key_to_be_gone_at_once() {
    let world = World::of_one().await;
    assert_eq!(shown(&world.work(&at_once(rotation(&token(1), None))).await), "done");
    assert_eq!(world.keys(APP).len(), 1);
}

#[tokio::test]
async fn a_job_of_what_the_manifest_does_not_say_fails_on_the_record() {
    let world = World::of_one().await;
    let unknown = Job { credential: CredentialName("two".to_owned()), ..rotation(&token(1), None) };
    assert!(shown(&world.work(&unknown).await).starts_with("failed: the manifest has no such"));
    let moved = Job { application: OWN, ..rotation(&token(1), None) };
    assert!(shown(&world.work(&moved).await).contains(&format!("application {APP} by now")));
    assert!(world.keys(APP).is_empty() && world.aws.state().secrets.len() == 1);

    let state = world.aws.state();
    let [first, second] = &state.events[..] else { panic!("{:?}", state.events) };
    for event in [first, second] {
        assert_eq!(event["type"], "keywheel.rotation.failed");
        assert_eq!(event["data"]["requested_by"], "ada");
        assert_eq!(event["data"]["request"], json!(Uuid::from_u128(0x5E)));
    }
    assert!(second["data"]["reason"].as_str().unwrap().contains("by now"));
    assert_ne!(first["id"], second["id"]);
}

#[tokio::test]
async fn a_failure_is_on_the_record_once_however_often_the_job_is_handed_on() {
    let world = World::of_one().await;
    let gone = Job { credential: CredentialName("two".to_owned()), ..rotation(&token(1), None) };
    world.work(&gone).await;
    world.work(&gone.continued()).await;
    let asked_again = Job { requested_at: Some(Utc::now()), ..gone.clone() };
    world.work(&asked_again).await;
    let state = world.aws.state();
    let ids: Vec<_> = state.events.iter().map(|event| event["id"].clone()).collect();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2], "somebody asked once more");
}

#[tokio::test]
async fn a_failure_that_the_bus_does_not_take_is_no_failure_yet() {
    let world = World::of_one().await;
    world.aws.state().refused.insert("PutEvents");
    let gone = Job { credential: CredentialName("two".to_owned()), ..rotation(&token(1), None) };
    assert!(shown(&world.work(&gone).await).starts_with("again after 20 s: the manifest has no"));
    assert!(world.told().is_empty());
}

#[tokio::test]
async fn nothing_is_promoted_unless_its_record_is_taken() {
    let world = World::of_one().await;
    world.aws.state().refused.insert("PutEvents");
    let ended = shown(&world.work(&rotation(&token(1), None)).await);
    assert!(!ended.starts_with("done"), "{ended}");
    world.aws.state().refused.clear();
    assert_eq!(shown(&world.work(&rotation(&token(1), None)).await), "done");
    assert_eq!(world.told().last().unwrap(), "keywheel.rotation.promoted");
}

#[tokio::test]
async fn a_job_whose_time_is_over_is_handed_on_a_bounded_number_of_times() {
    let (world, first) = World::rotated().await;
    world.manifest(&format!("credentials:{}", ONE.replace("settle: 1s", "settle: 4m")));
    let engine = world.engine().await;
    let soon = || Instant::now() + Duration::from_secs(25);
    let mut job = rotation(&token(2), Some(&first));
    for handed_on in 1..=12 {
        let ended = engine.work(&job, soon()).await;
        let Ended::HandOn(next) = ended else { panic!("{ended:?}") };
        assert_eq!(next, Job { continuation: handed_on, ..job });
        job = next;
    }
    let ended = engine.work(&job, soon()).await;
    assert!(shown(&ended).starts_with("failed: it did not come to an end in 12 functions"));
    assert_eq!(world.keys(APP).len(), 2, "each function went on with the same key");
    assert!(world.labels(&first).contains(&Label::Current));
}

#[tokio::test]
async fn an_application_that_is_not_there_may_be_new_and_is_waited_for_only_then() {
    let world = World::new(vec![], &format!("credentials:{ONE}")).await;
    let ended = shown(&world.work(&rotation(&token(1), None)).await);
    assert!(ended.starts_with("again after 20 s"), "{ended}");
    world.aws.state().by_hand(SECRET, &token(7).into(), "{}");
    let ended = shown(&world.work(&rotation(&token(1), Some(&token(7)))).await);
    assert!(ended.starts_with("failed"), "{ended}");
}

#[tokio::test]
async fn an_object_id_given_for_a_client_id_is_said_to_be_one() {
    let app = AppId(Uuid::from_u128(0xB));
    let given = SeedApplication { object_id: Some(APP.0), ..named("one", app) };
    let world = World::new(vec![given], &format!("credentials:{ONE}")).await;
    world.aws.state().by_hand(SECRET, &token(7).into(), "{}");
    let ended = shown(&world.work(&rotation(&token(1), Some(&token(7)))).await);
    assert!(ended.starts_with("failed") && ended.contains(&app.to_string()), "{ended}");
}

#[tokio::test]
async fn a_rules_pattern_entitles_only_where_its_own_tag_is_on_the_application() {
    let rules = "rules:
  - match: { tag: red }
    secret: keywheel/red/{appId}
    settle: 1s
  - match: { tag: blue }
    secret: keywheel/blue/{appId}
    settle: 1s
";
    let blue = SeedApplication { tags: vec!["blue".to_owned()], ..named("one", APP) };
    let world = World::new(vec![blue], rules).await;
    let of = |colour: &str, replaces: Option<&Token>| Job {
        credential: CredentialName(format!("keywheel/{colour}/{APP}")),
        ..rotation(&token(1), replaces)
    };
    let ended = shown(&world.work(&of("red", None)).await);
    assert!(ended.starts_with("again after 20 s: no rule's tag"), "{ended}");
    let ended = shown(&world.work(&of("red", Some(&token(7)))).await);
    assert!(ended.starts_with("failed: no rule's tag"), "{ended}");
    assert!(world.keys(APP).is_empty());
    assert_eq!(shown(&world.work(&of("blue", None)).await), "done");
    assert_eq!(world.keys(APP).len(), 1);

    // What was minted goes by the rule's job, tagged or not.
    let key = world.keys(APP)[0].0;
    let retire =
        Job { credential: CredentialName(format!("keywheel/red/{APP}")), ..retirement(None, key) };
    let ended = shown(&world.work(&retire).await);
    assert!(!ended.contains("tag"), "{ended}");
}

#[tokio::test]
async fn a_rotation_whose_key_is_gone_is_given_up_and_begun_afresh() {
    let (world, first) = World::rotated().await;
    let second = token(2);
    world.cut_off(&second);
    let ended = world.work(&rotation(&second, Some(&first))).await;
    let Ended::HandOn(next) = ended else { panic!("{}", shown(&ended)) };
    let Work::Rotate { rotation, replaces, .. } = &next.work else { panic!("{next:?}") };
    assert_ne!(*rotation, second);
    assert_eq!(*replaces, Some(first.clone().into()));
    assert_eq!((next.continuation, next.requested_by.as_str()), (1, "ada"));
    assert_eq!(world.told().last().unwrap(), "keywheel.rotation.abandoned");
    assert!(world.labels(&second).iter().any(|label| matches!(label, Label::Void(_))));
    assert_eq!(shown(&world.work(&next).await), "done");
}
