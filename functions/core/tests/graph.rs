//! The Graph client against the emulator, on bad days above all.

use std::sync::Arc;
use std::time::Duration;

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, RetryOptions, Transport};
use azure_emulator::{
    Emulator, FaultKind, Faults, Operation, Rule, Seed, SeedApplication, SeedCertificate,
};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};
use chrono::{TimeDelta, Utc};
use keywheel_core::graph::{CallOptions, Detail, Graph, GraphError, KeyOn, Kind, Object, PageLink};
use keywheel_core::http::{AzureTransport, Http, Retry};
use keywheel_core::ids::{AppId, KeyId};
use tokio::time::Instant;
use uuid::Uuid;

const APP: Uuid = Uuid::from_u128(0xA);
const ALONE: Uuid = Uuid::from_u128(0xB);

struct World {
    emulator: Emulator,
    graph: Graph,
}

async fn world() -> World {
    let mut seed = Seed::default();
    let certificates = vec![SeedCertificate {
        key_id: None,
        display_name: Some("mTLS".to_owned()),
        start: "-1d".to_owned(),
        end: Some("+9d".to_owned()),
    }];
    let tags = vec!["keywheel".to_owned()];
    let app = SeedApplication {
        app_id: Some(APP),
        certificates,
        tags,
        ..SeedApplication::named("billing")
    };
    let alone = SeedApplication {
        app_id: Some(ALONE),
        service_principal: false,
        ..SeedApplication::named("alone")
    };
    seed.applications.extend([app, alone]);
    start(Emulator::builder().seed(seed)).await
}

async fn start(builder: azure_emulator::Builder) -> World {
    let emulator = builder.start().await.unwrap();
    let http = Http::with_roots(emulator.ca_pem().as_bytes()).unwrap();
    let endpoints = emulator.endpoints();
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = endpoints.authority.clone();
    let client_options = ClientOptions {
        transport: Some(Transport::new(Arc::new(AzureTransport(http.clone())))),
        retry: RetryOptions::none(),
        cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
        ..Default::default()
    };
    let credential: Arc<dyn TokenCredential> = ClientSecretCredential::new(
        &endpoints.tenant.to_string(),
        endpoints.client_id.to_string(),
        endpoints.client_secret.clone().into(),
        Some(ClientSecretCredentialOptions { client_options }),
    )
    .unwrap();
    let graph = Graph::new(http, credential, &endpoints.graph.parse().unwrap());
    World { emulator, graph }
}

fn options() -> CallOptions {
    CallOptions::until(Instant::now() + Duration::from_secs(20))
}

impl World {
    async fn object(&self, on: KeyOn) -> Object {
        let principal = self
            .graph
            .principal(AppId(APP), on, &options())
            .await
            .unwrap()
            .unwrap();
        Object {
            on,
            id: principal.object_id,
        }
    }

    async fn keys(&self) -> Vec<KeyId> {
        let principal = self
            .graph
            .principal(AppId(APP), KeyOn::Application, &options())
            .await;
        principal
            .unwrap()
            .unwrap()
            .keys
            .iter()
            .map(|key| key.key_id)
            .collect()
    }

    fn fault(&self, rule: Rule) {
        let rules = vec![Rule {
            retry_after_seconds: Some(1),
            ..rule
        }];
        self.emulator
            .set_faults(Faults {
                rules,
                ..Faults::default()
            })
            .unwrap();
    }

    fn count(&self, operation: Operation) -> usize {
        let requests = self.emulator.requests();
        requests
            .iter()
            .filter(|request| request.operation == Some(operation))
            .count()
    }

    async fn add(&self, object: Object) -> Result<KeyId, GraphError> {
        let end = Utc::now() + TimeDelta::days(90);
        let added = self
            .graph
            .add_password(object, "keywheel/x", end, &options())
            .await?;
        assert_eq!(added.end.map(|at| at.timestamp()), Some(end.timestamp()));
        assert!(!added.secret.expose().is_empty() && added.request_id.is_some());
        assert!(!format!("{added:?}").contains(added.secret.expose()));
        Ok(added.key)
    }
}

#[tokio::test]
async fn a_key_is_minted_seen_and_removed_on_either_object() {
    let world = world().await;
    for on in [KeyOn::Application, KeyOn::ServicePrincipal] {
        let object = world.object(on).await;
        let key = world.add(object).await.unwrap();
        let principal = world
            .graph
            .principal(AppId(APP), on, &options())
            .await
            .unwrap()
            .unwrap();
        assert!(principal.has_service_principal);
        assert_eq!(
            principal.key(key).unwrap().display_name.as_deref(),
            Some("keywheel/x")
        );
        assert!(
            !world
                .graph
                .remove_password(object, key, &options())
                .await
                .unwrap()
                .already_gone
        );
        assert!(
            world
                .graph
                .remove_password(object, key, &options())
                .await
                .unwrap()
                .already_gone
        );
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_apart() {
    let world = world().await;
    let read = async |app, on| {
        world
            .graph
            .principal(AppId(app), on, &options())
            .await
            .unwrap()
    };
    assert_eq!(read(Uuid::from_u128(1), KeyOn::Application).await, None);
    assert_eq!(read(ALONE, KeyOn::ServicePrincipal).await, None);
    assert!(
        !read(ALONE, KeyOn::Application)
            .await
            .unwrap()
            .has_service_principal
    );
    // A key of an object that is not there is no removed key.
    let object = Object {
        on: KeyOn::Application,
        id: keywheel_core::ids::ObjectId(Uuid::from_u128(1)),
    };
    let key = KeyId(Uuid::from_u128(2));
    let error = world
        .graph
        .remove_password(object, key, &options())
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.status()), (&Kind::NotFound, Some(404)));
}

