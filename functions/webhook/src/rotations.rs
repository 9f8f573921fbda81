//! `GET /rotations/{credential}/{id}`: how a rotation stands, by its secret's labels and what was told of it.

use chrono::{DateTime, Utc};
use futures::future::try_join_all;
use http::{Request, Response, StatusCode};
use keywheel_core::events::{CloudEvent, EventType};
use keywheel_core::ids::{CredentialName, RotationId, VersionId};
use keywheel_core::queue::RevokeOld;
use keywheel_core::request::delivery::Requested;
use keywheel_core::request::permission::Caller;
use keywheel_core::rotation::SecretState;
use keywheel_core::rotation::watch::{Seen, Step, Watch};
use schemars::JsonSchema;
use serde::Serialize;

use crate::Webhook;
use crate::answer::{Refused, ok};
use crate::ask::ours;
use crate::rotate::rotation_path;

/// How far a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Progress {
    /// Its job is queued.
    Queued,
    /// A new key is minted, its secret stored.
    Stored,
    /// The new secret is being proved.
    Claimed,
    /// The new secret is current.
    Promoted,
    /// … and since when is written down: the old key's overlap runs.
    Recorded,
    /// … and the old key is removed, as was asked for.
    Revoked,
    /// Another rotation's secret became current instead.
    Superseded,
    /// It failed for good; the secret is as it was.
    Failed,
}

/// How a rotation stands.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RotationStatus {
    /// Its id.
    rotation: RotationId,
    /// The credential.
    credential: CredentialName,
    /// How far it is.
    state: Progress,
    /// The version of the secret that it makes, or that another made in its place.
    version: VersionId,
    /// Who asked for it.
    requested_by: String,
    /// When.
    requested_at: DateTime<Utc>,
    /// When the old key goes.
    revoke_old: RevokeOld,
    /// What was told of it, in the order of time.
    steps: Vec<StepTaken>,
}

/// A step that was told.
#[derive(Serialize, JsonSchema)]
struct StepTaken {
    /// The event's type.
    r#type: String,
    /// When.
    time: DateTime<Utc>,
}

impl Webhook {
    /// What is signed is the path: there is no body.
    pub(crate) async fn rotation(
        &self,
        request: &Request<Vec<u8>>,
        rest: &str,
        now: DateTime<Utc>,
    ) -> Result<Response<String>, Refused> {
        let path = rotation_path(rest).ok_or(Refused::NotFound)?;
        let signer = self.signer(request, path.signed().as_bytes(), now).await?;
        let manifest = self.manifest().await?;
        let caller = Caller::Webhook { key: signer.key };
        let managed = manifest
            .by_name(&path.credential)
            .filter(|managed| managed.credential.settings.allow.names(&caller))
            .ok_or(Refused::NotFound)?;
        let credential = managed.credential;
        let asked = self.requests.noted(path.rotation).await?;
        let asked =
            asked.filter(|asked| asked.credential == credential.name).ok_or(Refused::NotFound)?;
        let (described, told) = tokio::join!(
            self.requests.secrets().describe(credential.secret.as_str()),
            self.told(asked.request)
        );
        let (described, told) = (described.map_err(ours)?, told?);
        let (state, version) = progress(&asked, &described.state, &told);
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
                steps: told
                    .into_iter()
                    .map(|event| StepTaken { r#type: event.kind.to_string(), time: event.time })
                    .collect(),
            },
        ))
    }

    /// The events that were kept for this request.
    async fn told(&self, request: RotationId) -> Result<Vec<CloudEvent>, Refused> {
        let keys =
            self.requests.state().list(&format!("progress/{request}/")).await.map_err(ours)?;
        let events = keys.iter().map(|key| self.requests.state().read::<CloudEvent>(key));
        let mut events: Vec<_> =
            try_join_all(events).await.map_err(ours)?.into_iter().flatten().collect();
        events.sort_by_key(|event| event.time);
        Ok(events)
    }
}

/// By the labels; that it failed for good is only told, and that a key was removed: a label that is gone may be of a
/// key that was not found, and a version that somebody stored by hand never had one.
fn progress(asked: &Requested, state: &SecretState, told: &[CloudEvent]) -> (Progress, VersionId) {
    let mut watch = Watch::new(asked.request.into(), asked.replaces.clone(), None);
    let seen = watch.see(state);
    let old_key_named = match (state, &asked.replaces) {
        (SecretState::Present(view), Some(replaced)) => view.key_of(replaced).is_some(),
        _ => false,
    };
    let reached = |kind: &EventType| told.iter().any(|event| event.kind == *kind);
    let revoked = asked.revoke_old == RevokeOld::Now
        && asked.replaces.is_some()
        && !old_key_named
        && reached(&EventType::KeyRemoved);
    let mut progress = match seen {
        Seen::Step(Step::Queued) => Progress::Queued,
        Seen::Step(Step::Stored) => Progress::Stored,
        Seen::Step(Step::Claimed) => Progress::Claimed,
        Seen::Step(Step::Promoted) => Progress::Promoted,
        Seen::Step(Step::Recorded | Step::Revoked) if revoked => Progress::Revoked,
        Seen::Step(Step::Recorded | Step::Revoked) => Progress::Recorded,
        Seen::Superseded(_) => Progress::Superseded,
        Seen::Failed(_) => Progress::Failed,
    };
    let promoted = reached(&EventType::RotationPromoted);
    if progress == Progress::Superseded && promoted {
        // A later rotation took over from this one, in its turn.
        progress = if revoked { Progress::Revoked } else { Progress::Recorded };
    }
    let unfinished = matches!(progress, Progress::Queued | Progress::Stored | Progress::Claimed);
    if unfinished && reached(&EventType::RotationFailed) {
        progress = Progress::Failed;
    }
    (progress, watch.version)
}
