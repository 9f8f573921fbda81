//! `keywheel audit export`: the records as they were written, a line each.

use keywheel_core::audit::ledger::Reader;
use keywheel_core::ids::CredentialName;

use super::{folders, unknown};
use crate::args::AuditExport;
use crate::exit::{Exit, Failure};
use crate::session::later;
use crate::terminal::Terminal;
use crate::text::{count, plain};

/// Writes each chain in its order: a record's hash can be worked out of its line. So no mark stands in a line: what is
/// wrong is told beside them, by place, as verification names it.
pub(crate) async fn run(
    reader: &Reader,
    args: &AuditExport,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let mut written = 0;
    let mut damaged = Vec::new();
    for folder in folders(reader, args.name.as_deref()).await? {
        let verified = reader.verify(folder, later()).await?;
        let asked = || args.name.clone().map(CredentialName);
        let credential = verified.credential.clone().or_else(asked);
        let shown = credential
            .as_ref()
            .map_or_else(|| format!("audit/{}/", verified.folder), ToString::to_string);
        damaged.extend(verified.breaks.iter().map(|one| plain(&format!("{shown}: {one}"))));
        let Some(credential) = credential else { continue };
        for entry in reader.records(&credential).await? {
            terminal.print(&String::from_utf8_lossy(&entry.bytes))?;
            written += 1;
        }
    }
    if let (0, true, Some(name)) = (written, damaged.is_empty(), &args.name) {
        return Err(unknown(name));
    }
    terminal.note(&format!("{} exported", count(written, "record")));
    if damaged.is_empty() {
        return Ok(Exit::Done);
    }
    Err(Failure::new(
        Exit::Broken,
        format!("what is exported is not whole:\n  {}", damaged.join("\n  ")),
        "`keywheel audit verify` says the same as JSON with --json; trust no record that is named here",
    ))
}
