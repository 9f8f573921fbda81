//! How one credential stands: as JSON, and in words.

use chrono::{DateTime, Utc};
use keywheel_core::engine::EngineError;
use keywheel_core::engine::inspect::Inspection;
use keywheel_core::ids::{AppId, CredentialName, VersionId};
use keywheel_core::manifest::Credential;
use keywheel_core::rotation::finding::Finding;
use keywheel_core::rotation::plan::Trigger;
use keywheel_core::rotation::plan::Work;
use keywheel_core::rotation::version_state::VersionState;
use keywheel_core::rotation::{SecretState, SecretView};
use serde::Serialize;

use crate::exit::Failure;
use crate::shape::{FindingShape, WorkShape};
use crate::text::{plain, relative, stamp};

/// How one credential stands.
#[derive(Debug, Serialize)]
pub(super) struct CredentialStatus {
    pub(super) credential: CredentialName,
    application: AppId,
    pub(super) secret: String,
    trigger: &'static str,
    /// `present`, `missing`, `scheduled-for-deletion`; `null` where it could not be read.
    state: Option<&'static str>,
    /// When it was read, by Graph's clock.
    read_at: Option<String>,
    current: Option<Current>,
    pending: Option<Pending>,
    overlap: Vec<Old>,
    due: Vec<WorkShape>,
    pub(super) findings: Vec<FindingShape>,
    /// Why it could not be read.
    pub(super) error: Option<String>,
    #[serde(skip)]
    now: DateTime<Utc>,
    #[serde(skip)]
    rotation_is_due: bool,
    #[serde(skip)]
    stopped: bool,
}

/// The version under `AWSCURRENT`.
#[derive(Debug, Serialize)]
struct Current {
    version: VersionId,
    /// `null`: Keywheel did not store it.
    key: Option<String>,
    /// Since when it is current.
    since: Option<String>,
    /// When its key expires.
    expires: Option<String>,
    /// Whether Graph shows its key.
    key_present: Option<bool>,
    #[serde(skip)]
    end: Option<DateTime<Utc>>,
}

/// The rotation under `AWSPENDING`.
#[derive(Debug, Serialize)]
struct Pending {
    version: VersionId,
    key: Option<String>,
}

/// A key that is out of use, or was never in use.
#[derive(Debug, Serialize)]
struct Old {
    version: VersionId,
    key: String,
    /// `past`: it was current; `void`: its rotation was given up; `unclaimed`: cut off before its claim.
    was: &'static str,
    /// When a sweep may remove it; `null`: the clock of its overlap does not run yet.
    goes: Option<String>,
    expires: Option<String>,
    #[serde(skip)]
    at: Option<DateTime<Utc>>,
}

/// Puts together what a look at a credential showed.
pub(super) fn status(
    credential: &Credential,
    inspection: Result<Inspection, EngineError>,
) -> CredentialStatus {
    let mut status = CredentialStatus {
        credential: credential.name.clone(),
        application: credential.application,
        secret: credential.secret.to_string(),
        trigger: match credential.settings.trigger {
            Trigger::Sweep => "sweep",
            Trigger::Native => "native",
        },
        state: None,
        read_at: None,
        current: None,
        pending: None,
        overlap: Vec::new(),
        due: Vec::new(),
        findings: Vec::new(),
        error: None,
        now: Utc::now(),
        rotation_is_due: false,
        stopped: false,
    };
    match inspection {
        Ok(inspection) => status.fill(&inspection),
        Err(error) => {
            let Failure { what, cure, .. } = error.into();
            let cure = cure.map(|cure| format!("; {cure}"));
            status.error = Some(what + &cure.unwrap_or_default());
        }
    }
    status
}

impl CredentialStatus {
    fn fill(&mut self, inspection: &Inspection) {
        self.now = inspection.now;
        self.read_at = Some(stamp(inspection.now));
        self.state = Some(match &inspection.secret {
            SecretState::Missing => "missing",
            SecretState::ScheduledForDeletion => "scheduled-for-deletion",
            SecretState::Present(_) => "present",
        });
        if let SecretState::Present(view) = &inspection.secret {
            self.current = view.current().map(|version| current(inspection, view, version.clone()));
            self.pending = pending(view);
            let versions = view.versions.keys();
            self.overlap = versions.filter_map(|id| old(inspection, view, id)).collect();
        }
        self.due = inspection.plan.work.iter().map(WorkShape::from).collect();
        let rotates = |work: &Work| matches!(work, Work::Rotate { .. });
        self.rotation_is_due = inspection.plan.work.iter().any(rotates);
        let stops = |finding: &Finding| matches!(finding, Finding::Stopped(_));
        self.stopped = inspection.plan.findings.iter().any(stops);
        let shape =
            |finding| FindingShape::new(Some(&self.credential), self.application, None, finding);
        self.findings = inspection.plan.findings.iter().map(shape).collect();
    }

    pub(super) fn is_due(&self) -> bool {
        self.rotation_is_due
    }

    pub(super) fn has_stopped(&self) -> bool {
        self.stopped
    }

