//! The tests: how long each takes, and which mutants it reaches.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::tree::Program;

/// They build programs of their own.
const LEFT_OUT: &[&str] = &["core/mutations"];
/// How much memory a test may take, in KiB: a mutant may build a list without end.
const MEMORY: &str = "6000000";
const LOOK_EVERY: Duration = Duration::from_millis(4);
/// No test takes this long without a mutant.
const BASELINE: Duration = Duration::from_mins(10);

/// A test, as it is without a mutant.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    /// Index of its program.
    pub(crate) program: usize,
    pub(crate) name: String,
    pub(crate) takes: Duration,
}

/// All tests, and who reaches which mutant.
#[derive(Debug)]
pub(crate) struct Suite {
    pub(crate) programs: Vec<Program>,
    pub(crate) tests: Vec<Test>,
    /// By mutant: indices of tests.
    pub(crate) reached_by: HashMap<u32, Vec<usize>>,
}

/// How a run of tests came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed,
    TimedOut,
}

impl Suite {
    /// Runs every test once, each in a process of its own.
    pub(crate) fn measure(
        programs: Vec<Program>,
        scratch: &Path,
        jobs: usize,
        say: &(dyn Fn(&str) + Sync),
    ) -> Result<Self, Failure> {
        let programs: Vec<Program> =
            programs.into_iter().filter(|of| !LEFT_OUT.contains(&of.name.as_str())).collect();
        let mut found = Vec::new();
        for (program, of) in programs.iter().enumerate() {
            let list = Command::new(&of.path)
                .current_dir(&of.folder)
                .args(["--list", "--format", "terse"])
                .output()?;
            let list = String::from_utf8(list.stdout)?;
            let names = list.lines().filter_map(|line| line.strip_suffix(": test"));
            found.extend(names.map(|name| (program, name.to_owned())));
        }
        if scratch.exists() {
            fs::remove_dir_all(scratch)?;
        }
        fs::create_dir_all(scratch)?;
        let next = AtomicUsize::new(0);
        let measured = Mutex::new(Vec::new());
        let work = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some((program, name)) = found.get(at) else { break };
                let Some(of) = programs.get(*program) else { break };
                let file = scratch.join(at.to_string());
                let env = ("KEYWHEEL_MUTANTS_REACHED", file.as_os_str());
                let began = Instant::now();
                let outcome = run(of, &[name], env, BASELINE);
                let takes = began.elapsed();
                if outcome.as_ref().ok() != Some(&Outcome::Passed) {
                    say(&format!("left out: {} {name} fails without a mutant", of.name));
                    continue;
                }
                let reached = fs::read_to_string(&file).unwrap_or_default();
                let reached: HashSet<u32> =
                    reached.lines().filter_map(|line| line.parse().ok()).collect();
                if takes > Duration::from_secs(2) {
                    say(&format!("{:6.1} s {} {name}", takes.as_secs_f64(), of.name));
                }
                if let Ok(mut measured) = measured.lock() {
                    measured.push((Test { program: *program, name: name.clone(), takes }, reached));
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(work);
            }
        });
        let measured = measured.into_inner().map_err(|_| "a worker died")?;
        let mut tests = Vec::new();
        let mut reached_by: HashMap<u32, Vec<usize>> = HashMap::new();
        for (at, (test, reached)) in measured.into_iter().enumerate() {
            for mutant in reached {
                reached_by.entry(mutant).or_default().push(at);
            }
            tests.push(test);
        }
        Ok(Self { programs, tests, reached_by })
    }
}

/// Runs some tests of one program.
pub(crate) fn run(
    program: &Program,
    tests: &[&String],
    (key, value): (&str, &std::ffi::OsStr),
    limit: Duration,
) -> Result<Outcome, Failure> {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -v {MEMORY}; exec nice -n 15 \"$0\" \"$@\"")]);
    command.arg(&program.path).arg("--exact").args(tests).args(["--test-threads", "2"]);
    command.current_dir(&program.folder).env("CARGO_MANIFEST_DIR", &program.folder);
    command.env("RUST_BACKTRACE", "0").env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true");
    command.env_remove("KEYWHEEL_MODEL_FAULTS").env(key, value);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    wait(command.spawn()?, limit)
}

fn wait(mut child: Child, limit: Duration) -> Result<Outcome, Failure> {
    let began = Instant::now();
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(Outcome::Passed),
            Some(_) => return Ok(Outcome::Failed),
            None if began.elapsed() > limit => {
                child.kill()?;
                child.wait()?;
                return Ok(Outcome::TimedOut);
            }
            None => thread::sleep(LOOK_EVERY),
        }
    }
}
