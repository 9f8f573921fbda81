//! Runs each mutant against the tests that reach it, until one fails.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::Failure;
use crate::mutant::{Fate, Mutant};
use crate::suite::{Outcome, Suite, Test, run};

/// Tests that are shorter than this run together; a longer one runs alone.
const SHORT: Duration = Duration::from_millis(400);
/// A mutant may take this many times as long as the code without it, and some seconds.
const PATIENCE: u32 = 4;
const AND: Duration = Duration::from_secs(5);

/// Tests of one program that run together.
#[derive(Debug)]
struct Batch<'a> {
    program: usize,
    tests: Vec<&'a Test>,
    takes: Duration,
}

fn batches(suite: &Suite, mutant: u32) -> Vec<Batch<'_>> {
    let reached = suite.reached_by.get(&mutant).map(Vec::as_slice).unwrap_or_default();
    let mut short: HashMap<usize, Batch> = HashMap::new();
    let mut all = Vec::new();
    for test in reached.iter().filter_map(|at| suite.tests.get(*at)) {
        let program = test.program;
        if test.takes < SHORT {
            let batch = short.entry(program).or_insert_with(|| Batch {
                program,
                tests: Vec::new(),
                takes: Duration::ZERO,
            });
            batch.tests.push(test);
            batch.takes += test.takes;
        } else {
            all.push(Batch { program, tests: vec![test], takes: test.takes });
        }
    }
    all.extend(short.into_values());
    all
}

/// Runs the mutants, and hands over each with its fate.
pub(crate) fn hunt(
    suite: &Suite,
    mutants: &[&Mutant],
    jobs: usize,
    ended: &(dyn Fn(&Mutant, Fate) + Sync),
) {
    let next = AtomicUsize::new(0);
    // The tests that caught the mutants before: the likely ones come first.
    let recent: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(mutant) = mutants.get(at) else { break };
            let fate = match one(suite, mutant, &recent) {
                Ok(fate) => fate,
                Err(error) => Fate::NotSchematised(format!("not run: {error}")),
            };
            ended(mutant, fate);
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
}

fn one(suite: &Suite, mutant: &Mutant, recent: &Mutex<VecDeque<String>>) -> Result<Fate, Failure> {
    let mut batches = batches(suite, mutant.id);
    if batches.is_empty() {
        return Ok(Fate::Unreached);
    }
    let likely: Vec<String> = recent.lock().map_err(|_| "a worker died")?.iter().cloned().collect();
    let name = |batch: &Batch| match &batch.tests[..] {
        [test] => format!("{} {}", suite.programs[batch.program].name, test.name),
        _ => suite.programs[batch.program].name.clone(),
    };
    batches.sort_by_key(|batch| {
        let name = name(batch);
        let kills = likely.iter().filter(|recent| **recent == name).count();
        batch.takes / u32::try_from(1 + kills).unwrap_or(1)
    });
    let id = OsString::from(mutant.id.to_string());
    for batch in batches {
        let Some(program) = suite.programs.get(batch.program) else { continue };
        let tests: Vec<&String> = batch.tests.iter().map(|test| &test.name).collect();
        let limit = batch.takes * PATIENCE + AND;
        let outcome = run(program, &tests, ("KEYWHEEL_MUTANT", &id), limit)?;
        if outcome == Outcome::Passed {
            continue;
        }
        let name = name(&batch);
        let mut recent = recent.lock().map_err(|_| "a worker died")?;
        recent.push_back(name.clone());
        if recent.len() > 20 {
            recent.pop_front();
        }
        return Ok(match outcome {
            Outcome::TimedOut => Fate::TimedOut(name),
            _ => Fate::Caught(name),
        });
    }
    Ok(Fate::Survived)
}
