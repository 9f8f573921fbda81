//! Prints the checks, by groups.

use serde::Serialize;

use super::catalogue::CHECKS;
use super::seen::Seen;
use super::verdict::Verdict;
use crate::exit::Failure;
use crate::report::Report;
use crate::terminal::{Terminal, Tone};
use crate::text::{count, plain};

/// All checks that were made.
#[derive(Debug, Serialize)]
pub(super) struct Checked {
    /// Whether no check failed. Warnings are no failures.
    pub(super) passed: bool,
    pub(super) checks: Vec<CheckReport>,
}

#[derive(Debug, Serialize)]
pub(super) struct CheckReport {
    pub(super) group: &'static str,
    pub(super) check: &'static str,
    pub(super) asks: &'static str,
    /// The calls that answer it.
    pub(super) reads: &'static str,
    /// `passed`, `warning`, `failed` or `skipped`.
    pub(super) outcome: &'static str,
    /// The fact that passed, the fault, or the reason for skipping the check.
    pub(super) what: String,
    pub(super) cure: Option<String>,
}

impl Checked {
    /// Judges everything that was read.
    pub(super) fn new(seen: &Seen) -> Self {
        let made = CHECKS.iter().filter(|check| check.pre || !seen.pre);
        let checks: Vec<_> = made
            .map(|check| {
                let (outcome, what, cure) = match (check.judge)(seen) {
                    Verdict::Passed(what) => ("passed", what, None),
                    Verdict::Warned(trouble) => ("warning", trouble.what, Some(trouble.cure)),
                    Verdict::Failed(trouble) => ("failed", trouble.what, Some(trouble.cure)),
                    Verdict::Skipped(why) => ("skipped", why, None),
                };
                CheckReport {
                    group: check.group,
                    check: check.name,
                    asks: check.asks,
                    reads: check.reads,
                    outcome,
                    what,
                    cure,
                }
            })
            .collect();
        Self { passed: checks.iter().all(|check| check.outcome != "failed"), checks }
    }

    fn count(&self, outcome: &str) -> usize {
        self.checks.iter().filter(|check| check.outcome == outcome).count()
    }
}

impl Report for Checked {
    fn print(&self, terminal: &Terminal) -> Result<(), Failure> {
        let mut group = "";
        for check in &self.checks {
            if check.group != group {
                let gap = if group.is_empty() { "" } else { "\n" };
                group = check.group;
                terminal.print(&format!("{gap}{group}"))?;
            }
            let (mark, tone) = match check.outcome {
                "passed" => ("√", Tone::Plain),
                "warning" => ("‼", Tone::Due),
                "failed" => ("×", Tone::Bad),
                _ => ("-", Tone::Plain),
            };
            let skipped = if check.outcome == "skipped" { "skipped: " } else { "" };
            let line = format!(
                "{} {}: {skipped}{}",
                terminal.toned(mark, tone),
                check.check,
                plain(&check.what)
            );
            terminal.print(&line)?;
            if let Some(cure) = &check.cure {
                terminal.print(&format!("    cure: {}", plain(cure)))?;
            }
        }
        let (failed, warned) = (self.count("failed"), self.count("warning"));
        terminal.print(&format!(
            "\n{} failed, {}",
            count(failed, "check"),
            count(warned, "warning")
        ))
    }
}
