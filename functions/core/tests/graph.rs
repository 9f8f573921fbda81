//! The Graph client against the emulator.

mod graph_world;
#[path = "graph/listings.rs"]
mod listings;
mod secrets_stub;

use std::collections::BTreeSet;

use azure_emulator::{
    Emulator, Faults, GRAPH_APP_ID, Operation, RequestRecord, Seed, SeedApplication,
    SeedFederatedCredential,
};
use chrono::{TimeDelta, Utc};
use graph_world::{ALONE, APP, options, start, world};
use keywheel_core::graph::{Detail, Kind, Object, PageLink, Refusal};
use keywheel_core::http::Retry;
use keywheel_core::ids::{AppId, KeyId, KeyOn, ObjectId};
use secrets_stub::Stub;
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn a_key_is_minted_seen_and_removed_on_either_object() {
    let world = world().await;
    for on in [KeyOn::Application, KeyOn::ServicePrincipal] {
        let object = world.object(on).await;
        let key = world.add(object).await.unwrap();
        let principal = world.graph.principal(AppId(APP), on, &options()).await.unwrap().unwrap();
        assert!(principal.has_service_principal);
        assert_eq!(principal.key(key).unwrap().display_name.as_deref(), Some("keywheel/x"));
        assert!(!world.graph.remove_password(object, key, &options()).await.unwrap().already_gone);
        let gone = world.graph.remove_password(object, key, &options()).await.unwrap();
        let requests = world.emulator.requests();
        let removals = |one: &&RequestRecord| one.operation == Some(Operation::RemovePassword);
        let asked = requests.iter().rfind(removals).unwrap().request_id.to_string();
        assert_eq!((gone.already_gone, gone.request_id), (true, Some(asked)));
    }
}

/// By these ids the tenant's administrators find each request in their own logs.
#[tokio::test]
async fn each_request_of_a_call_has_an_id_that_follows_from_the_calls() {
    let world = world().await;
    let options = options();
    let mut both = Vec::new();
    for _ in 0..2 {
        let read = world.graph.principal(AppId(APP), KeyOn::Application, &options).await;
        assert!(read.unwrap().is_some());
        let requests = world.emulator.requests().into_iter().rev();
        let reads = requests.filter(|sent| sent.operation == Some(Operation::Get)).take(2);
        both.push(reads.map(|sent| sent.client_request_id.unwrap()).collect::<BTreeSet<_>>());
    }
    assert_eq!(both[0].len(), 2, "{both:?}");
    assert_eq!(both[0], both[1]);
    assert!(both[0].contains(&options.client_request_id.to_string()));
}

#[tokio::test]
async fn an_error_has_the_words_and_the_ids_that_the_tenants_administrators_ask_for() {
    for (code, shown) in [
        ("Directory_Odd", "(410 Directory_Odd): gone for good [request-id stub-request,"),
        ("", "(410 without a code): gone"),
    ] {
        let error = json!({ "error": { "code": code, "message": "gone for good" } }).to_string();
        let stub = Stub::start(move |_| Some((410, error.clone()))).await;
        let (graph, options) = (graph_world::graph_at(&stub.url), options());
        let error = graph.principal(AppId(APP), KeyOn::Application, &options).await.unwrap_err();
        assert!(error.to_string().contains(shown), "{error}");
        assert_eq!(error.request_id(), Some("stub-request"));
        assert!(stub.requests.lock().unwrap().iter().any(|sent| {
            sent.head.contains(&format!("client-request-id: {}", error.client_request_id()))
        }));
    }
}

/// The key may be there, and its text is lost.
#[tokio::test]
async fn an_answer_that_does_not_hold_what_was_minted_is_lost() {
    let object = Object { on: KeyOn::Application, id: ObjectId(Uuid::from_u128(1)) };
    for (answer, why) in [
        (json!({ "keyId": Uuid::nil() }), "not a password credential"),
        (json!({ "keyId": Uuid::nil(), "secretText": "" }), "its secretText is empty"),
    ] {
        let stub = Stub::start(move |_| Some((200, answer.to_string()))).await;
        let graph = graph_world::graph_at(&stub.url);
        let error = graph.add_password(object, "n", Utc::now(), &options()).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (&Kind::AnswerLost, Retry::Soon));
        assert_eq!((error.status(), error.request_id()), (Some(200), Some("stub-request")));
        assert!(error.to_string().contains(why), "{error}");
    }
    let other = json!({ "id": Uuid::nil(), "appId": Uuid::nil(), "passwordCredentials": [] });
    for (answer, why) in [(json!([]), "not what was asked for"), (other, "of another application")]
    {
        let stub = Stub::start(move |_| Some((200, answer.to_string()))).await;
        let graph = graph_world::graph_at(&stub.url);
        let error = graph.principal(AppId(APP), KeyOn::Application, &options()).await.unwrap_err();
        assert_eq!(error.retry(), Retry::Never);
        assert!(error.to_string().contains(why), "{error}");
    }
}

