//! The parts of JSON results that several commands share. They are documented in README.md: fields may
//! be added, none is taken away or changes its meaning.

use keywheel_core::ids::{AppId, CredentialName};
use keywheel_core::rotation::finding::Finding;
use keywheel_core::rotation::plan::Work;
use serde::Serialize;

/// One thing that a sweep would queue.
#[derive(Debug, Serialize)]
pub(crate) struct WorkShape {
    /// `rotate`, `retire` or `resolve`.
    pub(crate) work: &'static str,
    /// Why, in one word for `rotate` (`expiring`, `key-absent`, …); `null` otherwise.
    pub(crate) reason: Option<serde_json::Value>,
    /// The rotation that is resumed, or that minted the key.
    pub(crate) rotation: Option<String>,
    /// The version that is replaced.
    pub(crate) replaces: Option<String>,
    /// The version whose key goes.
    pub(crate) version: Option<String>,
    /// The key that goes.
    pub(crate) key: Option<String>,
}

impl From<&Work> for WorkShape {
    fn from(work: &Work) -> Self {
        let mut shape = Self {
            work: "rotate",
            reason: None,
            rotation: None,
            replaces: None,
            version: None,
            key: None,
        };
        match work {
            Work::Rotate { rotation, replaces, reason } => {
                shape.reason = serde_json::to_value(reason).ok();
                shape.rotation = rotation.as_ref().map(ToString::to_string);
                shape.replaces = replaces.as_ref().map(ToString::to_string);
            }
            Work::Retire(target) => {
                shape.work = "retire";
                shape.version = target.version.as_ref().map(ToString::to_string);
                shape.key = Some(target.key.to_string());
            }
            Work::Resolve { rotation, key } => {
                shape.work = "resolve";
                shape.rotation = Some(rotation.to_string());
                shape.key = Some(key.to_string());
            }
        }
        shape
    }
}

/// Something seen and only reported.
#[derive(Debug, Serialize)]
pub(crate) struct FindingShape {
    /// The credential, where one is concerned.
    pub(crate) credential: Option<CredentialName>,
    /// The application.
    pub(crate) application: AppId,
    /// Its display name, where it was read.
    pub(crate) display_name: Option<String>,
    /// Its name, as in the event `keywheel.finding.<name>`.
    pub(crate) finding: &'static str,
    /// The key or certificate.
    pub(crate) key: Option<String>,
    /// What it means and what to do about it.
    pub(crate) explanation: String,
}

impl FindingShape {
    /// A finding about an application.
    pub(crate) fn new(
        credential: Option<&CredentialName>,
        application: AppId,
        display_name: Option<String>,
        finding: &Finding,
    ) -> Self {
        Self {
            credential: credential.cloned(),
            application,
            display_name,
            finding: finding.name(),
            key: finding.key().map(|key| key.to_string()),
            explanation: finding.explanation(),
        }
    }
}

/// Why a piece of work is due, in a few words.
pub(crate) fn why(work: &Work) -> &'static str {
    use keywheel_core::rotation::plan::Reason;
    match work {
        Work::Rotate { reason, .. } => match reason {
            Reason::First => "the secret has no value yet",
            Reason::Expiring => "the key expires soon, or has expired",
            Reason::KeyAbsent => "the key is not on the application any more",
            Reason::Resume => "a rotation was cut off",
            Reason::Adopt => "the manifest adopts it",
            Reason::Record => "a promotion was cut off before its record",
            Reason::Requested => "somebody asked",
        },
        Work::Retire(target) if target.version.is_none() => "the manifest names it",
        Work::Retire(_) => "its overlap is over, or its rotation was given up",
        Work::Resolve { .. } => "no version holds it",
    }
}
