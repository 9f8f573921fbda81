//! What a sweep, a digest and a job do when a service says no, or nothing.

use azure_emulator::{FaultKind, Faults, Operation, Rule, Throttle};

use super::jobs::shown;
use super::stub::Stub;
use super::sweep::{OTHER, findings};
use super::*;
use crate::engine::sweep::{Cursor, Listing, Mode};
use crate::rotation::finding::Finding;

impl World {
    fn broken(&self, kind: FaultKind, operation: Operation) {
        let rule = Rule::new(kind).on(operation);
        let rules = vec![Rule { retry_after_seconds: Some(600), ..rule }];
        self.emulator.set_faults(Faults { rules, ..Faults::default() }).unwrap();
    }
}

/// A further sweep would fail in the same way, and the one after it, and nobody would be told.
#[tokio::test]
async fn a_page_that_is_refused_fails_the_sweep_and_the_digest() {
    let graph = Stub::start(|request| {
        if request.line.starts_with("GET /v1.0/applications") {
            let app = json!({ "id": APP, "appId": APP, "displayName": "one", "tags": [],
                "passwordCredentials": [], "keyCredentials": [] });
            return Some((200, json!({ "value": [app] }).to_string()));
        }
        let error = json!({ "code": "Authorization_RequestDenied", "message": "no" });
        Some((403, json!({ "error": error }).to_string()))
    })
    .await;
    let world = World::new(vec![], "credentials: {}\n").await;
    let mut engine = world.engine().await;
    engine.graph = graph_world::graph_at(&graph.url);
    let applications = || Cursor::at(Listing::Applications, None);
    let swept = engine.sweep(applications(), Mode::DryRun, deadline()).await;
    assert!(swept.unwrap_err().to_string().contains("forbidden"));
    let digested = engine.digest(Cursor::digest(), true, deadline()).await;
    assert!(digested.unwrap_err().to_string().contains("forbidden"));
}

#[tokio::test]
async fn a_digest_that_is_throttled_goes_on_at_the_page_it_did_not_get() {
    let world = World::of_one().await;
    let engine = world.engine().await;
    let throttled = |pages| {
        let throttle = Throttle { key_credentials_per_minute: pages, ..Throttle::default() };
        world.emulator.set_faults(Faults { throttle, ..Faults::default() }).unwrap();
    };
    let soon = || Instant::now() + Duration::from_mins(1);
    throttled(0);
    let failed = engine.digest(Cursor::digest(), true, soon()).await;
    assert!(failed.is_err(), "nothing of it was read, so somebody is told");
    throttled(1);
    let digested = engine.digest(Cursor::digest(), true, soon()).await.unwrap();
    let rest = digested.rest.unwrap();
    assert_eq!(rest.listing, Listing::ServicePrincipals);
    assert!(rest.digest.is_some(), "by this it is told from a sweep");
}

#[tokio::test]
async fn a_sweep_goes_on_behind_the_credential_that_it_ended_with() {
    let manifest = format!("credentials:{ONE}{}", ONE.replace("one", "two").replace("00a", "00b"));
    let world = World::new(vec![named("one", APP), named("two", OTHER)], &manifest).await;
    let from = Cursor::at(Listing::Credentials, Some("one".to_owned()));
    let report = world.sweep_from(from, deadline()).await;
    assert_eq!(report.credentials, 1);
    let jobs = world.queued();
    assert_eq!(jobs.iter().map(|job| job.credential.0.as_str()).collect::<Vec<_>>(), ["two"]);
}

#[tokio::test]
async fn a_credential_whose_application_cannot_be_read_is_left_alone_and_the_others_are_not() {
    let odd = SeedApplication {
        properties: [("passwordCredentials".to_owned(), Value::Null)].into(),
        ..named("one", APP)
    };
    let manifest = format!("credentials:{ONE}{}", ONE.replace("one", "two").replace("00a", "00b"));
    let world = World::new(vec![odd, named("two", OTHER)], &manifest).await;
    let report = world.sweep().await;
    assert_eq!(report.credentials, 1);
    let jobs = world.queued();
    assert_eq!(jobs.iter().map(|job| job.credential.0.as_str()).collect::<Vec<_>>(), ["two"]);
    let expected = findings([("unreadable-object", APP), ("secret-missing", OTHER)]);
    assert_eq!(world.found(), expected);
}

