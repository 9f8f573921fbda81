//! Jobs, and the SQS FIFO queue that they wait in: one credential is worked on once at a time.

mod dead_letters;
mod job;
mod sqs;

pub use dead_letters::{DeadLetter, DeadLetters};
pub use job::{Job, JobError, RevokeOld, SCHEMA, Work};
pub use sqs::{Queue, QueueError, Unsent};
