//! Lists, filters, pages and permissions.

use azure_emulator::Emulator;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{APP, Harness, SECRET, one_application, seed};

#[tokio::test]
async fn pages_cover_everything_once() {
    let h = Harness::build(Emulator::builder().applications(2500)).await;
    let first = h.get("/applications?$select=appId").await;
    assert_eq!(first.body["value"].as_array().unwrap().len(), 100);
    let mut seen = std::collections::HashSet::new();
    let mut link = "/applications?$top=999&$select=appId,displayName".to_owned();
    let mut pages = 0;
    loop {
        let page = h.get(&link).await;
        assert_eq!(page.status, StatusCode::OK);
        pages += 1;
        for one in page.body["value"].as_array().unwrap() {
            assert!(seen.insert(one["appId"].as_str().unwrap().to_owned()));
            assert!(one.get("tags").is_none());
        }
        match page.body["@odata.nextLink"].as_str() {
            Some(next) => next.clone_into(&mut link),
            None => break,
        }
    }
    assert_eq!((pages, seen.len()), (3, 2500));
    for wrong in ["0", "1000", "-1", "x"] {
        assert_eq!(
            h.get(&format!("/applications?$top={wrong}")).await.status,
            StatusCode::BAD_REQUEST,
            "{wrong}"
        );
    }
    let bad = h.get("/applications?$skiptoken=nonsense").await;
    assert_eq!(bad.code(), "Directory_ExpiredPageToken");
    let tenths = h.get("/applications?$top=999&$filter=tags/any(t:t eq 'synthetic-tenth')").await;
    assert_eq!(tenths.body["value"].as_array().unwrap().len(), 250);
}

fn three() -> azure_emulator::Seed {
    seed(&format!(
        "applications:\n- {{app_id: {APP}, display_name: Billing, tags: [rotate, eu], created: -9d}}\n\
         - {{display_name: Ledger, tags: [rotate], audience: AzureADMultipleOrgs, created: -5d}}\n\
         - {{display_name: 'O''Brien', service_principal: false, created: -1d}}\n"
    ))
}

#[tokio::test]
async fn filters_choose() {
    let h = Harness::start(three()).await;
    let date = (h.emulator.now() - chrono::Duration::days(6)).format("%Y-%m-%dT%H:%M:%SZ");
    for (filter, expected) in [
        ("displayName eq 'billing'".to_owned(), vec!["Billing"]),
        (format!("appId eq '{APP}'"), vec!["Billing"]),
        (format!("id eq '{}'", h.object_id("applications", APP)), vec!["Billing"]),
        ("displayName in ('Ledger','Billing')".to_owned(), vec!["Billing", "Ledger"]),
        ("startswith(displayName,'o')".to_owned(), vec!["O'Brien"]),
        ("displayName eq 'O''Brien'".to_owned(), vec!["O'Brien"]),
        ("tags/any(t:t eq 'rotate') and tags/any(x: x eq 'eu')".to_owned(), vec!["Billing"]),
        ("tags/any(t:startswith(t,'rot'))".to_owned(), vec!["Billing", "Ledger"]),
        (
            "signInAudience eq 'AzureADMultipleOrgs' or displayName eq 'Billing'".to_owned(),
            vec!["Billing", "Ledger"],
        ),
        (format!("createdDateTime ge {date}"), vec!["Ledger", "O'Brien"]),
        ("appId eq '00000000-0000-0000-0000-000000000001'".to_owned(), vec![]),
    ] {
        assert_eq!(
            h.get(&format!("/applications?$filter={filter}")).await.names(),
            expected,
            "{filter}"
        );
    }
    let principals = h.get("/servicePrincipals?$filter=accountEnabled eq true and servicePrincipalType eq 'Application'").await;
    assert!(principals.names().contains(&"Microsoft Graph"));
}

