//! What others change, and what expires soon.

use azure_emulator::{FaultKind, Faults, Operation, Rule};

use super::sweep::{OTHER, certificate, ends, findings};
use super::*;
use crate::engine::sweep::{Cursor, Digested, Listing, Mode};

#[tokio::test]
async fn what_others_change_is_told_once() {
    let (world, _) = World::rotated().await;
    world.sweep().await;
    let cursor = |world: &World| -> Value {
        let state = world.aws.state();
        serde_json::from_str(&state.objects["/cursors/c/directory-audits.json"]).unwrap()
    };
    assert_eq!(cursor(&world)["schema"], 1);
    let read_to: DateTime<Utc> = cursor(&world)["read_to"].as_str().unwrap().parse().unwrap();
    assert!((world.now() - read_to).num_seconds().abs() < 60);
    assert_eq!(world.found().iter().filter(|(kind, _)| kind == "foreign-change").count(), 0);

    let key = world.mint(APP, "by hand").await;
    world.mint(OWN, "of nobody's business").await;
    // What happens in the second that is being read of is left to the next sweep.
    world.wait(TimeDelta::minutes(1));
    let report = world.sweep().await;
    assert_eq!(report.audit_pages, 1);
    let events = world.aws.state().events.clone();
    let changes: Vec<_> =
        events.iter().filter(|event| event["type"] == "keywheel.finding.foreign-change").collect();
    let [change] = &changes[..] else { panic!("{changes:?}") };
    let data = &change["data"];
    assert_eq!((&data["key"], &data["credential"]), (&json!(key), &json!("one")));
    assert!(data["actor"].as_str().unwrap().contains("app "), "{data}");
    assert!(data["directory_audit"].is_string());
    assert!(data["reason"].as_str().unwrap().starts_with("added on"), "{data}");
    assert!(cursor(&world)["told"].as_object().unwrap().len() == 1);
    world.found();
    world.sweep().await;
    assert!(world.found().iter().all(|(kind, _)| kind != "foreign-change"), "it was told");
}

#[tokio::test]
async fn an_audit_that_cannot_be_read_is_a_finding_and_the_mark_stays() {
    let (world, _) = World::rotated().await;
    world.sweep().await;
    let cursor = world.aws.state().objects["/cursors/c/directory-audits.json"].clone();
    world.found();
    let broken = |kind| {
        let rule = Rule::new(kind).on(Operation::DirectoryAudits);
        let rules = vec![Rule { retry_after_seconds: Some(600), ..rule }];
        world.emulator.set_faults(Faults { rules, ..Faults::default() }).unwrap();
    };
    broken(FaultKind::NoPremiumLicense);
    world.sweep().await;
    assert_eq!(world.found(), findings([("audit-not-licensed", OWN)]));
    broken(FaultKind::TooManyRequests);
    world.sweep().await;
    assert_eq!(world.found(), findings([]), "it may pass");
    world.wait(TimeDelta::hours(25));
    world.sweep().await;
    assert_eq!(world.found(), findings([("audit-unread", OWN)]));
    assert_eq!(world.aws.state().objects["/cursors/c/directory-audits.json"], cursor);
}

#[tokio::test]
async fn a_cloud_without_a_directory_audit_is_told_of() {
    let (world, _) = World::rotated().await;
    world.found();
    let mut engine = world.engine().await;
    engine.cloud = Cloud::China;
    let at = Cursor::at(Listing::DirectoryAudits, None);
    let report = engine.sweep(at.clone(), Mode::DryRun, deadline()).await.unwrap();
    let names: Vec<_> = report.findings.iter().map(|seen| seen.finding.name()).collect();
    assert_eq!(names, ["audit-not-in-cloud"]);
    engine.cursors = None;
    let report = engine.sweep(at, Mode::DryRun, deadline()).await.unwrap();
    assert!(report.findings.is_empty() && report.audit_pages == 0, "nobody asked for it");
}

