//! Systems that ask for rotations, and how the rotations stand: for those who may see them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stub;
mod world;

use chrono::TimeDelta;
use keywheel_core::queue::{RevokeOld, Work};
use serde_json::json;
use stub::{KEY, now};
use world::{OTHER_KEY, World};

const VERSION: &str = "00000000-0000-0000-0000-0000000000a1";
const OLD_KEY: &str = "keywheel:key:00000000-0000-0000-0000-0000000000b1";
const MONK: &str = r#"{"credential":"monk","reason":"it leaked","revoke_old":"now"}"#;

fn world() -> World {
    let world = World::default();
    for secret in ["prod/monk", "prod/shared", "prod/guarded"] {
        world.label(secret, VERSION, &["AWSCURRENT", OLD_KEY, "keywheel:since:1700000000"]);
    }
    world
}

#[tokio::test]
async fn a_request_is_noted_told_and_queued() {
    let world = world();
    let answer = world.ask(KEY, "msg_1", now(), MONK).await;
    assert_eq!(answer.status(), 202, "{}", answer.0.body());
    let id = answer.json()["rotation"].as_str().unwrap().to_owned();
    assert_eq!(answer.0.headers()["location"], format!("/rotations/monk/{id}"));
    assert_eq!(answer.json()["location"], format!("/rotations/monk/{id}"));
    let state = world.state();
    let [job] = &state.jobs[..] else { panic!("{:?}", state.jobs) };
    assert_eq!((job.credential.0.as_str(), job.requested_by.as_str()), ("monk", "webhook:ci"));
    assert_eq!(job.request.unwrap().to_string(), id);
    assert_eq!(job.requested_at, Some(now()));
    let Work::Rotate { rotation, replaces, revoke_old, .. } = &job.work else { panic!("{job:?}") };
    assert_eq!((rotation.to_string(), *revoke_old), (id, RevokeOld::Now));
    assert_eq!(replaces.as_ref().unwrap().0, VERSION);
    let [event] = &state.events[..] else { panic!("{:?}", state.events) };
    assert_eq!(event["type"], "keywheel.rotation.requested");
    assert_eq!(event["data"]["reason"], "it leaked");
    assert_eq!(event["data"]["requested_by"], "webhook:ci");
}

