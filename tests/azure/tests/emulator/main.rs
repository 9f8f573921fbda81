//! The emulator as clients see it: over real HTTPS.

// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad_days;
mod federation;
mod harness;
mod program;
mod reads;
mod replicas;
mod reports;
mod sign_in;
mod steering;
mod writes;
