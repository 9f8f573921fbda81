//! Deliberate mistakes in the rules, one at a time, each of which the model has to catch.
//!
//! `make mutations`. A copy of the rules and of the model is patched, built and run; a mistake that no
//! scenario notices fails the test, and so does a patch whose place is not in the source any more.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Mistake {
    name: &'static str,
    /// File below `src/rotation`, what stands there, what is put in its place.
    patches: &'static [(&'static str, &'static str, &'static str)],
    /// The tests that are run; one of them has to fail.
    scenarios: &'static str,
}

const MISTAKES: &[Mistake] = &[
    Mistake {
        name: "promote before the proof",
        patches: &[(
            "rotate/mod.rs",
            "_ => self.prove(key, true),",
            "_ => State::SeeKey { key, looks: 0 },",
        )],
        scenarios: "one_try",
    },
    Mistake {
        name: "store the first secret before its proof",
        patches: &[("rotate/mod.rs", "self.prove(key, false)\n", "State::Store { key }\n")],
        scenarios: "first_rotation",
    },
    Mistake {
        name: "retire without the overlap",
        patches: &[(
            "version_state.rs",
            "VersionState::Past(at + overlap + CLOCK_SLACK)",
            "VersionState::Past(at)",
        )],
        scenarios: "one_try",
    },
    Mistake {
        name: "believe the labels after a rollback",
        patches: &[(
            "after_promotion.rs",
            "filter(|later| *later > since)",
            "filter(|later| *later > since && false)",
        )],
        scenarios: "rollback",
    },
    Mistake {
        name: "resolve a key of another scope",
        patches: &[
            (
                "resolve.rs",
                "key.minted_by(&self.terms.scope).as_ref() != Some(&self.rotation)",
                "false",
            ),
            ("live.rs", "is_some_and(|key| terms.is_anothers(key))", "is_some_and(|_| false)"),
        ],
        scenarios: "two_credentials",
    },
    Mistake {
        name: "retire a foreign key",
        patches: &[("retire.rs", "if !ours && !named {", "if false && !ours && !named {")],
        scenarios: "refusals",
    },
    Mistake {
        name: "retire a foreign key that nobody named",
        patches: &[
            (
                "retire.rs",
                "if !self.terms.policy.retire_keys.contains(&self.target.key) {",
                "if false {",
            ),
            ("retire.rs", "if !ours && !named {", "if false && !ours && !named {"),
        ],
        scenarios: "two_credentials",
    },
    Mistake {
        name: "retire another credential's key by name",
        patches: &[(
            "live.rs",
            "is_some_and(|key| terms.is_anothers(key))",
            "is_some_and(|_| false)",
        )],
        scenarios: "refusals",
    },
    Mistake {
        name: "take Taken for Stored",
        patches: &[(
            "rotate/mod.rs",
            "(State::Store { key }, Reply::Stored)",
            "(State::Store { key }, Reply::Stored | Reply::Taken)",
        )],
        scenarios: "a_job_delivered_twice",
    },
    Mistake {
        name: "claim by stealing",
        patches: &[("rotate/orient.rs", "self.rotation = rotation;", "let _ = rotation;")],
        scenarios: "refusals",
    },
    Mistake {
        name: "resolve without the hour",
        patches: &[(
            "resolve.rs",
            "let lost = key.start? + UNNAMED_FOR;",
            "let lost = key.start? + (UNNAMED_FOR - UNNAMED_FOR);",
        )],
        scenarios: "resolving_beside",
    },
    Mistake {
        name: "resolve a key that a version names",
        patches: &[("resolve.rs", "if self.view.named_keys().contains(&self.key) {", "if false {")],
        scenarios: "resolving",
    },
    Mistake {
        name: "resolve what may have been published beside a dead current key",
        patches: &[(
            "resolve.rs",
            "                State::LookForLabel(why)\n",
            "                { let _ = why; self.remove(ObjectId(uuid::Uuid::nil())) }\n",
        )],
        scenarios: "refusals",
    },
    Mistake {
        name: "mint no more because of keys minted in vain",
        patches: &[(
            "resolve.rs",
            "self.view.current().is_some() && !of_this_life",
            "self.view.current().is_some() || !of_this_life",
        )],
        scenarios: "lives",
    },
    Mistake {
        name: "skip the last look before promote",
        patches: &[("rotate/mod.rs", "if as_before {", "if as_before || true {")],
        scenarios: "refusals",
    },
    Mistake {
        name: "mint although a value is stored",
        patches: &[("rotate/mod.rs", "State::EmitMinted { key }\n    }", "State::Mint\n    }")],
        scenarios: "one_try",
    },
    Mistake {
        name: "retire the key under AWSCURRENT",
        patches: &[("live.rs", "if view.current() == Some(version) {", "if false {")],
        scenarios: "refusals",
    },
    Mistake {
        name: "give up without a void label",
        patches: &[
            (
                "rotate/mod.rs",
                "(AbandonStep::Void(_), _) if holds_lock",
                "(AbandonStep::Void(_), Reply::Refused) if holds_lock",
            ),
            (
                "rotate/state.rs",
                "Call::MoveLabel { label: Label::Void(*at), to: Some(own), from: None }",
                "{ let _ = at; release(own) }",
            ),
        ],
        scenarios: "refusals",
    },
    Mistake {
        name: "leave a cut-off promotion without its since label",
        patches: &[(
            "rotate/orient.rs",
            "if let Some(after) = AfterPromotion::due(&self.view, now) {",
            "if let Some(after) = AfterPromotion::due(&self.view, now).filter(|_| false) {",
        )],
        scenarios: "a_rollback_by_hand",
    },
    Mistake {
        name: "remove beside an absent current key",
        patches: &[(
            "current_key.rs",
            "_ => CurrentKey::Unsafe(Stop::CurrentKeyAbsent),",
            "_ => CurrentKey::Valid,",
        )],
        scenarios: "refusals",
    },
    Mistake {
        name: "remove the key that Keywheel is signed in with",
        patches: &[("live.rs", "if terms.is_own_key(key) {", "if false {")],
        scenarios: "refusals",
    },
    Mistake {
        name: "take void off before the key's label",
        patches: &[(
            "removal.rs",
            "ours.push(Label::Key(self.key));",
            "ours.insert(0, Label::Key(self.key));",
        )],
        scenarios: "retiring_a_void",
    },
    Mistake {
        name: "retire a void version soon",
        patches: &[
            ("version_state.rs", "VOID_FOR.max(overlap + CLOCK_SLACK)", "VOID_FOR"),
            ("after_promotion.rs", "view.holder(&Label::Previous)", "None"),
        ],
        scenarios: "a_value_put_by_hand",
    },
    Mistake {
        name: "ignore the last use",
        patches: &[("last_use.rs", "Some(last) if now <", "Some(last) if false && now <")],
        scenarios: "unused",
    },
    Mistake {
        name: "trust a report that lacks our own sign-ins",
        patches: &[(
            "last_use.rs",
            "if !uses.contains_key(&current) {",
            "if false && !uses.contains_key(&current) {",
        )],
        scenarios: "unused",
    },
    Mistake {
        name: "watch a key for no longer than its overlap",
        patches: &[("retire.rs", "over + watch(policy)", "over + (watch(policy) - watch(policy))")],
        scenarios: "unused",
    },
    Mistake {
        name: "take a removal that Graph put off for done",
        patches: &[(
            "removal.rs",
            "(Step::Act(Act::Remove), Reply::Removed) =>",
            "(Step::Act(Act::Remove), Reply::Removed | Reply::NotRemoved) =>",
        )],
        scenarios: "retiring_beside",
    },
    Mistake {
        name: "record what was not seen removed",
        patches: &[(
            "removal.rs",
            "if written || view.current().is_none() {",
            "if self.version.is_some() || written || view.current().is_none() {",
        )],
        scenarios: "moved",
    },
    Mistake {
        name: "forget whose doing a removal was",
        patches: &[(
            "removal.rs",
            "self.minted_first(Act::RecordRemoved)",
            "self.minted_first(Act::RecordNotFound)",
        )],
        scenarios: "retired_twice",
    },
    Mistake {
        name: "believe the first look that a key is gone",
        patches: &[(
            "removal.rs",
            "(Step::LookForIntent, Reply::Secret(SecretState::Present(now))) if now == *view =>",
            "(Step::LookForIntent, Reply::Secret(SecretState::Present(now))) if true || now == *view =>",
        )],
        scenarios: "retired_twice",
    },
    Mistake {
        name: "record a resolved key that was never seen",
        patches: &[(
            "removal.rs",
            "if written || view.current().is_none() {",
            "if self.version.is_none() || written || view.current().is_none() {",
        )],
        scenarios: "resolving_beside",
    },
];

