//! What Slack is sent: Block Kit within its published limits.

pub mod blocks;
