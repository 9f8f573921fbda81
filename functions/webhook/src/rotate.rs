//! `POST /rotate`: a system asks, signed as Standard Webhooks says.

use chrono::{DateTime, Utc};
use http::{HeaderValue, Request, Response, StatusCode, header::LOCATION};
use keywheel_core::ids::{CredentialName, RotationId};
use keywheel_core::manifest::Credential;
use keywheel_core::request::delivery::{Delivery, Requested, SCHEMA, Verdict};
use keywheel_core::request::permission::{Caller, Decision, decide};
use keywheel_core::request::request_id;
use keywheel_core::request::signature::{Unsigned, verify_webhook};
use keywheel_core::request::webhook::{Rotate, RotationPath};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::Serialize;

use crate::answer::{Refused, ok};
use crate::{Webhook, header};

/// What a path's segment holds as it is.
const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A rotation that is queued.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Accepted {
    /// Its id.
    rotation: RotationId,
    /// The credential.
    credential: CredentialName,
    /// Where it tells how it stands.
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

/// A system that signed.
pub(crate) struct Signer {
    pub(crate) key: String,
    pub(crate) id: String,
    pub(crate) sent_at: DateTime<Utc>,
}

impl Webhook {
    /// Whose keys sign this content.
    pub(crate) async fn signer(
        &self,
        request: &Request<Vec<u8>>,
        content: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Signer, Refused> {
        let id = header(request, "webhook-id");
        let (timestamp, codes) =
            (header(request, "webhook-timestamp"), header(request, "webhook-signature"));
        let (key, sent_at) = self
            .keys
            .verify(|keys| {
                // All names are tried: how long it takes tells nothing of whose keys fit.
                let verified = keys.webhooks.iter().map(|(name, keys)| {
                    verify_webhook(keys, id, timestamp, codes, content, now)
                        .map(|at| (name.clone(), at))
                });
                let verified: Vec<_> = verified.collect();
                verified.into_iter().find_map(Result::ok).ok_or(Unsigned)
            })
            .await?;
        self.limiter.count(&format!("webhook:{key}"), now).map_err(Refused::TooOften)?;
        Ok(Signer { key, id: id.to_owned(), sent_at })
    }

    pub(crate) async fn rotate(
        &self,
        request: &Request<Vec<u8>>,
        now: DateTime<Utc>,
    ) -> Result<Response<String>, Refused> {
        let signer = self.signer(request, request.body(), now).await?;
        let wanted = Rotate::parse(request.body())
            .map_err(|malformed| Refused::Malformed(malformed.to_string()))?;
        let manifest = self.manifest().await?;
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
        match self.verdict("webhook", id, &delivery).await? {
            Verdict::GoOn => {}
            Verdict::Repeated => return Ok(Accepted::response(credential, id)),
            Verdict::Replayed => return Err(replayed(Some(id))),
            Verdict::Conflict => {
                let detail = "another request with this webhook-id came before".to_owned();
                return Err(Refused::Conflict { detail, rotation: None });
            }
        }
        let asked = match self.requests.noted(id).await? {
            Some(noted) => noted,
            None => Requested {
                schema: SCHEMA,
                request: id,
                credential: credential.name.clone(),
                application: credential.application,
                requested_by: caller.to_string(),
                reason: wanted.reason,
                revoke_old: wanted.revoke_old,
                requested_at: now,
                replaces: self.requests.replaced(&managed).await?,
                approved_by: None,
                approved_at: None,
                slack: None,
            },
        };
        self.requests.begin(credential, asked, now).await?;
        Ok(Accepted::response(credential, id))
    }
}

/// The same for a credential that is not there and one that is not the caller's.
fn unknown() -> Refused {
    Refused::Forbidden("the manifest allows these keys no credential of this name".to_owned())
}

pub(crate) fn replayed(rotation: Option<RotationId>) -> Refused {
    Refused::Conflict {
        detail: "this very request was received and done before".to_owned(),
        rotation,
    }
}

/// The rotation that a path names, whether it came encoded or not.
pub(crate) fn rotation_path(rest: &str) -> Option<RotationPath> {
    let decoded = percent_encoding::percent_decode_str(rest).decode_utf8().ok()?;
    RotationPath::parse(&decoded)
}