/// The token goes wherever a link points, and a sweep goes on wherever one leads.
#[tokio::test]
async fn a_link_leads_on_at_the_same_graph_or_nowhere() {
    let graph = graph_world::graph_at("https://graph.example/");
    for (link, leads) in [
        ("https://graph.example/v1.0/applications?$skiptoken=2", true),
        ("https://graph.example:443/v1.0/applications", true),
        ("http://graph.example:443/v1.0/applications", false),
        ("https://graph.example.org/v1.0/applications", false),
        ("https://graph.example:8443/v1.0/applications", false),
        ("https://name@graph.example/v1.0/applications", false),
        ("https://:word@graph.example/v1.0/applications", false),
        ("applications", false),
    ] {
        assert_eq!(graph.page_link(link).is_some(), leads, "{link}");
    }
    let stub = Stub::start(|request| {
        let host = request.head.lines().find_map(|line| line.strip_prefix("host: "))?;
        let path = request.line.split(' ').nth(1)?;
        let itself = format!("http://{host}{path}");
        Some((200, json!({ "value": [], "@odata.nextLink": itself }).to_string()))
    })
    .await;
    let graph = graph_world::graph_at(&stub.url);
    let error =
        graph.objects(KeyOn::Application, Detail::Keys, None, &options()).await.unwrap_err();
    assert!(error.to_string().contains("leads to itself"), "{error}");
}

#[tokio::test]
async fn what_is_not_there_is_told_apart() {
    let world = world().await;
    let read = async |app, on| world.graph.principal(AppId(app), on, &options()).await.unwrap();
    assert_eq!(read(Uuid::from_u128(1), KeyOn::Application).await, None);
    assert_eq!(read(ALONE, KeyOn::ServicePrincipal).await, None);
    assert!(!read(ALONE, KeyOn::Application).await.unwrap().has_service_principal);
    // A key of an object that is not there is no removed key.
    let object = Object { on: KeyOn::Application, id: ObjectId(Uuid::from_u128(1)) };
    let key = KeyId(Uuid::from_u128(2));
    let error = world.graph.remove_password(object, key, &options()).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (&Kind::NotFound, Some(404)));
}

/// The credential would hand out the refused token until it ends by its own clock.
#[tokio::test]
async fn a_token_that_graph_refuses_is_remembered_as_refused() {
    let world = world().await;
    let read = async || world.graph.principal(AppId(APP), KeyOn::Application, &options()).await;
    assert!(read().await.is_ok() && !world.graph.token_refused());
    world.emulator.advance(2 * 60 * 60);
    let error = read().await.unwrap_err();
    assert!(matches!(error.kind(), Kind::SignIn(_)), "{error}");
    assert!(world.graph.token_refused(), "whoever made this client makes another");
}

#[tokio::test]
async fn the_callers_id_goes_with_the_request() {
    let world = world().await;
    let object = world.object(KeyOn::Application).await;
    let options = options();
    let end = Utc::now() + TimeDelta::days(1);
    let added = world.graph.add_password(object, "n", end, &options).await.unwrap();
    let requests = world.emulator.requests();
    let sent = requests.iter().find(|sent| sent.operation == Some(Operation::AddPassword)).unwrap();
    assert_eq!(sent.client_request_id, Some(options.client_request_id.to_string()));
    assert_eq!(added.request_id, Some(sent.request_id.to_string()));
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
        &Kind::Known(Refusal::LifetimeExceedsPolicy)
    );
    let mut faults = Faults::default();
    faults.limits.max_passwords = 1;
    world.emulator.set_faults(faults).unwrap();
    world.add(object).await.unwrap();
    assert_eq!(world.add(object).await.unwrap_err().kind(), &Kind::Known(Refusal::SizeExceeded));
}

