//! `POST /rotate`: a system asks for a rotation, signed as Standard Webhooks says.

use chrono::{DateTime, Utc};
use http::{HeaderValue, Request, Response, StatusCode, header::LOCATION};
use keywheel_core::ids::{CredentialName, RotationId};
use keywheel_core::manifest::Credential;
use keywheel_core::request::delivery::{Delivery, Verdict};
use keywheel_core::request::permission::{Caller, Decision, decide};
use keywheel_core::request::request_id;
use keywheel_core::request::signature::{Message, Unsigned, verify_webhook};
use keywheel_core::request::webhook::Rotate;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::Serialize;

use crate::answer::{Refused, ok};
use crate::{Webhook, header};

/// The characters of a path that are percent-encoded.
const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A rotation that is queued.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Accepted {
    /// The rotation's id.
    rotation: RotationId,
    /// The credential.
    credential: CredentialName,
    /// The path that tells how the rotation stands.
    location: String,
}

impl Accepted {
    fn response(credential: &Credential, rotation: RotationId) -> Response<String> {
        let location =
            format!("/rotations/{}/{rotation}", utf8_percent_encode(&credential.name.0, SEGMENT));
        let value = HeaderValue::from_str(&location);
        let accepted = Self { rotation, credential: credential.name.clone(), location };
        let mut response = ok(StatusCode::ACCEPTED, &accepted);
        if let Ok(value) = value {
            response.headers_mut().insert(LOCATION, value);
        }
        response
    }
}

/// A system that signed a request.
pub(crate) struct Signer {
    /// The name of the system's keys.
    pub(crate) key: String,
    /// The request's `webhook-id`.
    pub(crate) id: String,
    pub(crate) sent_at: DateTime<Utc>,
}

impl Webhook {
    /// Finds the system whose keys sign this content, and counts the request against the system's rate.
    pub(crate) async fn signer(
        &self,
        request: &Request<Vec<u8>>,
        content: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Signer, Refused> {
        let message = Message {
            id: header(request, "webhook-id"),
            timestamp: header(request, "webhook-timestamp"),
            signatures: header(request, "webhook-signature"),
            body: content,
        };
        let (key, sent_at) = self
            .keys
            .verify(|keys| {
                // Every name is tried, so that the time tells nothing of whose keys fit.
                let verified = keys.webhooks.iter().map(|(name, keys)| {
                    verify_webhook(keys, message, now).map(|at| (name.clone(), at))
                });
                let verified: Vec<_> = verified.collect();
                verified.into_iter().find_map(Result::ok).ok_or(Unsigned)
            })
            .await?;
        self.rate_limit.count(&format!("webhook:{key}"), now)?;
        Ok(Signer { key, id: message.id.to_owned(), sent_at })
    }

    /// Queues the rotation that a signed request asks for. The answer is the same however often the request is sent.
    pub(crate) async fn rotate(
        &self,
        request: &Request<Vec<u8>>,
        now: DateTime<Utc>,
    ) -> Result<Response<String>, Refused> {
        let signer = self.signer(request, request.body(), now).await?;
        let wanted = Rotate::parse(request.body()).map_err(Refused::malformed)?;
        let manifest = self.requests.manifest().await?;
        let caller = Caller::Webhook { key: signer.key.clone() };
        let managed = manifest.by_name(&wanted.credential).ok_or_else(unknown)?;
        let credential = &managed.credential;
        match decide(&caller, &credential.settings.allow, credential.settings.approval) {
            Decision::Begin => {}
            Decision::Refuse(why) if credential.settings.allow.names(&caller) => {
                return Err(Refused::Forbidden(why.to_string()));
            }
            _ => return Err(unknown()),
        }
        let id = request_id(&format!("webhook {}", signer.key), &signer.id);
        let delivery = Delivery::new(request.body(), Some(signer.sent_at), now);
        match self.verdict("webhook", id, id, &delivery).await? {
            Verdict::GoOn => {}
            Verdict::Repeated => return Ok(Accepted::response(credential, id)),
            Verdict::Replayed => return Err(Refused::replayed(Some(id))),
            Verdict::Conflict => {
                let detail = "another request with this webhook-id came before".to_owned();
                return Err(Refused::Conflict { detail, rotation: None });
            }
        }
        let asked = match self.requests.noted(id).await? {
            Some(noted) => noted,
            None => self.requested(id, &managed, &caller, wanted, now).await?,
        };
        self.requests.begin(credential, asked, now).await?;
        Ok(Accepted::response(credential, id))
    }
}

/// Refuses a credential that is not there, and in the same words a credential that is not the caller's.
fn unknown() -> Refused {
    Refused::Forbidden(
        "the manifest does not let these keys rotate a credential of this name".to_owned(),
    )
}
