//! `keywheel audit verify`: whether the chains are whole, or exactly where they are not.

use keywheel_core::audit::chain::{Break, Damage, Place, record_key};
use keywheel_core::audit::ledger::{Reader, Verified};
use keywheel_core::ids::CredentialName;
use serde::Serialize;

use super::{folders, unknown};
use crate::args::AuditVerify;
use crate::exit::{Exit, Failure};
use crate::session::later;
use crate::terminal::Terminal;
use crate::text::{count, plain};

/// The result as JSON.
#[derive(Debug, Serialize)]
struct Shape {
    whole: bool,
    chains: Vec<ChainShape>,
    /// Keys beside all chains.
    strays: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ChainShape {
    credential: Option<String>,
    folder: String,
    records: usize,
    head: Option<HeadShape>,
    whole: bool,
    breaks: Vec<BreakShape>,
}

#[derive(Debug, Serialize)]
struct HeadShape {
    sequence: u64,
    hash: String,
}

#[derive(Debug, Serialize)]
struct BreakShape {
    /// The place in the chain, where it is one.
    sequence: Option<u64>,
    /// The key of the object.
    key: Option<String>,
    damage: &'static str,
    explanation: String,
}

/// Reads the chains with all their versions and prints what is wrong with them.
pub(crate) async fn run(
    reader: &Reader,
    args: &AuditVerify,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let progress = terminal.spinner("reading the audit trail");
    let read = read(reader, args).await;
    progress.finish_and_clear();
    let (chains, strays) = read?;
    if let (Some(name), [chain]) = (&args.name, chains.as_slice())
        && chain.records == 0
        && chain.head.is_none()
        && chain.breaks.is_empty()
    {
        return Err(unknown(name));
    }
    let whole = strays.is_empty() && chains.iter().all(|chain| chain.breaks.is_empty());
    if terminal.json {
        let chains = chains.iter().map(shape).collect();
        terminal.print_json(&Shape { whole, chains, strays })?;
    } else {
        print(&chains, &strays, terminal)?;
    }
    Ok(if whole { Exit::Done } else { Exit::Broken })
}

async fn read(
    reader: &Reader,
    args: &AuditVerify,
) -> Result<(Vec<Verified>, Vec<String>), Failure> {
    let strays = match args.name {
        Some(_) => Vec::new(),
        None => reader.folders().await?.1.into_iter().map(|stray| stray.0).collect(),
    };
    let mut chains = Vec::new();
    for folder in folders(reader, args.name.as_deref()).await? {
        let mut chain = reader.verify(folder, later()).await?;
        if chain.credential.is_none() {
            chain.credential = args.name.clone().map(CredentialName);
        }
        chains.push(chain);
    }
    Ok((chains, strays))
}

fn name(chain: &Verified) -> String {
    let folder = || format!("audit/{}/", chain.folder);
    plain(&chain.credential.as_ref().map_or_else(folder, ToString::to_string))
}

fn print(chains: &[Verified], strays: &[String], terminal: &Terminal) -> Result<(), Failure> {
    if chains.is_empty() && strays.is_empty() {
        return terminal.print("no chains: nothing is recorded yet");
    }
    for chain in chains {
        let (name, records) = (name(chain), count(chain.records, "record"));
        if chain.breaks.is_empty() {
            terminal.print(&format!("{name}: whole, {records}"))?;
            continue;
        }
        terminal.print(&format!("{name}: BROKEN, {records}"))?;
        for one in &chain.breaks {
            terminal.print(&format!("  {}", plain(&one.to_string())))?;
        }
    }
    for stray in strays {
        terminal.print(&format!("{}: in no chain's folder", plain(stray)))?;
    }
    Ok(())
}

fn shape(chain: &Verified) -> ChainShape {
    let head = chain.head.as_ref();
    ChainShape {
        credential: chain.credential.as_ref().map(ToString::to_string),
        folder: chain.folder.to_string(),
        records: chain.records,
        head: head.map(|head| HeadShape {
            sequence: head.sequence.number(),
            hash: head.hash.to_string(),
        }),
        whole: chain.breaks.is_empty(),
        breaks: chain.breaks.iter().map(|one| break_shape(one, chain)).collect(),
    }
}

fn break_shape(Break { place, damage }: &Break, chain: &Verified) -> BreakShape {
    let (sequence, key) = match place {
        Place::Record(sequence) => {
            let key = chain.credential.as_ref().map(|name| record_key(name, *sequence));
            (Some(sequence.number()), key)
        }
        Place::Key(key) => (None, Some(key.clone())),
        Place::Head => (None, Some(chain.folder.head_key())),
    };
    let damage: Damage = *damage;
    BreakShape { sequence, key, damage: damage.name(), explanation: damage.to_string() }
}