#[tokio::test]
async fn what_is_sent_again_is_answered_again_and_done_once() {
    let world = world();
    let first = world.ask(KEY, "msg_1", now(), MONK).await.json();
    let later = now() + TimeDelta::seconds(5);
    let again = world.ask(KEY, "msg_1", later, MONK).await;
    assert_eq!((again.status(), again.json()), (202, first.clone()));
    // The very same sending is somebody's replay.
    let replayed = world.ask(KEY, "msg_1", now(), MONK).await;
    assert_eq!((replayed.status(), &replayed.json()["rotation"]), (409, &first["rotation"]));
    let other = world.ask(KEY, "msg_1", later, r#"{"credential":"monk"}"#).await;
    assert_eq!(other.status(), 409);
    assert!(other.json().get("rotation").is_none());
    assert_eq!(world.state().jobs.len(), 1);
    let fresh = world.ask(KEY, "msg_2", later, MONK).await;
    assert_ne!(fresh.json()["rotation"], first["rotation"]);
    assert_eq!(world.state().jobs.len(), 2);
}

#[tokio::test]
async fn two_systems_may_choose_the_same_id() {
    let world = world();
    let shared = r#"{"credential":"shared"}"#;
    let one = world.ask(KEY, "msg_1", now(), shared).await;
    let two = world.ask(OTHER_KEY, "msg_1", now(), shared).await;
    assert_eq!((one.status(), two.status()), (202, 202));
    assert_ne!(one.json()["rotation"], two.json()["rotation"]);
    let by: Vec<_> = world.state().jobs.iter().map(|job| job.requested_by.clone()).collect();
    assert_eq!(by, ["webhook:ci", "webhook:cd"]);
}

#[tokio::test]
async fn a_request_that_was_cut_off_goes_on_as_it_began() {
    let world = world();
    world.state().failing = Some("SendMessageBatch");
    assert_eq!(world.ask(KEY, "msg_1", now(), MONK).await.status(), 503);
    world.state().failing = None;
    // Somebody rotated meanwhile; the request is for what was current when it came.
    world.label("prod/monk", VERSION, &["AWSPREVIOUS", OLD_KEY]);
    world.label("prod/monk", "00000000-0000-0000-0000-0000000000a2", &["AWSCURRENT", OLD_KEY]);
    assert_eq!(world.ask(KEY, "msg_1", now(), MONK).await.status(), 202);
    let state = world.state();
    let Work::Rotate { replaces, .. } = &state.jobs[0].work else { panic!("{:?}", state.jobs) };
    assert_eq!(replaces.as_ref().unwrap().0, VERSION);
    assert_eq!(state.events[0]["id"], state.events[1]["id"], "it was told twice, and counts once");
}

#[tokio::test]
async fn what_is_not_allowed_looks_like_what_is_not_there() {
    let world = world();
    let refused = world.ask(OTHER_KEY, "msg_1", now(), MONK).await;
    let unknown = world.ask(OTHER_KEY, "msg_2", now(), r#"{"credential":"nobody"}"#).await;
    assert_eq!((refused.status(), unknown.status()), (403, 403));
    assert_eq!(refused.json(), unknown.json());
    // Whoever may ask is told that a second person has to approve.
    let guarded = world.ask(KEY, "msg_3", now(), r#"{"credential":"guarded"}"#).await;
    assert_eq!(guarded.status(), 403);
    assert_ne!(guarded.json(), unknown.json());
    let state = world.state();
    assert!(state.jobs.is_empty() && state.events.is_empty() && state.objects.is_empty());
}

#[tokio::test]
async fn a_rotation_is_shown_only_to_those_who_may_ask_for_its_own_credential() {
    let world = world();
    let asked = world.ask(KEY, "msg_1", now(), MONK).await.json();
    let id = asked["rotation"].as_str().unwrap();
    let own = world.standing(KEY, &format!("/rotations/monk/{id}")).await;
    assert_eq!(own.status(), 200, "{}", own.0.body());
    for (key, credential) in
        [(OTHER_KEY, "monk"), (OTHER_KEY, "shared"), (KEY, "shared"), (KEY, "nobody")]
    {
        let answer = world.standing(key, &format!("/rotations/{credential}/{id}")).await;
        assert_eq!(answer.status(), 404, "{credential}: {}", answer.0.body());
    }
    let none = world.standing(KEY, &format!("/rotations/monk/{VERSION}")).await;
    assert_eq!(none.status(), 404, "nobody asked for it");
}

#[tokio::test]
async fn a_rotation_stands_as_its_labels_and_its_events_say() {
    let world = world();
    let asked = world.ask(KEY, "msg_1", now(), MONK).await.json();
    let id = asked["rotation"].as_str().unwrap().to_owned();
    let path = format!("/rotations/monk/{id}");
    let new = "keywheel:key:00000000-0000-0000-0000-0000000000b2";
    let since = "keywheel:since:1795251600";
    let state = async || world.standing(KEY, &path).await.json()["state"].clone();

    let first = world.standing(KEY, &path).await.json();
    assert_eq!(first["state"], "queued");
    assert_eq!((&first["rotation"], &first["version"]), (&json!(id), &json!(id)));
    assert_eq!(
        (&first["credential"], &first["requested_by"]),
        (&json!("monk"), &json!("webhook:ci"))
    );
    assert_eq!(first["revoke_old"], "now");
    assert_eq!(first["steps"], json!([]));

    world.label("prod/monk", &id, &[new]);
    assert_eq!(state().await, "stored");
    world.label("prod/monk", &id, &[new, "AWSPENDING"]);
    assert_eq!(state().await, "claimed");
    world.label("prod/monk", VERSION, &["AWSPREVIOUS", OLD_KEY]);
    world.label("prod/monk", &id, &[new, "AWSCURRENT"]);
    assert_eq!(state().await, "promoted");
    world.label("prod/monk", &id, &[new, "AWSCURRENT", since]);
    assert_eq!(state().await, "recorded");
    world.told(&id, "keywheel.key.removed", 9);
    world.told(&id, "keywheel.rotation.promoted", 5);
    assert_eq!(state().await, "recorded", "the old version still names its key");
    world.label("prod/monk", VERSION, &["AWSPREVIOUS"]);
    let last = world.standing(KEY, &path).await.json();
    assert_eq!(last["state"], "revoked");
    let steps: Vec<_> =
        last["steps"].as_array().unwrap().iter().map(|step| step["type"].clone()).collect();
    assert_eq!(steps, ["keywheel.rotation.promoted", "keywheel.key.removed"]);

    // A later rotation takes over, in its turn.
    let third = "00000000-0000-0000-0000-0000000000a3";
    world.label("prod/monk", &id, &["AWSPREVIOUS"]);
    world.label(
        "prod/monk",
        third,
        &["AWSCURRENT", "keywheel:key:00000000-0000-0000-0000-0000000000b3"],
    );
    assert_eq!(state().await, "revoked");
}

#[tokio::test]
async fn a_rotation_that_came_to_nothing_says_so() {
    let world = world();
    let ask = async |id: &str, revoke: &str| {
        let body = format!(r#"{{"credential":"monk","revoke_old":"{revoke}"}}"#);
        let asked = world.ask(KEY, id, now(), &body).await.json();
        asked["rotation"].as_str().unwrap().to_owned()
    };
    let state = async |id: &str| {
        world.standing(KEY, &format!("/rotations/monk/{id}")).await.json()["state"].clone()
    };
    let failed = ask("msg_1", "now").await;
    world.told(&failed, "keywheel.rotation.failed", 1);
    assert_eq!(state(&failed).await, "failed");
    let kept = ask("msg_2", "after-overlap").await;
    world.label("prod/monk", VERSION, &["AWSPREVIOUS"]);
    let labels = [
        "AWSCURRENT",
        "keywheel:key:00000000-0000-0000-0000-0000000000b2",
        "keywheel:since:1795251600",
    ];
    world.label("prod/monk", &kept, &labels);
    world.told(&kept, "keywheel.key.removed", 1);
    world.told(&kept, "keywheel.rotation.failed", 2);
    assert_eq!(state(&kept).await, "recorded", "nobody wanted the old key gone at once");
    assert_eq!(state(&failed).await, "superseded");
    world.told(&failed, "keywheel.rotation.promoted", 1);
    assert_eq!(state(&failed).await, "recorded", "its key was not removed");
}

#[tokio::test]
async fn slack_shows_somebody_what_they_may_rotate() {
    let world = world();
    let all = world.command("U1", "status").await;
    assert_eq!(all.status(), 200);
    for name in ["monk", "shared", "guarded"] {
        assert!(all.0.body().contains(name), "{}", all.0.body());
    }
    let some = world.command("U2", "status").await;
    assert!(some.0.body().contains("shared") && !some.0.body().contains("monk"));
    let not_theirs = world.command("U2", "status monk").await;
    let unknown = world.command("U2", "status nobody").await;
    assert_eq!(not_theirs.0.body().replace("monk", "nobody"), *unknown.0.body());
    let none = world.command("U3", "status").await;
    assert!(!none.0.body().contains("shared"), "{}", none.0.body());
    let approval = "rotations need approval";
    let guarded = world.command("U1", "status guarded").await;
    assert!(guarded.0.body().contains(approval), "{}", guarded.0.body());
    let one = world.command("U1", "status monk").await;
    assert!(!one.0.body().contains(approval), "{}", one.0.body());
    assert!(one.0.body().contains("monk") && !one.0.body().contains("shared"));
    let plan = world.command("U2", "plan").await;
    assert!(plan.0.body().contains("shared") && !plan.0.body().contains("monk"));
}