#[tokio::test]
async fn a_directory_of_many_pages_is_listed_whole() {
    let world = start(Emulator::builder().applications(2100)).await;
    let (mut found, mut next): (_, Option<PageLink>) = (Vec::new(), None);
    let mut pages = 0;
    loop {
        let page = world
            .graph
            .objects(KeyOn::Application, Detail::Keys, next.as_ref(), &options())
            .await
            .unwrap();
        found.extend(page.items);
        pages += 1;
        next = page.next;
        let Some(link) = &next else { break };
        assert_eq!(world.graph.page_link(&link.to_string()).as_ref(), Some(link), "written down");
    }
    assert!(found.len() >= 2100 && pages == 3, "{} in {pages}", found.len());
    assert!(found.iter().all(|app| app.certificates.is_empty()));
    let apps: Vec<AppId> = found.iter().take(40).map(|app| app.app_id).collect();
    let named = world
        .graph
        .objects_by_app_id(KeyOn::Application, &apps, Detail::Keys, &options())
        .await
        .unwrap();
    assert_eq!(named.items.len(), 40);
    let principals = world
        .graph
        .objects_by_app_id(KeyOn::ServicePrincipal, &apps, Detail::Keys, &options())
        .await;
    assert!(principals.unwrap().items.iter().all(|principal| apps.contains(&principal.app_id)));
}

/// On by default for applications that are registered in the admin centre.
#[tokio::test]
async fn a_locked_service_principal_takes_no_key_and_says_why() {
    let app = Uuid::from_u128(0xa11);
    for (lock, locked) in [
        (json!({"isEnabled": true, "allProperties": true}), true),
        (json!({"isEnabled": true, "credentialsWithUsageVerify": true}), true),
        (json!({"isEnabled": false, "allProperties": true}), false),
        (Value::Null, false),
    ] {
        let application = SeedApplication {
            app_id: Some(app),
            properties: [("servicePrincipalLockConfiguration".to_owned(), lock)].into(),
            ..SeedApplication::named("locked")
        };
        let seed = Seed { applications: vec![application], ..Seed::default() };
        let world = start(Emulator::builder().seed(seed)).await;
        for on in [KeyOn::Application, KeyOn::ServicePrincipal] {
            let principal = world.graph.principal(AppId(app), on, &options()).await.unwrap();
            let added = world.add(Object { on, id: principal.unwrap().object_id }).await;
            if locked && on == KeyOn::ServicePrincipal {
                let error = added.unwrap_err();
                assert_eq!(error.kind(), &Kind::Known(Refusal::ServicePrincipalLocked));
                assert!(error.to_string().contains("key_on: application"), "{error}");
            } else {
                assert!(added.is_ok());
            }
        }
    }
}

/// What a sweep tells beforehand: only what is said of `Verify`, the usage of client secrets, concerns them.
#[tokio::test]
async fn whether_a_service_principals_keys_are_locked_is_read_of_its_application() {
    let locks = [
        (json!({"isEnabled": true, "allProperties": true}), true),
        (json!({"isEnabled": true, "credentialsWithUsageVerify": true}), true),
        (
            json!({"isEnabled": true, "credentialsWithUsageSign": true, "tokenEncryptionKeyId": true}),
            false,
        ),
        (
            json!({"isEnabled": true, "allProperties": null, "credentialsWithUsageVerify": false}),
            false,
        ),
        (json!({"isEnabled": false, "allProperties": true}), false),
        (json!("on"), false),
        (Value::Null, false),
    ];
    let applications = (1..).zip(&locks).map(|(number, (lock, _))| SeedApplication {
        app_id: Some(Uuid::from_u128(number)),
        properties: [("servicePrincipalLockConfiguration".to_owned(), lock.clone())].into(),
        ..SeedApplication::named("app")
    });
    let seed = Seed { applications: applications.collect(), ..Seed::default() };
    let world = start(Emulator::builder().seed(seed)).await;
    for (number, (lock, locked)) in (1..).zip(&locks) {
        let id = [AppId(Uuid::from_u128(number))];
        let read = world
            .graph
            .objects_by_app_id(KeyOn::Application, &id, Detail::Keys, &options())
            .await
            .unwrap();
        assert_eq!((read.items.len(), read.items[0].locks_principal), (1, *locked), "{lock}");
    }
}

