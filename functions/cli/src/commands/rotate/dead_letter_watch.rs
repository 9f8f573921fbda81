//! Watches whether the followed job has become a dead letter.

use std::collections::BTreeSet;

use keywheel_core::ids::{AppId, KeyId, Token};
use keywheel_core::queue::{DeadLetter, DeadLetters, Job, Queue, QueueError, Work};

use super::decision::Decision;

/// A look-out for the dead letter of one job.
#[derive(Debug)]
pub(super) struct DeadLetterWatch {
    dead_letters: DeadLetters,
    /// The ids of the dead letters that were there before the job was queued.
    before: BTreeSet<String>,
    job: FollowedJob,
}

/// The marks by which a dead letter is known to hold the job.
#[derive(Debug)]
struct FollowedJob {
    application: AppId,
    rotation: Token,
    old_key: Option<KeyId>,
}

impl DeadLetterWatch {
    /// Begins before the job is queued. `None`: there is no dead-letter queue.
    ///
    /// A resumed rotation's id may be on an older dead letter.
    pub(super) async fn begin(
        queue: &Queue,
        application: AppId,
        decision: &Decision,
    ) -> Result<Option<Self>, QueueError> {
        let Some(dead_letters) = queue.dead_letters().await? else { return Ok(None) };
        let before = dead_letters.look().await?.into_iter().map(|letter| letter.id).collect();
        let (rotation, old_key) = (decision.rotation.clone(), decision.old_key);
        let job = FollowedJob { application, rotation, old_key };
        Ok(Some(Self { dead_letters, before, job }))
    }

    /// Says why the job failed for good; `None`: the job is no dead letter.
    pub(super) async fn why(&self) -> Result<Option<String>, QueueError> {
        let letters = self.dead_letters.look().await?;
        let new = |letter: &&DeadLetter| !self.before.contains(&letter.id);
        let ours = letters.iter().filter(new).find(|letter| self.job.is_of(letter));
        Ok(ours.map(|letter| letter.why().to_owned()))
    }

    /// Gives the ARN that a redrive names.
    pub(super) fn arn(&self) -> &str {
        &self.dead_letters.arn
    }
}

impl FollowedJob {
    fn is_of(&self, letter: &DeadLetter) -> bool {
        let Ok(job) = Job::parse(&letter.body) else { return false };
        job.application == self.application
            && match &job.work {
                Work::Rotate { rotation, .. } => *rotation == self.rotation,
                // The removal that `--now-revoke-old` asks for.
                Work::Retire { key, .. } => Some(*key) == self.old_key,
                Work::Resolve { .. } => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use keywheel_core::ids::RotationId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_letter_is_ours_by_its_application_and_its_rotation_or_old_key() {
        let id = |number| Uuid::from_u128(number);
        let followed = FollowedJob {
            application: AppId(id(1)),
            rotation: RotationId(id(2)).into(),
            old_key: Some(KeyId(id(3))),
        };
        let job = |application: u128, work: serde_json::Value| {
            let body = serde_json::json!({ "schema": 1, "credential": "monk", "application": id(application),
                "requested_by": "ada", "work": work });
            DeadLetter { id: "m".to_owned(), body: body.to_string(), reason: None }
        };
        let rotate = |rotation: u128| serde_json::json!({ "kind": "rotate", "rotation": id(rotation), "replaces": null, "reason": "requested" });
        let retire =
            |key: u128| serde_json::json!({ "kind": "retire", "version": null, "key": id(key) });
        for (letter, ours) in [
            (job(1, rotate(2)), true),
            (job(1, rotate(3)), false),
            (job(2, rotate(2)), false),
            (job(1, retire(3)), true),
            (job(1, retire(2)), false),
            (DeadLetter { id: "m".to_owned(), body: "no job".to_owned(), reason: None }, false),
        ] {
            assert_eq!(followed.is_of(&letter), ours, "{}", letter.body);
        }
    }
}
