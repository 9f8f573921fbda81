//! Mutation testing that two cores can afford: every mutant is compiled into one build, and a variable chooses one.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal")]

mod argued;
mod edit;
mod hunt;
mod mutant;
mod plant;
mod report;
mod suite;
mod tree;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use mutant::{Fate, Mutant};
use report::Report;
use suite::Suite;
use tree::Tree;

type Failure = Box<dyn Error + Send + Sync>;

/// Makes each mutant that cargo-mutants lists, and runs the fast tests that reach it.
///
/// Exits with 1 if a mutant survives that tests/mutants/argued.toml does not argue for, or if an entry there is stale.
#[derive(Debug, Parser)]
struct Args {
    /// Run so many mutants, picked at random.
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// The same seed picks the same sample of the same mutants.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Run only the mutants of files whose path holds this; may be given more than once.
    #[arg(long, value_name = "PATH")]
    only: Vec<String>,
    /// How many mutants run at a time.
    #[arg(long, value_name = "N", default_value_t = 2)]
    jobs: usize,
    /// The workspace.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    root: PathBuf,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mutants: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<bool, Failure> {
    let began = Instant::now();
    let say = |text: &str| eprintln!("[{:5} s] {text}", began.elapsed().as_secs());
    let root = args.root.canonicalize()?;
    let argued = argued::read(&root.join("tests/mutants/argued.toml"))?;
    let mutants = mutant::list(&root)?;
    say(&format!("{} mutants", mutants.len()));
    let mut fates = BTreeMap::new();
    let mut tree = Tree::copy(&root)?;
    let programs = tree.build(&mutants, &mut fates, &say)?;
    say(&format!("{} are planted; each test runs once", mutants.len() - fates.len()));
    let folder = tree.folder();
    let suite = Suite::measure(programs, &folder.join("reached"), args.jobs, &say)?;
    let takes: f64 = suite.tests.iter().map(|test| test.takes.as_secs_f64()).sum();
    say(&format!("{} tests, {takes:.0} s", suite.tests.len()));
    let open: Vec<&Mutant> = mutants
        .iter()
        .filter(|mutant| !fates.contains_key(&mutant.id))
        .filter(|mutant| {
            args.only.is_empty() || args.only.iter().any(|only| mutant.file.contains(only))
        })
        .collect();
    let chosen = sample(open, args.sample, args.seed);
    let count = chosen.len();
    hunt::hunt(&suite, &chosen, &mut fates, args.jobs, &|done, mutant, fate| {
        if fate.is_survivor() || done % 50 == 0 {
            say(&format!("{done}/{count} {} {}", end(fate), mutant.name));
        }
    })?;
    let stale = argued::stale(&argued, &mutants, &fates);
    let seconds = began.elapsed().as_secs();
    let report =
        Report { mutants: &mutants, fates: &fates, argued: &argued, stale: &stale, seconds };
    report.write(&folder)?;
    finish(&report, &folder);
    Ok(report.unargued() == 0 && stale.is_empty())
}

fn finish(report: &Report, folder: &Path) {
    println!("{}\n{}", report.table(), report.survivors());
    for line in report.stale {
        println!("stale in argued.toml: {line}");
    }
    println!("{}/report.txt and report.json hold all of it", folder.display());
}

fn end(fate: &Fate) -> &'static str {
    match fate {
        Fate::Survived => "SURVIVED",
        Fate::Unreached => "UNREACHED",
        Fate::TimedOut(_) => "timed out",
        Fate::Caught(_) => "caught",
        Fate::Unviable | Fate::NotSchematised(_) => "left out",
    }
}

/// Picks `count` of the mutants; the generator is xorshift, which a sample asks no more of.
fn sample(mut mutants: Vec<&Mutant>, count: Option<usize>, seed: u64) -> Vec<&Mutant> {
    let Some(count) = count else { return mutants };
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut picked = Vec::new();
    while picked.len() < count && !mutants.is_empty() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let among = u64::try_from(mutants.len()).unwrap_or(u64::MAX);
        let at = usize::try_from(state % among).unwrap_or_default();
        picked.push(mutants.swap_remove(at));
    }
    picked.sort_by_key(|mutant| mutant.id);
    picked
}
