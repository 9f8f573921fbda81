//! The result of `keywheel rotate`.

use chrono::{DateTime, Utc};
use keywheel_core::engine::inspect::Inspection;
use keywheel_core::ids::{AppId, KeyId, VersionId};
use keywheel_core::manifest::Credential;
use keywheel_core::queue::{Job, RevokeOld};
use keywheel_core::rotation::version_state::VersionState;
use serde::Serialize;

use super::decision::Decision;
use super::follow::{End, Follow, Passed};
use super::unremovable::Unremovable;
use crate::args::Rotate;
use crate::exit::{Exit, Failure};
use crate::report::Report;
use crate::terminal::Terminal;
use crate::text::{Stamp, relative};

/// Says how a request to rotate ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    /// Nothing was queued.
    #[default]
    Refused,
    /// The job is queued and not followed.
    Queued,
    /// The new version is current, and the old key is removed if that was asked for.
    Promoted,
    /// A new version is current, and the old key, which was to be removed, stays.
    NotRevoked,
    /// Another rotation's version became current.
    Superseded,
    /// Nothing of that happened within the time.
    TimedOut,
    /// The rotation failed for good.
    Failed,
    /// How far the rotation is cannot be read.
    Unreadable,
    /// Ctrl-C ended the following.
    Interrupted,
}

impl Outcome {
    fn exit(self) -> Exit {
        match self {
            Self::Queued | Self::Promoted | Self::Superseded => Exit::Done,
            Self::TimedOut => Exit::TimedOut,
            Self::Refused | Self::Failed | Self::NotRevoked => Exit::Refused,
            Self::Unreadable => Exit::Failed,
            Self::Interrupted => Exit::Interrupted,
        }
    }
}

/// A request to rotate, and what became of it.
#[derive(Debug, Default, Serialize)]
pub(super) struct RotationResult {
    /// The credential's name; of an unknown credential, as it was asked for.
    credential: Option<String>,
    application: Option<AppId>,
    secret: Option<String>,
    outcome: Outcome,
    /// Why the outcome is not the one that was asked for.
    why: Option<String>,
    /// The version that is (or will be) current; its id is the rotation's too.
    version: Option<VersionId>,
    /// The version's key, once the version is stored.
    key: Option<KeyId>,
    /// Whether a rotation that was under way is resumed.
    resumed: bool,
    replaces: Option<VersionId>,
    old_key: Option<KeyId>,
    /// Why the old key, which was to be removed, stays.
    old_key_left: Option<Unremovable>,
    revoke_old: RevokeOld,
    /// When a sweep may remove the old key; `None`: not known, or the key is gone.
    old_key_goes: Option<Stamp>,
    requested_by: Option<String>,
    steps: Vec<Passed>,
    /// When `old_key_goes` was worked out, by Graph's clock.
    #[serde(skip)]
    now: DateTime<Utc>,
}

impl RotationResult {
    /// Describes a request for which nothing was queued.
    pub(super) fn refused(args: &Rotate, failure: &Failure) -> Self {
        Self {
            credential: args.name.clone(),
            application: args.application,
            why: Some(failure.with_cure()),
            revoke_old: args.revoke_old(),
            ..Self::default()
        }
    }

    /// Describes a request whose job is queued.
    pub(super) fn queued(
        credential: &Credential,
        decision: &Decision,
        job: &Job,
        args: &Rotate,
    ) -> Self {
        Self {
            credential: Some(credential.name.to_string()),
            application: Some(credential.application),
            secret: Some(credential.secret.to_string()),
            outcome: Outcome::Queued,
            why: decision.unremovable.map(Unremovable::why),
            version: Some(decision.rotation.clone().into()),
            resumed: decision.resumed,
            replaces: decision.replaces.clone(),
            old_key: decision.old_key,
            old_key_left: decision.unremovable,
            revoke_old: args.revoke_old(),
            requested_by: Some(job.requested_by.clone()),
            ..Self::default()
        }
    }

    /// Takes in how the following ended.
    pub(super) fn follow(&mut self, follow: Follow<'_>, end: End) {
        self.outcome = end.outcome;
        self.why = end.why;
        self.version = Some(follow.watch.version);
        self.key = follow.key;
        self.steps = follow.passed;
    }

    /// Takes in when the old key may be removed.
    pub(super) fn look_ahead(&mut self, inspection: &Inspection) {
        let replaced = self.replaces.as_ref();
        let state = replaced.and_then(|version| inspection.version_state(version));
        if let Some(VersionState::Past(at)) = state {
            self.old_key_goes = Some(Stamp(at));
            self.now = inspection.now;
        }
    }

    /// Prints the result and ends the program.
    pub(super) fn tell(self, terminal: &Terminal) -> Result<Exit, Failure> {
        use Outcome::{NotRevoked, Promoted, Queued, Superseded};
        if terminal.json || matches!(self.outcome, Queued | Promoted | NotRevoked | Superseded) {
            terminal.show(&self)?;
        }
        let name = self.credential.unwrap_or_default();
        match (self.old_key_left, self.outcome) {
            (Some(unremovable), Queued) => return Err(unremovable.failure(&name, "queued")),
            (Some(unremovable), NotRevoked) => return Err(unremovable.failure(&name, "rotated")),
            _ => {}
        }
        let exit = self.outcome.exit();
        let Some(why) = self.why else {
            if exit == Exit::Interrupted {
                terminal.note("interrupted; the job is on the queue and goes on");
                terminal.note(&format!("  see: keywheel status {name}"));
            }
            return Ok(exit);
        };
        let what = match exit {
            Exit::TimedOut => format!("{name} is still under way: {why}"),
            Exit::Refused => format!("{name} is not rotated as asked: {why}"),
            _ => format!("{name} is queued, but how far the rotation is cannot be read: {why}"),
        };
        let cure = format!("see how the credential stands: keywheel status {name}");
        Err(Failure::new(exit, what, cure))
    }

    fn old_key_text(&self) -> Option<String> {
        if self.old_key_left.is_some() {
            let key = self.old_key.map_or_else(|| "unknown".to_owned(), |key| key.to_string());
            return Some(format!("{key}, not removed"));
        }
        let key = self.old_key?;
        Some(match (self.outcome, self.revoke_old, self.old_key_goes) {
            (Outcome::Promoted, RevokeOld::Now, _) => format!("{key}, removed"),
            (_, _, Some(at)) => format!("{key}, goes {} ({at})", relative(at.0, self.now)),
            _ => key.to_string(),
        })
    }
}

impl Report for RotationResult {
    fn print(&self, terminal: &Terminal) -> Result<(), Failure> {
        let name = self.credential.as_deref().unwrap_or_default();
        let version = self.version.as_ref().map(ToString::to_string).unwrap_or_default();
        terminal.print(&match self.outcome {
            Outcome::Queued if self.resumed => format!("{name}: queued; resumes version {version}"),
            Outcome::Queued => format!("{name}: queued; makes version {version}"),
            Outcome::Superseded => {
                format!("{name}: another rotation's version is current by now: {version}")
            }
            _ => format!("{name}: rotated; version {version} is current"),
        })?;
        if let Some(key) = self.key {
            terminal.print(&format!("  new key  {key}"))?;
        }
        if let Some(old_key) = self.old_key_text() {
            terminal.print(&format!("  old key  {old_key}"))?;
        }
        Ok(())
    }
}
