//! Jobs, and the SQS FIFO queue that holds them: one job of a credential runs at a time.

mod dead_letters;
mod job;
mod sqs;

pub use dead_letters::{DeadLetter, DeadLetters};
pub use job::{Job, JobError, RevokeOld, SCHEMA, Work};
pub use sqs::{Queue, QueueError, Unsent};
