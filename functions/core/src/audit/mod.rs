//! The audit trail: CloudEvents on an EventBridge bus.

mod bus;
mod event;

pub use bus::{AuditError, Bus};
pub use event::{CloudEvent, EventData, EventType, SOURCE, event_id};
