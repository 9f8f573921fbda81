//! The copy of the tree that holds every mutant, and its build.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::Failure;
use crate::edit::Planted;
use crate::mutant::{Fate, Mutant};
use crate::plant::plant;

const SWITCH: &str = include_str!("switch.rs.txt");
/// What is built and tested.
const PACKAGES: &[&str] = &["functions/core", "functions/webhook"];
/// The model checker is slow unoptimised; more than this makes the build slow.
const OPTIMISE: &str = "profile.dev.package.keywheel-core.opt-level=1";
/// More rounds than compilers have phases: then the tool itself is wrong.
const MAX_ROUNDS: usize = 12;

/// The copy.
pub(crate) struct Tree {
    copy: PathBuf,
    /// The Rust files as they were copied: the work tree may change meanwhile.
    pub(crate) sources: BTreeMap<String, String>,
    target: PathBuf,
    planted: HashMap<String, Planted>,
}

/// A test program.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) folder: PathBuf,
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(rename = "message")]
    diagnostic: Option<Diagnostic>,
    target: Option<Target>,
    manifest_path: Option<PathBuf>,
    executable: Option<PathBuf>,
    profile: Option<Profile>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    spans: Vec<Place>,
    children: Vec<Diagnostic>,
    rendered: Option<String>,
}

#[derive(Deserialize)]
struct Place {
    file_name: String,
    byte_start: usize,
    byte_end: usize,
    is_primary: bool,
}

impl Tree {
    /// Copies what Git knows of.
    pub(crate) fn copy(root: &Path) -> Result<Self, Failure> {
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let copy = target.join("mutants/tree");
        let mut git = Command::new("git");
        git.current_dir(root).args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]);
        let listed = String::from_utf8(git.output()?.stdout)?;
        let mut sources = BTreeMap::new();
        forget(&copy, &listed)?;
        for file in listed.split('\0').filter(|file| !file.is_empty()) {
            let (from, to) = (root.join(file), copy.join(file));
            if !from.is_file() {
                continue;
            }
            fs::create_dir_all(to.parent().ok_or("a file without a folder")?)?;
            if from.extension().is_none_or(|of| of != "rs") {
                write(&to, &fs::read(&from)?)?;
                continue;
            }
            let text = fs::read_to_string(&from)?;
            // What is mutated is written when it is planted.
            if !is_mutated(file) {
                write(&to, text.as_bytes())?;
            }
            sources.insert(file.to_owned(), text);
        }
        for package in PACKAGES {
            without_programs(&copy.join(package))?;
        }
        Ok(Self { copy, sources, target, planted: HashMap::new() })
    }

    /// Where reports go.
    pub(crate) fn folder(&self) -> PathBuf {
        self.target.join("mutants")
    }

    /// Plants the mutants whose fate is open.
    fn plant(
        &mut self,
        mutants: &[&Mutant],
        fates: &mut BTreeMap<u32, Fate>,
    ) -> Result<(), Failure> {
        let mut by_file: BTreeMap<&str, Vec<&Mutant>> = BTreeMap::new();
        for mutant in mutants.iter().filter(|mutant| !fates.contains_key(&mutant.id)) {
            by_file.entry(&mutant.file).or_default().push(mutant);
        }
        self.planted.clear();
        for (file, mutants) in by_file {
            if file.ends_with("/main.rs") {
                let why = || Fate::NotSchematised("a program's main file".to_owned());
                fates.extend(mutants.iter().map(|mutant| (mutant.id, why())));
                continue;
            }
            let switch = match file.strip_prefix("functions/core/") {
                Some(_) => "crate::mutants::is",
                None => "::keywheel_core::mutants::is",
            };
            let text = self.sources.get(file).ok_or("cargo-mutants lists an unknown file")?;
            let planted =
                plant(text, &mutants, switch).map_err(|error| format!("{file}: {error}"))?;
            for (mutant, why) in planted.left_out {
                fates.insert(mutant, Fate::NotSchematised(why));
            }
            self.planted.insert(file.to_owned(), planted.planted);
        }
        let count = mutants.iter().map(|mutant| mutant.id).max().unwrap_or_default() + 1;
        let switch = format!("{SWITCH}\nconst COUNT: usize = {count};\n");
        write(&self.copy.join("functions/core/src/mutants.rs"), switch.as_bytes())?;
        for (file, source) in self.sources.iter().filter(|(file, _)| is_mutated(file)) {
            if PACKAGES.iter().any(|package| *file == format!("{package}/src/main.rs")) {
                continue;
            }
            let mut text = self.planted.get(file).map_or(source, |planted| &planted.text).clone();
            if file == "functions/core/src/lib.rs" {
                text.push_str("\npub mod mutants;\n");
            }
            write(&self.copy.join(file), text.as_bytes())?;
        }
        Ok(())
    }

    /// Builds until what is left compiles.
    pub(crate) fn build(
        &mut self,
        mutants: &[&Mutant],
        fates: &mut BTreeMap<u32, Fate>,
        say: &dyn Fn(&str),
    ) -> Result<Vec<Program>, Failure> {
        for round in 1..=MAX_ROUNDS {
            self.plant(mutants, fates)?;
            say(&format!("check, round {round}"));
            let mut messages = self.compile(&["check", "--lib"])?;
            if errors(&messages).is_empty() {
                say("build");
                messages = self.compile(&["build", "--tests"])?;
            }
            let errors = errors(&messages);
            if errors.is_empty() {
                let programs = programs(messages);
                return if programs.is_empty() {
                    Err("the build failed".into())
                } else {
                    Ok(programs)
                };
            }
            let before = fates.len();
            for error in errors {
                self.blame(error, fates)?;
            }
            say(&format!("{} mutants do not compile", fates.len() - before));
        }
        Err("the build does not become clean".into())
    }

    fn compile(&self, command: &[&str]) -> Result<Vec<Message>, Failure> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.copy).env("CARGO_TARGET_DIR", &self.target);
        cargo.args(command).args(["--keep-going", "--quiet"]);
        cargo.args(["--message-format", "json", "--config", OPTIMISE]);
        for package in PACKAGES {
            cargo.arg("-p").arg(package_name(package));
        }
        let output = cargo.stderr(Stdio::null()).output()?;
        let lines = output.stdout.split(|byte| *byte == b'\n');
        let messages: Vec<Message> =
            lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
        let failed = messages.iter().any(|message| {
            message.diagnostic.as_ref().is_some_and(|message| message.level == "error")
        });
        if !output.status.success() && !failed {
            return Err(format!("cargo failed in {}; run it there", self.copy.display()).into());
        }
        Ok(messages)
    }

    fn blame(&self, error: &Diagnostic, fates: &mut BTreeMap<u32, Fate>) -> Result<(), Failure> {
        let find = |places: Vec<&Place>, by: fn(&Planted, &Range<usize>) -> Vec<u32>| {
            let hit = places.into_iter().filter_map(|place| {
                let planted = self.planted.get(&place.file_name)?;
                Some(by(planted, &(place.byte_start..place.byte_end)))
            });
            hit.flatten().collect::<HashSet<u32>>()
        };
        let primary = || error.spans.iter().filter(|place| place.is_primary).collect::<Vec<_>>();
        let all = || {
            let children = error.children.iter().flat_map(|child| &child.spans);
            error.spans.iter().chain(children).collect::<Vec<_>>()
        };
        let mut guilty = find(primary(), Planted::alone);
        if guilty.is_empty() {
            guilty = find(all(), Planted::alone);
        }
        if !guilty.is_empty() {
            fates.extend(guilty.into_iter().map(|mutant| (mutant, Fate::Unviable)));
            return Ok(());
        }
        guilty = find(primary(), Planted::around);
        let rendered = error.rendered.as_deref().unwrap_or_default();
        if guilty.is_empty() {
            return Err(format!("an error without a mutant:\n{rendered}").into());
        }
        let first = rendered.lines().next().unwrap_or_default();
        for mutant in guilty {
            let fate = Fate::NotSchematised(format!("its form does not compile: {first}"));
            fates.entry(mutant).or_insert(fate);
        }
        Ok(())
    }
}

