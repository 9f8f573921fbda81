//! What `keywheel rotate` has to say in the end.

use chrono::{DateTime, Utc};
use keywheel_core::engine::inspect::Inspection;
use keywheel_core::ids::{AppId, KeyId, VersionId};
use keywheel_core::manifest::Credential;
use keywheel_core::queue::Job;
use keywheel_core::rotation::version_state::VersionState;
use serde::Serialize;

use super::decide::Decision;
use super::follow::{End, Follow, Passed};
use super::left::Left;
use crate::args::Rotate;
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;
use crate::text::{relative, stamp};
use keywheel_core::rotation::watch::Step;

/// The result as JSON.
#[derive(Debug, Default, Serialize)]
pub(super) struct Shape {
    /// As it was asked for where it is not known.
    credential: Option<String>,
    application: Option<AppId>,
    secret: Option<String>,
    /// `refused`, `queued`, `promoted`, `not-revoked`, `superseded`, `timed-out`, `failed`, `unreadable`,
    /// `interrupted`.
    outcome: &'static str,
    /// Why it was refused, failed, or is not known.
    why: Option<String>,
    /// The version that is (or will be) current; also the rotation's id.
    version: Option<VersionId>,
    /// Its key, once it is stored.
    key: Option<KeyId>,
    /// A rotation that was under way is resumed.
    resumed: bool,
    replaces: Option<VersionId>,
    old_key: Option<KeyId>,
    /// Why the old key, which was to go, is left: `unknown`, `not-found`.
    old_key_left: Option<Left>,
    revoke_old: &'static str,
    /// When a sweep may remove the old key; `null`: not known, or it is gone.
    old_key_goes: Option<String>,
    requested_by: Option<String>,
    steps: Vec<Passed>,
    #[serde(skip)]
    goes: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

fn revoke_old(args: &Rotate) -> &'static str {
    if args.now_revoke_old { "now" } else { "after-overlap" }
}

impl Shape {
    /// Nothing was queued.
    pub(super) fn refused(args: &Rotate, why: &Failure) -> Self {
        let cure = why.cure.as_ref().map(|cure| format!("; {cure}"));
        Self {
            credential: args.name.clone(),
            application: args.application,
            outcome: "refused",
            why: Some(format!("{}{}", why.what, cure.unwrap_or_default())),
            revoke_old: revoke_old(args),
            ..Self::default()
        }
    }

