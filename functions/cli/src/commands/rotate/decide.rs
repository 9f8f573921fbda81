//! What a request to rotate becomes: a new rotation, the resumption of one, or a refusal.

use keywheel_core::engine::inspect::Inspection;
use keywheel_core::ids::{KeyId, RotationId, Token, VersionId};
use keywheel_core::manifest::Credential;
use keywheel_core::rotation::finding::Finding;
use keywheel_core::rotation::plan::{Reason, Work};
use keywheel_core::rotation::{SecretState, Stop};
use uuid::Uuid;

use super::left::Left;
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// What is to be queued.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// The rotation, and the version that it makes.
    pub(super) rotation: Token,
    /// The current version; `None`: there is none yet.
    pub(super) replaces: Option<VersionId>,
    /// The current version's key, where it is known.
    pub(super) old_key: Option<KeyId>,
    /// The rotation was under way before.
    pub(super) resumed: bool,
    /// The old key is wanted gone, and cannot be removed.
    pub(super) left: Option<Left>,
}

/// Decides by a fresh inspection, as a sweep would: what stops a sweep stops a request too.
pub(super) fn decide(
    credential: &Credential,
    inspection: &Inspection,
    revoke_old: bool,
) -> Result<Decision, Failure> {
    let planned = inspection.plan.work.iter().find_map(|work| match work {
        Work::Rotate { rotation, reason, .. } => Some((rotation.clone(), *reason)),
        _ => None,
    });
    if planned.is_none() {
        // Room for a new key is made where the old ones are to go at once.
        let refuses = |found: &&Finding| match found {
            Finding::Stopped(Stop::NoRoomForKey) => !revoke_old,
            Finding::Stopped(_) | Finding::ObjectIdGiven(..) => true,
            _ => false,
        };
        if let Some(found) = inspection.plan.findings.iter().find(refuses) {
            return Err(refusal(credential, found));
        }
    }
    // To finish an earlier promotion's record is not what was asked for; a new rotation does it as well.
    let under_way =
        planned.filter(|(_, reason)| *reason != Reason::Record).and_then(|(rotation, _)| rotation);
    let resumed = under_way.is_some();
    let view = match &inspection.secret {
        SecretState::Present(view) => Some(view),
        _ => None,
    };
    let current = view.and_then(|view| view.current());
    let old_key = view.and_then(|view| view.key_of(current?));
    let left = || Left::of(current, old_key, inspection.principal.as_ref());
    Ok(Decision {
        rotation: under_way.unwrap_or_else(|| RotationId(Uuid::new_v4()).into()),
        replaces: current.cloned(),
        old_key,
        resumed,
        left: revoke_old.then(left).flatten(),
    })
}

fn refusal(credential: &Credential, found: &Finding) -> Failure {
    let explanation = found.explanation();
    // The explanations have the form "what it is; what to do".
    let (cause, cure) = explanation.split_once("; ").unwrap_or((&explanation, ""));
    let what = format!("{} is not rotated ({}): {cause}", credential.name, found.name());
    Failure {
        exit: Exit::Refused,
        what,
        cure: Some(cure.to_owned()).filter(|cure| !cure.is_empty()),
    }
}

/// Says before anything is changed that the old key will be left.
pub(super) fn warn(credential: &Credential, decision: &Decision, terminal: &Terminal) {
    if let Some(left) = decision.left {
        let name = &credential.name;
        terminal.note(&format!("warning: {name} can be rotated, but {}", left.why()));
    }
}

/// Asks before the old key is removed without an overlap.
pub(super) fn confirm(
    credential: &Credential,
    decision: &Decision,
    terminal: &Terminal,
) -> Result<(), Failure> {
    match terminal.confirm(&question(credential, decision))? {
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

fn question(credential: &Credential, decision: &Decision) -> String {
    let name = &credential.name;
    if decision.left.is_some() {
        return format!(
            "{name}: the secret is replaced all the same, and the old key stays unless it is found after all. Go on?"
        );
    }
    let key = decision.old_key.map(|key| format!(" {key}"));
    format!(
        "{name}: the old key{} is removed as soon as the new secret is current. Whoever has not read the new \
         secret by then is locked out. Go on?",
        key.unwrap_or_default()
    )
}