#[tokio::test]
async fn advanced_queries_want_eventual_consistency() {
    let h = Harness::start(three()).await;
    for filter in
        ["displayName ne 'Billing'", "not tags/any(t:t eq 'eu')", "endswith(displayName,'er')"]
    {
        let refused = h.get(&format!("/applications?$filter={filter}")).await;
        assert_eq!(
            (refused.status, refused.code()),
            (StatusCode::BAD_REQUEST, "Request_UnsupportedQuery"),
            "{filter}"
        );
        let counted = h.get_eventual(&format!("/applications?$count=true&$filter={filter}")).await;
        assert_eq!(counted.body["@odata.count"], counted.names().len(), "{filter}");
        assert!(!counted.names().contains(&"Billing"));
    }
    assert_eq!(h.get("/applications?$count=true").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(h.get("/applications/$count").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(h.get_eventual("/applications/$count").await.body, json!(3));
    assert_eq!(
        h.get_eventual("/applications/$count?$filter=startswith(displayName,'L')").await.body,
        json!(1)
    );
}

#[tokio::test]
async fn what_graph_does_not_support_is_refused() {
    let h = Harness::start(three()).await;
    for (query, code) in [
        ("$filter=passwordCredentials/any(p:p eq 'x')", "Request_UnsupportedQuery"),
        ("$filter=notes eq 'x'", "Request_UnsupportedQuery"),
        ("$filter=displayName eq", "BadRequest"),
        ("$filter=displayName gt 'a'", "Request_UnsupportedQuery"),
        ("$orderby=displayName", "Request_UnsupportedQuery"),
        ("$select=nonsense", "BadRequest"),
        ("$skip=5", "BadRequest"),
        ("$expand=nonsense", "BadRequest"),
    ] {
        let seen = h.get(&format!("/applications?{query}")).await;
        assert_eq!((seen.status, seen.code()), (StatusCode::BAD_REQUEST, code), "{query}");
    }
    assert_eq!(h.get("/users").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(h.get("/applications/nonsense").await.code(), "Request_ResourceNotFound");
}

#[tokio::test]
async fn secrets_and_certificate_data_stay_hidden() {
    let h = Harness::start(seed(&format!(
        "applications: [{{app_id: {APP}, display_name: a, passwords: [{{secret: {SECRET}, display_name: p, end: null}}], \
         certificates: [{{display_name: c, end: +5d}}]}}]"
    )))
    .await;
    let by_app = format!("/applications(appId='{APP}')");
    let seen = h.get(&by_app).await;
    let password = &seen.body["passwordCredentials"][0];
    assert_eq!(
        (&password["hint"], &password["secretText"], &password["endDateTime"]),
        (&json!("fir"), &Value::Null, &Value::Null)
    );
    assert_eq!(seen.body["keyCredentials"][0]["key"], Value::Null);
    let selected = h.get(&format!("{by_app}?$select=keyCredentials")).await;
    assert!(selected.body["keyCredentials"][0]["key"].is_string());
    assert!(selected.body.get("passwordCredentials").is_none());
    let listed = h.get("/applications?$select=keyCredentials").await;
    assert_eq!(listed.body["value"][0]["keyCredentials"][0]["key"], Value::Null);
    for header in
        ["request-id", "client-request-id", "x-ms-ags-diagnostic", "date", "x-ms-resource-unit"]
    {
        assert!(!seen.header(header).is_empty(), "{header}");
    }
    let mine = Uuid::from_u128(77).to_string();
    let answer = h
        .admin_request(Method::GET, &by_app, None)
        .header("client-request-id", &mine)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["client-request-id"], mine.as_str());
}

#[tokio::test]
async fn permissions_are_what_they_say() {
    let h = Harness::start(seed(
        "applications:\n\
         - {app_id: 00000000-0000-0000-0000-0000000000a1, display_name: reader, passwords: [{secret: reader-secret}], roles: [Application.Read.All]}\n\
         - {app_id: 00000000-0000-0000-0000-0000000000a2, display_name: owner, passwords: [{secret: owner-secret}], roles: [Application.ReadWrite.OwnedBy]}\n\
         - {app_id: 00000000-0000-0000-0000-0000000000a3, display_name: nobody, passwords: [{secret: nobody-secret}]}\n\
         - {app_id: 00000000-0000-0000-0000-0000000000b1, display_name: owned, owners: [00000000-0000-0000-0000-0000000000a2]}\n\
         - {app_id: 00000000-0000-0000-0000-0000000000b2, display_name: foreign}\n",
    ))
    .await;
    let token = |number: u128, secret: &'static str| {
        let id = Uuid::from_u128(number).to_string();
        let h = &h;
        async move { h.token_of(&id, secret).await }
    };
    let (reader, owner, nobody) = (
        token(0xa1, "reader-secret").await,
        token(0xa2, "owner-secret").await,
        token(0xa3, "nobody-secret").await,
    );
    let add = |app: u128| format!("/applications(appId='{}')/addPassword", Uuid::from_u128(app));
    for (who, method, path, expected) in [
        (&reader, Method::GET, "/applications".to_owned(), 200),
        (&owner, Method::GET, "/applications".to_owned(), 200),
        (&nobody, Method::GET, "/applications".to_owned(), 403),
        (&reader, Method::POST, add(0xb1), 403),
        (&owner, Method::POST, add(0xb1), 200),
        (&owner, Method::POST, add(0xb2), 403),
        (&owner, Method::POST, add(0xa2), 403),
        (&reader, Method::GET, "/organization".to_owned(), 403),
    ] {
        let body = (method == Method::POST).then(|| json!({}));
        let seen = h.graph_as(who, method, &path, body).await;
        assert_eq!(seen.status.as_u16(), expected, "{path} {}", seen.body);
        if expected == 403 {
            assert_eq!(seen.code(), "Authorization_RequestDenied");
        }
    }
    // Whoever creates with OwnedBy owns what it made.
    let made = h
        .graph_as(&owner, Method::POST, "/applications", Some(json!({"displayName": "made"})))
        .await;
    assert_eq!(made.status, StatusCode::CREATED);
    let path = format!("/applications/{}/addPassword", made.body["id"].as_str().unwrap());
    assert_eq!(
        h.graph_as(&owner, Method::POST, &path, Some(json!({}))).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn permissions_come_with_the_next_token_after_an_assignment() {
    let h = Harness::start(one_application()).await;
    let before = h.token_of(&APP.to_string(), SECRET).await;
    let principal = h.object_id("service_principals", APP);
    let graph = h.get("/servicePrincipals(appId='00000003-0000-0000-c000-000000000000')").await;
    let role = graph.body["appRoles"]
        .as_array()
        .unwrap()
        .iter()
        .find(|role| role["value"] == "Application.Read.All")
        .unwrap();
    let body =
        json!({"principalId": principal, "resourceId": graph.body["id"], "appRoleId": role["id"]});
    let path = format!("/servicePrincipals/{principal}/appRoleAssignments");
    let made = h.post(&path, body.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    assert_eq!(h.post(&path, body).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        h.graph_as(&before, Method::GET, "/applications", None).await.status,
        StatusCode::FORBIDDEN
    );
    let after = h.token_of(&APP.to_string(), SECRET).await;
    assert_eq!(h.graph_as(&after, Method::GET, "/applications", None).await.status, StatusCode::OK);
    assert_eq!(h.get(&path).await.body["value"].as_array().unwrap().len(), 1);
    let gone = h
        .graph(Method::DELETE, &format!("{path}/{}", made.body["id"].as_str().unwrap()), None)
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(h.get(&path).await.body["value"], json!([]));
}
