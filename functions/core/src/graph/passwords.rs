//! Adds and removes keys: `addPassword`, `removePassword`.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::{CallOptions, Graph, GraphError, Kind, Object, reading, wire};
use crate::azure::{Call, request_id};
use crate::ids::KeyId;
use crate::secret::SecretText;

/// The least permission that a change of keys needs.
const PERMISSION: &str =
    "Application.ReadWrite.OwnedBy (and make Keywheel an owner), or Application.ReadWrite.All";

/// A new key with its text, which Graph shows only once.
#[derive(Debug)]
pub struct Added {
    /// `keyId`.
    pub key: KeyId,
    /// `secretText`.
    pub secret: SecretText,
    /// `startDateTime`.
    pub start: Option<DateTime<Utc>>,
    /// `endDateTime`.
    pub end: Option<DateTime<Utc>>,
    /// Graph's `request-id`.
    pub request_id: Option<String>,
}

/// The removal of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Graph's `request-id`.
    pub request_id: Option<String>,
    /// Whether an earlier try or somebody else had removed the key before.
    pub already_gone: bool,
}

impl Graph {
    /// Mints a key (`POST /{object}/addPassword`).
    ///
    /// The request has no `startDateTime`, because this machine's clock may be ahead of Graph's. The request is sent
    /// again only after an answer that proves that nothing was done (429, 409, 400 for concurrency), or if no
    /// connection was made. Any other failure that is not a plain refusal is [`Kind::AnswerLost`].
    pub async fn add_password(
        &self,
        object: Object,
        display_name: &str,
        end: DateTime<Utc>,
        options: &CallOptions,
    ) -> Result<Added, GraphError> {
        let end = end.to_rfc3339_opts(SecondsFormat::Secs, true);
        let body =
            json!({ "passwordCredential": { "displayName": display_name, "endDateTime": end } });
        let once = Some("a key may have been minted");
        let call = Call { once, ..self.changing("addPassword", object, body, options) };
        let answer = self.azure.call(&call).await?;
        let unusable = |why| self.azure.unusable(&call, &answer, why);
        // The error of serde may quote the text.
        let minted: wire::Minted = serde_json::from_slice(&answer.body)
            .map_err(|_| unusable("it is not a password credential with keyId and secretText"))?;
        let secret = SecretText::new(minted.secret_text);
        if secret.expose().is_empty() {
            return Err(unusable("its secretText is empty"));
        }
        Ok(Added {
            key: minted.key_id,
            secret,
            start: minted.start_date_time,
            end: minted.end_date_time,
            request_id: request_id(&answer),
        })
    }

    /// Removes a key (`POST /{object}/removePassword`). A key that is gone already counts as removed.
    ///
    /// The request is sent once, because a caller must check before another try that the key must still go. Graph at
    /// times answers 500 after doing the work, and then 400 (404 on some replicas) because the key is gone. But 400
    /// also has other meanings, and some replicas do not know a key that is seconds old. So the object is read before
    /// such an answer is believed.
    pub async fn remove_password(
        &self,
        object: Object,
        key: KeyId,
        options: &CallOptions,
    ) -> Result<Removed, GraphError> {
        let call = self.changing("removePassword", object, json!({ "keyId": key }), options);
        let error = match self.azure.attempt(&call).await {
            Ok(answer) => {
                return Ok(Removed { request_id: request_id(&answer), already_gone: false });
            }
            Err(error) => error,
        };
        let doubtful = matches!(error.kind(), Kind::NotFound)
            || (*error.kind() == Kind::Refused && matches!(error.status(), Some(400 | 404)));
        if !doubtful {
            return Err(error);
        }
        if self.holds(object, key, &options.further("read back")).await? {
            return Err(error.into_unavailable());
        }
        Ok(Removed { request_id: error.request_id().map(str::to_owned), already_gone: true })
    }

    /// Says whether a fresh read of the object shows the key. A missing object is an error.
    async fn holds(
        &self,
        object: Object,
        key: KeyId,
        options: &CallOptions,
    ) -> Result<bool, GraphError> {
        let object = object.to_string();
        let url = self.url(&object, &[("$select", wire::HOLDER)]);
        let holder: wire::Holder = self.azure.read(&reading("get", &object, url, options)).await?;
        Ok(holder.keys.iter().any(|held| held.key_id == key))
    }

    fn changing(
        &self,
        name: &'static str,
        object: Object,
        body: Value,
        options: &CallOptions,
    ) -> Call {
        let url = self.url(&format!("{object}/{name}"), &[]);
        Call::get(name, &object.to_string(), url, options).posting(body).needing(PERMISSION)
    }
}
