//! The mutants, as cargo-mutants lists them.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::Failure;

/// The files that are mutated: where a mistake costs most comes first.
const FILES: &[&str] = &[
    "functions/core/src/rotation/",
    "functions/core/src/engine/",
    "functions/core/src/azure/",
    "functions/core/src/graph/",
    "functions/core/src/secrets/",
    "functions/core/src/queue/",
    "functions/core/src/request/",
    "functions/core/src/asking/",
    "functions/webhook/src/",
    "functions/core/src/audit/",
    "functions/core/src/notify/",
    "functions/core/src/http/",
    "functions/core/src/identity/transport.rs",
    "functions/core/src/manifest/entries.rs",
    "functions/core/src/manifest/format.rs",
    "functions/core/src/manifest/permission.rs",
    "functions/core/src/manifest/settings.rs",
];

/// A place in a file, both numbers from 1, the column in characters.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct At {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Span {
    pub(crate) start: At,
}

#[derive(Clone, Debug, Deserialize)]
struct Function {
    function_name: String,
    return_type: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Listed {
    file: String,
    function: Option<Function>,
    genre: String,
    name: String,
    replacement: String,
    span: Span,
}

/// One mutant. Its number is its place in the whole list, from 1.
#[derive(Clone, Debug)]
pub(crate) struct Mutant {
    pub(crate) id: u32,
    pub(crate) file: String,
    pub(crate) start: At,
    pub(crate) genre: String,
    pub(crate) replacement: String,
    pub(crate) function: String,
    pub(crate) returns: String,
    /// What is done, without a line number: it stays when the code moves.
    pub(crate) name: String,
}

/// What became of a mutant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fate", content = "by", rename_all = "kebab-case")]
pub(crate) enum Fate {
    /// No form was found in which the mutant stands beside the others.
    NotSchematised(String),
    /// The mutant does not compile.
    Unviable,
    /// A test failed.
    Caught(String),
    /// The tests did not end.
    TimedOut(String),
    /// No test reaches the code.
    Unreached,
    /// Every test that reaches the code passed.
    Survived,
}

impl Fate {
    pub(crate) fn is_survivor(&self) -> bool {
        matches!(self, Self::Unreached | Self::Survived)
    }
}

/// Asks cargo-mutants for all mutants of [`FILES`].
pub(crate) fn list(root: &Path) -> Result<Vec<Mutant>, Failure> {
    let mut command = Command::new("cargo-mutants");
    command.current_dir(root).env_remove("CARGO");
    command.args(["mutants", "--list", "--json", "--workspace", "--no-config"]);
    for file in FILES {
        command.args(["--file", &format!("{file}**")]);
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(
            "cargo mutants --list failed: is .venv/bin in PATH? `make mutants` sets it".into()
        );
    }
    let mut listed: Vec<Listed> = serde_json::from_slice(&output.stdout)?;
    listed.sort_by_key(|one| FILES.iter().position(|file| one.file.starts_with(file)));
    Ok(numbered(listed))
}

fn numbered(listed: Vec<Listed>) -> Vec<Mutant> {
    let mut met: HashMap<String, usize> = HashMap::new();
    let mut mutants = Vec::new();
    for (id, listed) in (1..).zip(listed) {
        let what = listed.name.splitn(4, ':').nth(3).unwrap_or(&listed.name).trim();
        let mut name = format!("{}: {what}", listed.file);
        let count = met.entry(name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            name = format!("{name} #{count}");
        }
        let (function, returns) =
            listed.function.map(|of| (of.function_name, of.return_type)).unwrap_or_default();
        mutants.push(Mutant {
            id,
            file: listed.file,
            start: listed.span.start,
            genre: listed.genre,
            replacement: listed.replacement,
            function,
            returns,
            name,
        });
    }
    mutants
}

/// The module that a file belongs to, for the table.
pub(crate) fn module(file: &str) -> String {
    if let Some(rest) = file.strip_prefix("functions/core/src/") {
        let first = rest.split('/').next().unwrap_or(rest);
        return first.trim_end_matches(".rs").to_owned();
    }
    file.split('/').nth(1).unwrap_or(file).to_owned()
}
