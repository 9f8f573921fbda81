//! A sweep: what it queues, what it reports, and where it goes on.

use std::collections::BTreeSet;

use azure_emulator::{Faults, SeedCertificate, Throttle};

use super::*;
use crate::engine::sweep::{Cursor, Listing, Mode, Report};
use crate::queue::Queue;

/// Another application, which the manifest does not list.
pub(super) const OTHER: AppId = AppId(Uuid::from_u128(0xB));

impl World {
    pub(super) async fn sweep(&self) -> Report {
        self.sweep_from(Cursor::default(), deadline()).await
    }

    pub(super) async fn sweep_from(&self, from: Cursor, until: Instant) -> Report {
        let queue = Queue::new(&self.aws.stub.config(), format!("{}/q", self.aws.stub.url), None);
        self.engine().await.sweep(from, Mode::Queue(&queue), until).await.unwrap()
    }

    /// The events on the bus since this was last asked. The emulator's administrator has an endless key.
    pub(super) fn events(&self) -> Vec<Value> {
        let mut events = std::mem::take(&mut self.aws.state().events);
        events.retain(|event| event["type"] != "keywheel.finding.endless-key");
        events
    }

    /// The findings among them, by name and application.
    pub(super) fn found(&self) -> BTreeSet<(String, AppId)> {
        let events = self.events();
        let found = events.iter().filter_map(|event| {
            let kind = event["type"].as_str()?.strip_prefix("keywheel.finding.")?;
            let data = &event["data"];
            Some((kind.to_owned(), data["application"].as_str()?.parse().unwrap()))
        });
        found.collect()
    }

    pub(super) fn queued(&self) -> Vec<Job> {
        std::mem::take(&mut self.aws.state().jobs)
    }
}

pub(super) fn findings<'a>(
    all: impl IntoIterator<Item = (&'a str, AppId)>,
) -> BTreeSet<(String, AppId)> {
    all.into_iter().map(|(kind, app)| (kind.to_owned(), app)).collect()
}

pub(super) fn ends(key: u128, end: &str) -> SeedPassword {
    SeedPassword { start: "-1d".to_owned(), end: Some(end.to_owned()), ..password(key) }
}

pub(super) fn certificate(key: u128, end: &str) -> SeedCertificate {
    SeedCertificate {
        key_id: Some(Uuid::from_u128(key)),
        display_name: None,
        start: "-1d".to_owned(),
        end: Some(end.to_owned()),
    }
}