    /// The job is on the queue.
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
            outcome: "queued",
            why: decision.left.map(Left::why),
            version: Some(decision.rotation.clone().into()),
            resumed: decision.resumed,
            replaces: decision.replaces.clone(),
            old_key: decision.old_key,
            old_key_left: decision.left,
            revoke_old: revoke_old(args),
            requested_by: Some(job.requested_by.clone()),
            ..Self::default()
        }
    }

    /// Takes in how the following ended.
    pub(super) fn follow(&mut self, follow: &Follow<'_>, end: &End) {
        self.version = Some(follow.watch.version.clone());
        self.key = follow.key;
        self.steps.clone_from(&follow.passed);
        self.outcome = match end {
            End::Done => "promoted",
            End::Left(_) => "not-revoked",
            End::Superseded => "superseded",
            End::TimedOut => "timed-out",
            End::Failed(_) | End::Dead { .. } => "failed",
            End::Unreadable(_) => "unreadable",
            End::Interrupted => "interrupted",
        };
        self.why = match end {
            End::Failed(why) | End::Unreadable(why) => Some(why.clone()),
            End::Left(left) => Some(left.why()),
            End::Dead { why, arn } => Some(self.dead(why, arn)),
            End::TimedOut => Some(self.stuck(follow.blind.as_deref())),
            End::Done | End::Superseded | End::Interrupted => None,
        };
    }

    /// Takes in when the old key goes.
    pub(super) fn finish(&mut self, inspection: Option<&Inspection>, decision: &Decision) {
        let version_state = || inspection?.version_state(decision.replaces.as_ref()?);
        if let (Some(VersionState::Past(at)), Some(inspection)) = (version_state(), inspection) {
            self.old_key_goes = Some(stamp(at));
            self.goes = Some((at, inspection.now));
        }
    }

    /// A job that failed for good: how far it came, why it ended, and what to do.
    fn dead(&self, why: &str, arn: &str) -> String {
        let reached = match self.steps.last().map(|passed| passed.step) {
            Some(Step::Promoted | Step::Recorded | Step::Revoked) if self.revoke_old == "now" => {
                "The new secret is current, and the old key still works"
            }
            Some(Step::Promoted | Step::Recorded | Step::Revoked) => "The new secret is current",
            _ => "The current secret goes on working",
        };
        let why = why.trim_end_matches('.');
        format!(
            "its job failed for good and is a dead letter: {why}. {reached}. Mend the cause and then redrive the dead \
             letter: aws sqs start-message-move-task --source-arn {arn}"
        )
    }

    fn stuck(&self, blind: Option<&str>) -> String {
        let stuck = match self.steps.last().map(|passed| passed.step) {
            None | Some(Step::Queued) => {
                "no function has stored a new secret yet; look for the job in the dead-letter queue and in the \
                 rotate function's log"
            }
            Some(Step::Stored | Step::Claimed) => {
                "the new secret is stored and not proved yet; the rotate function's log says what it waits for"
            }
            Some(Step::Promoted | Step::Recorded | Step::Revoked) => {
                "the new secret is current, and what is left is not done yet; the rotate function's log says why"
            }
        };
        match blind {
            Some(failure) => {
                format!("{stuck}. Whether its job is a dead letter cannot be seen: {failure}")
            }
            None => stuck.to_owned(),
        }
    }

    /// Prints it, and ends the program with this exit.
    pub(super) fn tell(self, terminal: &Terminal, exit: Exit) -> Result<Exit, Failure> {
        if terminal.json {
            terminal.print_json(&self)?;
        } else if matches!(self.outcome, "queued" | "promoted" | "not-revoked" | "superseded") {
            terminal.print(&self.words())?;
        }
        let name = self.credential.unwrap_or_default();
        match (self.old_key_left, self.outcome) {
            (Some(left), "queued") => return Err(left.failure(&name, "queued")),
            (Some(left), "not-revoked") => return Err(left.failure(&name, "rotated")),
            _ => {}
        }
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
            _ => format!("{name} is queued, but how far it is cannot be read: {why}"),
        };
        let cure = format!("see how it stands: keywheel status {name}");
        Err(Failure::new(exit, what, cure))
    }

    fn words(&self) -> String {
        let text =
            |id: &Option<VersionId>| id.as_ref().map(ToString::to_string).unwrap_or_default();
        let name = self.credential.as_deref().unwrap_or_default();
        let version = text(&self.version);
        let first = match self.outcome {
            "queued" if self.resumed => format!("{name}: queued; resumes version {version}"),
            "queued" => format!("{name}: queued; it makes version {version}"),
            "superseded" => {
                format!("{name}: another rotation's version is current by now: {version}")
            }
            _ => format!("{name}: rotated; version {version} is current"),
        };
        let mut lines = vec![first];
        if let Some(key) = self.key {
            lines.push(format!("  new key  {key}"));
        }
        lines.extend(self.old_key_words());
        lines.join("\n")
    }

    fn old_key_words(&self) -> Option<String> {
        if self.old_key_left.is_some() {
            let key = self.old_key.map_or_else(|| "unknown".to_owned(), |key| key.to_string());
            return Some(format!("  old key  {key}, not removed"));
        }
        let key = self.old_key?;
        let goes = match (self.outcome, self.revoke_old, self.goes) {
            ("promoted", "now", _) => ", removed".to_owned(),
            (_, _, Some((at, now))) => format!(", goes {} ({})", relative(at, now), stamp(at)),
            _ => String::new(),
        };
        Some(format!("  old key  {key}{goes}"))
    }
}
