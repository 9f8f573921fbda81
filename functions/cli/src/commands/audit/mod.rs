//! `keywheel audit`: the record of what was done, and whether the record is whole.

mod export;
mod show;
mod verify;

use aws_config::SdkConfig;
use keywheel_core::audit::chain::Folder;
use keywheel_core::audit::ledger::{LedgerError, Reader, Verified};
use keywheel_core::engine::EngineError;
use keywheel_core::http::{self, Http};
use keywheel_core::ids::CredentialName;

use crate::args::{Audit, AuditCommand};
use crate::exit::{Exit, Failure};
use crate::session::later;
use crate::terminal::Terminal;

/// Carries out a command of `keywheel audit`.
pub(crate) async fn run(args: &Audit, terminal: &Terminal) -> Result<Exit, Failure> {
    let reader = reader(args).await?;
    match &args.command {
        AuditCommand::Show { name } => show::run(&reader, name, terminal).await,
        AuditCommand::Verify { name, .. } => verify::run(&reader, name.as_deref(), terminal).await,
        AuditCommand::Export { name } => export::run(&reader, name.as_deref(), terminal).await,
    }
}

/// Connects to the two buckets. Neither the manifest nor Entra is read: a credential may be gone from both.
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

/// Lists one credential's folder, or all folders.
async fn folders(reader: &Reader, name: Option<&str>) -> Result<Vec<Folder>, LedgerError> {
    match name {
        Some(name) => Ok(vec![Folder::of(&CredentialName(name.to_owned()))]),
        None => Ok(reader.folders().await?.0.into_iter().collect()),
    }
}

/// Verifies a folder's chain, which is the asked credential's if nothing in the folder names another.
async fn verified(
    reader: &Reader,
    folder: Folder,
    name: Option<&str>,
) -> Result<Verified, LedgerError> {
    let mut chain = reader.verify(folder, later()).await?;
    chain.credential =
        chain.credential.or_else(|| name.map(|name| CredentialName(name.to_owned())));
    Ok(chain)
}

/// Names a chain for people: by its credential, else by its folder.
fn title(chain: &Verified) -> String {
    let folder = || format!("audit/{}/", chain.folder);
    chain.credential.as_ref().map_or_else(folder, ToString::to_string)
}

fn unknown(name: &str) -> Failure {
    Failure::new(
        Exit::Refused,
        format!("the audit trail has no record of {name:?}"),
        "take a name that `keywheel audit verify` lists: a credential's, or an application's client id",
    )
}
