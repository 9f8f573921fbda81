//! Follows the jobs of a sweep by fresh looks at their credentials.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::{StreamExt, stream};
use indicatif::ProgressBar;
use keywheel_core::manifest::Credential;
use keywheel_core::queue::Queue;
use serde::Serialize;
use tokio::time::Instant;

use crate::args::Global;
use crate::commands::failed_jobs::{FailedJobs, summary};
use crate::exit::{Exit, Failure};
use crate::find::find;
use crate::session::{Session, soon};
use crate::terminal::{Terminal, Tone};
use crate::text::plain;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(5);
/// How many credentials are read side by side. Graph's budget is shared with the functions.
const SIDE_BY_SIDE: usize = 4;

/// The credentials whose jobs were followed, by the end that the jobs came to.
#[derive(Debug, Default, Serialize)]
pub(super) struct Followed {
    /// The credentials for which nothing more is due.
    done: BTreeSet<String>,
    /// The credentials of which a job failed for good, and why.
    failed: BTreeMap<String, String>,
    /// The credentials whose jobs were still under way at the end.
    left: BTreeSet<String>,
    /// Whether Ctrl-C ended the following.
    interrupted: bool,
}

/// The connection, and the jobs that had failed before the sweep.
pub(super) struct Following {
    session: Session,
    queue: Queue,
    before: FailedJobs,
}

impl Following {
    /// Begins before the sweep does.
    pub(super) async fn begin(global: &Global) -> Result<Self, Failure> {
        let session = Session::open(global).await?;
        let queue = session.clients.queue()?;
        let before = FailedJobs::read(&queue).await?;
        Ok(Self { session, queue, before })
    }

    /// Looks until nothing more is due for any of these credentials, or out of time, or interrupted.
    pub(super) async fn follow(
        &self,
        names: BTreeSet<String>,
        timeout: Duration,
        terminal: &Terminal,
    ) -> Result<Followed, Failure> {
        let mut followed = Followed { left: names, ..Followed::default() };
        let deadline = Instant::now() + timeout;
        let mut interrupted = false;
        terminal
            .progress("looking at the queued jobs", async |progress| {
                tokio::select! {
                    result = self.look(&mut followed, progress) => result,
                    () = tokio::time::sleep_until(deadline) => Ok(()),
                    Ok(()) = tokio::signal::ctrl_c() => {
                        interrupted = true;
                        Ok(())
                    }
                }
            })
            .await?;
        Ok(Followed { interrupted, ..followed })
    }

    async fn look(&self, followed: &mut Followed, progress: &ProgressBar) -> Result<(), Failure> {
        let engine = &self.session.engine;
        let mut credentials = Vec::new();
        for name in &followed.left {
            credentials.push(find(engine, Some(name), None).await?);
        }
        let all = credentials.len();
        loop {
            let failed = FailedJobs::read(&self.queue).await?;
            let looks = credentials.iter().map(|credential| async {
                let inspection = engine.inspect(credential, soon()).await;
                // What cannot be read now is looked at again.
                inspection.is_ok_and(|inspection| inspection.plan.work.is_empty())
            });
            let done: Vec<bool> = stream::iter(looks).buffered(SIDE_BY_SIDE).collect().await;
            let mut left = Vec::new();
            for (credential, done) in credentials.into_iter().zip(done) {
                let name = credential.name.0.clone();
                if let Some(why) = self.failure(&failed, &credential) {
                    followed.failed.insert(name, why);
                } else if done {
                    followed.done.insert(name);
                } else {
                    left.push(credential);
                }
            }
            followed.left = left.iter().map(|credential| credential.name.0.clone()).collect();
            if left.is_empty() {
                return Ok(());
            }
            progress.set_message(format!("{} of {all} done or failed", all - left.len()));
            credentials = left;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Says why a job of this credential has failed since the sweep began; `None`: no job has failed.
    fn failure(&self, failed: &FailedJobs, credential: &Credential) -> Option<String> {
        let now = failed.of_credential(credential);
        let before = self.before.of_credential(credential).len();
        summary(now.get(before..).unwrap_or_default())
    }
}

impl Followed {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self { interrupted: true, .. } => Exit::Interrupted,
            Self { failed, .. } if !failed.is_empty() => Exit::Refused,
            Self { left, .. } if !left.is_empty() => Exit::TimedOut,
            _ => Exit::Done,
        }
    }

    /// Says what became of the jobs of a credential.
    pub(super) fn state(&self, credential: &str) -> (String, Tone) {
        match self.failed.get(credential) {
            Some(why) => (format!("failed for good: {}", plain(why)), Tone::Bad),
            None if self.done.contains(credential) => ("done".to_owned(), Tone::Plain),
            None => ("under way".to_owned(), Tone::Due),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_that_became_of_the_jobs_decides_the_exit_code() {
        let one = || BTreeSet::from(["one".to_owned()]);
        let failed = || BTreeMap::from([("two".to_owned(), "no room".to_owned())]);
        let done = Followed { done: one(), ..Followed::default() };
        assert_eq!((done.exit(), done.state("one").0.as_str()), (Exit::Done, "done"));
        let late = Followed { left: one(), ..Followed::default() };
        assert_eq!((late.exit(), late.state("one").0.as_str()), (Exit::TimedOut, "under way"));
        let bad = Followed { left: one(), failed: failed(), ..Followed::default() };
        assert_eq!(bad.exit(), Exit::Refused);
        assert_eq!(bad.state("two").0, "failed for good: no room");
        let cut = Followed { failed: failed(), interrupted: true, ..Followed::default() };
        assert_eq!(cut.exit(), Exit::Interrupted);
    }
}