#[tokio::test]
async fn what_is_due_is_queued_and_what_is_seen_is_reported() {
    let unmanaged = SeedApplication {
        passwords: vec![ends(1, "+9d"), ends(2, "+40d")],
        certificates: vec![certificate(3, "+29d"), certificate(4, "+31d")],
        service_principal_passwords: vec![ends(5, "+10d")],
        ..named("other", OTHER)
    };
    let world = World::new(vec![named("one", APP), unmanaged], &format!("credentials:{ONE}")).await;
    let report = world.sweep().await;
    assert!(report.rest.is_none());
    assert_eq!(report.credentials, 1);
    let jobs = world.queued();
    let [job] = &jobs[..] else { panic!("{jobs:?}") };
    assert_eq!((job.credential.0.as_str(), job.application), ("one", APP));
    assert_eq!(job.requested_by, "keywheel sweep");
    assert!((world.now() - job.requested_at.unwrap()).num_seconds() < 60);
    assert!(job.request.is_none() && job.continuation == 0);
    let Work::Rotate { replaces: None, reason: Reason::First, revoke_old, .. } = &job.work else {
        panic!("{job:?}");
    };
    assert_eq!(*revoke_old, RevokeOld::AfterOverlap);
    let events = world.aws.state().events.clone();
    let about = |key: u128| {
        let key = json!(Uuid::from_u128(key));
        let found = events.iter().filter(|event| event["data"]["key"] == key);
        found.map(|event| event["type"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(about(1), ["keywheel.finding.expiring-key"]);
    assert_eq!(about(2), [""; 0]);
    assert_eq!(about(3), ["keywheel.finding.expiring-certificate"]);
    assert_eq!(about(4), [""; 0]);
    assert_eq!(about(5), ["keywheel.finding.expiring-key"]);
    for event in &events {
        assert_eq!(event["data"]["requested_by"], "keywheel sweep");
    }
    // The same day the same finding has the same id.
    let ids = |events: &[Value]| -> BTreeSet<String> {
        events.iter().map(|event| event["id"].to_string()).collect()
    };
    world.aws.state().events.clear();
    world.sweep().await;
    assert_eq!(ids(&world.aws.state().events), ids(&events));
    assert_eq!(ids(&events).len(), events.len());
}

#[tokio::test]
async fn a_dry_run_tells_the_same_and_does_nothing() {
    let world = World::of_one().await;
    let engine = world.engine().await;
    let report = engine.sweep(Cursor::default(), Mode::DryRun, deadline()).await.unwrap();
    assert_eq!(report.planned.len(), 1);
    assert_eq!(report.planned[0].credential.0, "one");
    assert!(!report.findings.is_empty());
    let state = world.aws.state();
    assert!(state.jobs.is_empty() && state.events.is_empty());
    assert!(state.objects.keys().all(|key| !key.starts_with("/marks/")), "no mark is left");
}

#[tokio::test]
async fn a_settled_credential_is_left_alone_until_its_key_expires_soon() {
    let (world, _) = World::rotated().await;
    world.aws.state().events.clear();
    let report = world.sweep().await;
    assert_eq!(world.queued(), []);
    assert_eq!(world.found(), findings([]));
    let end = report.ends[&CredentialName("one".to_owned())];
    assert_eq!((end - world.now()).num_days(), 179);
    let measured = world.engine().await.measured(&report);
    assert!(format!("{measured:?}").contains("179"), "{measured:?}");
    world.wait(TimeDelta::days(151));
    world.sweep().await;
    let jobs = world.queued();
    assert!(
        matches!(&jobs[..], [Job { work: Work::Rotate { reason: Reason::Expiring, .. }, .. }]),
        "{jobs:?}"
    );
}

#[tokio::test]
async fn an_old_key_is_queued_to_go_once_its_overlap_is_over() {
    let (world, first) = World::rotated().await;
    let old = world.keys(APP)[0].0;
    world.work(&rotation(&token(2), Some(&first))).await;
    world.sweep().await;
    assert_eq!(world.queued(), []);
    world.wait(TimeDelta::hours(25));
    world.sweep().await;
    let jobs = world.queued();
    let [job] = &jobs[..] else { panic!("{jobs:?}") };
    let version = Some(first.into());
    assert_eq!(job.work, Work::Retire { version, key: old, revoke_old: RevokeOld::AfterOverlap });
}

#[tokio::test]
async fn a_key_that_lost_is_queued_to_be_resolved() {
    let (world, _) = World::rotated().await;
    let scope = crate::rotation::Scope::of("000000000000", "eu-central-1", SECRET);
    let key = world.mint(APP, &format!("keywheel/{scope}/{}", token(9))).await;
    world.wait(TimeDelta::minutes(61));
    world.sweep().await;
    let jobs = world.queued();
    assert!(
        matches!(&jobs[..], [Job { work: Work::Resolve { key: found, rotation }, .. }]
        if *found == key && *rotation == token(9)),
        "{jobs:?}"
    );
}

#[tokio::test]
async fn a_sweep_without_time_goes_on_where_it_ended() {
    let unmanaged = SeedApplication {
        passwords: vec![ends(1, "+9d")],
        service_principal_passwords: vec![ends(5, "+10d")],
        ..named("other", OTHER)
    };
    let world = World::new(vec![named("one", APP), unmanaged], &format!("credentials:{ONE}")).await;
    let mut at = Cursor::default();
    let mut parts = Vec::new();
    loop {
        let report = world.sweep_from(at, Instant::now() + Duration::from_secs(44)).await;
        let found: Vec<String> = world.found().into_iter().map(|(kind, _)| kind).collect();
        parts.push((world.queued().len(), found.join(" ")));
        let Some(rest) = report.rest else { break };
        world.engine().await.continue_sweep(&rest, deadline()).await.unwrap();
        let asked = world.aws.state().events.pop().unwrap();
        at = serde_json::from_value(asked).unwrap();
    }
    let part = |jobs, found: &str| (jobs, found.to_owned());
    assert_eq!(
        parts,
        [part(1, "secret-missing"), part(0, "expiring-key"), part(0, "expiring-key"), part(0, "")]
    );
}

#[tokio::test]
async fn a_part_that_fails_for_a_while_is_left_to_a_further_sweep() {
    let world = World::of_one().await;
    // Graph rations what tells of certificates, which the listed credentials' own part does not ask for.
    let throttle = Throttle { key_credentials_per_minute: 0, ..Throttle::default() };
    world.emulator.set_faults(Faults { throttle, ..Faults::default() }).unwrap();
    let soon = || Instant::now() + Duration::from_mins(1);
    let report = world.sweep_from(Cursor::default(), soon()).await;
    let at = report.rest.unwrap();
    assert_eq!((at.listing, report.planned.len()), (Listing::Applications, 1));
    let queue = Queue::new(&world.aws.stub.config(), String::new(), None);
    let engine = world.engine().await;
    let failed = engine.sweep(at, Mode::Queue(&queue), soon()).await;
    assert!(failed.is_err(), "nothing of it was swept, so somebody is told");
}

#[tokio::test]
async fn rules_manage_what_they_tag_and_say_where_nothing_is() {
    let rules = "rules:
  - match: { tag: red }
    secret: keywheel/red/{appId}
  - match: { tag: green }
    secret: keywheel/green/{appId}
";
    let tagged = |tag: &str, name, app| SeedApplication {
        tags: vec![tag.to_owned()],
        passwords: vec![password(app)],
        ..named(name, AppId(Uuid::from_u128(app)))
    };
    let world =
        World::new(vec![tagged("red", "one", 0xA), tagged("blue", "two", 0xB)], rules).await;
    let report = world.sweep().await;
    assert_eq!(report.credentials, 1);
    let jobs = world.queued();
    let [job] = &jobs[..] else { panic!("{jobs:?}") };
    assert_eq!(job.credential.0, format!("keywheel/red/{APP}"));
    let expected = [
        ("foreign-key", APP),
        ("secret-missing", APP),
        // It is about no application, so it stands under Keywheel's own.
        ("rule-matches-nobody", OWN),
    ];
    let events = world.aws.state().events.clone();
    let in_vain =
        events.iter().find(|event| event["type"] == "keywheel.finding.rule-matches-nobody");
    let reason = in_vain.unwrap()["data"]["reason"].as_str().unwrap();
    assert!(reason.contains("green") && !reason.contains("red"), "{reason}");
    assert_eq!(world.found(), findings(expected));

    // In parts, the tags of the pages before are kept.
    let first = world.sweep_from(Cursor::default(), Instant::now() + Duration::from_secs(44)).await;
    world.found();
    let at = Cursor { next: Some("lost".to_owned()), ..first.rest.unwrap() };
    world.sweep_from(at, deadline()).await;
    let found = world.found();
    assert!(!found.contains(&("rule-matches-nobody".to_owned(), OWN)), "{found:?}");
}

#[tokio::test]
async fn credentials_that_share_an_application_do_not_call_each_others_keys_foreign() {
    let two = ONE.replace("one", "two");
    let manifest = format!("credentials:{ONE}{two}    retire_keys: [{}]\n", Uuid::from_u128(0x77));
    let shared =
        SeedApplication { passwords: vec![password(0x66), password(0x77)], ..named("one", APP) };
    let world = World::new(vec![shared], &manifest).await;
    assert!(matches!(
        world.work(&rotation(&token(1), None)).await,
        crate::engine::jobs::Ended::Done
    ));
    let second = Job { credential: CredentialName("two".to_owned()), ..rotation(&token(2), None) };
    assert!(matches!(world.work(&second).await, crate::engine::jobs::Ended::Done));
    world.aws.state().events.clear();
    world.sweep().await;
    let events = world.events();
    let told: Vec<_> = events
        .iter()
        .map(|event| (event["type"].as_str().unwrap(), event["data"]["key"].clone()))
        .collect();
    assert_eq!(told, [("keywheel.finding.foreign-key", json!(Uuid::from_u128(0x66)))]);
    assert_eq!(events[0]["subject"], "one");
}
