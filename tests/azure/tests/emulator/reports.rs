//! The directory audit and the report of sign-ins.

use azure_emulator::{Delay, Emulator, FaultKind, Faults, Lag, Permission, Rule};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{APP, Harness, SECRET, one_application, read, seed};

const AUDITS: &str = "/auditLogs/directoryAudits";
const APPLICATION_KEYS: &str = "Update application – Certificates and secrets management ";

fn values(body: &Value) -> &Vec<Value> {
    body["value"].as_array().unwrap()
}

/// Activity, who, keys before and after, oldest first.
async fn audits(h: &Harness) -> Vec<Value> {
    let seen = h.get(&format!("{AUDITS}?$orderby=activityDateTime")).await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.body);
    values(&seen.body).clone()
}

fn keys(audit: &Value, value: &str) -> Vec<String> {
    let properties = audit["targetResources"][0]["modifiedProperties"].as_array().unwrap();
    let keys = properties.iter().find(|one| one["displayName"] == "KeyDescription").unwrap();
    serde_json::from_str(keys[value].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_change_of_keys_is_audited_with_what_there_was_before() {
    let h = Harness::start(one_application()).await;
    let added = h.add_password(APP).await;
    let key = added.body["keyId"].as_str().unwrap();
    assert_eq!(h.remove_password(APP, key).await.status, StatusCode::NO_CONTENT);
    let audits = audits(&h).await;
    let activities: Vec<_> =
        audits.iter().map(|one| one["activityDisplayName"].as_str().unwrap()).collect();
    assert_eq!(activities, [APPLICATION_KEYS, APPLICATION_KEYS]);
    let (add, remove) = (&audits[0], &audits[1]);
    let described = format!("[KeyIdentifier={key},KeyType=Password,KeyUsage=Verify,DisplayName=k]");
    assert!(!keys(add, "oldValue").contains(&described));
    assert!(keys(add, "newValue").contains(&described));
    assert_eq!(keys(add, "newValue"), keys(remove, "oldValue"));
    assert_eq!(keys(add, "oldValue"), keys(remove, "newValue"));
    assert_eq!(add["targetResources"][0]["id"], h.object_id("applications", APP));
    assert_eq!(add["initiatedBy"]["user"], Value::Null);
    let app = &add["initiatedBy"]["app"];
    assert_eq!(app["servicePrincipalId"], h.object_id("service_principals", h.at.client_id));
    assert_eq!(app["appId"], Value::Null, "as real tenants have it");
}

#[tokio::test]
async fn service_principals_have_activities_of_their_own() {
    let h = Harness::start(one_application()).await;
    let base = format!("/servicePrincipals(appId='{APP}')");
    let body = json!({"passwordCredential": {"displayName": "k"}});
    let added = h.post(&format!("{base}/addPassword"), body).await;
    let body = json!({"keyId": added.body["keyId"]});
    h.post(&format!("{base}/removePassword"), body).await;
    h.graph(Method::PATCH, &base, Some(json!({"tags": ["x"]}))).await;
    h.graph(Method::DELETE, &format!("/applications(appId='{APP}')"), None).await;
    let activities: Vec<_> = audits(&h)
        .await
        .iter()
        .map(|one| one["activityDisplayName"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        activities,
        [
            "Add service principal credentials",
            "Remove service principal credentials",
            "Update service principal",
            "Delete application",
            "Remove service principal",
        ]
    );
}

#[tokio::test]
async fn what_failed_is_not_audited_and_what_is_made_is() {
    let h = Harness::start(one_application()).await;
    assert!(h.remove_password(APP, &APP.to_string()).await.status.is_client_error());
    assert!(audits(&h).await.is_empty());
    h.post("/applications", json!({"displayName": "new"})).await;
    let audits = audits(&h).await;
    assert_eq!(audits[0]["activityDisplayName"], "Add application");
    assert_eq!(keys(&audits[1], "oldValue"), keys(&audits[1], "newValue"));
}

#[tokio::test]
async fn a_person_is_told_by_name() {
    let h = Harness::start(one_application()).await;
    let url = format!("{}/people", h.at.admin);
    let body = json!({"user_principal_name": "ann@contoso.onmicrosoft.com"});
    let person = read(h.client.post(url).json(&body).send().await.unwrap()).await.body;
    let token = person["access_token"].as_str().unwrap();
    let path = format!("/applications(appId='{APP}')/addPassword");
    let seen = h.graph_as(token, Method::POST, &path, Some(json!({}))).await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.body);
    let audit = &audits(&h).await[0]["initiatedBy"];
    assert_eq!(audit["app"], Value::Null);
    assert_eq!(audit["user"]["userPrincipalName"], "ann@contoso.onmicrosoft.com");
    assert_eq!(audit["user"]["id"], person["id"]);
}

#[tokio::test]
async fn entries_come_late_and_in_their_own_order() {
    let faults = |seconds| Faults {
        lag: Lag { directory_audits: Delay::between(seconds, seconds), ..Lag::default() },
        ..Faults::default()
    };
    let h = Harness::build(Emulator::builder().seed(one_application()).faults(faults(600.0))).await;
    h.add_password(APP).await;
    h.emulator.set_faults(Faults::default()).unwrap();
    h.emulator.advance(60);
    h.add_password(APP).await;
    assert_eq!(audits(&h).await.len(), 1, "the later change is there first");
    h.emulator.advance(600);
    let late = audits(&h).await;
    assert_eq!(late.len(), 2);
    assert!(late[0]["activityDateTime"].as_str() < late[1]["activityDateTime"].as_str());
}

#[tokio::test]
async fn audits_are_filtered_and_paged() {
    let h = Harness::start(one_application()).await;
    for _ in 0..5 {
        h.add_password(APP).await;
        h.emulator.advance(60);
    }
    let all = audits(&h).await;
    let third = all[2]["activityDateTime"].as_str().unwrap();
    h.emulator.advance(10);
    let filter = format!("activityDateTime ge {third} and category eq 'ApplicationManagement'");
    let url = format!("{AUDITS}?$filter={filter}&$orderby=activityDateTime&$top=2");
    let first = h.get(&url).await;
    assert_eq!(values(&first.body), &all[2..4]);
    let next = h.get(first.body["@odata.nextLink"].as_str().unwrap()).await;
    assert_eq!(values(&next.body), &all[4..]);
    assert_eq!(next.body["@odata.nextLink"], Value::Null);
    for (filter, expected) in [
        (format!("activityDisplayName eq '{APPLICATION_KEYS}'"), 5),
        (format!("activityDisplayName eq '{}'", APPLICATION_KEYS.trim_end()), 0),
        (format!("activityDateTime gt {third}"), 2),
    ] {
        h.emulator.advance(10);
        let seen = h.get(&format!("{AUDITS}?$filter={filter}")).await;
        assert_eq!(values(&seen.body).len(), expected, "{filter}");
    }
    h.emulator.advance(10);
    for wrong in ["result eq", "nonsense eq 'x'", "not (id eq 'x')"] {
        let seen = h.get(&format!("{AUDITS}?$filter={wrong}")).await;
        assert_eq!(seen.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn reports_are_rationed_and_need_their_permission() {
    let h = Harness::start(seed(&format!(
        "applications:\n- {{app_id: {APP}, display_name: one, passwords: [{{secret: {SECRET}, start: -10d}}], \
         roles: [{}, {}]}}\n",
        Permission::ApplicationReadWriteAll.name(),
        Permission::AuditLogReadAll.name(),
    )))
    .await;
    let token = h.token_of(&APP.to_string(), SECRET).await;
    let seen = h.graph_as(&token, Method::GET, AUDITS, None).await;
    assert_eq!((seen.status, seen.code()), (StatusCode::FORBIDDEN, "Authorization_RequestDenied"));
    for _ in 0..5 {
        assert_eq!(h.get(AUDITS).await.status, StatusCode::OK);
    }
    let seen = h.get(AUDITS).await;
    assert_eq!(seen.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(seen.header("retry-after").parse::<u64>().unwrap() <= 10);
    h.emulator.advance(10);
    assert_eq!(h.get(AUDITS).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_report_of_sign_ins_is_late_filtered_and_paged() {
    let lag = Lag { sign_in_activity: Delay::between(1800.0, 1800.0), ..Lag::default() };
    let h = Harness::build(Emulator::builder().seed(one_application())).await;
    let report = format!("{}/beta/reports/appCredentialSignInActivities", h.at.graph);
    h.token_of(&APP.to_string(), SECRET).await;
    let mine = format!("{report}?$filter=appId eq '{APP}'");
    let first = h.get(&mine).await;
    assert_eq!(values(&first.body).len(), 1);
    h.emulator.set_faults(Faults { lag, ..Faults::default() }).unwrap();
    h.emulator.advance(60);
    h.token_of(&APP.to_string(), SECRET).await;
    assert_eq!(values(&h.get(&mine).await.body), values(&first.body), "not yet");
    h.emulator.advance(1800);
    let later = h.get(&mine).await;
    assert_ne!(values(&later.body), values(&first.body));
    let key = later.body["value"][0]["keyId"].as_str().unwrap();
    let by_key = h.get(&format!("{report}?$filter=keyId eq '{key}'")).await;
    assert_eq!(values(&by_key.body), values(&later.body));
    h.emulator.advance(10);
    let page = h.get(&format!("{report}?$top=1")).await;
    let next = h.get(page.body["@odata.nextLink"].as_str().unwrap()).await;
    assert_eq!((values(&page.body).len(), values(&next.body).len()), (1, 1));
    assert!(h.get("/reports/appCredentialSignInActivities").await.status.is_client_error());
}

#[tokio::test]
async fn a_tenant_without_a_premium_licence_has_neither_and_all_else() {
    let h = Harness::start(one_application()).await;
    let rules = vec![Rule::new(FaultKind::NoPremiumLicense)];
    h.emulator.set_faults(Faults { rules, ..Faults::default() }).unwrap();
    let report = format!("{}/beta/reports/appCredentialSignInActivities", h.at.graph);
    for url in [AUDITS, &report] {
        let seen = h.get(url).await;
        assert_eq!(seen.status, StatusCode::FORBIDDEN);
        let error = &seen.body["error"];
        assert_eq!(error["code"], "Authentication_RequestFromNonPremiumTenantOrB2CTenant");
        let said = "Neither tenant is B2C or tenant doesn't have premium license";
        assert_eq!(error["message"], said);
    }
    assert_eq!(h.get("/applications").await.status, StatusCode::OK);
    assert_eq!(h.add_password(APP).await.status, StatusCode::OK);
}