    pub(super) fn key_text(&self) -> String {
        match (&self.current, self.state) {
            (Some(current), _) => {
                current.key.clone().unwrap_or_else(|| "unknown: not stored by Keywheel".to_owned())
            }
            (None, Some("missing")) => "no secret yet".to_owned(),
            (None, Some("scheduled-for-deletion")) => "scheduled for deletion".to_owned(),
            (None, _) => "no value yet".to_owned(),
        }
    }

    /// The same for a table, where ids are cut: JSON and a credential's own page have them whole.
    pub(super) fn short_key_text(&self) -> String {
        let key = self.current.as_ref().and_then(|current| current.key.as_ref());
        match key {
            Some(key) => short(key),
            None if self.current.is_some() => "unknown".to_owned(),
            None => self.key_text(),
        }
    }

    pub(super) fn expiry_text(&self) -> String {
        let Some(current) = &self.current else {
            return String::new();
        };
        match (current.end, current.key_present) {
            (Some(end), _) => relative(end, self.now),
            (None, Some(false)) => "its key is gone".to_owned(),
            (None, Some(true)) => "never".to_owned(),
            (None, None) => String::new(),
        }
    }

    pub(super) fn pending_text(&self) -> String {
        let pending = self.pending.as_ref();
        pending.map_or_else(String::new, |pending| short(&pending.version.0))
    }

    pub(super) fn overlap_text(&self) -> String {
        let lines = self.overlap.iter().map(|old| old.text(&short(&old.key), self.now));
        lines.collect::<Vec<_>>().join("\n")
    }

    pub(super) fn findings_text(&self) -> String {
        let names: Vec<&str> = self.findings.iter().map(|one| one.finding).collect();
        names.join("\n")
    }

    /// All of it, a line each.
    pub(super) fn detail(&self) -> String {
        let mut lines = vec![
            format!("{}", self.credential),
            field("application", &self.application.to_string()),
            field("secret", &self.secret),
            field("trigger", self.trigger),
        ];
        if let Some(error) = &self.error {
            lines.push(field("not read", error));
            return lines.join("\n");
        }
        lines.push(field("current key", &self.key_text()));
        if let Some(current) = &self.current {
            lines.push(field("  version", &current.version.to_string()));
            let since = current.since.as_deref().unwrap_or("not recorded");
            lines.push(field("  since", since));
            let expiry = match &current.expires {
                Some(at) => format!("{at} ({})", self.expiry_text()),
                None => self.expiry_text(),
            };
            lines.push(field("  expires", &expiry));
        }
        if let Some(pending) = &self.pending {
            let key = pending.key.as_deref().unwrap_or("unknown");
            let text = format!("version {}, key {key}", pending.version);
            lines.push(field("under way", &text));
        }
        let old = self.overlap.iter().map(|old| old.text(&old.key, self.now));
        lines.extend(old.map(|text| field("old key", &text)));
        for finding in &self.findings {
            let key = finding.key.as_ref().map(|key| format!(" {key}"));
            let key = key.unwrap_or_default();
            let text = format!("{}{key}: {}", finding.finding, finding.explanation);
            lines.push(field("finding", &text));
        }
        lines.join("\n")
    }
}

impl Old {
    fn text(&self, key: &str, now: DateTime<Utc>) -> String {
        let when = match self.at {
            Some(at) if at <= now => "goes with the next sweep".to_owned(),
            Some(at) => format!("goes {}", relative(at, now)),
            None => "its clock does not run yet".to_owned(),
        };
        match self.was {
            "past" => format!("{key} {when}"),
            was => format!("{key} ({was}) {when}"),
        }
    }
}

/// The beginning of an id, enough to tell it from its neighbours.
fn short(id: &str) -> String {
    let start: String = id.chars().take(8).collect();
    format!("{}…", plain(&start))
}

fn field(name: &str, text: &str) -> String {
    format!("  {name:<12} {}", plain(text))
}

fn current(inspection: &Inspection, view: &SecretView, version: VersionId) -> Current {
    let key = view.key_of(&version);
    let principal = inspection.principal.as_ref();
    let found = key.and_then(|key| principal?.key(key));
    let end = found.and_then(|key| key.end);
    Current {
        since: view.since(&version).map(stamp),
        expires: end.map(stamp),
        key_present: key.map(|_| found.is_some()),
        key: key.map(|key| key.to_string()),
        version,
        end,
    }
}

fn pending(view: &SecretView) -> Option<Pending> {
    let version = view.pending()?;
    Some(Pending { key: view.key_of(version).map(|key| key.to_string()), version: version.clone() })
}

fn old(inspection: &Inspection, view: &SecretView, version: &VersionId) -> Option<Old> {
    let key = view.key_of(version)?;
    let (was, at) = match inspection.version_state(version)? {
        VersionState::InUse => return None,
        VersionState::Past(at) => ("past", Some(at)),
        VersionState::PastUnknown => ("past", None),
        VersionState::Void(at) => ("void", Some(at)),
        VersionState::Unclaimed => ("unclaimed", None),
    };
    let principal = inspection.principal.as_ref();
    let end = principal.and_then(|principal| principal.key(key)).and_then(|key| key.end);
    Some(Old {
        version: version.clone(),
        key: key.to_string(),
        was,
        goes: at.map(stamp),
        expires: end.map(stamp),
        at,
    })
}
