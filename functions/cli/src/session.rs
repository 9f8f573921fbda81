//! The connection to AWS and Entra that most commands need.

use std::time::Duration;

use keywheel_core::engine::{Clients, Engine};
use keywheel_core::manifest::ManifestSource;
use tokio::time::Instant;

use crate::args::Global;
use crate::exit::{Exit, Failure};

/// How long Graph and AWS may take over one credential, tries and pauses included.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long Graph may take to list the whole directory.
const LONG_PATIENCE: Duration = Duration::from_mins(10);

/// The clients, and an engine that changes no key.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) clients: Clients,
    pub(crate) engine: Engine,
}

impl Session {
    /// Loads the manifest and signs in.
    pub(crate) async fn open(global: &Global) -> Result<Self, Failure> {
        let clients = Clients::connect_to(manifest_source(global)?).await?;
        let engine = clients.reader().await?;
        Ok(Self { clients, engine })
    }
}

/// Reads where the manifest is: `--manifest`, or else `KEYWHEEL_MANIFEST`.
pub(crate) fn manifest_source(global: &Global) -> Result<ManifestSource, Failure> {
    let given = global.manifest.as_deref();
    // An empty variable counts as unset, as everywhere in Keywheel.
    let given = given.filter(|text| !text.trim().is_empty());
    let text = given.ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            "no manifest is given",
            "give --manifest or set KEYWHEEL_MANIFEST: s3://bucket/key, ssm:/name or a path",
        )
    })?;
    Ok(ManifestSource::parse(text)?)
}

/// Gives the deadline for reading one credential.
pub(crate) fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// Gives the deadline for reading the directory.
pub(crate) fn later() -> Instant {
    Instant::now() + LONG_PATIENCE
}
