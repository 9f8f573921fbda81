//! Notifications: messages in Slack, mails of SNS, signed webhooks, and metrics.
//!
//! Messages are chosen and written without I/O ([`Notice`], [`words`], [`slack`], [`sns`], [`webhook`]). The
//! [`Notifier`] sends them. Each target is notified of each event at least once, and as a rule once: a marker in the
//! state bucket says which target knows an event, so that only a target that failed is tried again.

mod error;
mod measure;
mod notice;
mod notified;
mod notifier;
mod progress;
mod request_progress;
mod secret;
mod send;
pub mod slack;
pub mod sns;
mod targets;
pub mod webhook;
pub mod words;

pub use error::NotifyError;
pub use notice::{Content, Notice};
pub use notified::Notified;
pub use notifier::Notifier;
pub use progress::Progress;
pub use secret::NotifySecret;
