//! The token endpoint with secrets: every error in a case of its own.

use azure_emulator::{FaultKind, Faults, Operation, Rule};
use reqwest::{Method, StatusCode};
use serde_json::json;
use uuid::Uuid;

use crate::harness::{APP, Harness, SECRET, one_application, read, seed};

#[tokio::test]
async fn a_good_secret_gets_a_token_that_graph_takes() {
    let h = Harness::start(one_application()).await;
    for scope in ["https://graph.microsoft.com/.default", &format!("{}/.default", h.at.graph)] {
        let seen = h.sign_in_for(&h.at.client_id.to_string(), &h.at.client_secret, scope).await;
        assert_eq!(seen.status, StatusCode::OK);
        assert_eq!(seen.body["token_type"], "Bearer");
        assert_eq!(seen.body["expires_in"], 3599);
        let token = seen.body["access_token"].as_str().unwrap();
        assert_eq!(
            h.graph_as(token, Method::GET, "/applications", None).await.status,
            StatusCode::OK
        );
    }
    for scope in ["https://management.azure.com/.default", &format!("{}/.default", h.at.arm)] {
        let seen = h.sign_in_for(&APP.to_string(), SECRET, scope).await;
        assert_eq!(seen.status, StatusCode::OK);
        let token = seen.body["access_token"].as_str().unwrap();
        let refused = h.graph_as(token, Method::GET, "/applications", None).await;
        assert_eq!(
            (refused.status, refused.code()),
            (StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken")
        );
    }
}

#[tokio::test]
async fn a_wrong_secret_is_7000215_with_all_that_entra_says() {
    let h = Harness::start(one_application()).await;
    let seen = h.sign_in(&APP.to_string(), "nonsense").await;
    assert_eq!((seen.status, seen.aadsts()), (StatusCode::UNAUTHORIZED, 7_000_215));
    assert_eq!(seen.body["error"], "invalid_client");
    let description = seen.body["error_description"].as_str().unwrap();
    assert!(description.starts_with("AADSTS7000215: Invalid client secret provided."));
    for part in ["\r\nTrace ID: ", "\r\nCorrelation ID: ", "\r\nTimestamp: "] {
        assert!(description.contains(part), "{description}");
    }
    for field in ["timestamp", "trace_id", "correlation_id", "error_uri"] {
        assert!(seen.body[field].is_string(), "{field}");
    }
}

#[tokio::test]
async fn an_expired_secret_is_7000222() {
    let h = Harness::start(seed(&format!(
        "applications: [{{app_id: {APP}, display_name: a, passwords: [{{secret: {SECRET}, start: -9d, end: +1d}}]}}]"
    )))
    .await;
    h.token_of(&APP.to_string(), SECRET).await;
    h.emulator.advance(86_401);
    let seen = h.sign_in(&APP.to_string(), SECRET).await;
    assert_eq!((seen.status, seen.aadsts()), (StatusCode::UNAUTHORIZED, 7_000_222));
    let last = h.emulator.sign_ins().pop().unwrap();
    assert_eq!((last.code, last.key_id.is_some()), (7_000_222, true));
}

#[tokio::test]
async fn a_secret_that_is_not_good_yet_is_7000215() {
    let h = Harness::start(seed(&format!(
        "applications: [{{app_id: {APP}, display_name: a, passwords: [{{secret: {SECRET}, start: +1d}}]}}]"
    )))
    .await;
    assert_eq!(h.sign_in(&APP.to_string(), SECRET).await.aadsts(), 7_000_215);
    h.emulator.advance(86_401);
    h.token_of(&APP.to_string(), SECRET).await;
}

#[tokio::test]
async fn an_unknown_application_is_700016() {
    let h = Harness::start(one_application()).await;
    for client in [Uuid::from_u128(9).to_string(), "not-a-guid".to_owned()] {
        let seen = h.sign_in(&client, "x").await;
        assert_eq!((seen.status, seen.aadsts()), (StatusCode::BAD_REQUEST, 700_016));
        assert_eq!(seen.body["error"], "unauthorized_client");
    }
}

#[tokio::test]
async fn a_deleted_application_is_700016() {
    let h = Harness::start(one_application()).await;
    let deleted = h.graph(Method::DELETE, &format!("/applications(appId='{APP}')"), None).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(h.sign_in(&APP.to_string(), SECRET).await.aadsts(), 700_016);
}

#[tokio::test]
async fn tenants_have_errors_of_their_own() {
    let h = Harness::start(one_application()).await;
    let app = APP.to_string();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", app.as_str()),
        ("client_secret", SECRET),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    assert_eq!(h.ask_token("contoso.onmicrosoft.com", &form).await.status, StatusCode::OK);
    let unknown = Uuid::from_u128(1).to_string();
    for (tenant, code) in [
        (unknown.as_str(), 90_002),
        ("fabrikam.com", 90_002),
        ("organizations", 50_059),
        ("common", 50_059),
        ("!", 900_023),
    ] {
        assert_eq!(h.ask_token(tenant, &form).await.aadsts(), code, "{tenant}");
    }
    let configuration =
        |tenant: &str| format!("{}/{tenant}/v2.0/.well-known/openid-configuration", h.at.authority);
    let seen = read(h.client.get(configuration(&unknown)).send().await.unwrap()).await;
    assert_eq!((seen.status, seen.aadsts()), (StatusCode::BAD_REQUEST, 90_002));
    let seen =
        read(h.client.get(configuration(&h.at.tenant.to_string())).send().await.unwrap()).await;
    let keys =
        read(h.client.get(seen.body["jwks_uri"].as_str().unwrap()).send().await.unwrap()).await;
    assert_eq!(keys.body["keys"][0]["kty"], "RSA");
    let instance = format!("{}/common/discovery/instance", h.at.authority);
    let seen = read(h.client.get(instance).send().await.unwrap()).await;
    assert!(seen.body["tenant_discovery_endpoint"].as_str().unwrap().starts_with(&h.at.authority));
}

#[tokio::test]
async fn a_disabled_application_is_7000112() {
    let h = Harness::start(seed(&format!(
        "applications:\n- {{app_id: {APP}, display_name: a, account_enabled: false, passwords: [{{secret: {SECRET}}}]}}\n\
         - {{app_id: {}, display_name: b, disabled: true, passwords: [{{secret: other}}]}}\n",
        Uuid::from_u128(2)
    )))
    .await;
    for (app, secret) in [(APP, SECRET), (Uuid::from_u128(2), "other")] {
        let seen = h.sign_in(&app.to_string(), secret).await;
        assert_eq!((seen.status, seen.aadsts()), (StatusCode::BAD_REQUEST, 7_000_112));
    }
    let path = format!("/servicePrincipals(appId='{APP}')");
    assert_eq!(
        h.graph(Method::PATCH, &path, Some(json!({"accountEnabled": true}))).await.status,
        StatusCode::NO_CONTENT
    );
    h.token_of(&APP.to_string(), SECRET).await;
}

#[tokio::test]
async fn an_application_without_a_service_principal_is_7000229() {
    let h = Harness::start(seed(&format!(
        "applications: [{{app_id: {APP}, display_name: a, service_principal: false, passwords: [{{secret: {SECRET}}}]}}]"
    )))
    .await;
    assert_eq!(h.sign_in(&APP.to_string(), SECRET).await.aadsts(), 7_000_229);
    assert_eq!(
        h.post("/servicePrincipals", json!({"appId": APP})).await.status,
        StatusCode::CREATED
    );
    h.token_of(&APP.to_string(), SECRET).await;
}

#[tokio::test]
async fn passwords_of_the_service_principal_count_too() {
    let h = Harness::start(seed(&format!(
        "applications: [{{app_id: {APP}, display_name: a, service_principal_passwords: [{{secret: {SECRET}}}]}}]"
    )))
    .await;
    h.token_of(&APP.to_string(), SECRET).await;
    assert_eq!(h.get("/applications").await.body["value"][0]["passwordCredentials"], json!([]));
}

#[tokio::test]
async fn conditional_access_is_53003_for_that_application_only() {
    let h = Harness::start(one_application()).await;
    let rules = vec![
        Rule::new(FaultKind::ConditionalAccess).on(Operation::Token).application(APP.to_string()),
    ];
    h.emulator.set_faults(Faults { rules, ..Faults::default() }).unwrap();
    let seen = h.sign_in(&APP.to_string(), SECRET).await;
    assert_eq!((seen.status, seen.aadsts()), (StatusCode::BAD_REQUEST, 53_003));
    h.token_of(&h.at.client_id.to_string(), &h.at.client_secret).await;
}

#[tokio::test]
async fn forms_that_lack_something_say_what() {
    let h = Harness::start(one_application()).await;
    let tenant = h.at.tenant.to_string();
    let app = APP.to_string();
    let whole = [
        ("grant_type", "client_credentials"),
        ("client_id", app.as_str()),
        ("client_secret", SECRET),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    for (without, code) in [
        ("grant_type", 900_144),
        ("client_id", 900_144),
        ("scope", 900_144),
        ("client_secret", 7_000_216),
    ] {
        let form: Vec<_> = whole.into_iter().filter(|(name, _)| *name != without).collect();
        assert_eq!(h.ask_token(&tenant, &form).await.aadsts(), code, "{without}");
    }
    let with = |name: &'static str, value: &'static str| {
        whole
            .into_iter()
            .map(|(n, v)| if n == name { (n, value) } else { (n, v) })
            .collect::<Vec<_>>()
    };
    assert_eq!(h.ask_token(&tenant, &with("grant_type", "password")).await.aadsts(), 70_003);
    assert_eq!(h.ask_token(&tenant, &with("scope", "User.Read")).await.aadsts(), 1_002_012);
    assert_eq!(
        h.ask_token(&tenant, &with("scope", "https://vault.example/.default")).await.aadsts(),
        500_011
    );
}

#[tokio::test]
async fn graph_refuses_bad_tokens() {
    let h = Harness::start(one_application()).await;
    let url = format!("{}/v1.0/applications", h.at.graph);
    let none = read(h.client.get(&url).send().await.unwrap()).await;
    assert_eq!(
        (none.status, none.code()),
        (StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken")
    );
    assert!(none.body["error"]["innerError"]["request-id"].is_string());
    let token = h.token_of(&h.at.client_id.to_string(), &h.at.client_secret).await;
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    for bad in ["nonsense", &forged] {
        let seen = h.graph_as(bad, Method::GET, "/applications", None).await;
        assert_eq!(
            (seen.status, seen.code()),
            (StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken")
        );
    }
    h.emulator.advance(3600);
    let seen = h.graph_as(&token, Method::GET, "/applications", None).await;
    assert_eq!(seen.status, StatusCode::UNAUTHORIZED);
    assert!(seen.body["error"]["message"].as_str().unwrap().contains("expired"));
}