/// Graph at times says 400 to a second request after 500 to the first, which did the work. It says 400 for other reasons too.
#[tokio::test]
async fn a_key_is_believed_gone_only_after_the_object_was_read() {
    let object = Object { on: KeyOn::Application, id: ObjectId(Uuid::from_u128(1)) };
    let (key, other) = (KeyId(Uuid::from_u128(2)), KeyId(Uuid::from_u128(3)));
    for (status, code) in
        [(400, "Request_BadRequest"), (404, "Request_ResourceNotFound"), (404, "")]
    {
        for (listed, is_gone) in [(key, false), (other, true)] {
            let stub = Stub::start(move |request| {
                if request.line.starts_with("POST") {
                    let error = json!({ "error": { "code": code, "message": "refused" } });
                    return Some((status, error.to_string()));
                }
                let held = json!({ "id": object.id, "appId": APP, "passwordCredentials": [{ "keyId": listed }] });
                Some((200, held.to_string()))
            })
            .await;
            let graph = graph_world::graph_at(&stub.url);
            let removed = graph.remove_password(object, key, &options()).await;
            let lines: Vec<String> =
                stub.requests.lock().unwrap().iter().map(|request| request.line.clone()).collect();
            assert!(lines.len() == 2 && lines[1].starts_with("GET"), "{status} {code}: {lines:?}");
            match removed {
                Ok(removed) => assert!(is_gone && removed.already_gone, "{status} {code}"),
                Err(error) => {
                    assert!(!is_gone, "{status} {code}: {error}");
                    assert_eq!((error.kind(), error.retry()), (&Kind::Unavailable, Retry::Soon));
                }
            }
        }
    }
}

#[tokio::test]
async fn any_other_refusal_to_remove_a_key_is_handed_on_as_it_is() {
    let object = Object { on: KeyOn::Application, id: ObjectId(Uuid::from_u128(1)) };
    for (status, code) in [(403, "Authorization_RequestDenied"), (410, ""), (500, "")] {
        let error = json!({ "error": { "code": code, "message": "refused" } }).to_string();
        let stub = Stub::start(move |_| Some((status, error.clone()))).await;
        let graph = graph_world::graph_at(&stub.url);
        let key = KeyId(Uuid::from_u128(2));
        let error = graph.remove_password(object, key, &options()).await.unwrap_err();
        assert_eq!(error.status(), Some(status));
        assert_eq!(stub.requests.lock().unwrap().len(), 1, "{status}: nothing is read");
    }
}

#[tokio::test]
async fn what_keywheels_own_application_is_permitted_is_read() {
    let federated = SeedFederatedCredential {
        id: None,
        name: "aws".to_owned(),
        issuer: "https://sts.example".to_owned(),
        subject: "arn:aws:iam::111122223333:role/sweep".to_owned(),
        audiences: vec!["api://AzureADTokenExchange".to_owned()],
        description: None,
    };
    let own = SeedApplication {
        app_id: Some(APP),
        roles: vec!["Application.ReadWrite.OwnedBy".to_owned()],
        federated_credentials: vec![federated],
        ..SeedApplication::named("Keywheel")
    };
    let owned = SeedApplication {
        app_id: Some(ALONE),
        owners: vec![APP],
        ..SeedApplication::named("owned")
    };
    let mut seed = Seed::default();
    seed.applications.extend([own, owned]);
    let world = start(Emulator::builder().seed(seed)).await;
    let graph = &world.graph;
    let apps = [AppId(APP), AppId(GRAPH_APP_ID)];
    let on = KeyOn::ServicePrincipal;
    let principals = graph.objects_by_app_id(on, &apps, Detail::Keys, &options()).await;
    let principals = principals.unwrap().items;
    let of = |app: Uuid| principals.iter().find(|one| one.app_id == AppId(app)).unwrap().id;

    let federated = graph.federated_credentials(AppId(APP), &options()).await.unwrap().items;
    let [federated] = federated.as_slice() else { panic!("{federated:?}") };
    assert_eq!(federated.subject, "arn:aws:iam::111122223333:role/sweep");
    assert_eq!(federated.audiences, ["api://AzureADTokenExchange"]);
    let roles = graph.role_assignments(of(APP), &options()).await.unwrap().items;
    let [role] = roles.as_slice() else { panic!("{roles:?}") };
    assert_eq!(role.app_role_id.to_string(), "18a4783c-866b-4cc7-a460-3d5e5662c884");
    assert_eq!(role.resource_id, of(GRAPH_APP_ID));
    let mut objects = Vec::new();
    for on in [KeyOn::Application, KeyOn::ServicePrincipal] {
        let object = graph.principal(AppId(ALONE), on, &options()).await.unwrap().unwrap();
        objects.push(object.object_id);
    }
    assert_eq!(graph.owned_objects(of(APP), &options()).await.unwrap(), objects);
}