#[tokio::test]
async fn an_audit_counts_as_unread_once_a_day_has_passed() {
    let (world, _) = World::rotated().await;
    world.sweep().await;
    let cursor = world.aws.state().objects["/cursors/c/directory-audits.json"].clone();
    let cursor: Value = serde_json::from_str(&cursor).unwrap();
    let read_to: DateTime<Utc> = cursor["read_to"].as_str().unwrap().parse().unwrap();
    world.broken(FaultKind::TooManyRequests, Operation::DirectoryAudits);
    let engine = world.engine().await;
    let day = TimeDelta::days(1);
    for (later, is_told) in [(day, false), (day + TimeDelta::seconds(1), true)] {
        let at = Cursor::at(Listing::DirectoryAudits, None);
        let at = Cursor { until: Some(read_to + later), ..at };
        let report = engine.sweep(at, Mode::DryRun, deadline()).await.unwrap();
        let told: Vec<_> = report.findings.into_iter().map(|seen| seen.finding).collect();
        assert_eq!(told == [Finding::AuditUnread(read_to)], is_told, "{told:?}");
        assert_eq!(told.is_empty(), !is_told, "{told:?}");
    }
}

/// The permissions come off by hand, and the cure is to grant them again.
#[tokio::test]
async fn reports_that_keywheel_may_not_read_are_said_to_need_a_permission() {
    let manifest = format!("credentials:{ONE}    retire: when-unused\n");
    let own = SeedApplication { roles: vec!["Application.ReadWrite.All".to_owned()], ..ours() };
    let world = World::with(own, vec![named("one", APP)], &manifest).await;
    let (first, second) = (token(1), token(2));
    world.work(&rotation(&first, None)).await;
    let old = world.keys(APP)[0].0;
    world.work(&rotation(&second, Some(&first))).await;
    world.wait(TimeDelta::hours(80));
    world.events();
    assert_eq!(shown(&world.work(&retirement(Some(&first), old)).await), "done");
    let events = world.events();
    let [found] = &events[..] else { panic!("{events:?}") };
    assert_eq!(found["type"], "keywheel.finding.last-use-unknown");
    assert!(found["data"]["reason"].as_str().unwrap().contains("AuditLog.Read.All"), "{found}");
    world.sweep().await;
    assert!(world.found().contains(&("audit-not-permitted".to_owned(), OWN)));
}

#[tokio::test]
async fn a_report_that_may_be_had_soon_is_asked_for_again() {
    let manifest = format!("credentials:{ONE}    retire: when-unused\n");
    let world = World::new(vec![named("one", APP)], &manifest).await;
    let (first, second) = (token(1), token(2));
    world.work(&rotation(&first, None)).await;
    let old = world.keys(APP)[0].0;
    world.work(&rotation(&second, Some(&first))).await;
    world.wait(TimeDelta::hours(80));
    world.broken(FaultKind::Unavailable, Operation::SignInActivity);
    let ended = shown(&world.work(&retirement(Some(&first), old)).await);
    assert!(ended.starts_with("again after 600 s"), "{ended}");
}

#[tokio::test]
async fn a_removal_that_graph_refuses_for_good_fails() {
    let (world, first) = World::rotated().await;
    world.broken(FaultKind::LockedWithEnforcementScope, Operation::RemovePassword);
    let ended = shown(&world.work(&at_once(rotation(&token(2), Some(&first)))).await);
    assert!(ended.starts_with("failed") && ended.contains("key_on: application"), "{ended}");
    assert_eq!(world.keys(APP).len(), 2);
}

/// The minted key is stored by then, and the next try goes on with it.
#[tokio::test]
async fn a_proof_without_an_answer_ends_with_the_time_of_its_try() {
    let (world, first) = World::rotated().await;
    let engine = world.engine().await;
    engine.inspect(&credential(&engine), deadline()).await.unwrap();
    world.broken(FaultKind::ServerError, Operation::Token);
    let soon = Instant::now() + Duration::from_secs(21);
    let ended = engine.work(&rotation(&token(2), Some(&first)), soon).await;
    assert!(shown(&ended).starts_with("again"), "{ended:?}");
    let labels = world.labels(&token(2));
    assert!(labels.iter().any(|label| matches!(label, Label::Key(_))), "{ended:?} {labels:?}");
}

#[tokio::test]
async fn who_keywheel_is_to_aws_is_what_sts_says() {
    let world = World::of_one().await;
    let clients = world.clients().await;
    assert_eq!(clients.caller(), Some("arn:aws:sts::000000000000:assumed-role/keywheel/sweep"));
}
