//! `keywheel audit show`: what happened to a credential, in the order in which it happened.

use keywheel_core::audit::chain::{Event, Folder};
use keywheel_core::audit::ledger::{RawRecord, Reader};
use keywheel_core::events::{EventType, Topic};
use keywheel_core::ids::CredentialName;
use serde::Serialize;
use serde_json::Value;

use super::unknown;
use crate::args::AuditShow;
use crate::exit::{Exit, Failure};
use crate::session::later;
use crate::terminal::{Terminal, Tone};
use crate::text::{count, stamp};

/// The result as JSON.
#[derive(Debug, Serialize)]
struct Shape<'a> {
    credential: &'a str,
    whole: bool,
    records: Vec<RecordShape<'a>>,
}

#[derive(Debug, Serialize)]
struct RecordShape<'a> {
    sequence: u64,
    appended_at: String,
    event: &'a Value,
}

/// Reads the chain and prints it by the events' times.
pub(crate) async fn run(
    reader: &Reader,
    args: &AuditShow,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let credential = CredentialName(args.name.clone());
    let verified = reader.verify(Folder::of(&credential), later()).await?;
    let mut lines: Vec<(RawRecord, Event)> = Vec::new();
    for entry in reader.records(&credential).await? {
        // What is no event is no record either, as verification says.
        if let Ok(event) = Event::parse(entry.record.event.clone()) {
            lines.push((entry, event));
        }
    }
    if lines.is_empty() && verified.breaks.is_empty() {
        return Err(unknown(&args.name));
    }
    lines.sort_by_key(|(entry, event)| (event.time(), entry.record.sequence));
    if terminal.json {
        terminal.print_json(&Shape {
            credential: &args.name,
            whole: verified.breaks.is_empty(),
            records: lines.iter().map(|(entry, _)| shape(entry)).collect(),
        })?;
    } else {
        let rows = lines.iter().map(|(entry, event)| row(entry, event)).collect();
        terminal.print_table(&HEADER, 4, rows)?;
    }
    if !verified.breaks.is_empty() {
        let places = count(verified.breaks.len(), "break");
        terminal
            .note(&format!("the chain is not whole: `keywheel audit verify` tells of {places}"));
    }
    Ok(Exit::Done)
}

const HEADER: [&str; 6] = ["#", "WHEN", "WHAT", "WHO", "KEY", "GRAPH REQUEST"];

fn shape(entry: &RawRecord) -> RecordShape<'_> {
    RecordShape {
        sequence: entry.record.sequence.number(),
        appended_at: stamp(entry.record.appended_at),
        event: &entry.record.event,
    }
}

fn row(entry: &RawRecord, event: &Event) -> Vec<(String, Tone)> {
    let detail = |name| event.detail(name).unwrap_or_default().to_owned();
    let what = event.kind().trim_start_matches("keywheel.");
    let tone = match EventType::from(event.kind()).topic() {
        Some(Topic::Findings | Topic::Failures) => Tone::Bad,
        _ => Tone::Plain,
    };
    let reason = event.detail("reason").map(|reason| format!("\n{reason}"));
    // Out-of-band changes name an actor, who did not ask for anything; nor did whoever denied it.
    let who = ["actor", "denied_by", "requested_by"].into_iter().find_map(|by| event.detail(by));
    vec![
        (entry.record.sequence.to_string(), Tone::Plain),
        (stamp(event.time()), Tone::Plain),
        (format!("{what}{}", reason.unwrap_or_default()), tone),
        (who.unwrap_or_default().to_owned(), Tone::Plain),
        (detail("key"), Tone::Plain),
        (detail("graph_request_id"), Tone::Plain),
    ]
}
