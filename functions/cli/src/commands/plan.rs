//! `keywheel plan`: a sweep that queues and reports nothing.

use std::time::Duration;

use indicatif::ProgressBar;
use keywheel_core::engine::Engine;
use keywheel_core::engine::sweep::{Cursor, Mode, Planned, Report, Seen};
use keywheel_core::ids::{AppId, CredentialName};
use keywheel_core::manifest::Manifest;
use keywheel_core::rotation::finding::Finding;
use keywheel_core::rotation::plan::{Reason, Work};
use serde::Serialize;
use tokio::time::Instant;

use crate::args::{Global, Plan};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::shape::{FindingShape, WorkShape, why};
use crate::terminal::{Terminal, Tone};
use crate::text::{count, plain};

/// How long a part of the sweep may take. It keeps 45 seconds for the page in hand, so a part lasts about
/// a quarter of a minute, after which the progress is shown.
const PART: Duration = Duration::from_mins(1);

/// The result as JSON.
#[derive(Debug, Serialize)]
struct Shape {
    credentials: usize,
    objects: usize,
    planned: Vec<PlannedShape>,
    findings: Vec<FindingShape>,
}

#[derive(Debug, Serialize)]
struct PlannedShape {
    credential: CredentialName,
    application: AppId,
    #[serde(flatten)]
    work: WorkShape,
    why: &'static str,
    /// Of an adoption.
    writes: Option<WritesShape>,
}

/// The names of the keys that an adoption will write, and no values.
#[derive(Debug, Serialize)]
struct WritesShape {
    format: &'static str,
    /// The names of the keys that Keywheel writes, where the value is an object of keys that may be others'.
    keys: Option<Vec<String>>,
    /// Whether all other keys of the value that is replaced stay in it.
    keeps_other_keys: bool,
}

/// Sweeps without doing anything, and prints what would have been done.
pub(crate) async fn run(
    global: &Global,
    args: &Plan,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let progress = terminal.spinner("signing in");
    let read = read(global, &progress).await;
    progress.finish_and_clear();
    let read = read.map_err(|failure| match failure.exit {
        // 2 would say that something is due.
        Exit::Usage if args.detailed_exitcode => Failure { exit: Exit::Failed, ..failure },
        _ => failure,
    })?;
    let Read { report, manifest } = read;
    if terminal.json {
        terminal.print_json(&shape(&report, &manifest))?;
    } else {
        print(&report, &manifest, terminal)?;
    }
    let due = !report.planned.is_empty();
    Ok(if due && args.detailed_exitcode { Exit::Due } else { Exit::Done })
}

/// A dry sweep's report, and the manifest that the sweep read.
struct Read {
    report: Report,
    manifest: Manifest,
}

async fn read(global: &Global, progress: &ProgressBar) -> Result<Read, Failure> {
    let session = Session::open(global).await?;
    progress.set_message("reading the directory");
    let show = |report: &Report| {
        let objects = count(report.objects, "directory object");
        progress.set_message(format!("read {objects}, {} due", report.planned.len()));
    };
    let report = sweep(&session.engine, show).await?;
    Ok(Read { report, manifest: session.engine.manifest().clone() })
}

/// All parts of a sweep, put together.
async fn sweep(engine: &Engine, show: impl Fn(&Report)) -> Result<Report, Failure> {
    let mut whole = Report::default();
    let mut next = Some(Cursor::default());
    while let Some(cursor) = next {
        let part = engine.sweep(cursor, Mode::DryRun, Instant::now() + PART).await?;
        whole.planned.extend(part.planned);
        whole.findings.extend(part.findings);
        whole.credentials += part.credentials;
        whole.objects += part.objects;
        next = part.rest;
        show(&whole);
    }
    Ok(whole)
}

/// Names the keys that a planned adoption will write; `None` for any other work.
fn writes(planned: &Planned, manifest: &Manifest) -> Option<WritesShape> {
    let Work::Rotate { reason: Reason::Adopt, .. } = &planned.work else { return None };
    let credential = manifest.by_name_of(&planned.credential, planned.application)?.credential;
    let names = credential.settings.format.field_names();
    Some(WritesShape {
        format: credential.settings.format.name(),
        keys: names.map(|names| names.map(ToOwned::to_owned).to_vec()),
        keeps_other_keys: names.is_some(),
    })
}

/// Says in a line for people which keys a planned adoption will write.
fn writes_line(planned: &Planned, manifest: &Manifest) -> Option<String> {
    let WritesShape { format, keys, .. } = writes(planned, manifest)?;
    let credential = &planned.credential;
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

fn shape(report: &Report, manifest: &Manifest) -> Shape {
    let planned = report.planned.iter().map(|planned| PlannedShape {
        credential: planned.credential.clone(),
        application: planned.application,
        work: WorkShape::from(&planned.work),
        why: why(&planned.work),
        writes: writes(planned, manifest),
    });
    let findings = report.findings.iter().map(|seen| {
        let name = seen.display_name.clone();
        FindingShape::new(seen.credential.as_ref(), seen.application, name, &seen.finding)
    });
    Shape {
        credentials: report.credentials,
        objects: report.objects,
        planned: planned.collect(),
        findings: findings.collect(),
    }
}

fn print(report: &Report, manifest: &Manifest, terminal: &Terminal) -> Result<(), Failure> {
    if !report.planned.is_empty() {
        let rows = report.planned.iter().map(planned_row).collect();
        terminal.print_table(&["CREDENTIAL", "WORK", "WHY", "KEY"], 3, rows)?;
        terminal.print("")?;
        let lines: Vec<_> =
            report.planned.iter().filter_map(|planned| writes_line(planned, manifest)).collect();
        for line in &lines {
            terminal.print(line)?;
        }
        if !lines.is_empty() {
            terminal.print("")?;
        }
    }
    if !report.findings.is_empty() {
        let rows = report.findings.iter().map(finding_row).collect();
        terminal.print_table(&["FINDING", "OF", "KEY", "WHAT TO DO"], 2, rows)?;
        terminal.print("")?;
    }
    terminal.print(&format!(
        "{} due, {}; {} and {} looked at",
        report.planned.len(),
        count(report.findings.len(), "finding"),
        count(report.credentials, "credential"),
        count(report.objects, "directory object"),
    ))
}

fn planned_row(planned: &Planned) -> Vec<(String, Tone)> {
    let (work, key) = match &planned.work {
        Work::Rotate { .. } => ("rotate", String::new()),
        Work::Retire(target) => ("retire key", target.key.to_string()),
        Work::Resolve { key, .. } => ("remove loser", key.to_string()),
    };
    vec![
        (planned.credential.to_string(), Tone::Plain),
        (work.to_owned(), Tone::Due),
        (why(&planned.work).to_owned(), Tone::Plain),
        (key, Tone::Plain),
    ]
}

fn finding_row(seen: &Seen) -> Vec<(String, Tone)> {
    let of = match (&seen.credential, &seen.display_name) {
        (Some(credential), _) => credential.to_string(),
        (None, Some(name)) => format!("{}\n{}", plain(name), seen.application),
        (None, None) => seen.application.to_string(),
    };
    let tone = match &seen.finding {
        Finding::Stopped(_) | Finding::NativeRotationLate(..) => Tone::Bad,
        _ => Tone::Plain,
    };
    let key = seen.finding.key().map(|key| key.to_string());
    vec![
        (seen.finding.name().to_owned(), tone),
        (of, Tone::Plain),
        (key.unwrap_or_default(), Tone::Plain),
        (seen.finding.explanation(), Tone::Plain),
    ]
}
