//! Telling people and their systems what happened: Slack, SNS, signed webhooks, and metrics.
//!
//! What is told and to whom is decided and written without I/O ([`Notice`], [`words`], [`slack`], [`sns`],
//! [`webhook`]); the [`Notifier`] sends it. Each event is told to each target at least once, and as a rule once:
//! what was told is marked in the state bucket, so that a target that fails is tried again alone.

mod digest;
mod error;
mod notice;
mod notifier;
mod progress;
mod secret;
mod send;
pub mod slack;
pub mod sns;
pub mod webhook;
pub mod words;

pub use digest::{Digest, Expiring};
pub use error::NotifyError;
pub use notice::{Notice, What};
pub use notifier::{Notifier, Outcome};
pub use progress::{Progress, Request, SlackRequest};
pub use secret::NotifySecret;
