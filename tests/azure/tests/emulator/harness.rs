//! A running emulator with a client, and the few calls that most tests make.

use std::time::Duration;

use azure_emulator::{Builder, Emulator, Endpoints, Seed};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) const APP: Uuid = Uuid::from_u128(0xa11);
pub(crate) const SECRET: &str = "first-secret-of-the-application-0123456";

pub(crate) struct Harness {
    pub(crate) emulator: Emulator,
    pub(crate) at: Endpoints,
    pub(crate) client: Client,
    token: String,
}

/// An answer that has been read.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Seen {
    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn aadsts(&self) -> u64 {
        self.body["error_codes"][0].as_u64().unwrap_or(0)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.body["value"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["displayName"].as_str().unwrap())
            .collect()
    }
}

pub(crate) fn seed(yaml: &str) -> Seed {
    Seed::parse(yaml).unwrap()
}

/// One application with one good secret.
pub(crate) fn one_application() -> Seed {
    seed(&format!(
        "applications:\n- {{app_id: {APP}, display_name: one, passwords: [{{secret: {SECRET}, start: -10d}}]}}\n"
    ))
}

impl Harness {
    pub(crate) async fn start(seed: Seed) -> Self {
        Self::build(Emulator::builder().seed(seed)).await
    }

    pub(crate) async fn build(builder: Builder) -> Self {
        let emulator = builder.start().await.unwrap();
        let authority = reqwest::Certificate::from_pem(emulator.ca_pem().as_bytes()).unwrap();
        let client = Client::builder()
            .tls_certs_only([authority])
            .no_proxy()
            .timeout(Duration::from_mins(1))
            .build()
            .unwrap();
        let at = emulator.endpoints();
        let mut harness = Self { emulator, at, client, token: String::new() };
        harness.token =
            harness.token_of(&harness.at.client_id.to_string(), &harness.at.client_secret).await;
        harness
    }

    pub(crate) async fn ask_token(&self, tenant: &str, form: &[(&str, &str)]) -> Seen {
        let url = format!("{}/{tenant}/oauth2/v2.0/token", self.at.authority);
        read(self.client.post(url).form(form).send().await.unwrap()).await
    }

    pub(crate) async fn sign_in(&self, client_id: &str, secret: &str) -> Seen {
        self.sign_in_for(client_id, secret, "https://graph.microsoft.com/.default").await
    }

    pub(crate) async fn sign_in_for(&self, client_id: &str, secret: &str, scope: &str) -> Seen {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_secret", secret),
            ("scope", scope),
        ];
        self.ask_token(&self.at.tenant.to_string(), &form).await
    }

    pub(crate) async fn token_of(&self, client_id: &str, secret: &str) -> String {
        let seen = self.sign_in(client_id, secret).await;
        assert_eq!(seen.status, StatusCode::OK, "{}", seen.body);
        seen.body["access_token"].as_str().unwrap().to_owned()
    }

    /// A request of the administrator's.
    pub(crate) async fn graph(&self, method: Method, path: &str, body: Option<Value>) -> Seen {
        self.graph_as(&self.token, method, path, body).await
    }

    pub(crate) async fn graph_as(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Seen {
        read(self.request(token, method, path, body).send().await.unwrap()).await
    }

    /// A request that may fail to be answered.
    pub(crate) fn admin_request(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::RequestBuilder {
        self.request(&self.token, method, path, body)
    }

    fn request(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::RequestBuilder {
        let url = if path.starts_with("https://") {
            path.to_owned()
        } else {
            format!("{}/v1.0{path}", self.at.graph)
        };
        let request = self.client.request(method, url).bearer_auth(token);
        match body {
            Some(body) => request.json(&body),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Seen {
        self.graph(Method::GET, path, None).await
    }

    /// With `ConsistencyLevel: eventual`.
    pub(crate) async fn get_eventual(&self, path: &str) -> Seen {
        let request =
            self.admin_request(Method::GET, path, None).header("ConsistencyLevel", "eventual");
        read(request.send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Seen {
        self.graph(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn add_password(&self, app: Uuid) -> Seen {
        self.post(
            &format!("/applications(appId='{app}')/addPassword"),
            json!({"passwordCredential": {"displayName": "k"}}),
        )
        .await
    }

    pub(crate) async fn remove_password(&self, app: Uuid, key: &str) -> Seen {
        self.post(&format!("/applications(appId='{app}')/removePassword"), json!({"keyId": key}))
            .await
    }

    /// The object id behind an appId, in truth.
    pub(crate) fn object_id(&self, kind: &str, app: Uuid) -> String {
        let state = self.emulator.state();
        let found = state[kind]
            .as_array()
            .unwrap()
            .iter()
            .find(|entity| entity["app_id"] == app.to_string());
        found.unwrap()["id"].as_str().unwrap().to_owned()
    }
}

pub(crate) async fn read(response: reqwest::Response) -> Seen {
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
    let body = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes).unwrap_or_else(|_| text())
    };
    Seen { status, headers, body }
}
