//! What can keep the emulator from starting.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the emulator did not start, or refused what it was told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It holds secrets and answers to anyone: it must never be reachable from outside.
    #[error("refusing to listen on {0}: only loopback addresses are allowed")]
    NotLoopback(SocketAddr),
    /// The listener could not be opened.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A seed, faults or TLS file could not be read or written.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A seed or faults document does not fit its format.
    #[error("{what}: {reason}")]
    Document {
        /// Which document.
        what: &'static str,
        /// Where and why.
        reason: String,
    },
    /// Keys or certificates could not be made.
    #[error("cannot make keys: {0}")]
    Keys(String),
}

impl Error {
    pub(crate) fn seed(reason: impl Into<String>) -> Self {
        Self::Document { what: "seed", reason: reason.into() }
    }
}
