//! The environment variables of the functions and of the command-line tool.

/// A setting is missing, or cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// A variable that must be set is not set.
    #[error("{name} is not set; {}", cure(name))]
    Unset {
        /// The variable's name.
        name: &'static str,
    },
    /// A text names no place of a manifest.
    #[error("{text:?} names no manifest: {why}; write s3://bucket/key, ssm:/name or a path")]
    Manifest {
        /// The text.
        text: String,
        /// The reason.
        why: &'static str,
    },
    /// `KEYWHEEL_CURSORS` names no place.
    #[error("KEYWHEEL_CURSORS names no place for cursors; write s3://bucket/prefix/")]
    Cursors,
}

/// Says how to set a variable. The template sets all of them.
fn cure(name: &str) -> &'static str {
    match name {
        "KEYWHEEL_MANIFEST" => "give s3://bucket/key, ssm:/name or a path",
        "KEYWHEEL_QUEUE_URL" => "give the URL of the job queue",
        "KEYWHEEL_BUS" => "give the name of the event bus",
        "KEYWHEEL_STATE_BUCKET" => "give the name of the state bucket",
        "KEYWHEEL_NOTIFY_QUEUE_URL" => "give the URL of the queue of events",
        "KEYWHEEL_NOTIFY_SECRET" => "give the name of the secret with Slack's webhooks and keys",
        "KEYWHEEL_COMPARE_QUEUE_URL" => {
            "give the URL of the queue of comparisons: deploy with GitHubAlerts on"
        }
        "KEYWHEEL_AUDIT_BUCKET" | "KEYWHEEL_AUDIT_HEAD_BUCKET" => {
            "give the stack's output `AuditBucket` or `AuditHeadBucket`"
        }
        _ => "deploy the stack again",
    }
}

/// Reads a variable. An empty value counts as unset.
pub fn optional(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// Reads a variable that must be set.
pub fn required(name: &'static str) -> Result<String, SettingError> {
    optional(name).ok_or(SettingError::Unset { name })
}

/// Says whether `KEYWHEEL_ALLOW_LOOPBACK_HTTP` lets posts lead to this machine, for tests.
pub fn allow_loopback() -> bool {
    optional("KEYWHEEL_ALLOW_LOOPBACK_HTTP").as_deref() == Some("1")
}
