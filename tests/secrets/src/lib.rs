//! The file that Keywheel keeps secrets with, compiled alone.

#[path = "../../../functions/core/src/secret.rs"]
pub mod secret;
