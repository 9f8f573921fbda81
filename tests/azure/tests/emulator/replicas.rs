//! Replicas that learn late, on a clock that is stepped.

use azure_emulator::{Delay, Emulator, FaultKind, Faults, Operation, Propagation, Rule};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{APP, Harness, SECRET, one_application, seed};

fn slow() -> Faults {
    let delay = Delay::between(40.0, 180.0);
    let propagation = Propagation {
        keys: delay,
        principals: delay,
        federated_credentials: delay,
        deletions: delay,
    };
    Faults { propagation, ..Faults::default() }
}

/// How many of some sign-ins are good.
async fn good(h: &Harness, secret: &str) -> usize {
    let mut good = 0;
    for _ in 0..24 {
        good += usize::from(h.sign_in(&APP.to_string(), secret).await.status == StatusCode::OK);
    }
    good
}

#[tokio::test]
async fn replicas_disagree_about_a_new_key_for_a_while() {
    let h = Harness::build(
        Emulator::builder().seed(one_application()).faults(slow()).random_seed(7).replicas(4),
    )
    .await;
    let added = h.add_password(APP).await;
    let secret = added.body["secretText"].as_str().unwrap();
    assert_eq!(good(&h, secret).await, 0, "no replica knows it at once");
    let mut mixed = false;
    for _ in 0..13 {
        h.emulator.advance(10);
        let now = good(&h, secret).await;
        mixed |= now > 0 && now < 24;
    }
    assert!(mixed, "one success proves little");
    h.emulator.advance(180);
    assert_eq!(good(&h, secret).await, 24);

    let key = added.body["keyId"].as_str().unwrap();
    assert_eq!(h.remove_password(APP, key).await.status, StatusCode::NO_CONTENT);
    assert_eq!(good(&h, secret).await, 24, "a removed key lives on");
    h.emulator.advance(181);
    assert_eq!(good(&h, secret).await, 0);
    assert_eq!(good(&h, SECRET).await, 24, "what was always there is not touched");
}

#[tokio::test]
async fn graph_replicas_lag_too() {
    let h =
        Harness::build(Emulator::builder().seed(one_application()).faults(slow()).random_seed(3))
            .await;
    let added = h.add_password(APP).await;
    let key = added.body["keyId"].as_str().unwrap();
    let listed = h.get(&format!("/applications(appId='{APP}')")).await;
    assert_eq!(listed.body["passwordCredentials"].as_array().unwrap().len(), 1);
    assert_eq!(
        h.remove_password(APP, key).await.status,
        StatusCode::BAD_REQUEST,
        "unknown there yet"
    );
    h.emulator.advance(181);
    assert_eq!(h.remove_password(APP, key).await.status, StatusCode::NO_CONTENT);

    let made = h.post("/applications", json!({"displayName": "new"})).await;
    let path = format!("/applications/{}", made.body["id"].as_str().unwrap());
    assert_eq!(h.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        h.post(&format!("{path}/addPassword"), json!({})).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        h.post("/servicePrincipals", json!({"appId": made.body["appId"]})).await.status,
        StatusCode::BAD_REQUEST
    );
    h.emulator.advance(181);
    assert_eq!(h.get(&path).await.status, StatusCode::OK);
    assert_eq!(h.graph(Method::DELETE, &path, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(
        h.get(&path).await.status,
        StatusCode::OK,
        "a deleted application is shown for a while"
    );
    assert_eq!(
        h.post(&format!("{path}/addPassword"), json!({})).await.status,
        StatusCode::NOT_FOUND
    );
    h.emulator.advance(181);
    assert_eq!(h.get(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_same_seed_makes_the_same_day() {
    let mut days = Vec::new();
    for _ in 0..2 {
        let rules = vec![Rule::new(FaultKind::ServerError).on(Operation::List).probability(0.5)];
        let faults = Faults { rules, ..slow() };
        let tenant = seed(&format!("applications: [{{app_id: {APP}, display_name: one}}]"));
        let h =
            Harness::build(Emulator::builder().seed(tenant).faults(faults).random_seed(42)).await;
        let secret = h.add_password(APP).await.body["secretText"].as_str().unwrap().to_owned();
        let mut day = vec![secret];
        for _ in 0..30 {
            let seen = h.get("/applications").await;
            day.push(format!("{} {}", seen.status, seen.header("x-ms-ags-diagnostic")));
        }
        assert!(
            day.iter().any(|one| one.starts_with("500"))
                && day.iter().any(|one| one.starts_with("200"))
        );
        days.push(day);
    }
    assert_eq!(days[0], days[1]);
}
