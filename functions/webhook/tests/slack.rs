//! Rotations that somebody asks for in Slack, and that a second person approves or denies.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stub;
mod world;

use std::time::Duration;

use chrono::TimeDelta;
use keywheel_core::queue::{RevokeOld, Work};
use serde_json::{Value, json};
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
    assert!(
        text(&message).contains("stops working as soon as the new one is current"),
        "{message}"
    );
    assert_eq!(message["blocks"][0]["text"]["text"], message["text"], "what Slack shows");
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
        // The progress is shown to whoever approved, since then.
        let noted: Value =
            serde_json::from_str(&state.objects[&format!("requests/{value}.json")]).unwrap();
        assert_eq!(noted["approved_at"].as_str().unwrap().parse(), Ok(at));
        assert_eq!(noted["slack"]["user"], "U2");
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
    let other = world.press("U4", APPROVE, &value, now()).await;
    assert!(
        text(&other).contains("somebody has approved it already"),
        "nobody takes over: {other}"
    );
    assert!(world.state().jobs.is_empty());
    let approved = world.press("U2", APPROVE, &value, now()).await;
    assert!(text(&approved).starts_with("<@U2> approved"), "{approved}");
    assert_eq!(world.state().jobs.len(), 1);
}

#[tokio::test]
async fn two_requests_that_wait_are_decided_each_by_itself() {
    let world = world();
    let first = asked(&world).await;
    let message = world.command("U1", "rotate guarded once more").await.json();
    let second = message["blocks"][1]["elements"][0]["value"].as_str().unwrap().to_owned();
    let denied = world.press("U2", DENY, &first, now()).await;
    assert!(text(&denied).contains("denied the request"), "{denied}");
    let approved = world.press("U2", APPROVE, &second, now()).await;
    assert!(text(&approved).contains("is being rotated. Reason: once more."), "{approved}");
    let state = world.state();
    let [job] = &state.jobs[..] else { panic!("{:?}", state.jobs) };
    assert_eq!(job.request.unwrap().to_string(), second);
}

#[tokio::test]
async fn whoever_types_something_else_is_told_what_there_is() {
    let world = world();
    let usage = "`/keywheel rotate NAME [reason…] [--now]`";
    for (typed, said) in [
        ("help", usage),
        ("turn monk", "does not know that command"),
        ("rotate monk --force", "there is no option `--force`, only `--now`"),
    ] {
        let message = world.command("U1", typed).await.json();
        assert!(text(&message).contains(said) && text(&message).contains(usage), "{message}");
    }
    let nothing = world.command("U3", "status").await.json();
    assert!(text(&nothing).contains("Name a credential that a rule makes"), "{nothing}");
    world.state().deleted.insert("prod/monk".to_owned());
    let stopped = world.command("U1", "rotate monk").await.json();
    assert!(text(&stopped).starts_with("Not rotated: the secret is scheduled"), "{stopped}");
    assert!(world.state().jobs.is_empty());
    let check = world.slack("/slack/commands", "ssl_check=1&token=x", now()).await;
    assert_eq!((check.status(), check.0.body().as_str()), (200, ""));
}

#[tokio::test]
async fn no_more_credentials_are_listed_than_can_be_looked_at_in_time() {
    let world = world();
    for (count, more) in [(15, None), (17, Some("… and 2 more: name a credential."))] {
        let credentials: Vec<String> = (10..10 + count)
            .map(|number| {
                format!(
                    "  c{number}:\n    application: 408bf248-dd4e-4be5-919a-7f6207a307{number}\n    secret: prod/{number}\n"
                )
            })
            .collect();
        let allow = "allow: { slack: [{ team: T1, users: [U1] }] }\n";
        let credentials = credentials.concat().replace("\n  c", &format!("\n    {allow}  c"));
        world.state().manifest = Some(format!("credentials:\n{credentials}    {allow}"));
        let message = world.command("U1", "status").await.json();
        let lines: Vec<_> = text(&message).lines().collect();
        assert_eq!(lines.len(), 15 + usize::from(more.is_some()), "{message}");
        assert_eq!(lines.last().copied().filter(|line| line.contains("more")), more);
    }
}

/// Slack waits for three seconds. A person who is told of a failure asks again.
#[tokio::test]
async fn an_answer_that_takes_long_says_what_may_have_been_done() {
    let world = world();
    let slow = |time| world.state().slow = Some(("SendMessageBatch", Duration::from_millis(time)));
    slow(100);
    let begun = world.command("U1", "rotate monk").await.json();
    assert!(text(&begun).starts_with("`monk` is being rotated."), "{begun}");
    let value = asked(&world).await;
    let approved = world.press("U2", APPROVE, &value, now()).await;
    assert!(text(&approved).starts_with("<@U2> approved"), "{approved}");
    slow(2_600);
    let value = world.command("U1", "rotate guarded later").await.json();
    let value = value["blocks"][1]["elements"][0]["value"].as_str().unwrap().to_owned();
    let late = world.command("U1", "rotate monk again");
    let again = world.press("U2", APPROVE, &value, now());
    let (late, again) = tokio::join!(late, again);
    assert!(text(&late.json()).contains("`monk` may be on its way"), "{}", late.json());
    assert!(text(&again).contains("Press the button again"), "{again}");
}

#[tokio::test]
async fn a_record_that_the_bus_does_not_take_at_once_is_sent_again() {
    let world = world();
    world.state().throttled = 1;
    let begun = world.command("U1", "rotate monk").await.json();
    assert!(text(&begun).starts_with("`monk` is being rotated."), "{begun}");
    assert_eq!(told(&world), ["keywheel.rotation.requested"]);
}

/// Nobody else would learn why what they sign is refused.
#[tokio::test]
async fn a_key_that_cannot_be_used_is_told_by_its_name() {
    let world = world();
    let keys =
        json!({ "slack_signing_secret": stub::SLACK, "webhook_keys": { "ci": ["whsec_x"] } });
    world.state().keys = Some(keys);
    world.command("U1", "help").await;
    assert_eq!(told(&world), ["keywheel.finding.webhook-key-unusable"]);
    let reason = world.state().events[0]["data"]["reason"].clone();
    assert!(reason.as_str().unwrap().contains("ci"), "{reason}");
}
