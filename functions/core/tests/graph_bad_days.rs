//! The Graph client on the emulator's bad days: what is tried again, and what must not be.

mod graph_world;

use std::time::Duration;

use azure_emulator::{FaultKind, Faults, Operation, Rule};
use chrono::Utc;
use graph_world::{APP, options, world};
use keywheel_core::engine::EngineError;
use keywheel_core::graph::{CallOptions, Kind, Refusal};
use keywheel_core::http::Retry;
use keywheel_core::ids::{AppId, KeyOn};
use tokio::time::Instant;

#[tokio::test]
async fn an_answer_that_proves_that_nothing_was_done_is_followed_by_another_try() {
    for kind in
        [FaultKind::TooManyRequests, FaultKind::ConcurrencyViolation, FaultKind::ConcurrentRequests]
    {
        let world = world().await;
        let object = world.object(KeyOn::Application).await;
        world.fault(Rule::new(kind).on(Operation::AddPassword).times(1));
        let key = world.add(object).await.unwrap();
        assert_eq!(world.keys().await, [key], "{kind:?}");
        assert_eq!(world.count(Operation::AddPassword), 2, "{kind:?}");
    }
}

#[tokio::test]
async fn a_lost_answer_of_add_password_is_never_asked_for_again() {
    for (kind, minted) in [
        (FaultKind::LostAnswer, 1),
        (FaultKind::CutBody, 1),
        (FaultKind::ServerErrorAfterWork, 1),
        (FaultKind::ServerError, 0),
        (FaultKind::Unavailable, 0),
        (FaultKind::CutConnection, 0),
    ] {
        let world = world().await;
        let object = world.object(KeyOn::Application).await;
        world.fault(Rule::new(kind).on(Operation::AddPassword).times(1));
        let error = world.add(object).await.unwrap_err();
        assert_eq!(error.kind(), &Kind::AnswerLost, "{kind:?}");
        assert_eq!(world.count(Operation::AddPassword), 1, "{kind:?}");
        assert_eq!(world.keys().await.len(), minted, "{kind:?}");
        let said = format!("{error} {error:?}");
        let cut = [FaultKind::LostAnswer, FaultKind::CutBody, FaultKind::CutConnection];
        assert_eq!(said.contains("the connection was cut"), cut.contains(&kind), "{said}");
        assert!(said.contains(&error.client_request_id().to_string()));
        for secret in world.emulator.secrets() {
            assert!(!said.contains(&secret), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn what_graph_says_of_when_to_come_back_is_heeded_though_the_answer_is_lost() {
    let world = world().await;
    let object = world.object(KeyOn::Application).await;
    let rule = Rule::new(FaultKind::Unavailable).on(Operation::AddPassword).times(1);
    let rules = vec![Rule { retry_after_seconds: Some(300), ..rule }];
    world.emulator.set_faults(Faults { rules, ..Faults::default() }).unwrap();
    let error = world.add(object).await.unwrap_err();
    assert_eq!(error.kind(), &Kind::AnswerLost);
    assert_eq!(EngineError::from(error).retry(), Retry::After(Duration::from_mins(5)));
}

#[tokio::test]
async fn a_removal_survives_whatever_happens_to_its_answer() {
    for kind in [
        FaultKind::TooManyRequests,
        FaultKind::ServerError,
        FaultKind::Unavailable,
        FaultKind::ServerErrorAfterWork,
        FaultKind::LostAnswer,
        FaultKind::CutConnection,
        FaultKind::ConcurrencyViolation,
        FaultKind::ConcurrentRequests,
    ] {
        let world = world().await;
        let object = world.object(KeyOn::Application).await;
        let (key, other) = (world.add(object).await.unwrap(), world.add(object).await.unwrap());
        world.fault(Rule::new(kind).on(Operation::RemovePassword).times(1));
        // It is sent once: whoever asks looks first whether the key is still to go, and asks again.
        let error = world.graph.remove_password(object, key, &options()).await.unwrap_err();
        assert_ne!(error.retry(), Retry::Never, "{kind:?}: {error}");
        assert_eq!(world.count(Operation::RemovePassword), 1, "{kind:?}");
        let removed = world.graph.remove_password(object, key, &options()).await;
        removed.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert_eq!(world.keys().await, [other], "{kind:?}");
    }
}

#[tokio::test]
async fn reads_survive_what_passes() {
    for kind in [
        FaultKind::TooManyRequests,
        FaultKind::ServerError,
        FaultKind::Unavailable,
        FaultKind::CutConnection,
        FaultKind::CutBody,
    ] {
        let world = world().await;
        world.fault(Rule::new(kind).on(Operation::Get).times(2));
        let read = world.graph.principal(AppId(APP), KeyOn::Application, &options()).await;
        assert!(read.unwrap_or_else(|error| panic!("{kind:?}: {error}")).is_some());
    }
}

#[tokio::test]
async fn nobody_waits_past_the_deadline() {
    let world = world().await;
    let object = world.object(KeyOn::Application).await;
    let rule = Rule::new(FaultKind::TooManyRequests);
    let rules = vec![Rule { retry_after_seconds: Some(120), ..rule }];
    world.emulator.set_faults(Faults { rules, ..Faults::default() }).unwrap();
    let before = Instant::now();
    let error = world.add(object).await.unwrap_err();
    assert_eq!(error.kind(), &Kind::Throttled);
    assert_eq!(error.retry(), Retry::After(Duration::from_mins(2)));
    assert!(before.elapsed() < Duration::from_secs(10));
    // Too late to begin what must not be lost.
    let late = CallOptions::until(Instant::now() + Duration::from_secs(1));
    let sent = world.count(Operation::AddPassword);
    let error = world.graph.add_password(object, "n", Utc::now(), &late).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (&Kind::Unavailable, Retry::Soon));
    assert!(error.to_string().contains("not begun: too little time left"), "{error}");
    assert_eq!(world.count(Operation::AddPassword), sent);
}

/// A permission would not help, so none is named.
#[tokio::test]
async fn a_tenant_without_the_licence_is_told_of_the_licence() {
    let world = world().await;
    world.fault(Rule::new(FaultKind::NoPremiumLicense));
    let now = Utc::now();
    let audits = world.graph.directory_audits(now, now, None, &options()).await.unwrap_err();
    let uses = world.graph.last_uses(AppId(APP), &options()).await.unwrap_err();
    for error in [audits, uses] {
        assert_eq!(
            (error.kind(), error.retry()),
            (&Kind::Known(Refusal::NotLicensed), Retry::Never)
        );
        let said = error.to_string();
        assert!(said.contains("Entra ID P1") && !said.contains("grant"), "{said}");
    }
}

#[tokio::test]
async fn a_lock_with_an_enforcement_scope_is_a_lock() {
    let world = world().await;
    let object = world.object(KeyOn::ServicePrincipal).await;
    let key = world.add(object).await.unwrap();
    world.fault(Rule::new(FaultKind::LockedWithEnforcementScope));
    let added = world.add(object).await.unwrap_err();
    let removed = world.graph.remove_password(object, key, &options()).await.unwrap_err();
    for error in [added, removed] {
        assert_eq!(
            (error.kind(), error.retry()),
            (&Kind::Known(Refusal::ServicePrincipalLocked), Retry::Never)
        );
        assert!(error.to_string().contains("key_on: application"), "{error}");
    }
}
