//! Passwords, objects, owners, soft deletion and batches.

use azure_emulator::{FaultKind, Faults, Limits, Rule};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{APP, Harness, SECRET, one_application, seed};

#[tokio::test]
async fn passwords_come_and_go() {
    let h = Harness::start(one_application()).await;
    let added = h.add_password(APP).await;
    assert_eq!(added.status, StatusCode::OK);
    let secret = added.body["secretText"].as_str().unwrap();
    assert_eq!((secret.len(), &added.body["hint"]), (40, &json!(secret[..3])));
    let end =
        chrono::DateTime::parse_from_rfc3339(added.body["endDateTime"].as_str().unwrap()).unwrap();
    assert!((729..=732).contains(&(end.to_utc() - h.emulator.now()).num_days()));
    h.token_of(&APP.to_string(), secret).await;
    let key = added.body["keyId"].as_str().unwrap();
    assert_eq!(h.remove_password(APP, key).await.status, StatusCode::NO_CONTENT);
    assert_eq!(h.sign_in(&APP.to_string(), secret).await.aadsts(), 7_000_215);
    let again = h.remove_password(APP, key).await;
    assert_eq!((again.status, again.code()), (StatusCode::BAD_REQUEST, "Request_BadRequest"));
    assert!(
        again.body["error"]["message"]
            .as_str()
            .unwrap()
            .contains("No password credential found with keyId")
    );
    assert!(h.emulator.secrets().contains(&secret.to_owned()), "removed secrets are remembered");
    // The service principal has a list of its own.
    let path = format!("/servicePrincipals/{}/addPassword", h.object_id("service_principals", APP));
    let own = h.post(&path, json!({})).await;
    h.token_of(&APP.to_string(), own.body["secretText"].as_str().unwrap()).await;
    assert_eq!(
        h.remove_password(APP, own.body["keyId"].as_str().unwrap()).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn limits_and_policies_refuse_passwords() {
    let h = Harness::start(seed(&format!(
        "applications:\n- {{app_id: {APP}, display_name: a, passwords: [{{secret: {SECRET}}}]}}\n\
         - {{app_id: {}, display_name: personal, audience: PersonalMicrosoftAccount, passwords: [{{}}, {{}}]}}\n",
        Uuid::from_u128(2)
    )))
    .await;
    let path = format!("/applications(appId='{APP}')/addPassword");
    let lifetime = |start: &str, end: &str| json!({"passwordCredential": {"startDateTime": start, "endDateTime": end}});
    for body in [
        lifetime("2030-01-01T00:00:00Z", "2029-01-01T00:00:00Z"),
        lifetime("x", "2029-01-01T00:00:00Z"),
    ] {
        assert_eq!(h.post(&path, body).await.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(h.add_password(Uuid::from_u128(2)).await.status, StatusCode::BAD_REQUEST);
    let limits = |limits: Limits| {
        h.emulator.set_faults(Faults { limits, ..Faults::default() }).unwrap();
    };
    limits(Limits { max_lifetime_days: Some(90), ..Limits::default() });
    let refused = h.add_password(APP).await;
    assert_eq!(
        (refused.status, refused.code()),
        (StatusCode::BAD_REQUEST, "CredentialInvalidLifetimeAsPerAppPolicy")
    );
    let end = (h.emulator.now() + chrono::Duration::days(80)).to_rfc3339();
    let short = json!({"passwordCredential": {"endDateTime": end}});
    assert_eq!(h.post(&path, short).await.status, StatusCode::OK);
    limits(Limits { forbid_passwords: true, ..Limits::default() });
    assert_eq!(h.add_password(APP).await.code(), "CredentialTypeNotAllowedAsPerAppPolicy");
    limits(Limits { max_passwords: 2, ..Limits::default() });
    let refused = h.add_password(APP).await;
    assert_eq!(
        (refused.status, refused.code()),
        (StatusCode::FORBIDDEN, "Directory_ResourceSizeExceeded")
    );
}

#[tokio::test]
async fn passwords_cannot_be_changed() {
    let h = Harness::start(one_application()).await;
    let path = format!("/applications(appId='{APP}')");
    let listed = h.get(&path).await.body["passwordCredentials"].clone();
    let change =
        |list: Value| h.graph(Method::PATCH, &path, Some(json!({"passwordCredentials": list})));
    assert_eq!(change(listed.clone()).await.status, StatusCode::NO_CONTENT);
    let mut renamed = listed.clone();
    renamed[0]["displayName"] = json!("other");
    assert_eq!(change(renamed).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(change(json!([{"displayName": "new"}])).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(change(json!([])).await.status, StatusCode::NO_CONTENT);
    assert_eq!(h.sign_in(&APP.to_string(), SECRET).await.aadsts(), 7_000_215);
}

#[tokio::test]
async fn objects_are_made_and_changed() {
    let h = Harness::start(one_application()).await;
    assert_eq!(h.post("/applications", json!({})).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        h.post("/applications", json!({"displayName": "x", "nonsense": 1})).await.status,
        StatusCode::BAD_REQUEST
    );
    let body = json!({"displayName": "made", "tags": ["t"], "notes": "n", "passwordCredentials": [{"displayName": "p"}]});
    let made = h.post("/applications", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    assert!(made.body["passwordCredentials"][0]["secretText"].is_string());
    let app_id = made.body["appId"].as_str().unwrap();
    let principal = h.post("/servicePrincipals", json!({"appId": app_id})).await;
    assert_eq!(principal.status, StatusCode::CREATED);
    assert_eq!(
        h.post("/servicePrincipals", json!({"appId": app_id})).await.status,
        StatusCode::CONFLICT
    );
    assert_eq!(
        h.post("/servicePrincipals", json!({"appId": Uuid::from_u128(5)})).await.status,
        StatusCode::BAD_REQUEST
    );
    let path = format!("/applications/{}", made.body["id"].as_str().unwrap());
    let patched =
        h.graph(Method::PATCH, &path, Some(json!({"displayName": "renamed", "tags": ["u"]}))).await;
    assert_eq!(patched.status, StatusCode::NO_CONTENT);
    let seen = h.get(&path).await;
    assert_eq!(
        (&seen.body["displayName"], &seen.body["tags"], &seen.body["notes"]),
        (&json!("renamed"), &json!(["u"]), &json!("n"))
    );
    // All or nothing.
    let bad =
        h.graph(Method::PATCH, &path, Some(json!({"displayName": "again", "appId": app_id}))).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    assert_eq!(h.get(&path).await.body["displayName"], "renamed");
    let object =
        h.get(&format!("/directoryObjects/{}", principal.body["id"].as_str().unwrap())).await;
    assert_eq!(object.body["@odata.type"], "#microsoft.graph.servicePrincipal");
    let organization = h.get("/organization").await;
    assert_eq!(organization.body["value"][0]["id"], h.at.tenant.to_string());
}

#[tokio::test]
async fn owners_are_references() {
    let h = Harness::start(one_application()).await;
    let path = format!("/applications/{}/owners", h.object_id("applications", APP));
    let owner = h.object_id("service_principals", APP);
    let reference = json!({"@odata.id": format!("{}/v1.0/directoryObjects/{owner}", h.at.graph)});
    assert_eq!(
        h.post(&format!("{path}/$ref"), reference.clone()).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(h.post(&format!("{path}/$ref"), reference).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(h.get(&path).await.body["value"][0]["id"], owner);
    let expanded = h.get(&format!("/applications(appId='{APP}')?$expand=owners&$select=id")).await;
    assert_eq!(expanded.body["owners"][0]["id"], owner);
    let objects = format!("/servicePrincipals/{owner}/ownedObjects?$select=id");
    let listed = h.get(&objects).await.body["value"].clone();
    let id = h.object_id("applications", APP);
    assert_eq!(listed, json!([{"@odata.type": "#microsoft.graph.application", "id": id}]));
    let gone = h.graph(Method::DELETE, &format!("{path}/{owner}/$ref"), None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(h.get(&path).await.body["value"], json!([]));
    assert_eq!(h.get(&objects).await.body["value"], json!([]));
}

#[tokio::test]
async fn deletion_is_soft_for_thirty_days() {
    let h = Harness::start(one_application()).await;
    let (application, principal) =
        (h.object_id("applications", APP), h.object_id("service_principals", APP));
    let item = |id: &str| format!("/directory/deletedItems/{id}");
    assert_eq!(h.get(&item(&application)).await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        h.graph(Method::DELETE, &format!("/applications/{application}"), None).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(h.get(&format!("/applications/{application}")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        h.get(&format!("/servicePrincipals/{principal}")).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(h.get("/directory/deletedItems/microsoft.graph.application").await.names(), ["one"]);
    assert!(h.get(&item(&application)).await.body["deletedDateTime"].is_string());
    let restored = h.post(&format!("{}/restore", item(&application)), json!({})).await;
    assert_eq!(restored.status, StatusCode::OK);
    assert_eq!(h.get(&format!("/applications/{application}")).await.status, StatusCode::OK);
    assert_eq!(
        h.get("/directory/deletedItems/microsoft.graph.servicePrincipal").await.names(),
        ["one"]
    );
    assert_eq!(h.sign_in(&APP.to_string(), SECRET).await.aadsts(), 7_000_229);
    assert_eq!(
        h.graph(Method::DELETE, &item(&principal), None).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        h.graph(Method::DELETE, &item(&principal), None).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        h.graph(Method::DELETE, &format!("/applications/{application}"), None).await.status,
        StatusCode::NO_CONTENT
    );
    h.emulator.advance(31 * 86_400);
    let token = h.token_of(&h.at.client_id.to_string(), &h.at.client_secret).await;
    let late = h
        .graph_as(&token, Method::POST, &format!("{}/restore", item(&application)), Some(json!({})))
        .await;
    assert_eq!(late.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_batch_answers_each_request() {
    let h = Harness::start(one_application()).await;
    let id = h.object_id("applications", APP);
    let header = json!({"Content-Type": "application/json"});
    let seen = h
        .post(
            "/$batch",
            json!({"requests": [
                {"id": "1", "method": "GET", "url": "/applications?$select=appId"},
                {"id": "2", "method": "GET", "url": format!("/applications/{}", Uuid::from_u128(3))},
                {"id": "3", "method": "POST", "url": format!("/applications/{id}/addPassword"), "headers": header, "body": {}, "dependsOn": ["2"]},
                {"id": "4", "method": "POST", "url": format!("/applications/{id}/addPassword"), "headers": header, "body": {}, "dependsOn": ["1"]},
            ]}),
        )
        .await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.body);
    let responses = seen.body["responses"].as_array().unwrap();
    let status = |id: &str| {
        responses.iter().find(|one| one["id"] == id).unwrap()["status"].as_u64().unwrap()
    };
    assert_eq!((status("1"), status("2"), status("3"), status("4")), (200, 404, 424, 200));
    let secret = responses[3]["body"]["secretText"].as_str().unwrap();
    let log = serde_json::to_string(&h.emulator.requests()).unwrap();
    assert!(!log.contains(secret));
    let many: Vec<_> = (0..21)
        .map(|n| json!({"id": n.to_string(), "method": "GET", "url": "/applications"}))
        .collect();
    assert_eq!(h.post("/$batch", json!({"requests": many})).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_lock_with_an_enforcement_scope_refuses_passwords_and_nothing_else() {
    let h = Harness::start(one_application()).await;
    let id = h.object_id("service_principals", APP);
    let add = format!("/servicePrincipals/{id}/addPassword");
    let key = h.post(&add, json!({})).await.body["keyId"].clone();
    let rules = vec![Rule::new(FaultKind::LockedWithEnforcementScope).application(id.clone())];
    h.emulator.set_faults(Faults { rules, ..Faults::default() }).unwrap();
    let remove = format!("/servicePrincipals/{id}/removePassword");
    for seen in [h.post(&add, json!({})).await, h.post(&remove, json!({"keyId": key})).await] {
        assert_eq!(seen.status, StatusCode::BAD_REQUEST);
        assert_eq!(seen.code(), "CannotUpdateLockedServicePrincipalPropertyWithEnforcementScope");
    }
    assert_eq!(h.get(&format!("/servicePrincipals/{id}")).await.status, StatusCode::OK);
}
