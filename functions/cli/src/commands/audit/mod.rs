//! `keywheel audit`: the record of what was done, and whether it is whole.

mod export;
mod show;
mod verify;

use aws_config::SdkConfig;
use keywheel_core::audit::chain::Folder;
use keywheel_core::audit::ledger::{LedgerError, Reader};
use keywheel_core::engine::EngineError;
use keywheel_core::http::{self, Http};
use keywheel_core::ids::CredentialName;

use crate::args::{Audit, AuditCommand};
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// Carries out one of its commands.
pub(crate) async fn run(args: &Audit, terminal: &Terminal) -> Result<Exit, Failure> {
    let reader = reader(args).await?;
    match &args.command {
        AuditCommand::Show(show) => show::run(&reader, show, terminal).await,
        AuditCommand::Verify(verify) => verify::run(&reader, verify, terminal).await,
        AuditCommand::Export(export) => export::run(&reader, export, terminal).await,
    }
}

/// The record needs neither the manifest nor Entra: a credential may be gone from both.
async fn reader(args: &Audit) -> Result<Reader, Failure> {
    let records = named(args.bucket.as_deref(), "--bucket", "KEYWHEEL_AUDIT_BUCKET")?;
    let heads = named(args.head_bucket.as_deref(), "--head-bucket", "KEYWHEEL_AUDIT_HEAD_BUCKET")?;
    let aws: SdkConfig = http::aws::config(&Http::from_env().map_err(EngineError::from)?).await;
    Ok(Reader::new(&aws, records, heads))
}

fn named(given: Option<&str>, option: &str, variable: &str) -> Result<String, Failure> {
    // An empty variable counts as unset, as everywhere in Keywheel.
    let given = given.filter(|text| !text.trim().is_empty()).map(str::to_owned);
    given.ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            "a bucket of the audit trail is not named",
            format!("give {option} or set {variable}: an output of the stack"),
        )
    })
}

/// One credential's folder, or all that there are.
async fn folders(reader: &Reader, name: Option<&str>) -> Result<Vec<Folder>, LedgerError> {
    match name {
        Some(name) => Ok(vec![Folder::of(&CredentialName(name.to_owned()))]),
        None => Ok(reader.folders().await?.0.into_iter().collect()),
    }
}

fn unknown(name: &str) -> Failure {
    Failure::new(
        Exit::Refused,
        format!("the audit trail has no record of {name:?}"),
        "take a name that `keywheel audit verify` lists: a credential's, or an application's client id",
    )
}
