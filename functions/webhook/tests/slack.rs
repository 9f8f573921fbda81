//! Rotations that somebody asks for in Slack, and that a second person approves or denies.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stub;
mod world;

use chrono::TimeDelta;
use keywheel_core::queue::{RevokeOld, Work};
use serde_json::Value;
use stub::now;
use world::World;

const VERSION: &str = "00000000-0000-0000-0000-0000000000a1";
const LABELS: [&str; 3] = [
    "AWSCURRENT",
    "keywheel:key:00000000-0000-0000-0000-0000000000b1",
    "keywheel:since:1700000000",
];
const APPROVE: &str = "keywheel_approve";
const DENY: &str = "keywheel_deny";

fn world() -> World {
    let world = World::default();
    for secret in ["prod/monk", "prod/guarded"] {
        world.label(secret, VERSION, &LABELS);
    }
    world
}

fn text(message: &Value) -> &str {
    message["text"].as_str().unwrap()
}

/// Asks for a rotation that needs approval; the value of its buttons.
async fn asked(world: &World) -> String {
    let message = world.command("U1", "rotate guarded it leaked --now").await.json();
    assert_eq!(message["response_type"], "in_channel");
    let buttons = message["blocks"][1]["elements"].as_array().unwrap().clone();
    let actions: Vec<_> = buttons.iter().map(|button| button["action_id"].clone()).collect();
    assert_eq!(actions, [APPROVE, DENY]);
    assert_eq!(buttons[0]["value"], buttons[1]["value"]);
    buttons[0]["value"].as_str().unwrap().to_owned()
}

fn told(world: &World) -> Vec<String> {
    let state = world.state();
    state.events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn somebody_who_may_rotate_does() {
    let world = world();
    let message = world.command("U1", "rotate monk it leaked --now").await.json();
    assert!(text(&message).starts_with("`monk` is being rotated. Reason: it leaked."), "{message}");
    assert_eq!(message["response_type"], "ephemeral");
    {
        let state = world.state();
        let [job] = &state.jobs[..] else { panic!("{:?}", state.jobs) };
        assert_eq!((job.credential.0.as_str(), job.requested_by.as_str()), ("monk", "slack:T1/U1"));
        assert!(matches!(job.work, Work::Rotate { revoke_old: RevokeOld::Now, .. }));
        assert_eq!(state.events[0]["data"]["reason"], "it leaked");
    }
    // The very same sending is a replay.
    let again = world.command("U1", "rotate monk it leaked --now").await;
    assert_eq!(again.status(), 409);
    assert_eq!(world.state().jobs.len(), 1);
}

#[tokio::test]
async fn whoever_may_not_rotate_is_told_nothing_more() {
    let world = world();
    let theirs = world.command("U2", "rotate monk").await;
    let nobodys = world.command("U2", "rotate nobody").await;
    assert_eq!(theirs.0.body().replace("monk", "nobody"), *nobodys.0.body());
    assert!(world.state().jobs.is_empty() && world.state().objects.is_empty());
}

#[tokio::test]
async fn a_second_person_approves() {
    let world = world();
    let value = asked(&world).await;
    assert_eq!(told(&world), ["keywheel.approval.requested"]);
    let own = world.press("U1", APPROVE, &value, now()).await;
    assert!(text(&own).starts_with("Not approved: you asked for this rotation yourself"), "{own}");
    assert_eq!(own["replace_original"], false);
    let stranger = world.press("U3", APPROVE, &value, now()).await;
    assert!(text(&stranger).starts_with("Not approved: the manifest does not allow you"));
    assert!(world.state().jobs.is_empty());

    // The secret was turned since.
    world.label("prod/guarded", VERSION, &["AWSPREVIOUS"]);
    let second = "00000000-0000-0000-0000-0000000000a2";
    world.label("prod/guarded", second, &LABELS);
    let at = now() + TimeDelta::minutes(30) - TimeDelta::seconds(1);
    let approved = world.press("U2", APPROVE, &value, at).await;
    assert!(
        text(&approved).starts_with("<@U2> approved: `guarded` is being rotated."),
        "{approved}"
    );
    assert_eq!(approved["replace_original"], true);
    {
        let state = world.state();
        let [job] = &state.jobs[..] else { panic!("{:?}", state.jobs) };
        assert_eq!(
            (job.request.unwrap().to_string(), &*job.requested_by),
            (value.clone(), "slack:T1/U1")
        );
        let Work::Rotate { replaces, revoke_old, .. } = &job.work else { panic!("{job:?}") };
        assert_eq!((&*replaces.as_ref().unwrap().0, *revoke_old), (second, RevokeOld::Now));
        let granted = &state.events[1]["data"];
        assert_eq!(granted["approved_by"], "slack:T1/U2");
    }
    assert_eq!(
        told(&world),
        ["keywheel.approval.requested", "keywheel.approval.granted", "keywheel.rotation.requested"]
    );
    for action in [APPROVE, DENY] {
        let late = world.press("U2", action, &value, at).await;
        assert!(text(&late).contains("somebody has approved it already"), "{late}");
    }
    assert_eq!(world.state().jobs.len(), 1);
}

#[tokio::test]
async fn an_approval_comes_within_half_an_hour() {
    let world = world();
    let value = asked(&world).await;
    let late = world.press("U2", APPROVE, &value, now() + TimeDelta::minutes(30)).await;
    assert!(text(&late).contains("more than 30 minutes old"), "{late}");
    assert!(world.state().jobs.is_empty());
}

#[tokio::test]
async fn a_request_is_denied_or_withdrawn_once() {
    for (user, verb) in [("U1", "withdrew"), ("U2", "denied")] {
        let world = world();
        let value = asked(&world).await;
        let stranger = world.press("U3", DENY, &value, now()).await;
        assert!(text(&stranger).starts_with("Not denied: the manifest does not allow you"));
        let denied = world.press(user, DENY, &value, now()).await;
        let begins =
            format!("<@{user}> {verb} the request: `guarded` is not rotated. Reason: it leaked.");
        assert!(text(&denied).starts_with(&begins), "{denied}");
        // The first decision stands, whoever presses what.
        let approved = world.press("U2", APPROVE, &value, now()).await;
        assert!(text(&approved).starts_with(&begins), "{approved}");
        assert!(world.state().jobs.is_empty());
        let state = world.state();
        let denied = &state.events[1];
        assert_eq!(denied["type"], "keywheel.approval.denied");
        assert_eq!(denied["data"]["denied_by"], format!("slack:T1/{user}"));
        assert_eq!(denied["id"], state.events[2]["id"], "told twice, it counts once");
    }
}

#[tokio::test]
async fn what_nobody_asked_for_is_not_approved() {
    let world = world();
    for action in [APPROVE, DENY] {
        let none = world.press("U2", action, VERSION, now()).await;
        assert!(text(&none).contains("there is no such request any more"), "{none}");
    }
}

#[tokio::test]
async fn whoever_approved_presses_again_where_queueing_failed() {
    let world = world();
    let value = asked(&world).await;
    world.state().failing = Some("SendMessageBatch");
    let failed = world.press("U2", APPROVE, &value, now()).await;
    assert!(text(&failed).contains("could not do that just now"), "{failed}");
    world.state().failing = None;
    let approved = world.press("U2", APPROVE, &value, now()).await;
    assert!(text(&approved).starts_with("<@U2> approved"), "{approved}");
    assert_eq!(world.state().jobs.len(), 1);
}
