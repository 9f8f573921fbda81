//! What a request to rotate becomes: a new rotation, the resumption of one, or a refusal.

use keywheel_core::engine::look::Look;
use keywheel_core::ids::{KeyId, RotationId, VersionId};
use keywheel_core::manifest::Credential;
use keywheel_core::rotation::finding::Finding;
use keywheel_core::rotation::plan::{Reason, Work};
use keywheel_core::rotation::{SecretState, Stop};
use uuid::Uuid;

use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// What is to be queued.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// The rotation, and the version that it makes.
    pub(super) rotation: RotationId,
    /// The current version; `None`: there is none yet.
    pub(super) replaces: Option<VersionId>,
    /// The current version's key, where it is known.
    pub(super) old_key: Option<KeyId>,
    /// The rotation was under way before.
    pub(super) resumed: bool,
}

/// Decides by a fresh look, as a sweep would: what stops a sweep stops a request too.
pub(super) fn decide(credential: &Credential, look: &Look) -> Result<Decision, Failure> {
    let planned = look.plan.work.iter().find_map(|work| match work {
        Work::Rotate { rotation, reason, .. } => Some((*rotation, *reason)),
        _ => None,
    });
    if planned.is_none() {
        let mut findings = look.plan.findings.iter();
        if let Some(stop) = findings.find_map(stop) {
            return Err(refusal(credential, stop));
        }
    }
    // To finish an earlier promotion's record is not what was asked for; a new rotation does it as well.
    let under_way =
        planned.filter(|(_, reason)| *reason != Reason::Record).and_then(|(rotation, _)| rotation);
    let view = match &look.secret {
        SecretState::Present(view) => Some(view),
        _ => None,
    };
    let current = view.and_then(|view| view.current());
    Ok(Decision {
        rotation: under_way.unwrap_or_else(|| RotationId(Uuid::new_v4())),
        replaces: current.cloned(),
        old_key: view.and_then(|view| view.key_of(current?)),
        resumed: under_way.is_some(),
    })
}

fn stop(finding: &Finding) -> Option<Stop> {
    match finding {
        Finding::Stopped(stop) => Some(*stop),
        _ => None,
    }
}

fn refusal(credential: &Credential, stop: Stop) -> Failure {
    let explanation = stop.explanation();
    // The explanations have the form "what it is; what to do".
    let (cause, cure) = explanation.split_once("; ").unwrap_or((explanation, ""));
    let what = format!("{} is not rotated ({}): {cause}", credential.name, stop.name());
    Failure {
        exit: Exit::Refused,
        what,
        cure: Some(cure.to_owned()).filter(|cure| !cure.is_empty()),
    }
}

/// Asks before the old key is removed without an overlap.
pub(super) fn confirm(
    credential: &Credential,
    decision: &Decision,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let key = decision.old_key.map(|key| format!(" {key}"));
    let question = format!(
        "{}: the old key{} is removed as soon as the new secret is current. Whoever has not read the new \
         secret by then is locked out. Go on?",
        credential.name,
        key.unwrap_or_default()
    );
    match terminal.confirm(&question)? {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::new(
            Exit::Refused,
            "not confirmed; nothing was queued",
            "leave --now-revoke-old out to keep the old key for its overlap",
        )),
        None => Err(Failure::new(
            Exit::Usage,
            "--now-revoke-old must be confirmed, and there is no terminal to ask on",
            "add --yes",
        )),
    }
}
