//! What a sweep came to, and how it is told.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::{Cursor, Planned, SweepFinding};
use crate::engine::{Engine, EngineError};
use crate::events::{CloudEvent, SWEEP};
use crate::ids::CredentialName;
use crate::metrics::{Document, Metrics};
use crate::queue::{Job, Queue};

/// What a sweep came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What was queued (or would be).
    pub planned: Vec<Planned>,
    /// What was reported (or would be).
    pub findings: Vec<SweepFinding>,
    /// The credentials looked at, due or not.
    pub credentials: usize,
    /// Applications and service principals read.
    pub objects: usize,
    /// When the current key of each credential expires.
    pub ends: BTreeMap<CredentialName, DateTime<Utc>>,
    /// Pages of the directory audit read.
    pub audit_pages: usize,
    /// Where it goes on, if its time was not enough.
    pub rest: Option<Cursor>,
}

impl Report {
    /// Adds what a further part came to.
    pub(super) fn add(&mut self, part: Self) {
        self.planned.extend(part.planned);
        self.findings.extend(part.findings);
        self.credentials += part.credentials;
        self.objects += part.objects;
        self.ends.extend(part.ends);
        self.audit_pages += part.audit_pages;
    }
}

impl Engine {
    /// What a sweep measured, for `CloudWatch`.
    pub fn measured(&self, report: &Report) -> Vec<Document> {
        Metrics::of(self.bus.name()).days_to_expiry(&report.ends, self.graph.now())
    }

    pub(super) async fn queue_planned(
        &self,
        queue: &Queue,
        planned: &[Planned],
    ) -> Result<(), EngineError> {
        let jobs: Vec<Job> =
            planned.iter().map(|planned| planned.job(SWEEP, self.graph.now())).collect();
        if !jobs.is_empty() {
            queue.send_batch(&jobs).await?;
        }
        Ok(())
    }

    pub(super) async fn report_findings(
        &self,
        findings: &[SweepFinding],
        deadline: Instant,
    ) -> Result<(), EngineError> {
        let events: Vec<CloudEvent> =
            findings.iter().map(|seen| seen.event(self.graph.now())).collect();
        if !events.is_empty() {
            self.bus.put(&events, deadline).await?;
        }
        Ok(())
    }
}
