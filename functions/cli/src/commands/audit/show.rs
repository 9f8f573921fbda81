//! `keywheel audit show`: what happened to a credential, in the order in which it happened.

use keywheel_core::audit::chain::{Event, Folder, Sequence};
use keywheel_core::audit::ledger::Reader;
use keywheel_core::events::{EventType, Topic};
use keywheel_core::ids::CredentialName;
use serde::Serialize;
use serde_json::Value;

use super::{unknown, verified};
use crate::exit::{Exit, Failure};
use crate::report::Report;
use crate::terminal::{Terminal, Tone};
use crate::text::{Stamp, count};

/// A credential's records, by the times of their events.
#[derive(Debug, Serialize)]
struct History<'a> {
    credential: &'a str,
    whole: bool,
    records: Vec<RecordReport>,
}

#[derive(Debug, Serialize)]
struct RecordReport {
    sequence: Sequence,
    appended_at: Stamp,
    /// The event as it was recorded.
    event: Value,
    #[serde(skip)]
    parsed: Event,
}

/// Reads the chain and prints it by the events' times.
pub(crate) async fn run(reader: &Reader, name: &str, terminal: &Terminal) -> Result<Exit, Failure> {
    let credential = CredentialName(name.to_owned());
    let chain = verified(reader, Folder::of(&credential), Some(name)).await?;
    let mut records = Vec::new();
    for entry in reader.records(&credential).await? {
        let record = entry.record;
        // What is no event is no record either, as verification says.
        if let Ok(parsed) = Event::parse(record.event.clone()) {
            let appended_at = Stamp(record.appended_at);
            let (sequence, event) = (record.sequence, record.event);
            records.push(RecordReport { sequence, appended_at, event, parsed });
        }
    }
    if records.is_empty() && chain.breaks.is_empty() {
        return Err(unknown(name));
    }
    records.sort_by_key(|record| (record.parsed.time(), record.sequence));
    terminal.show(&History { credential: name, whole: chain.breaks.is_empty(), records })?;
    if !chain.breaks.is_empty() {
        let places = count(chain.breaks.len(), "break");
        terminal.note(&format!("the chain is not whole: `keywheel audit verify` names {places}"));
    }
    Ok(Exit::Done)
}

impl Report for History<'_> {
    fn print(&self, terminal: &Terminal) -> Result<(), Failure> {
        let header = ["#", "WHEN", "WHAT", "WHO", "KEY", "GRAPH REQUEST"];
        terminal.print_table(&header, 4, self.records.iter().map(RecordReport::row).collect())
    }
}

impl RecordReport {
    fn row(&self) -> Vec<(String, Tone)> {
        let event = &self.parsed;
        let detail = |name| event.detail(name).unwrap_or_default().to_owned();
        let what = event.kind().trim_start_matches("keywheel.");
        let tone = match EventType::from(event.kind()).topic() {
            Some(Topic::Findings | Topic::Failures) => Tone::Bad,
            _ => Tone::Plain,
        };
        let reason = event.detail("reason").map(|reason| format!("\n{reason}"));
        // Out-of-band changes name an actor, who did not ask for anything; nor did whoever denied it.
        let who =
            ["actor", "denied_by", "requested_by"].into_iter().find_map(|by| event.detail(by));
        vec![
            (self.sequence.to_string(), Tone::Plain),
            (Stamp(event.time()).to_string(), Tone::Plain),
            (format!("{what}{}", reason.unwrap_or_default()), tone),
            (who.unwrap_or_default().to_owned(), Tone::Plain),
            (detail("key"), Tone::Plain),
            (detail("graph_request_id"), Tone::Plain),
        ]
    }
}
