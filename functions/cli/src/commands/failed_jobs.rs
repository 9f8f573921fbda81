//! The jobs that failed for good, by their dead letters.

use std::collections::BTreeMap;

use keywheel_core::ids::{AppId, CredentialName};
use keywheel_core::manifest::Credential;
use keywheel_core::queue::{DeadLetter, Job, Queue, QueueError, Work};
use serde::Serialize;

use crate::text::plain;

/// A job that failed for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct FailedJob {
    /// `rotate`, `retire` or `resolve`.
    work: &'static str,
    /// Why the job failed.
    reason: String,
    requested_by: String,
}

/// The failed jobs of all credentials, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct FailedJobs(BTreeMap<(CredentialName, AppId), Vec<FailedJob>>);

impl FailedJobs {
    /// Reads the dead letters of the job queue. They stay in their queue.
    pub(crate) async fn read(queue: &Queue) -> Result<Self, QueueError> {
        match queue.dead_letters().await? {
            Some(dead_letters) => Ok(Self::of(dead_letters.look().await?)),
            None => Ok(Self::default()),
        }
    }

    fn of(letters: Vec<DeadLetter>) -> Self {
        let mut all = Self::default();
        for letter in letters {
            // A message that is no job belongs to no credential.
            let Ok(job) = Job::parse(&letter.body) else { continue };
            let work = match job.work {
                Work::Rotate { .. } => "rotate",
                Work::Retire { .. } => "retire",
                Work::Resolve { .. } => "resolve",
            };
            let reason = letter.why().to_owned();
            let failed = FailedJob { work, reason, requested_by: job.requested_by };
            all.0.entry((job.credential, job.application)).or_default().push(failed);
        }
        all
    }

    /// Gives the failed jobs of one credential.
    pub(crate) fn of_credential(&self, credential: &Credential) -> &[FailedJob] {
        let found = self.0.get(&(credential.name.clone(), credential.application));
        found.map_or(&[], Vec::as_slice)
    }
}

/// Says in a line how often jobs of a credential failed, and why the last one did; `None`: no job failed.
pub(crate) fn summary(failed: &[FailedJob]) -> Option<String> {
    let last = failed.last()?;
    let (work, reason) = (last.work, plain(&last.reason));
    Some(match failed.len() {
        1 => format!("{work}: {reason}"),
        several => format!("{several} jobs, the last: {work}: {reason}"),
    })
}

#[cfg(test)]
mod tests {
    use keywheel_core::manifest::Manifest;
    use serde_json::json;

    use super::*;

    const APPLICATION: &str = "408bf248-dd4e-4be5-919a-7f6207a307ab";

    fn letter(credential: &str, application: &str, reason: Option<&str>) -> DeadLetter {
        let body = json!({ "schema": 1, "credential": credential, "application": application,
            "requested_by": "sweep", "work": { "kind": "retire", "version": null, "key": application } });
        let reason = reason.map(str::to_owned);
        DeadLetter { id: "m".to_owned(), body: body.to_string(), reason }
    }

    #[test]
    fn failed_jobs_are_told_of_their_credential_alone() {
        let manifest = format!(
            "tenant: {APPLICATION}\ncredentials:\n  monk: {{ application: {APPLICATION}, secret: prod/monk }}\n"
        );
        let manifest = Manifest::parse(&manifest, "m.yaml").unwrap();
        let [monk] = manifest.credentials().collect::<Vec<_>>()[..] else { panic!("one") };
        let other = "559513bd-0c19-4c1a-87cd-851a26afd5fc";
        let strange = DeadLetter { body: "no job".to_owned(), ..letter("monk", APPLICATION, None) };
        let failed = FailedJobs::of(vec![
            letter("monk", APPLICATION, Some("first")),
            strange,
            letter("monk", other, Some("of an application that the credential had before")),
            letter("aks", APPLICATION, Some("of another credential")),
            letter("monk", APPLICATION, None),
        ]);
        let found = failed.of_credential(monk);
        assert_eq!(found.len(), 2);
        assert_eq!(summary(&found[..1]).as_deref(), Some("retire: first"));
        assert!(summary(found).unwrap().starts_with("2 jobs, the last: retire: the job was tried"));
        assert_eq!(summary(&[]), None);
    }
}
