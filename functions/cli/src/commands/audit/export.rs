//! `keywheel audit export`: the records as they were written, a line each.

use keywheel_core::audit::ledger::Reader;
use keywheel_core::ids::CredentialName;

use super::{folders, unknown};
use crate::args::AuditExport;
use crate::exit::{Exit, Failure};
use crate::session::later;
use crate::terminal::Terminal;
use crate::text::count;

/// Writes each chain in its order: a record's hash can be worked out of its line.
pub(crate) async fn run(
    reader: &Reader,
    args: &AuditExport,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let mut written = 0;
    for folder in folders(reader, args.name.as_deref()).await? {
        let credential = match folder.credential() {
            Some(credential) => Some(credential),
            None => match &args.name {
                Some(name) => Some(CredentialName(name.clone())),
                None => reader.verify(folder, later()).await?.credential,
            },
        };
        let Some(credential) = credential else { continue };
        for entry in reader.entries(&credential).await? {
            terminal.print(&String::from_utf8_lossy(&entry.bytes))?;
            written += 1;
        }
    }
    if let (0, Some(name)) = (written, &args.name) {
        return Err(unknown(name));
    }
    terminal.note(&format!("{} exported", count(written, "record")));
    Ok(Exit::Done)
}