fn is_mutated(file: &str) -> bool {
    file.starts_with("functions/") && file.contains("/src/")
}

fn errors(messages: &[Message]) -> Vec<&Diagnostic> {
    let told = messages.iter().filter_map(|message| message.diagnostic.as_ref());
    told.filter(|told| told.level == "error" && !told.spans.is_empty()).collect()
}

fn package_name(folder: &str) -> String {
    format!("keywheel-{}", folder.rsplit('/').next().unwrap_or(folder))
}

fn programs(messages: Vec<Message>) -> Vec<Program> {
    let built = messages.into_iter().filter(|message| {
        message.reason == "compiler-artifact"
            && message.profile.as_ref().is_some_and(|profile| profile.test)
    });
    built
        .filter_map(|message| {
            let folder = message.manifest_path?.parent()?.to_owned();
            let package = folder.file_name()?.to_string_lossy().into_owned();
            let name = format!("{package}/{}", message.target?.name);
            Some(Program { name, path: message.executable?, folder })
        })
        .collect()
}

/// Leaves alone what is the same already, so that Cargo does not build it again.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    Ok(fs::write(path, bytes)?)
}

/// Removes from the copy what an earlier one had and this one has not.
fn forget(copy: &Path, listed: &str) -> Result<(), Failure> {
    let list = copy.join("../files");
    let now: HashSet<&str> = listed.split('\0').collect();
    for file in fs::read_to_string(&list).unwrap_or_default().split('\0') {
        let old = copy.join(file);
        if !now.contains(file) && old.is_file() {
            fs::remove_file(old)?;
        }
    }
    fs::create_dir_all(copy)?;
    Ok(fs::write(list, listed)?)
}

/// A program of the copy would take the place of the real one in the target folder.
fn without_programs(package: &Path) -> Result<(), Failure> {
    let manifest = package.join("Cargo.toml");
    let mut table: toml::Table = fs::read_to_string(&manifest)?.parse()?;
    if table.remove("bin").is_some() {
        write(&manifest, toml::to_string(&table)?.as_bytes())?;
    }
    Ok(())
}
