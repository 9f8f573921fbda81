//! The program as it is run, without AWS: what it prints where, and how it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const VALID: &str = "\
tenant: 72f988bf-86f1-41af-91ab-2d7cd011db48
credentials:
  aks-prod:
    application: 559513bd-0c19-4c1a-87cd-851a26afd5fc
    secret: prod/azure/aks
rules:
  - match: { tag: keywheel }
    secret: \"entra/{appId}\"
";

const INVALID: &str = "\
tenant: 72f988bf-86f1-41af-91ab-2d7cd011db48
credentials:
  aks-prod:
    application: not-a-guid
    secert: prod/azure/aks
";

/// The program, away from this machine's settings: nothing in here may reach a network.
fn keywheel(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keywheel"));
    command
        .args(args)
        .env_clear()
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", "none")
        .env("AWS_SECRET_ACCESS_KEY", "none")
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> (i32, String, String) {
    told(keywheel(args).output().unwrap())
}

fn told(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().expect("ended by itself");
    (code, text(output.stdout), text(output.stderr))
}

fn manifest(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.yaml");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

#[test]
fn a_valid_manifest_is_valid() {
    let (_dir, path) = manifest(VALID);
    let path = path.to_str().unwrap();
    let (code, out, err) = run(&["validate", path]);
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (0, format!("{path}: valid: 1 credential, 1 rule\n").as_str(), "")
    );

    let (code, out, _) = run(&["--json", "validate", path]);
    let shape: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 0);
    assert_eq!(shape["valid"], true);
    assert_eq!(shape["source"], path);
    assert_eq!(shape["credentials"], 1);
    assert_eq!(shape["rules"], 1);
    assert_eq!(shape["problems"], serde_json::json!([]));
}

#[test]
fn the_example_of_the_repository_is_valid() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/manifest.example.yaml");
    assert_eq!(run(&["validate", path]).0, 0);
}

#[test]
fn each_problem_has_its_place_and_its_cure() {
    let (_dir, path) = manifest(INVALID);
    let path = path.to_str().unwrap();
    let (code, out, err) = run(&["validate", path]);
    assert_eq!(code, 1);
    assert!(out.contains(&format!("{path}:4:18: credentials.aks-prod.application")), "{out}");
    assert!(out.contains(&format!("{path}:5:")), "{out}");
    assert!(out.contains("  cure: did you mean `secret`?"), "{out}");
    assert!(err.contains("problem"), "{err}");
    assert_eq!(run(&["-q", "validate", path]).2, "");

    let (code, out, _) = run(&["validate", path, "--json"]);
    let shape: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 1);
    assert_eq!(shape["valid"], false);
    assert_eq!(shape["tenant"], Value::Null);
    let problem = |path: &str| {
        let mut all = shape["problems"].as_array().unwrap().iter();
        all.find(|problem| problem["path"] == path).unwrap()
    };
    let problem = problem("credentials.aks-prod.application");
    assert_eq!((&problem["line"], &problem["column"]), (&4.into(), &18.into()));
    assert!(problem["what"].is_string() && problem["cure"].is_string());
}

