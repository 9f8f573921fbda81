//! Whatever comes from outside is refused or read: no panic, no endless work, no secret told.
//!
//! `make fuzz` runs each `fuzz_…` for minutes; `cargo test` runs as many cases as `PROPTEST_CASES` says.

#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod answers;
mod material;
mod parsers;
mod regressions;
mod requests;
mod stand_in;