#[tokio::test]
async fn the_callers_id_goes_with_the_request() {
    let world = world().await;
    let object = world.object(KeyOn::Application).await;
    let options = options();
    let end = Utc::now() + TimeDelta::days(1);
    let added = world
        .graph
        .add_password(object, "n", end, &options)
        .await
        .unwrap();
    let requests = world.emulator.requests();
    let sent = requests
        .iter()
        .find(|sent| sent.operation == Some(Operation::AddPassword))
        .unwrap();
    assert_eq!(
        sent.client_request_id,
        Some(options.client_request_id.to_string())
    );
    assert_eq!(added.request_id, Some(sent.request_id.to_string()));
}

#[tokio::test]
async fn an_answer_that_proves_that_nothing_was_done_is_followed_by_another_try() {
    for kind in [
        FaultKind::TooManyRequests,
        FaultKind::ConcurrencyViolation,
        FaultKind::ConcurrentRequests,
    ] {
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
        assert!(said.contains(&error.client_request_id().to_string()));
        for secret in world.emulator.secrets() {
            assert!(!said.contains(&secret), "{kind:?}");
        }
    }
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
        let (key, other) = (
            world.add(object).await.unwrap(),
            world.add(object).await.unwrap(),
        );
        world.fault(Rule::new(kind).on(Operation::RemovePassword).times(1));
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
        let read = world
            .graph
            .principal(AppId(APP), KeyOn::Application, &options())
            .await;
        assert!(
            read.unwrap_or_else(|error| panic!("{kind:?}: {error}"))
                .is_some()
        );
    }
}

#[tokio::test]
async fn nobody_waits_past_the_deadline() {
    let world = world().await;
    let object = world.object(KeyOn::Application).await;
    let rule = Rule::new(FaultKind::TooManyRequests);
    let rules = vec![Rule {
        retry_after_seconds: Some(120),
        ..rule
    }];
    world
        .emulator
        .set_faults(Faults {
            rules,
            ..Faults::default()
        })
        .unwrap();
    let before = Instant::now();
    let error = world.add(object).await.unwrap_err();
    assert_eq!(error.kind(), &Kind::Throttled);
    assert_eq!(error.retry(), Retry::After(Duration::from_secs(120)));
    assert!(before.elapsed() < Duration::from_secs(10));
    // Too late to begin what must not be lost.
    let late = CallOptions::until(Instant::now() + Duration::from_secs(1));
    let sent = world.count(Operation::AddPassword);
    let error = world
        .graph
        .add_password(object, "n", Utc::now(), &late)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.retry()),
        (&Kind::Unavailable, Retry::Soon)
    );
    assert_eq!(world.count(Operation::AddPassword), sent);
}

#[tokio::test]
async fn policies_and_limits_have_names_of_their_own() {
    let world = world().await;
    let object = world.object(KeyOn::Application).await;
    let mut faults = Faults::default();
    faults.limits.max_lifetime_days = Some(30);
    world.emulator.set_faults(faults).unwrap();
    assert_eq!(
        world.add(object).await.unwrap_err().kind(),
        &Kind::LifetimeExceedsPolicy
    );
    let mut faults = Faults::default();
    faults.limits.max_passwords = 1;
    world.emulator.set_faults(faults).unwrap();
    world.add(object).await.unwrap();
    assert_eq!(
        world.add(object).await.unwrap_err().kind(),
        &Kind::SizeExceeded
    );
}

#[tokio::test]
async fn a_directory_of_many_pages_is_listed_whole() {
    let world = start(Emulator::builder().applications(2100)).await;
    let (mut found, mut next): (_, Option<PageLink>) = (Vec::new(), None);
    let mut pages = 0;
    loop {
        let page = world
            .graph
            .applications(Detail::Keys, next.as_ref(), &options())
            .await
            .unwrap();
        found.extend(page.items);
        pages += 1;
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert!(
        found.len() >= 2100 && pages == 3,
        "{} in {pages}",
        found.len()
    );
    assert!(found.iter().all(|app| app.certificates.is_none()));
    let apps: Vec<AppId> = found.iter().take(40).map(|app| app.app_id).collect();
    let named = world
        .graph
        .applications_by_app_id(&apps, Detail::Keys, &options())
        .await
        .unwrap();
    assert_eq!(named.len(), 40);
    let principals = world
        .graph
        .service_principals_by_app_id(&apps, Detail::Keys, &options())
        .await;
    assert!(
        principals
            .unwrap()
            .iter()
            .all(|principal| apps.contains(&principal.app_id))
    );
}

#[tokio::test]
async fn certificates_come_where_they_are_asked_for() {
    let world = world().await;
    let detail = Detail::KeysAndCertificates;
    let apps = world
        .graph
        .applications_by_app_id(&[AppId(APP)], detail, &options())
        .await
        .unwrap();
    let certificates = apps[0].certificates.as_ref().unwrap();
    assert_eq!(certificates[0].display_name.as_deref(), Some("mTLS"));
    assert!(certificates[0].end.is_some());
    assert_eq!(apps[0].tags, ["keywheel"]);
    let page = world
        .graph
        .service_principals(Detail::Keys, None, &options())
        .await
        .unwrap();
    assert!(
        page.items
            .iter()
            .any(|principal| principal.app_id == AppId(APP))
    );
}