const MANIFEST: &str = r#"
[workspace]
[package]
name = "keywheel-core"
version = "0.1.0"
edition = "2024"
[dependencies]
chrono = { version = "0.4", default-features = false, features = ["clock", "serde", "std"] }
serde = { version = "1", features = ["derive"] }
schemars = { version = "1", features = ["chrono04", "uuid1"] }
sha2 = "0.11"
thiserror = "2"
uuid = { version = "1", features = ["serde", "v4", "v5"] }
zeroize = "1"
[dev-dependencies]
proptest = "1"
serde_json = "1"
stateright = "0.31"
[profile.dev]
opt-level = 1
debug = 0
"#;

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            copy(&from.join(&name), &to.join(&name));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

fn build() -> PathBuf {
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crate_ = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutations");
    let _ = fs::remove_dir_all(crate_.join("src"));
    let _ = fs::remove_dir_all(crate_.join("tests"));
    for part in
        ["src/ids.rs", "src/secret.rs", "src/events/finding.rs", "src/rotation", "tests/model"]
    {
        fs::create_dir_all(crate_.join(part).parent().unwrap()).unwrap();
        copy(&core.join(part), &crate_.join(part));
    }
    fs::write(crate_.join("Cargo.toml"), MANIFEST).unwrap();
    fs::copy(core.join("../../Cargo.lock"), crate_.join("Cargo.lock")).unwrap();
    // Of the events the rules know the names of findings alone.
    let events = "mod finding;\npub use finding::FindingKind;\n";
    fs::write(crate_.join("src/events/mod.rs"), events).unwrap();
    let library = "pub mod events;\npub mod ids;\npub mod rotation;\npub mod secret;\n";
    fs::write(crate_.join("src/lib.rs"), library).unwrap();
    crate_
}

