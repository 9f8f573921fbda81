//! The audit trail: CloudEvents on an EventBridge bus, and their record in S3.

mod bus;
pub mod chain;
mod digest;
mod event;
pub mod ledger;

pub use bus::{AuditError, Bus};
pub use digest::{Digest, DigestEvent, Expiring};
pub use event::{CloudEvent, EventData, EventType, SOURCE, SWEEP, event_id};
