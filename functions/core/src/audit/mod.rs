//! The audit trail: CloudEvents on an EventBridge bus.

mod bus;
mod digest;
mod event;

pub use bus::{AuditError, Bus};
pub use digest::{Digest, DigestEvent, Expiring};
pub use event::{CloudEvent, EventData, EventType, SOURCE, event_id};
