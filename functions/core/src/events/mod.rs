//! The catalogue of events: the types, the findings, and the fields of each event.
//!
//! A new type of event is an entry in `event_type.rs`, a new finding one in `finding.rs`. The names, the explanations, the
//! topics and the JSON Schema follow from the entry.

mod cloud_event;
mod digest;
mod event_type;
mod finding;

pub use cloud_event::{CloudEvent, EventData, SOURCE, SWEEP, event_id};
pub use digest::{Digest, DigestEvent, Expiring};
pub use event_type::{EventType, Topic};
pub use finding::FindingKind;