#[test]
fn a_manifest_comes_from_standard_input_and_from_the_option_and_from_the_variable() {
    let mut child = keywheel(&["validate", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(INVALID.as_bytes()).unwrap();
    drop(stdin);
    let (code, out, _) = told(child.wait_with_output().unwrap());
    assert_eq!(code, 1);
    assert!(out.contains("<stdin>:4:18: "), "{out}");

    let (_dir, valid) = manifest(VALID);
    let (_other, invalid) = manifest(INVALID);
    let valid = valid.to_str().unwrap();
    let by_variable =
        |args: &[&str]| told(keywheel(args).env("KEYWHEEL_MANIFEST", &invalid).output().unwrap());
    assert_eq!(by_variable(&["validate"]).0, 1);
    assert_eq!(by_variable(&["validate", "--manifest", valid]).0, 0);
    assert_eq!(by_variable(&["validate", valid]).0, 0);
}

#[test]
fn a_secret_pasted_into_the_manifest_is_not_repeated() {
    let secret = "Zx8Q~abcdefghijklmnopqrstuvwxyz0123456789A";
    let text = VALID.replace("prod/azure/aks", secret);
    let (_dir, path) = manifest(&format!("{text}{secret}: 1\n"));
    let (code, out, err) = run(&["validate", path.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(!out.contains("abcdef") && !err.contains("abcdef"), "{out}{err}");
}

#[test]
fn what_cannot_be_read_is_named_with_its_cause_and_a_cure() {
    let (code, out, err) = run(&["validate", "/nowhere/m.yaml"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("error: the manifest /nowhere/m.yaml cannot be read: "), "{err}");
    assert!(err.contains("\n  cure: "), "{err}");

    let (code, _, err) = run(&["validate", "https://example.com/m.yaml"]);
    assert_eq!(code, 2);
    assert!(err.contains("s3://bucket/key"), "{err}");

    // No service is there: an error that names what was asked for, not a panic.
    let (code, _, err) = run(&["validate", "s3://bucket/m.yaml"]);
    assert_eq!(code, 1);
    assert!(err.contains("s3://bucket/m.yaml"), "{err}");
}

#[test]
fn the_schema_is_the_published_one() {
    let (code, out, _) = run(&["schema"]);
    let schema: Value = serde_json::from_str(&out).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/manifest.schema.json");
    let published = std::fs::read_to_string(path).unwrap();
    let published: Value = serde_json::from_str(&published).unwrap();
    assert_eq!((code, schema), (0, published));
}

#[test]
fn a_wrong_command_line_is_a_2_and_beside_detailed_exitcode_a_1() {
    for args in [
        &[][..],
        &["frobnicate"],
        &["rotate"],
        &["rotate", "x", "--application", "not-a-guid"],
        &["rotate", "x", "--timeout", "soon"],
        &["plan"],
        &["status"],
        &["audit"],
        &["audit", "show", "--bucket", "a", "--head-bucket", "b"],
        &["audit", "verify", "--bucket", "a"],
        &["audit", "verify", "x", "--all", "--bucket", "a", "--head-bucket", "b"],
    ] {
        let (code, out, err) = run(args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
        assert!(!err.is_empty(), "{args:?}");
    }
    assert_eq!(run(&["plan", "--detailed-exitcode", "--nonsense"]).0, 1);
    assert_eq!(run(&["plan", "--detailed-exitcode"]).0, 1);
}

#[test]
fn what_needs_aws_says_so_where_there_is_none() {
    let (_dir, path) = manifest(VALID);
    let path = path.to_str().unwrap();
    for command in [&["plan"][..], &["status"], &["rotate", "aks-prod"]] {
        let (code, out, err) = run(&[&["--manifest", path], command].concat());
        assert_eq!((code, out.as_str()), (1, ""), "{command:?}: {err}");
        assert!(err.starts_with("error: cannot learn the AWS account"), "{err}");
        assert!(err.contains("\n  cure: "), "{err}");
    }
}

#[test]
fn the_audit_trail_that_cannot_be_read_is_not_called_whole() {
    for command in [&["audit", "verify"][..], &["audit", "export"], &["audit", "show", "monk"]] {
        let (code, out, err) = run(&[command, &["--bucket", "a", "--head-bucket", "b"]].concat());
        assert_eq!((code, out.as_str()), (1, ""), "{command:?}: {err}");
        assert!(err.contains("s3://") && err.contains("\n  cure: "), "{err}");
    }
}

#[test]
fn help_has_examples_and_exit_codes() {
    for command in ["validate", "schema", "plan", "rotate", "status", "audit"] {
        let (code, out, _) = run(&[command, "--help"]);
        assert_eq!(code, 0);
        assert!(out.contains(&format!("  keywheel {command}")), "{out}");
    }
    let (code, out, _) = run(&["--help"]);
    assert_eq!(code, 0);
    assert!(out.contains("Exit codes:"), "{out}");
    let (code, out, _) = run(&["--version"]);
    assert_eq!((code, out.starts_with("keywheel ")), (0, true));
}

/// `keywheel schema | head -1`: the reader goes away before anything is written.
#[test]
fn a_broken_pipe_is_no_failure() {
    for args in [&["schema"][..], &["--help"]] {
        let mut child =
            keywheel(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let (code, _, err) = told(child.wait_with_output().unwrap());
        assert_eq!((code, err.as_str()), (0, ""), "{args:?}");
    }
}

#[test]
fn nothing_is_coloured_in_a_pipe() {
    let (_dir, path) = manifest(INVALID);
    let (_, out, err) = run(&["validate", path.to_str().unwrap()]);
    assert!(!out.contains('\u{1b}') && !err.contains('\u{1b}'));
    let (_, out, err) = run(&["plan", "--nonsense"]);
    assert!(!out.contains('\u{1b}') && !err.contains('\u{1b}'));
}

#[test]
fn a_manifest_is_checked_for_the_cloud_it_is_for() {
    let (_dir, path) = manifest(&format!("{VALID}defaults: {{ retire: when-unused }}\n"));
    let path = path.to_str().unwrap();
    let in_cloud = |cloud: &str| {
        told(keywheel(&["validate", path]).env("KEYWHEEL_CLOUD", cloud).output().unwrap())
    };
    assert_eq!(run(&["validate", path]).0, 0);
    assert_eq!(in_cloud("public").0, 0);
    for cloud in ["usgovernment", "china"] {
        let (code, out, _) = in_cloud(cloud);
        assert_eq!(code, 1);
        assert!(out.contains("retire: after-overlap"), "{out}");
    }
    assert_ne!(in_cloud("mars").0, 0);
}

#[test]
fn check_refuses_a_parameter_that_no_check_looks_at() {
    let (code, out, err) = run(&["check", "--pre", "--parameter", "Secretprefix=prod/"]);
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    assert!(err.contains("SecretPrefix"), "{err}");
}