/// Builds and runs; the table of label rules is not in the copy.
fn run(crate_: &Path, scenarios: &str, only_build: bool) -> Output {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(crate_).env("CARGO_TARGET_DIR", crate_.join("target"));
    cargo.env("RUST_BACKTRACE", "0").env_remove("KEYWHEEL_MODEL_FAULTS");
    cargo.args(["test", "--offline", "--quiet", "--test", "model"]);
    if only_build {
        cargo.arg("--no-run");
    } else {
        cargo.args(["--", scenarios, "--skip", "label_rules"]);
    }
    cargo.output().unwrap()
}

/// What would otherwise show only after minutes.
#[test]
fn every_mistake_can_be_made() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rotation");
    for Mistake { name, patches, .. } in MISTAKES {
        for (file, from, _) in *patches {
            let text = fs::read_to_string(rules.join(file)).unwrap();
            assert_eq!(text.matches(from).count(), 1, "{name}: {from:?} in {file}");
        }
    }
}

#[test]
#[ignore = "takes minutes: make mutations"]
fn every_mistake_is_caught() {
    let crate_ = build();
    let rules = crate_.join("src/rotation");
    let sound = run(&crate_, "", false);
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(sound.status.success(), "{} {}", said(&sound.stdout), said(&sound.stderr));
    let mut survived = Vec::new();
    for Mistake { name, patches, scenarios } in MISTAKES {
        let files: Vec<_> = patches.iter().map(|(file, ..)| rules.join(file)).collect();
        let before: Vec<_> = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        for (file, (_, from, to)) in files.iter().zip(*patches) {
            let text = fs::read_to_string(file).unwrap();
            assert_eq!(text.matches(from).count(), 1, "{name}: {from:?} in {}", file.display());
            fs::write(file, text.replacen(from, to, 1)).unwrap();
        }
        let built = run(&crate_, scenarios, true);
        assert!(built.status.success(), "{name}: {}", String::from_utf8_lossy(&built.stderr));
        let caught = !run(&crate_, scenarios, false).status.success();
        println!("{}: {name}", if caught { "caught" } else { "SURVIVED" });
        if !caught {
            survived.push(name);
        }
        for (file, text) in files.iter().zip(before) {
            fs::write(file, text).unwrap();
        }
    }
    assert!(survived.is_empty(), "nobody noticed: {survived:?}");
}
