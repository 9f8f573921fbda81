//! Everything in Keywheel that knows Graph, Secrets Manager or a rule.
//!
//! Layers point down only: [`rotation`] says what should happen (pure), `engine` makes it happen over
//! the thin clients, and the functions parse their trigger and call the engine.

#[cfg(test)]
extern crate self as keywheel_core;

pub mod asking;
pub mod audit;
pub mod azure;
pub mod cursors;
pub mod deployment;
pub mod engine;
pub mod events;
pub mod graph;
pub mod http;
pub mod identity;
pub mod ids;
pub mod manifest;
pub mod metrics;
pub mod notify;
mod null;
pub mod process;
pub mod queue;
pub mod request;
pub mod rotation;
pub mod secret;
pub mod secrets;
pub mod settings;
mod settings_secret;
pub mod sha256;
pub mod signing_key;
pub mod slack;
pub mod store;
mod unknown;
pub mod value;