#[tokio::test]
async fn a_digest_tells_what_expires_within_sixty_days() {
    let unmanaged = SeedApplication {
        passwords: vec![ends(1, "+59d"), ends(2, "+61d"), ends(6, "-1h")],
        certificates: vec![certificate(3, "+10d")],
        service_principal_passwords: vec![ends(5, "+20d")],
        ..named("other", OTHER)
    };
    let manifest =
        format!("credentials:{}", ONE.replace("settle: 1s", "settle: 1s\n    lifetime: 50d"));
    let world = World::new(vec![named("one", APP), unmanaged], &manifest).await;
    world.work(&rotation(&token(1), None)).await;
    let ours = world.keys(APP)[0].0;
    world.aws.state().events.clear();
    let engine = world.engine().await;
    let dry = engine.digest(Cursor::digest(), true, deadline()).await.unwrap();
    assert!(world.aws.state().events.is_empty());
    let told = engine.digest(Cursor::digest(), false, deadline()).await.unwrap();
    assert_eq!(told.digest, dry.digest);
    assert!(told.rest.is_none());
    let state = world.aws.state();
    let [event] = &state.events[..] else { panic!("{:?}", state.events) };
    assert_eq!(event["type"], "keywheel.digest.expiring");
    let shown: Vec<_> = told
        .digest
        .expiring
        .iter()
        .map(|one| {
            let key = one.key.or(one.certificate).unwrap();
            (
                key,
                one.key.is_some(),
                one.managed,
                one.credential.as_ref().map(|name| name.0.as_str()),
            )
        })
        .collect();
    let id = |key: u128| KeyId(Uuid::from_u128(key));
    assert_eq!(
        shown,
        [
            (id(3), false, false, None),
            (id(5), true, false, None),
            (ours, true, true, Some("one")),
            (id(1), true, false, None),
        ]
    );
    assert_eq!(told.digest.total, 4);
    assert_eq!(told.digest.expiring[0].display_name.as_deref(), Some("other"));
}

#[tokio::test]
async fn a_digest_without_time_goes_on_where_it_ended() {
    let unmanaged = SeedApplication {
        passwords: vec![ends(1, "+9d")],
        service_principal_passwords: vec![ends(5, "+10d")],
        ..named("other", OTHER)
    };
    let world = World::new(vec![unmanaged], &format!("credentials:{ONE}")).await;
    let engine = world.engine().await;
    let soon = || Instant::now() + Duration::from_secs(44);
    let Digested { rest, objects, .. } =
        engine.digest(Cursor::digest(), false, soon()).await.unwrap();
    let rest = rest.unwrap();
    assert_eq!(rest.listing, Listing::ServicePrincipals);
    assert!(objects > 0 && world.aws.state().events.is_empty());
    let last = engine.digest(rest, false, soon()).await.unwrap();
    assert_eq!((last.digest.total, last.rest.is_none()), (2, true));
    assert_eq!(world.aws.state().events.len(), 1);
}

#[tokio::test]
async fn a_key_that_is_to_be_unused_stays_where_the_report_is_not_to_be_had() {
    let manifest = format!("credentials:{ONE}    retire: when-unused\n");
    let world = World::new(vec![named("one", APP)], &manifest).await;
    let (first, second) = (token(1), token(2));
    world.work(&rotation(&first, None)).await;
    let old = world.keys(APP)[0].0;
    world.work(&rotation(&second, Some(&first))).await;
    world.wait(TimeDelta::hours(80));
    world.events();
    let job = retirement(Some(&first), old);
    for (kind, words) in [
        (FaultKind::NoPremiumLicense, "P1 licence"),
        (FaultKind::TooManyRequests, "could not be read"),
    ] {
        let rule = Rule::new(kind).on(Operation::SignInActivity);
        let rules = vec![Rule { retry_after_seconds: Some(600), ..rule }];
        world.emulator.set_faults(Faults { rules, ..Faults::default() }).unwrap();
        assert!(matches!(world.work(&job).await, crate::engine::jobs::Ended::Done));
        let events = world.events();
        let [found] = &events[..] else { panic!("{events:?}") };
        assert_eq!(found["type"], "keywheel.finding.last-use-unknown");
        assert!(found["data"]["reason"].as_str().unwrap().contains(words), "{found}");
        assert_eq!(found["data"]["key"], json!(old));
    }
    world.emulator.set_faults(Faults::default()).unwrap();
    assert!(matches!(world.work(&job).await, crate::engine::jobs::Ended::Done));
    assert_eq!(world.keys(APP).len(), 1, "nobody has used it");
}
