//! A process that holds secrets leaves nothing behind when it dies.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::process::{Command, Output};

/// Set in the process that is looked at: this program, run once more.
const ROLE: &str = "KEYWHEEL_TEST_ROLE";
const SECRET: &str = "~PLANTED-s3cr3t~";

fn run(test: &str, role: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ROLE, role)
        .env("RUST_BACKTRACE", "full")
        .output()
        .unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn core_dumps_are_off() {
    if std::env::var_os(ROLE).is_some() {
        keywheel_core::process::harden();
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        let words: Vec<&str> = core.split_whitespace().collect();
        assert_eq!(words[4..6], ["0", "0"], "{core}");
        let dumpable = rustix::process::dumpable_behavior().unwrap();
        assert_eq!(dumpable, rustix::process::DumpableBehavior::NotDumpable);
        return;
    }
    let output = run("core_dumps_are_off", "hardened");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_panic_says_where_and_nothing_of_what() {
    if std::env::var_os(ROLE).is_some() {
        keywheel_core::process::harden();
        // As a text cut amiss would: its message quotes the text.
        panic!("byte index 1 is not a char boundary; it is inside {SECRET}");
    }
    let output = run("a_panic_says_where_and_nothing_of_what", "panics");
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("hardened.rs:") && told.contains("panicked"), "{told}");
    assert!(!told.contains("PLANTED") && !told.contains("backtrace"), "{told}");
}
