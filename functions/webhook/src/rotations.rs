//! `GET /rotations/{credential}/{id}`: how a rotation stands, by its secret's labels and its events.

use chrono::{DateTime, Utc};
use futures::future::try_join_all;
use http::{Request, Response, StatusCode};
use keywheel_core::events::{CloudEvent, EventType};
use keywheel_core::ids::{CredentialName, RotationId, VersionId};
use keywheel_core::queue::RevokeOld;
use keywheel_core::request::delivery::Requested;
use keywheel_core::request::permission::Caller;
use keywheel_core::request::webhook::RotationPath;
use keywheel_core::rotation::SecretState;
use keywheel_core::rotation::watch::{Seen, Step, Watch};
use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::Serialize;

use crate::Webhook;
use crate::answer::{Refused, ok, own_failure};

/// How far a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Progress {
    /// Another rotation's secret became current instead.
    Superseded,
    /// The rotation failed for good; the secret is as it was.
    Failed,
    /// The rotation has done this step.
    #[serde(untagged)]
    Step(Step),
}

/// How a rotation stands.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RotationStatus {
    /// The rotation's id.
    rotation: RotationId,
    /// The credential.
    credential: CredentialName,
    /// How far the rotation is.
    state: Progress,
    /// The version of the secret that the rotation makes, or that another rotation made in its place.
    version: VersionId,
    /// Who asked for the rotation.
    requested_by: String,
    /// When somebody asked for the rotation.
    requested_at: DateTime<Utc>,
    /// When the old key is removed.
    revoke_old: RevokeOld,
    /// The rotation's events, in the order of time.
    steps: Vec<StepTaken>,
}

/// An event of the rotation.
#[derive(Serialize, JsonSchema)]
struct StepTaken {
    /// The event's type.
    r#type: String,
    /// When the event happened.
    time: DateTime<Utc>,
}

impl Webhook {
    /// Tells whoever may rotate the credential how its rotation stands. The signature covers the path: there is no body.
    pub(crate) async fn rotation(
        &self,
        request: &Request<Vec<u8>>,
        rest: &str,
        now: DateTime<Utc>,
    ) -> Result<Response<String>, Refused> {
        // The path may be percent-encoded or not.
        let decoded = percent_decode_str(rest).decode_utf8().ok();
        let path = decoded.and_then(|path| RotationPath::parse(&path)).ok_or(Refused::NotFound)?;
        let signer = self.signer(request, path.signed().as_bytes(), now).await?;
        let manifest = self.requests.manifest().await?;
        let caller = Caller::Webhook { key: signer.key };
        let managed = manifest
            .by_name(&path.credential)
            .filter(|managed| managed.credential.settings.allow.names(&caller))
            .ok_or(Refused::NotFound)?;
        let credential = managed.credential;
        let asked = self.requests.noted(path.rotation).await?;
        let asked =
            asked.filter(|asked| asked.credential == credential.name).ok_or(Refused::NotFound)?;
        let described = async {
            let secrets = self.requests.secrets();
            secrets.describe(credential.secret.as_str()).await.map_err(own_failure)
        };
        let (described, events) = tokio::try_join!(described, self.events(asked.request))?;
        let (state, version) = progress(&asked, &described.state, &events);
        Ok(ok(
            StatusCode::OK,
            &RotationStatus {
                rotation: asked.request,
                credential: asked.credential,
                state,
                version,
                requested_by: asked.requested_by,
                requested_at: asked.requested_at,
                revoke_old: asked.revoke_old,
                steps: events
                    .into_iter()
                    .map(|event| StepTaken { r#type: event.kind.to_string(), time: event.time })
                    .collect(),
            },
        ))
    }

    /// Reads the events that were stored for this request.
    async fn events(&self, request: RotationId) -> Result<Vec<CloudEvent>, Refused> {
        let state = self.requests.state();
        let keys = state.list(&format!("progress/{request}/")).await.map_err(own_failure)?;
        let events = keys.iter().map(|key| state.read::<CloudEvent>(key));
        let events = try_join_all(events).await.map_err(own_failure)?;
        let mut events: Vec<_> = events.into_iter().flatten().collect();
        events.sort_by_key(|event| event.time);
        Ok(events)
    }
}

/// Works out by the secret's labels how far a rotation is, and which version is current or to be current.
///
/// Only an event says that a rotation failed for good, or that a key was removed. Labels do not: a label may be gone
/// because the key was not found, and a version that somebody stored by hand never had a label.
fn progress(
    asked: &Requested,
    state: &SecretState,
    events: &[CloudEvent],
) -> (Progress, VersionId) {
    let mut watch = Watch::new(asked.request.into(), asked.replaces.clone(), None);
    let seen = watch.see(state);
    let old_key_named = match (state, &asked.replaces) {
        (SecretState::Present(view), Some(replaced)) => view.key_of(replaced).is_some(),
        _ => false,
    };
    let happened = |kind: &EventType| events.iter().any(|event| event.kind == *kind);
    let revoked = asked.revoke_old == RevokeOld::Now
        && asked.replaces.is_some()
        && !old_key_named
        && happened(&EventType::KeyRemoved);
    let recorded = Progress::Step(if revoked { Step::Revoked } else { Step::Recorded });
    let progress = match seen {
        Seen::Step(step) if step < Step::Promoted && happened(&EventType::RotationFailed) => {
            Progress::Failed
        }
        Seen::Step(Step::Recorded | Step::Revoked) => recorded,
        Seen::Step(step) => Progress::Step(step),
        // A later rotation replaced this rotation's secret in its turn.
        Seen::Superseded(_) if happened(&EventType::RotationPromoted) => recorded,
        Seen::Superseded(_) => Progress::Superseded,
        Seen::Failed(_) => Progress::Failed,
    };
    (progress, watch.version)
}
