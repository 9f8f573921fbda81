//! The result of a sweep, and how the result is queued and reported.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::{Cursor, Planned, SweepFinding};
use crate::engine::{Engine, EngineError};
use crate::events::{CloudEvent, SWEEP};
use crate::ids::CredentialName;
use crate::metrics::{Document, Metrics};
use crate::queue::{Job, Queue};

/// The result of a sweep.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The work that was queued (or would be).
    pub planned: Vec<Planned>,
    /// The findings that were reported (or would be).
    pub findings: Vec<SweepFinding>,
    /// The number of credentials that were swept.
    pub credentials: usize,
    /// The number of applications and service principals that were read.
    pub objects: usize,
    /// The time at which the current key of each credential expires.
    pub ends: BTreeMap<CredentialName, DateTime<Utc>>,
    /// The number of pages of the directory audit that were read.
    pub audit_pages: usize,
    /// The place where the sweep goes on, if its time was not enough.
    pub rest: Option<Cursor>,
}

impl Report {
    /// Adds the result of a further part.
    pub fn add(&mut self, part: Self) {
        self.planned.extend(part.planned);
        self.findings.extend(part.findings);
        self.credentials += part.credentials;
        self.objects += part.objects;
        self.ends.extend(part.ends);
        self.audit_pages += part.audit_pages;
    }
}

impl Engine {
    /// Gives the metrics of a sweep, for `CloudWatch`.
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
