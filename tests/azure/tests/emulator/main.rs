//! The emulator as clients see it: over real HTTPS.

mod bad_days;
mod federation;
mod harness;
mod program;
mod reads;
mod replicas;
mod sign_in;
mod writes;
