//! Jobs, and the SQS FIFO queue that they wait in: one credential is worked on once at a time.

mod job;
mod sqs;

pub use job::{Job, JobError, RevokeOld, SCHEMA, Work};
pub use sqs::{Queue, QueueError, Unsent};
