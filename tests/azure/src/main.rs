//! The emulator as a program: prints one line of JSON when it is ready, ends on SIGTERM or SIGINT.

use std::error::Error as _;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use azure_emulator::{Emulator, Error, Faults, Seed};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// Entra's token endpoint and Microsoft Graph on loopback, bad days included.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen; loopback only, port 0 for a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where to write the certificate authority (ca.pem).
    #[arg(long)]
    tls_dir: PathBuf,
    /// What the tenant holds: YAML or JSON.
    #[arg(long)]
    seed: Option<PathBuf>,
    /// Adds so many made-up applications.
    #[arg(long, default_value_t = 0)]
    applications: usize,
    /// What goes wrong: YAML or JSON.
    #[arg(long)]
    faults: Option<PathBuf>,
    /// Replicas of Graph, and of the token service.
    #[arg(long, default_value_t = 3)]
    replicas: usize,
    /// The seed of all chance: the same one makes the same day.
    #[arg(long, default_value_t = 0)]
    random_seed: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("AZURE_EMULATOR_LOG")
        .unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(arguments)),
        Err(source) => Err(Error::File { path: "runtime".into(), source }),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            tracing::error!("{error}{cause}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Error> {
    let mut builder = Emulator::builder()
        .listen(arguments.listen)
        .applications(arguments.applications)
        .replicas(arguments.replicas)
        .random_seed(arguments.random_seed)
        .tls_dir(arguments.tls_dir);
    if let Some(path) = &arguments.seed {
        builder = builder.seed(Seed::parse(&read(path)?)?);
    }
    if let Some(path) = &arguments.faults {
        builder = builder.faults(Faults::parse(&read(path)?)?);
    }
    let signals = |source| Error::File { path: "signals".into(), source };
    let mut terminate = signal(SignalKind::terminate()).map_err(signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(signals)?;
    let emulator = builder.start().await?;
    announce(&emulator).map_err(|source| Error::File { path: "standard output".into(), source })?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    emulator.stop().await;
    Ok(())
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

fn announce(emulator: &Emulator) -> std::io::Result<()> {
    let mut line = serde_json::to_string(&emulator.endpoints())?;
    line.push('\n');
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.flush()
}
