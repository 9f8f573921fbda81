//! How one credential stands: as JSON, and in words.

use chrono::{DateTime, Utc};
use keywheel_core::engine::EngineError;
use keywheel_core::engine::inspect::Inspection;
use keywheel_core::ids::{AppId, CredentialName, KeyId, VersionId};
use keywheel_core::manifest::Credential;
use keywheel_core::rotation::plan::Trigger;
use keywheel_core::rotation::version_state::VersionState;
use keywheel_core::rotation::{Key, SecretState, SecretView};
use serde::Serialize;

use crate::commands::failed_jobs::{FailedJob, summary};
use crate::exit::Failure;
use crate::report::{FindingReport, WorkReport};
use crate::text::{Stamp, plain, relative};

/// How one credential stands.
#[derive(Debug, Serialize)]
pub(super) struct CredentialStatus {
    pub(super) credential: CredentialName,
    application: AppId,
    pub(super) secret: String,
    trigger: &'static str,
    /// `present`, `missing`, `scheduled-for-deletion`; `None` if the credential could not be read.
    state: Option<&'static str>,
    /// When the credential was read, by Graph's clock.
    read_at: Option<Stamp>,
    current: Option<Current>,
    pending: Option<Pending>,
    overlap: Vec<OldKey>,
    due: Vec<WorkReport>,
    pub(super) findings: Vec<FindingReport>,
    /// `None`: the dead letters cannot be read.
    failed_jobs: Option<Vec<FailedJob>>,
    /// Why the credential could not be read.
    pub(super) error: Option<String>,
    #[serde(skip)]
    now: DateTime<Utc>,
}

/// The version under `AWSCURRENT`.
#[derive(Debug, Serialize)]
struct Current {
    version: VersionId,
    /// `None`: Keywheel did not store the version.
    key: Option<KeyId>,
    /// Since when the version is current.
    since: Option<Stamp>,
    /// When the key expires.
    expires: Option<Stamp>,
    /// Whether Graph shows the key.
    key_present: Option<bool>,
}

/// The rotation under `AWSPENDING`.
#[derive(Debug, Serialize)]
struct Pending {
    version: VersionId,
    key: Option<KeyId>,
}

/// A key that is out of use, or was never in use.
#[derive(Debug, Serialize)]
struct OldKey {
    /// `None`: no version holds the key.
    version: Option<VersionId>,
    key: KeyId,
    /// `past`: the version was current; `void`: its rotation was given up; `unclaimed`: cut off before its claim; `named`:
    /// somebody else's key that the manifest names for removal.
    was: &'static str,
    /// When a sweep may remove the key; `None`: the clock of its overlap does not run yet.
    goes: Option<Stamp>,
    expires: Option<Stamp>,
}

impl CredentialStatus {
    /// Puts together what a look at a credential showed.
    pub(super) fn new(
        credential: &Credential,
        inspection: Result<Inspection, EngineError>,
        failed_jobs: Option<Vec<FailedJob>>,
    ) -> Self {
        let mut status = Self {
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
            failed_jobs,
            error: None,
            now: Utc::now(),
        };
        match inspection {
            Ok(inspection) => status.fill(&inspection),
            Err(error) => status.error = Some(Failure::from(error).with_cure()),
        }
        status
    }

    fn fill(&mut self, inspection: &Inspection) {
        self.now = inspection.now;
        self.read_at = Some(Stamp(inspection.now));
        self.state = Some(match &inspection.secret {
            SecretState::Missing => "missing",
            SecretState::ScheduledForDeletion => "scheduled-for-deletion",
            SecretState::Present(_) => "present",
        });
        if let SecretState::Present(view) = &inspection.secret {
            self.current = view.current().map(|version| Current::new(inspection, view, version));
            self.pending = view
                .pending()
                .map(|version| Pending { version: version.clone(), key: view.key_of(version) });
            let versions = view.versions.keys();
            self.overlap =
                versions.filter_map(|version| OldKey::new(inspection, view, version)).collect();
        }
        self.overlap.extend(inspection.named_keys().into_iter().map(OldKey::named));
        self.due = inspection.plan.work.iter().map(WorkReport::from).collect();
        let report = |finding| {
            FindingReport::new(Some(self.credential.clone()), self.application, None, finding)
        };
        self.findings = inspection.plan.findings.iter().map(report).collect();
    }

    /// Says whether a rotation is due.
    pub(super) fn is_due(&self) -> bool {
        self.due.iter().any(|work| work.work == "rotate")
    }

    /// Says whether a finding keeps a rotation from going on or tells of a late one, or a job failed.
    pub(super) fn is_urgent(&self) -> bool {
        self.failure().is_some() || self.findings.iter().any(|finding| finding.is_urgent)
    }

    fn failure(&self) -> Option<String> {
        summary(self.failed_jobs.as_deref()?)
    }

    /// Names the current key, shortened for a table by `show`, or says why there is none.
    pub(super) fn key_text(&self, show: impl Fn(KeyId) -> String) -> String {
        match (&self.current, self.state) {
            (Some(current), _) => {
                current.key.map_or_else(|| "unknown: not stored by Keywheel".to_owned(), show)
            }
            (None, Some("missing")) => "no secret yet".to_owned(),
            (None, Some("scheduled-for-deletion")) => "scheduled for deletion".to_owned(),
            (None, _) => "no value yet".to_owned(),
        }
    }

