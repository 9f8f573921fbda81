//! `keywheel plan`: a sweep that queues and reports nothing.

use std::time::Duration;

use indicatif::ProgressBar;
use keywheel_core::engine::Engine;
use keywheel_core::engine::sweep::{self, Cursor, Mode, Planned};
use keywheel_core::ids::{AppId, CredentialName};
use keywheel_core::manifest::Manifest;
use keywheel_core::rotation::plan::{Reason, Work};
use serde::Serialize;
use tokio::time::Instant;

use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::report::{FindingReport, Report, WorkReport, why};
use crate::session::Session;
use crate::terminal::{Terminal, Tone};
use crate::text::{count, plain};

/// How long a part of the sweep may take. The sweep keeps 45 seconds for the page in hand, so a part lasts about a
/// quarter of a minute, after which the progress is shown.
const PART: Duration = Duration::from_mins(1);

/// Lists what a sweep would queue and report.
#[derive(Debug, Serialize)]
struct SweepPlan {
    credentials: usize,
    objects: usize,
    planned: Vec<PlannedReport>,
    findings: Vec<FindingReport>,
}

#[derive(Debug, Serialize)]
struct PlannedReport {
    credential: CredentialName,
    application: AppId,
    #[serde(flatten)]
    work: WorkReport,
    why: &'static str,
    /// The keys that an adoption writes; `None`: other work.
    writes: Option<AdoptedValue>,
}

/// The value that an adoption will write, by its names and without a value.
#[derive(Debug, Serialize)]
struct AdoptedValue {
    format: &'static str,
    /// The names of the keys that Keywheel writes; `None` if the value is replaced as a whole.
    keys: Option<Vec<String>>,
    /// Whether all other keys of the value that is replaced stay.
    keeps_other_keys: bool,
}

/// Sweeps without changing anything, and prints what a sweep would do.
pub(crate) async fn run(
    global: &Global,
    detailed_exitcode: bool,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let plan = terminal.progress("signing in", async |progress| read(global, progress).await).await;
    let plan = plan.map_err(|failure| match failure.exit {
        // 2 would say that something is due.
        Exit::Usage if detailed_exitcode => Failure { exit: Exit::Failed, ..failure },
        _ => failure,
    })?;
    terminal.show(&plan)?;
    let due = !plan.planned.is_empty();
    Ok(if due && detailed_exitcode { Exit::Due } else { Exit::Done })
}

async fn read(global: &Global, progress: &ProgressBar) -> Result<SweepPlan, Failure> {
    let session = Session::open(global).await?;
    progress.set_message("reading the directory");
    let swept = sweep(&session.engine, progress).await?;
    let manifest = session.engine.manifest();
    let planned = swept.planned.into_iter().map(|planned| PlannedReport {
        work: WorkReport::from(&planned.work),
        why: why(&planned.work),
        writes: writes(&planned, manifest),
        credential: planned.credential,
        application: planned.application,
    });
    let findings = swept.findings.into_iter().map(|seen| {
        FindingReport::new(seen.credential, seen.application, seen.display_name, &seen.finding)
    });
    Ok(SweepPlan {
        credentials: swept.credentials,
        objects: swept.objects,
        planned: planned.collect(),
        findings: findings.collect(),
    })
}

/// Sweeps the directory part by part.
async fn sweep(engine: &Engine, progress: &ProgressBar) -> Result<sweep::Report, Failure> {
    let mut whole = sweep::Report::default();
    let mut next = Some(Cursor::default());
    while let Some(cursor) = next {
        let mut part = engine.sweep(cursor, Mode::DryRun, Instant::now() + PART).await?;
        next = part.rest.take();
        whole.add(part);
        let objects = count(whole.objects, "directory object");
        progress.set_message(format!("read {objects}, {} due", whole.planned.len()));
    }
    Ok(whole)
}

/// Describes the value that a planned adoption will write; `None` for any other work.
fn writes(planned: &Planned, manifest: &Manifest) -> Option<AdoptedValue> {
    let Work::Rotate { reason: Reason::Adopt, .. } = &planned.work else { return None };
    let credential = manifest.by_name_of(&planned.credential, planned.application)?.credential;
    let names = credential.settings.format.field_names();
    Some(AdoptedValue {
        format: credential.settings.format.name(),
        keys: names.map(|names| names.map(ToOwned::to_owned).to_vec()),
        keeps_other_keys: names.is_some(),
    })
}

impl Report for SweepPlan {
    fn print(&self, terminal: &Terminal) -> Result<(), Failure> {
        if !self.planned.is_empty() {
            let rows = self.planned.iter().map(PlannedReport::row).collect();
            terminal.print_table(&["CREDENTIAL", "WORK", "WHY", "KEY"], 3, rows)?;
            terminal.print("")?;
        }
        let adoptions: Vec<_> = self.planned.iter().filter_map(PlannedReport::adoption).collect();
        if !adoptions.is_empty() {
            terminal.print(&format!("{}\n", adoptions.join("\n")))?;
        }
        if !self.findings.is_empty() {
            let rows = self.findings.iter().map(finding_row).collect();
            terminal.print_table(&["FINDING", "OF", "KEY", "WHAT TO DO"], 2, rows)?;
            terminal.print("")?;
        }
        terminal.print(&format!(
            "{} due, {}; {} and {} looked at",
            self.planned.len(),
            count(self.findings.len(), "finding"),
            count(self.credentials, "credential"),
            count(self.objects, "directory object"),
        ))
    }
}

impl PlannedReport {
    fn row(&self) -> Vec<(String, Tone)> {
        let (work, key) = match self.work.key {
            Some(key) => ("remove key", key.to_string()),
            None => ("rotate", String::new()),
        };
        vec![
            (self.credential.to_string(), Tone::Plain),
            (work.to_owned(), Tone::Due),
            (self.why.to_owned(), Tone::Plain),
            (key, Tone::Plain),
        ]
    }

    /// Says which keys a planned adoption will write.
    fn adoption(&self) -> Option<String> {
        let AdoptedValue { format, keys, .. } = self.writes.as_ref()?;
        let credential = &self.credential;
        Some(match keys {
            Some(keys) => format!(
                "{credential}: its adoption writes the keys {} (format {format}); all other keys of a JSON object stay, and \
                 any other value is replaced as a whole",
                plain(&keys.join(", "))
            ),
            None => format!(
                "{credential}: its adoption replaces the value as a whole (format {format}); no key of it stays"
            ),
        })
    }
}

fn finding_row(found: &FindingReport) -> Vec<(String, Tone)> {
    let of = match (&found.credential, &found.display_name) {
        (Some(credential), _) => credential.to_string(),
        (None, Some(name)) => format!("{}\n{}", plain(name), found.application),
        (None, None) => found.application.to_string(),
    };
    vec![
        (found.finding.to_owned(), if found.is_urgent { Tone::Bad } else { Tone::Plain }),
        (of, Tone::Plain),
        (found.key.map(|key| key.to_string()).unwrap_or_default(), Tone::Plain),
        (found.explanation.clone(), Tone::Plain),
    ]
}
