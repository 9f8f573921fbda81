//! Faults of every kind.

use std::time::{Duration, Instant};

use azure_emulator::{FaultKind, Faults, Operation, Rule, Throttle};
use reqwest::{Method, StatusCode};
use serde_json::json;
use uuid::Uuid;

use crate::harness::{APP, Harness, SECRET, one_application};

fn set(h: &Harness, rule: Rule) {
    h.emulator.set_faults(Faults { rules: vec![rule], ..Faults::default() }).unwrap();
}

fn passwords(h: &Harness) -> usize {
    h.emulator.state()["applications"][0]["passwords"].as_array().unwrap().len()
}

fn add_request(h: &Harness) -> reqwest::RequestBuilder {
    h.admin_request(
        Method::POST,
        &format!("/applications(appId='{APP}')/addPassword"),
        Some(json!({})),
    )
}

#[tokio::test]
async fn an_answer_can_be_lost_after_the_work() {
    let h = Harness::start(one_application()).await;
    set(
        &h,
        Rule::new(FaultKind::LostAnswer)
            .on(Operation::AddPassword)
            .application(APP.to_string())
            .times(1),
    );
    assert!(add_request(&h).send().await.is_err());
    assert_eq!(passwords(&h), 2, "the work was done");
    assert_eq!(h.emulator.faults().rules[0].times, Some(0));
    assert_eq!(add_request(&h).send().await.unwrap().status(), StatusCode::OK, "once only");
    let lost = h.emulator.requests().into_iter().find(|request| !request.delivered).unwrap();
    assert_eq!((lost.operation, lost.status), (Some(Operation::AddPassword), 200));
}

#[tokio::test]
async fn a_connection_can_be_cut_before_the_work_and_amid_the_answer() {
    let h = Harness::start(one_application()).await;
    set(&h, Rule::new(FaultKind::CutConnection).on(Operation::Write));
    assert!(add_request(&h).send().await.is_err());
    assert_eq!(passwords(&h), 1, "nothing was done");
    set(&h, Rule::new(FaultKind::CutBody).on(Operation::AddPassword));
    let answer = add_request(&h).send().await;
    let whole = match answer {
        Ok(answer) => answer.bytes().await.is_ok(),
        Err(_) => false,
    };
    assert!(!whole);
    assert_eq!(passwords(&h), 2, "the work was done");
}

