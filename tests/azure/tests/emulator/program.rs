//! The program: what it prints, refuses and ends on.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

fn command(dir: &tempfile::TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_azure-emulator"));
    command.arg("--tls-dir").arg(dir.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn end(child: &mut Child) -> Option<i32> {
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::yield_now();
    }
    child.kill().unwrap();
    panic!("it did not end");
}

#[test]
fn says_where_it_is_and_ends_on_sigterm() {
    let dir = tempfile::tempdir().unwrap();
    let seed = dir.path().join("seed.yaml");
    std::fs::write(&seed, "tenant: {domain: example.org}\napplications: [{display_name: a}]\n")
        .unwrap();
    let mut child =
        command(&dir).arg("--seed").arg(&seed).args(["--applications", "10"]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let at: Value = serde_json::from_str(&line).unwrap();
    for field in
        ["authority", "graph", "arm", "ca", "tenant", "admin", "client_id", "client_secret"]
    {
        assert!(at[field].is_string(), "{field}");
    }
    let pem = std::fs::read_to_string(at["ca"].as_str().unwrap()).unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert_eq!(end(&mut child), Some(0));
}

#[test]
fn refuses_what_it_must_not_do() {
    let dir = tempfile::tempdir().unwrap();
    let bad = dir.path().join("bad.yaml");
    std::fs::write(&bad, "applications: [{display_name: a, pasword: []}]").unwrap();
    let bad = bad.to_str().unwrap();
    for (arguments, says) in [
        (["--listen", "0.0.0.0:0"], "loopback"),
        (["--seed", bad], "pasword"),
        (["--faults", bad], "applications"),
        (["--seed", "/nonexistent"], "/nonexistent"),
    ] {
        let mut child = command(&dir).args(arguments).spawn().unwrap();
        assert_eq!(end(&mut child), Some(1), "{arguments:?}");
        let mut text = String::new();
        child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(text.contains(says), "{text}");
    }
}
