//! Entra's token endpoint and Microsoft Graph v1.0 in memory, over HTTPS on loopback, bad days included.
//!
//! # What it models
//!
//! **Truth and replicas.** There is one truth, which writes change at once. Graph has N replicas and the token service N others; each
//! request lands on one of them, drawn from the seeded dice, and sees the truth as that replica knows it. Every change to passwords,
//! federated credentials, applications and service principals draws a delay *for each replica anew*, so that replicas disagree for a
//! while: one success proves little. No replica is favoured, not even the one that took the write. Other properties (names, tags,
//! owners, `accountEnabled`, role assignments) are the same everywhere at once.
//!
//! **Writes** find their target through the replica they land on, as in Graph: an application that this replica has not heard of is
//! 404, a password that it has not heard of cannot be removed. What they find they change in truth, so nothing is removed twice.
//!
//! **The clock** is real time plus an offset which tests step. Expiry, propagation, token lives, budgets and the 30 days of soft
//! deletion run on it.
//!
//! **Faults** ([`Faults`]) are rules with an operation, an application, a probability and a count, on top of delays, budgets and
//! policies. The same random seed and order of requests give the same day.
//!
//! ```no_run
//! # async fn example() -> Result<(), azure_emulator::Error> {
//! use azure_emulator::{Emulator, Seed, SeedApplication};
//!
//! let mut seed = Seed::default();
//! seed.applications.push(SeedApplication::named("billing"));
//! let emulator = Emulator::builder().seed(seed).start().await?;
//! let graph = emulator.endpoints().graph;
//! # let _ = graph;
//! # Ok(())
//! # }
//! ```

mod admin;
mod clock;
mod dice;
mod directory;
mod emulator;
mod error;
mod faults;
mod graph;
mod http;
mod keys;
mod log;
mod model;
mod operation;
mod people;
mod populate;
mod reports;
mod secrets;
mod seed;
mod server;
mod service;
mod throttle;
mod tls;
mod token;
mod well_known;
mod world;

pub use emulator::{Builder, Emulator, Endpoints};
pub use error::Error;
pub use faults::{Delay, FaultKind, Faults, Lag, Limits, Propagation, Rule, Throttle};
pub use log::{RequestRecord, SignIn};
pub use model::Audience;
pub use operation::Operation;
pub use seed::{
    Seed, SeedApplication, SeedCertificate, SeedFederatedCredential, SeedIssuer, SeedPassword,
    SeedTenant,
};
pub use well_known::{GRAPH_APP_ID, Permission};
