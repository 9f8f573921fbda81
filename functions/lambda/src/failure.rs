//! Why an event came to nothing, as Lambda tells it.

use std::fmt;

use keywheel_core::engine::EngineError;
use keywheel_core::engine::native::NativeError;
use keywheel_core::notify::NotifyError;
use keywheel_core::settings::Unset;
use tracing::error;

/// So much of a failure is told: what an event says of itself has no limit. Fifty problems of a manifest fit.
const LONGEST: usize = 16_000;

/// Why an event came to nothing, as Lambda tells it: `errorType` and `errorMessage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which part of Keywheel it was, such as `keywheel.graph`: for filters and alarms.
    pub kind: &'static str,
    /// What went wrong, with nothing secret.
    pub message: String,
}

impl Failure {
    /// An event of a shape that the function does not know.
    pub fn event(expected: &str) -> Self {
        Self::new("keywheel.event", expected)
    }

    /// A deployment that lacks something.
    pub fn setup(told: impl fmt::Display) -> Self {
        Self::new("keywheel.setup", told)
    }

    /// Puts itself into the log: what Lambda makes of it only whoever invoked the function sees.
    #[must_use]
    pub fn told(self) -> Self {
        error!(kind = self.kind, failure = self.message, "failed");
        self
    }

    fn new(kind: &'static str, told: impl fmt::Display) -> Self {
        Self { kind, message: told.to_string().chars().take(LONGEST).collect() }
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
            EngineError::Cursor(_) => "keywheel.cursors",
            EngineError::Format { .. } => "keywheel.format",
            EngineError::Manifest(_) | EngineError::Source(_) => "keywheel.manifest",
            EngineError::Setup(_) | EngineError::Unset(_) | EngineError::Account(_) => {
                "keywheel.setup"
            }
            EngineError::TextNotAtHand(_) | EngineError::CurrentNotFound(_) => "keywheel.engine",
        };
        Self::new(kind, error)
    }
}

impl From<Unset> for Failure {
    fn from(error: Unset) -> Self {
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
