//! Decides what a request to rotate becomes: a new rotation, the resumption of one, or a refusal.

use keywheel_core::engine::inspect::Inspection;
use keywheel_core::ids::{KeyId, RotationId, Token, VersionId};
use keywheel_core::manifest::Credential;
use keywheel_core::rotation::finding::Finding;
use keywheel_core::rotation::plan::{Reason, Work};
use keywheel_core::rotation::{SecretState, Stop};
use uuid::Uuid;

use super::unremovable::Unremovable;
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

const BY_HAND: &str = "remove a key that nobody needs in Entra, or name a foreign key under `retire_keys`: none of the keys is Keywheel's past one";

/// The rotation that is to be queued.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// The rotation, and the version that it makes.
    pub(super) rotation: Token,
    /// The current version; `None`: the secret has no value yet.
    pub(super) replaces: Option<VersionId>,
    /// The current version's key, where a label names the key.
    pub(super) old_key: Option<KeyId>,
    /// Whether the rotation was under way before.
    pub(super) resumed: bool,
    /// Why the old key, which was to be removed at once, cannot be removed.
    pub(super) unremovable: Option<Unremovable>,
}

/// Decides by a fresh inspection. Whatever stops a sweep stops a request too.
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
        let no_room = Finding::Stopped(Stop::NoRoomForKey);
        let refuses = |found: &&Finding| {
            matches!(found, Finding::Stopped(_) | Finding::ObjectIdGiven(..)) && **found != no_room
        };
        if let Some(found) = inspection.plan.findings.iter().find(refuses) {
            return Err(refusal(credential, found));
        }
        if !inspection.has_room(revoke_old) {
            let refusal = refusal(credential, &no_room);
            // Without a past key of ours, neither time nor `--now-revoke-old` makes room.
            let cure = (!inspection.has_room(true)).then(|| BY_HAND.to_owned());
            return Err(Failure { cure: cure.or(refusal.cure), ..refusal });
        }
    }
    // Nobody asked to finish an earlier promotion's record, and a new rotation finishes that record as well.
    let under_way =
        planned.filter(|(_, reason)| *reason != Reason::Record).and_then(|(rotation, _)| rotation);
    let view = match &inspection.secret {
        SecretState::Present(view) => Some(view),
        _ => None,
    };
    let current = view.and_then(|view| view.current());
    let old_key = view.and_then(|view| view.key_of(current?));
    let unremovable = || Unremovable::of(current, old_key, inspection.principal.as_ref());
    Ok(Decision {
        resumed: under_way.is_some(),
        rotation: under_way.unwrap_or_else(|| RotationId(Uuid::new_v4()).into()),
        replaces: current.cloned(),
        old_key,
        unremovable: revoke_old.then(unremovable).flatten(),
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

/// Warns before anything is changed that the old key will not be removed.
pub(super) fn warn(credential: &Credential, decision: &Decision, terminal: &Terminal) {
    if let Some(unremovable) = decision.unremovable {
        let name = &credential.name;
        terminal.note(&format!("warning: {name} can be rotated, but {}", unremovable.why()));
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
            "the removal of the old key is not confirmed; nothing was queued",
            "leave --now-revoke-old out to keep the old key for its overlap",
        )),
        None => Err(Failure::new(
            Exit::Usage,
            "--now-revoke-old must be confirmed, and there is no terminal to ask the question on",
            "add --yes",
        )),
    }
}

fn question(credential: &Credential, decision: &Decision) -> String {
    let name = &credential.name;
    if decision.unremovable.is_some() {
        return format!(
            "{name}: the secret is replaced all the same. The old key stays unless Keywheel finds it after all. Go on?"
        );
    }
    let key = decision.old_key.map(|key| format!(" {key}"));
    format!(
        "{name}: the old key{} is removed as soon as the new secret is current. Whoever has not read the new \
         secret by then is locked out. Go on?",
        key.unwrap_or_default()
    )
}
