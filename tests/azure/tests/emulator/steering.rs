//! What tests set and see through the emulator's own interface.

use azure_emulator::Faults;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{APP, Harness, SECRET, one_application, read};

#[tokio::test]
async fn no_secret_stands_in_any_log() {
    let h = Harness::start(one_application()).await;
    let secret = h.add_password(APP).await.body["secretText"].as_str().unwrap().to_owned();
    h.token_of(&APP.to_string(), &secret).await;
    h.sign_in(&APP.to_string(), SECRET).await;
    // A client that puts secrets where none belong.
    h.post("/applications", json!({"displayName": format!("it is {secret}.")})).await;
    h.get(&format!("/applications?$filter=displayName eq '{secret}'")).await;
    h.get(&format!("/applications?$filter=displayName eq '{}'", secret.replace('~', "%7E"))).await;
    h.sign_in(&secret, "x").await;
    let shown = |path: &str| h.client.get(format!("{}/{path}", h.at.admin)).send();
    for path in ["requests", "sign-ins", "state", "faults"] {
        let seen = read(shown(path).await.unwrap()).await;
        let mut text = seen.body.to_string();
        if path == "state" {
            // The directory holds what it was given: the name that the client made of the secret.
            text = text.replace(&format!("it is {secret}."), "");
        }
        for secret in h.emulator.secrets() {
            assert!(!text.contains(&secret), "{path}");
        }
    }
    let all = read(shown("state?secrets=true").await.unwrap()).await;
    assert!(all.body.to_string().contains(SECRET));
    let secrets = read(shown("secrets").await.unwrap()).await;
    assert!(secrets.body.as_array().unwrap().contains(&json!(secret)));
}

#[tokio::test]
async fn tests_steer_over_http() {
    let h = Harness::start(one_application()).await;
    let url = |path: &str| format!("{}/{path}", h.at.admin);
    let post = |path: &str, body: Value| h.client.post(url(path)).json(&body).send();
    let rules = json!({"rules": [{"kind": "server_error", "operation": "read", "times": 1}]});
    assert_eq!(post("faults", rules).await.unwrap().status(), StatusCode::OK);
    assert_eq!(h.get("/applications").await.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(h.get("/applications").await.status, StatusCode::OK);
    for wrong in [
        json!({"rulez": []}),
        json!({"rules": [{"kind": "x"}]}),
        json!({"rules": [{"kind": "slow", "probability": 2}]}),
    ] {
        assert_eq!(post("faults", wrong).await.unwrap().status(), StatusCode::BAD_REQUEST);
    }
    let before = h.emulator.now();
    assert_eq!(
        post("clock", json!({"advance_seconds": 100})).await.unwrap().status(),
        StatusCode::OK
    );
    assert!((h.emulator.now() - before).num_seconds() >= 100);
    let arm = read(h.client.get(format!("{}/subscriptions", h.at.arm)).send().await.unwrap()).await;
    assert_eq!((arm.status, arm.code()), (StatusCode::NOT_FOUND, "ResourceNotFound"));
    let last = h.emulator.requests().pop().unwrap();
    assert_eq!(last.status, 404);
}

#[tokio::test]
async fn skew_shows_in_tokens_and_dates() {
    let h = Harness::start(one_application()).await;
    h.emulator.set_faults(Faults { clock_skew_seconds: -600, ..Faults::default() }).unwrap();
    let seen = h.sign_in(&APP.to_string(), SECRET).await;
    let date = chrono::DateTime::parse_from_rfc2822(seen.header("date")).unwrap();
    let behind = (chrono::Utc::now() - date.to_utc()).num_seconds();
    assert!((598..=605).contains(&behind), "{behind}");
}

#[tokio::test]
async fn sign_ins_tell_when_a_key_was_last_used() {
    let h = Harness::start(one_application()).await;
    h.token_of(&APP.to_string(), SECRET).await;
    let path = format!("{}/beta/reports/appCredentialSignInActivities", h.at.graph);
    let seen = h.get(&path).await;
    let used = seen.body["value"].as_array().unwrap();
    let mine = used.iter().find(|one| one["appId"] == APP.to_string()).unwrap();
    let key = &h.emulator.state()["applications"][0]["passwords"][0]["key_id"];
    assert_eq!((&mine["keyId"], &mine["credentialOrigin"]), (key, &json!("application")));
    assert!(mine["signInActivity"]["lastSignInDateTime"].is_string());
}

#[tokio::test]
async fn a_seed_that_contradicts_itself_is_refused() {
    let id = "00000000-0000-0000-0000-000000000a11";
    for wrong in [
        format!(
            "applications: [{{app_id: {id}, display_name: a}}, {{app_id: {id}, display_name: b}}]"
        ),
        format!(
            "applications: [{{object_id: {id}, display_name: a}}, {{object_id: {id}, display_name: b}}]"
        ),
        "applications: [{display_name: a, roles: [Nonsense.All]}]".to_owned(),
        "applications: [{display_name: a, passwords: [{end: tomorrow}]}]".to_owned(),
    ] {
        let seed = crate::harness::seed(&wrong);
        assert!(azure_emulator::Emulator::builder().seed(seed).start().await.is_err(), "{wrong}");
    }
}
