//! `keywheel audit verify`: whether the chains are whole, or exactly where they are not.

use keywheel_core::audit::chain::{Break, ChainPart, Hash, Sequence, record_key};
use keywheel_core::audit::ledger::{Reader, Verified};
use keywheel_core::ids::CredentialName;
use serde::Serialize;

use super::{folders, title, unknown, verified};
use crate::exit::{Exit, Failure};
use crate::report::Report;
use crate::terminal::Terminal;
use crate::text::{count, plain};

/// The chains, and where they are not whole.
#[derive(Debug, Serialize)]
struct Verification {
    whole: bool,
    chains: Vec<ChainReport>,
    /// The keys that are in no chain's folder.
    strays: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ChainReport {
    credential: Option<CredentialName>,
    folder: String,
    records: usize,
    head: Option<HeadReport>,
    whole: bool,
    breaks: Vec<BreakReport>,
    #[serde(skip)]
    title: String,
}

#[derive(Debug, Serialize)]
struct HeadReport {
    sequence: Sequence,
    hash: Hash,
}

#[derive(Debug, Serialize)]
struct BreakReport {
    /// The place in the chain; `None` for an object in no place of the chain, and for the head.
    sequence: Option<Sequence>,
    /// The key of the object.
    key: Option<String>,
    damage: &'static str,
    explanation: String,
    #[serde(skip)]
    text: String,
}

/// Reads the chains with all their versions and prints where they are not whole.
pub(crate) async fn run(
    reader: &Reader,
    name: Option<&str>,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let read = async |_: &_| read(reader, name).await;
    let verification = terminal.progress("reading the audit trail", read).await?;
    if let (Some(name), [chain]) = (name, verification.chains.as_slice())
        && chain.records == 0
        && chain.head.is_none()
        && chain.whole
    {
        return Err(unknown(name));
    }
    terminal.show(&verification)?;
    Ok(if verification.whole { Exit::Done } else { Exit::Broken })
}

async fn read(reader: &Reader, name: Option<&str>) -> Result<Verification, Failure> {
    let strays: Vec<_> = match name {
        Some(_) => Vec::new(),
        None => reader.folders().await?.1.into_iter().map(|stray| stray.0).collect(),
    };
    let mut chains = Vec::new();
    for folder in folders(reader, name).await? {
        chains.push(ChainReport::new(verified(reader, folder, name).await?));
    }
    let whole = strays.is_empty() && chains.iter().all(|chain| chain.whole);
    Ok(Verification { whole, chains, strays })
}

impl Report for Verification {
    fn print(&self, terminal: &Terminal) -> Result<(), Failure> {
        if self.chains.is_empty() && self.strays.is_empty() {
            return terminal.print("no chains: nothing is recorded yet");
        }
        for ChainReport { title, records, whole, breaks, .. } in &self.chains {
            let state = if *whole { "whole" } else { "BROKEN" };
            terminal.print(&format!("{title}: {state}, {}", count(*records, "record")))?;
            for one in breaks {
                terminal.print(&format!("  {}", plain(&one.text)))?;
            }
        }
        for stray in &self.strays {
            terminal.print(&format!("{}: in no chain's folder", plain(stray)))?;
        }
        Ok(())
    }
}

impl ChainReport {
    fn new(chain: Verified) -> Self {
        Self {
            title: plain(&title(&chain)),
            folder: chain.folder.to_string(),
            records: chain.records,
            whole: chain.breaks.is_empty(),
            breaks: chain.breaks.iter().map(|one| BreakReport::new(one, &chain)).collect(),
            head: chain.head.map(|head| HeadReport { sequence: head.sequence, hash: head.hash }),
            credential: chain.credential,
        }
    }
}

impl BreakReport {
    fn new(one: &Break, chain: &Verified) -> Self {
        let (sequence, key) = match &one.part {
            ChainPart::Record(sequence) => {
                let key = chain.credential.as_ref().map(|name| record_key(name, *sequence));
                (Some(*sequence), key)
            }
            ChainPart::Key(key) => (None, Some(key.clone())),
            ChainPart::Head => (None, Some(chain.folder.head_key())),
        };
        Self {
            sequence,
            key,
            damage: one.damage.name(),
            explanation: one.damage.to_string(),
            text: one.to_string(),
        }
    }
}