    /// Says when the current key expires.
    pub(super) fn expiry_text(&self) -> String {
        let Some(current) = &self.current else { return String::new() };
        match (current.expires, current.key_present) {
            (Some(Stamp(end)), _) => relative(end, self.now),
            (None, Some(false)) => "its key is gone".to_owned(),
            (None, Some(true)) => "never".to_owned(),
            (None, None) => String::new(),
        }
    }

    /// Names the pending version, shortened.
    pub(super) fn pending_text(&self) -> String {
        self.pending.as_ref().map_or_else(String::new, |pending| short(&pending.version))
    }

    /// Names the old keys, shortened, and says when they are removed.
    pub(super) fn overlap_text(&self) -> String {
        let lines = self.overlap.iter().map(|old| old.text(&short(&old.key), self.now));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Lists the names of the findings, and says that a job failed.
    pub(super) fn findings_text(&self) -> String {
        let failed = self.failure().map(|_| "failed-job");
        let names = self.findings.iter().map(|finding| finding.finding).chain(failed);
        names.collect::<Vec<_>>().join("\n")
    }

    /// Describes the credential with whole ids, a line for each fact.
    pub(super) fn detail(&self) -> String {
        let mut lines = vec![
            self.credential.to_string(),
            field("application", &self.application.to_string()),
            field("secret", &self.secret),
            field("trigger", self.trigger),
        ];
        if let Some(error) = &self.error {
            lines.push(field("not read", error));
            return lines.join("\n");
        }
        lines.push(field("current key", &self.key_text(|key| key.to_string())));
        if let Some(current) = &self.current {
            lines.push(field("  version", &current.version.to_string()));
            let since = current.since.map(|since| since.to_string());
            lines.push(field("  since", since.as_deref().unwrap_or("not recorded")));
            let expiry = match &current.expires {
                Some(at) => format!("{at} ({})", self.expiry_text()),
                None => self.expiry_text(),
            };
            lines.push(field("  expires", &expiry));
        }
        if let Some(Pending { version, key }) = &self.pending {
            let key = key.map_or_else(|| "unknown".to_owned(), |key| key.to_string());
            lines.push(field("under way", &format!("version {version}, key {key}")));
        }
        let old = self.overlap.iter().map(|old| old.text(&old.key.to_string(), self.now));
        lines.extend(old.map(|text| field("old key", &text)));
        for FindingReport { finding, key, explanation, .. } in &self.findings {
            let key = key.map(|key| format!(" {key}")).unwrap_or_default();
            lines.push(field("finding", &format!("{finding}{key}: {explanation}")));
        }
        lines.extend(self.failure().map(|failure| field("failed", &failure)));
        lines.join("\n")
    }
}

impl Current {
    fn new(inspection: &Inspection, view: &SecretView, version: &VersionId) -> Self {
        let key = view.key_of(version);
        let principal = inspection.principal.as_ref();
        let found = key.and_then(|key| principal?.key(key));
        Self {
            version: version.clone(),
            key,
            since: view.since(version).map(Stamp),
            expires: found.and_then(|key| key.end).map(Stamp),
            key_present: key.map(|_| found.is_some()),
        }
    }
}

impl OldKey {
    fn new(inspection: &Inspection, view: &SecretView, version: &VersionId) -> Option<Self> {
        let key = view.key_of(version)?;
        let (was, goes) = match inspection.version_state(version)? {
            VersionState::InUse => return None,
            VersionState::Past(at) => ("past", Some(at)),
            VersionState::PastUnknown => ("past", None),
            VersionState::Void(at) => ("void", Some(at)),
            VersionState::Unclaimed => ("unclaimed", None),
        };
        let found = inspection.principal.as_ref().and_then(|principal| principal.key(key));
        Some(Self {
            version: Some(version.clone()),
            key,
            was,
            goes: goes.map(Stamp),
            expires: found.and_then(|key| key.end).map(Stamp),
        })
    }

    fn named((key, goes): (&Key, Option<DateTime<Utc>>)) -> Self {
        let (goes, expires) = (goes.map(Stamp), key.end.map(Stamp));
        Self { version: None, key: key.key_id, was: "named", goes, expires }
    }

    fn text(&self, key: &str, now: DateTime<Utc>) -> String {
        let when = match self.goes {
            Some(Stamp(at)) if at <= now => "goes with the next sweep".to_owned(),
            Some(Stamp(at)) => format!("goes {}", relative(at, now)),
            None => "no date of removal yet".to_owned(),
        };
        match self.was {
            "past" => format!("{key} {when}"),
            was => format!("{key} ({was}) {when}"),
        }
    }
}

/// Shortens an id to its beginning, which tells the id from its neighbours.
pub(super) fn short(id: &impl ToString) -> String {
    let start: String = id.to_string().chars().take(8).collect();
    format!("{}…", plain(&start))
}

fn field(name: &str, text: &str) -> String {
    format!("  {name:<12} {}", plain(text))
}
