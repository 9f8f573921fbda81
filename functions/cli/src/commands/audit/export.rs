//! `keywheel audit export`: the records as they were written, a line each.

use keywheel_core::audit::ledger::Reader;

use super::{folders, title, unknown, verified};
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;
use crate::text::{count, plain};

/// Writes each chain in its order.
///
/// A record's hash can be worked out of its line, so that no mark may stand in a line. Damage is told on standard error,
/// by its place, as `keywheel audit verify` names the place.
pub(crate) async fn run(
    reader: &Reader,
    name: Option<&str>,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let mut written = 0;
    let mut damaged = Vec::new();
    for folder in folders(reader, name).await? {
        let chain = verified(reader, folder, name).await?;
        let title = title(&chain);
        damaged.extend(chain.breaks.iter().map(|one| plain(&format!("{title}: {one}"))));
        let Some(credential) = chain.credential else { continue };
        for entry in reader.records(&credential).await? {
            terminal.print(&String::from_utf8_lossy(&entry.bytes))?;
            written += 1;
        }
    }
    if let (0, true, Some(name)) = (written, damaged.is_empty(), name) {
        return Err(unknown(name));
    }
    terminal.note(&format!("{} exported", count(written, "record")));
    if damaged.is_empty() {
        return Ok(Exit::Done);
    }
    Err(Failure::new(
        Exit::Broken,
        format!("the exported records are not whole:\n  {}", damaged.join("\n  ")),
        "trust no record that is named here; `keywheel audit verify --json` names the same places as JSON",
    ))
}
