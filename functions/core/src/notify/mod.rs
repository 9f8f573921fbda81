//! Telling people and their systems what happened: Slack, SNS, signed webhooks, and metrics.
//!
//! What is told and to whom is decided and written without I/O ([`Notice`], [`words`], [`slack`], [`sns`],
//! [`webhook`]); the [`Notifier`] sends it. Each event is told to each target at least once, and as a rule once:
//! what was told is marked in the state bucket, so that a target that fails is tried again alone.

mod error;
mod measure;
mod notice;
mod notifier;
mod outcome;
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
pub use notice::{Notice, What};
pub use notifier::Notifier;
pub use outcome::Outcome;
pub use progress::{Progress, Request, SlackRequest};
pub use secret::NotifySecret;
