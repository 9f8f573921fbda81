//! Mutation testing that two cores can afford: every mutant is compiled into one build, and a variable chooses one.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal")]

mod argued;
mod cache;
mod edit;
mod hunt;
mod mutant;
mod plant;
mod report;
mod suite;
mod tree;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use clap::Parser;

use cache::Cache;
use mutant::{Fate, Mutant};
use report::Report;
use suite::Suite;
use tree::Tree;

type Failure = Box<dyn Error + Send + Sync>;

/// How many mutants end before the report and the cache are written anew.
const WRITE_EVERY: usize = 25;

/// Makes each mutant that cargo-mutants lists, and runs the fast tests that reach it.
///
/// Exits with 1 if a mutant survives that tests/mutants/argued.toml does not argue for, or if an entry there is stale.
#[derive(Debug, Parser)]
struct Args {
    /// Make so many mutants, picked at random.
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// The same seed picks the same sample of the same mutants.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Make only the mutants of files whose path holds this; may be given more than once.
    #[arg(long, value_name = "PATH")]
    only: Vec<String>,
    /// Leave out the tests of this program, such as core/model; may be given more than once.
    #[arg(long, value_name = "PROGRAM")]
    without: Vec<String>,
    /// Believe what earlier runs caught in files that are the same still, and what survived where all code is.
    #[arg(long)]
    resume: bool,
    /// How many mutants run at a time.
    #[arg(long, value_name = "N", default_value_t = 2)]
    jobs: usize,
    /// The workspace.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    root: PathBuf,
}

impl Args {
    fn of<'a>(&self, mutants: &'a [Mutant]) -> Vec<&'a Mutant> {
        let is_meant = |mutant: &&Mutant| {
            self.only.is_empty() || self.only.iter().any(|only| mutant.file.contains(only))
        };
        mutants.iter().filter(is_meant).collect()
    }
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
    let mut tree = Tree::copy(&root)?;
    let folder = tree.folder();
    let mut cache = Cache::read(&folder, &tree.sources, &args.without);
    let chosen = sample(args.of(&mutants), args.sample, args.seed);
    let mut fates = cache.known(&chosen, args.resume);
    say(&format!("{} mutants, {} chosen, {} known", mutants.len(), chosen.len(), fates.len()));
    let mut programs = tree.build(&chosen, &mut fates, &say)?;
    programs.retain(|program| !args.without.contains(&program.name));
    cache.write(&mutants, &fates)?;
    let mut open: Vec<&Mutant> =
        chosen.into_iter().filter(|mutant| !fates.contains_key(&mutant.id)).collect();
    // Every test that reaches them runs in vain.
    open.sort_by_key(|mutant| argued.contains_key(&mutant.name));
    say(&format!("{} are planted; each test runs once", open.len()));
    let suite = Suite::measure(programs, &folder.join("reached"), args.jobs, &say)?;
    let takes: f64 = suite.tests.iter().map(|test| test.takes.as_secs_f64()).sum();
    say(&format!("{} tests, {takes:.0} s", suite.tests.len()));
    let write = |fates: &BTreeMap<u32, Fate>, cache: &mut Cache, complete: bool| {
        cache.write(&mutants, fates)?;
        let stale = argued::stale(&argued, &mutants, fates);
        let seconds = began.elapsed().as_secs();
        let (mutants, argued, stale) = (&mutants, &argued, &stale);
        let report = Report { mutants, fates, argued, stale, seconds, complete };
        report.write(&folder)?;
        Ok::<bool, Failure>(report.unargued() == 0 && stale.is_empty())
    };
    let found = Mutex::new((fates, cache));
    let done = AtomicUsize::new(0);
    hunt::hunt(&suite, &open, args.jobs, &|mutant, fate| {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        let often = done.is_multiple_of(WRITE_EVERY);
        if fate.is_survivor() || often {
            say(&format!("{done}/{} {} {}", open.len(), end(&fate), mutant.name));
        }
        let Ok(mut found) = found.lock() else { return };
        let (fates, cache) = &mut *found;
        fates.insert(mutant.id, fate);
        if often && let Err(error) = write(fates, cache, false) {
            say(&format!("the report is not written: {error}"));
        }
    });
    let (fates, mut cache) = found.into_inner().map_err(|_| "a worker died")?;
    let is_good = write(&fates, &mut cache, true)?;
    println!("{}", fs::read_to_string(folder.join("report.txt"))?);
    Ok(is_good)
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