#[tokio::test]
async fn connections_break_over_http_1_too() {
    let h = Harness::start(one_application()).await;
    let authority = reqwest::Certificate::from_pem(h.emulator.ca_pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([authority])
        .no_proxy()
        .http1_only()
        .build()
        .unwrap();
    let url = format!("{}/{}/v2.0/.well-known/openid-configuration", h.at.authority, h.at.tenant);
    let good = client.get(&url).send().await.unwrap();
    assert_eq!(good.version(), reqwest::Version::HTTP_11);
    let token = format!("{}/{}/oauth2/v2.0/token", h.at.authority, h.at.tenant);
    let app = APP.to_string();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", app.as_str()),
        ("client_secret", SECRET),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    for kind in [FaultKind::LostAnswer, FaultKind::CutConnection, FaultKind::CutBody] {
        set(&h, Rule::new(kind).on(Operation::Token).times(1));
        let whole = match client.post(&token).form(&form).send().await {
            Ok(answer) => answer.bytes().await.is_ok(),
            Err(_) => false,
        };
        assert!(!whole, "{kind:?}");
        assert_eq!(h.emulator.faults().rules[0].times, Some(0), "{kind:?}");
    }
    // Two of the three did the work.
    let done =
        h.emulator.sign_ins().into_iter().filter(|one| one.app_id == app && one.code == 0).count();
    assert_eq!(done, 2);
}

#[tokio::test]
async fn errors_before_the_work_leave_no_trace() {
    let h = Harness::start(one_application()).await;
    for (kind, status, code) in [
        (FaultKind::ConcurrencyViolation, 409, "Directory_ConcurrencyViolation"),
        (FaultKind::ConcurrentRequests, 400, "Request_BadRequest"),
        (FaultKind::ServerError, 500, "Service_InternalServerError"),
        (FaultKind::Unavailable, 503, "serviceNotAvailable"),
        (FaultKind::TooManyRequests, 429, "TooManyRequests"),
    ] {
        set(&h, Rule::new(kind).on(Operation::AddPassword).times(1));
        let seen = h.add_password(APP).await;
        assert_eq!((seen.status.as_u16(), seen.code()), (status, code));
        assert_eq!(passwords(&h), 1);
        if status == 429 {
            assert_eq!(seen.header("retry-after"), "1");
        }
        if kind == FaultKind::ConcurrentRequests {
            assert!(
                seen.body["error"]["message"]
                    .as_str()
                    .unwrap()
                    .contains("concurrent requests being made to the tenant")
            );
        }
        assert_eq!(h.get("/applications").await.status, StatusCode::OK, "reads are not concerned");
    }
}

#[tokio::test]
async fn remove_password_can_fail_after_doing_the_work() {
    let h = Harness::start(one_application()).await;
    let key = h.get(&format!("/applications(appId='{APP}')")).await.body["passwordCredentials"][0]
        ["keyId"]
        .as_str()
        .unwrap()
        .to_owned();
    set(&h, Rule::new(FaultKind::ServerErrorAfterWork).on(Operation::RemovePassword).times(1));
    assert_eq!(h.remove_password(APP, &key).await.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(passwords(&h), 0);
    assert_eq!(h.remove_password(APP, &key).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_token_endpoint_has_bad_days_too() {
    let h = Harness::start(one_application()).await;
    for (kind, status, code) in [
        (FaultKind::TooManyRequests, 429, 90_055),
        (FaultKind::ServerError, 500, 90_033),
        (FaultKind::Unavailable, 503, 90_033),
    ] {
        set(&h, Rule::new(kind).on(Operation::Token).times(1));
        let seen = h.sign_in(&APP.to_string(), SECRET).await;
        assert_eq!((seen.status.as_u16(), seen.aadsts()), (status, code));
        h.token_of(&APP.to_string(), SECRET).await;
    }
    let mut slow = Rule::new(FaultKind::Slow).on(Operation::Token);
    slow.delay_ms = Some(300);
    set(&h, slow);
    let before = Instant::now();
    h.token_of(&APP.to_string(), SECRET).await;
    assert!(before.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_rule_for_one_application_leaves_others_alone() {
    let h = Harness::start(one_application()).await;
    set(&h, Rule::new(FaultKind::ServerError).application(Uuid::from_u128(99).to_string()));
    assert_eq!(h.add_password(APP).await.status, StatusCode::OK);
    // By object id, of a request that names the application by its appId.
    set(&h, Rule::new(FaultKind::ServerError).application(h.object_id("applications", APP)));
    assert_eq!(h.add_password(APP).await.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn budgets_run_out_and_come_back() {
    let h = Harness::start(one_application()).await;
    let throttle = Throttle { units_per_10_seconds: 10, ..Throttle::default() };
    h.emulator.set_faults(Faults { throttle, ..Faults::default() }).unwrap();
    for (query, units) in [
        ("", "2"),
        ("?$select=id", "1"),
        ("?$top=5", "1"),
        ("?$top=5&$select=id", "1"),
        ("?$expand=owners", "3"),
    ] {
        assert_eq!(
            h.get(&format!("/applications{query}")).await.header("x-ms-resource-unit"),
            units,
            "{query}"
        );
    }
    assert_eq!(
        h.get("/applications?$select=id").await.header("x-ms-throttle-limit-percentage"),
        "0.9"
    );
    let refused = h.get("/applications").await;
    assert_eq!(
        (refused.status, refused.code()),
        (StatusCode::TOO_MANY_REQUESTS, "TooManyRequests")
    );
    let wait: i64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=10).contains(&wait));
    assert_eq!(refused.header("x-ms-throttle-information"), "ResourceUnitLimitExceeded");
    assert!(refused.header("x-ms-throttle-scope").contains(&h.at.client_id.to_string()));
    h.emulator.advance(wait);
    assert_eq!(h.get("/applications").await.status, StatusCode::OK);

    let throttle = Throttle {
        writes_per_150_seconds: 1,
        key_credentials_per_minute: 1,
        ..Throttle::default()
    };
    h.emulator.set_faults(Faults { throttle, ..Faults::default() }).unwrap();
    h.emulator.advance(150);
    assert_eq!(h.add_password(APP).await.status, StatusCode::OK);
    assert_eq!(h.add_password(APP).await.header("x-ms-throttle-information"), "WriteLimitExceeded");
    assert_eq!(h.get("/applications?$select=keyCredentials").await.status, StatusCode::OK);
    assert_eq!(
        h.get("/applications?$select=keyCredentials").await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
}
