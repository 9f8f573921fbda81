//! The audit trail: CloudEvents on an EventBridge bus, and their chains in S3.

mod bus;
pub mod chain;
pub mod ledger;

pub use bus::{AuditError, Bus};
