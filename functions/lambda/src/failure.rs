//! The failure of an invocation, as Lambda reports it.

use std::fmt;

use keywheel_core::engine::EngineError;
use keywheel_core::engine::native::NativeError;
use keywheel_core::notify::NotifyError;
use keywheel_core::settings::SettingError;
use tracing::error;

/// The longest message, in characters. Fifty problems of a manifest fit.
const LONGEST: usize = 16_000;

/// The failure of an invocation: Lambda's `errorType` and `errorMessage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The part of Keywheel that failed, such as `keywheel.graph`, for filters and alarms.
    pub kind: &'static str,
    /// The cause. The text holds no secret.
    pub message: String,
}

impl Failure {
    /// Makes the failure of an event whose shape the function does not know.
    pub fn event(expected: &str) -> Self {
        Self::new("keywheel.event", expected)
    }

    /// Makes the failure of a deployment that lacks a part.
    pub fn setup(cause: impl fmt::Display) -> Self {
        Self::new("keywheel.setup", cause)
    }

    /// Writes the failure to the log. Lambda itself shows the failure only to the caller.
    #[must_use]
    pub(crate) fn logged(self) -> Self {
        error!(kind = self.kind, failure = self.message, "failed");
        self
    }

    fn new(kind: &'static str, cause: impl fmt::Display) -> Self {
        Self { kind, message: cause.to_string().chars().take(LONGEST).collect() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl std::error::Error for Failure {}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let kind = match &error {
            EngineError::OutOfTime => "keywheel.time",
            EngineError::Graph(_) | EngineError::Unreadable(_) => "keywheel.graph",
            EngineError::Secrets(_) => "keywheel.secrets",
            EngineError::Token(_) => "keywheel.token",
            EngineError::Identity(_) | EngineError::OwnSecret { .. } => "keywheel.identity",
            EngineError::Audit(_) => "keywheel.audit",
            EngineError::Queue(_) => "keywheel.queue",
            EngineError::Cursor(_) | EngineError::Setting(SettingError::Cursors) => {
                "keywheel.cursors"
            }
            EngineError::Format { .. } => "keywheel.format",
            EngineError::Manifest(_) | EngineError::Setting(SettingError::Manifest { .. }) => {
                "keywheel.manifest"
            }
            EngineError::Setup(_) | EngineError::Setting(_) | EngineError::Account(_) => {
                "keywheel.setup"
            }
            EngineError::TextNotAtHand(_) | EngineError::CurrentNotFound(_) => "keywheel.engine",
        };
        Self::new(kind, error)
    }
}

impl From<SettingError> for Failure {
    fn from(error: SettingError) -> Self {
        Self::setup(error)
    }
}

impl From<NotifyError> for Failure {
    fn from(error: NotifyError) -> Self {
        Self::new("keywheel.notify", error)
    }
}

impl From<NativeError> for Failure {
    fn from(error: NativeError) -> Self {
        match error {
            NativeError::Engine(error) => error.into(),
            other => Self::new("keywheel.rotation", other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_named_by_their_part_and_bounded() {
        let failure = Failure::from(NativeError::Engine(EngineError::OutOfTime));
        assert_eq!(failure.kind, "keywheel.time");
        let long = Failure::from(NativeError::Token("é".repeat(20_000)));
        assert_eq!((long.kind, long.message.chars().count()), ("keywheel.rotation", LONGEST));
    }
}
