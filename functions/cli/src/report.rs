//! Prints results, and holds the parts that several commands print. README.md documents the JSON: fields may be added,
//! none is taken away or changes its meaning.

use keywheel_core::ids::{AppId, CredentialName, KeyId, Token, VersionId};
use keywheel_core::rotation::finding::Finding;
use keywheel_core::rotation::plan::{Reason, Work};
use serde::Serialize;

use crate::exit::Failure;
use crate::terminal::Terminal;

/// A command's result: serialized for `--json`, in words for people.
pub(crate) trait Report: Serialize {
    /// Prints the result for people.
    fn print(&self, terminal: &Terminal) -> Result<(), Failure>;
}

/// A piece of work that a sweep would queue.
#[derive(Debug, Default, Serialize)]
pub(crate) struct WorkReport {
    /// `rotate`, `retire` or `resolve`.
    pub(crate) work: &'static str,
    /// Why a rotation is due; `None` for other work.
    pub(crate) reason: Option<Reason>,
    /// The rotation that is resumed, or that minted the key.
    pub(crate) rotation: Option<Token>,
    /// The version that is replaced.
    pub(crate) replaces: Option<VersionId>,
    /// The version whose key is removed.
    pub(crate) version: Option<VersionId>,
    /// The key that is removed.
    pub(crate) key: Option<KeyId>,
}

impl From<&Work> for WorkReport {
    fn from(work: &Work) -> Self {
        match work.clone() {
            Work::Rotate { rotation, replaces, reason } => {
                Self { work: "rotate", reason: Some(reason), rotation, replaces, ..Self::default() }
            }
            Work::Retire(target) => Self {
                work: "retire",
                version: target.version,
                key: Some(target.key),
                ..Self::default()
            },
            Work::Resolve { rotation, key } => Self {
                work: "resolve",
                rotation: Some(rotation),
                key: Some(key),
                ..Self::default()
            },
        }
    }
}

/// A finding about an application.
#[derive(Debug, Serialize)]
pub(crate) struct FindingReport {
    /// The credential, where the finding is about one.
    pub(crate) credential: Option<CredentialName>,
    /// The application's client id.
    pub(crate) application: AppId,
    /// The application's display name, where it was read.
    pub(crate) display_name: Option<String>,
    /// The finding's name, as in the event `keywheel.finding.<name>`.
    pub(crate) finding: &'static str,
    /// The key or certificate.
    pub(crate) key: Option<KeyId>,
    /// The meaning of the finding, and the action.
    pub(crate) explanation: String,
    /// Whether a rotation cannot go on, or is late.
    #[serde(skip)]
    pub(crate) is_urgent: bool,
}

impl FindingReport {
    /// Describes a finding about an application.
    pub(crate) fn new(
        credential: Option<CredentialName>,
        application: AppId,
        display_name: Option<String>,
        finding: &Finding,
    ) -> Self {
        Self {
            credential,
            application,
            display_name,
            finding: finding.name(),
            key: finding.key(),
            explanation: finding.explanation(),
            is_urgent: matches!(finding, Finding::Stopped(_) | Finding::NativeRotationLate(..)),
        }
    }
}

/// Says in a few words why a piece of work is due.
pub(crate) fn why(work: &Work) -> &'static str {
    match work {
        Work::Rotate { reason, .. } => match reason {
            Reason::First => "the secret has no value yet",
            Reason::Expiring => "the key expires soon, or has expired",
            Reason::KeyAbsent => "the key is not on the application any more",
            Reason::Resume => "a rotation is under way, or was cut off",
            Reason::Adopt => "the manifest adopts the secret",
            Reason::Record => "a promotion was cut off before its record",
            Reason::Requested => "somebody asked",
        },
        Work::Retire(target) if target.version.is_none() => "the manifest names the key",
        Work::Retire(_) => "the key's overlap is over, or its rotation was given up",
        Work::Resolve { .. } => "no version holds the key",
    }
}
