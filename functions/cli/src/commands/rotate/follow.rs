//! Follows a queued rotation by its secret's labels.

use std::time::Duration;

use indicatif::ProgressBar;
use keywheel_core::http::Retry;
use keywheel_core::ids::KeyId;
use keywheel_core::manifest::Credential;
use keywheel_core::queue::QueueError;
use keywheel_core::rotation::SecretState;
use keywheel_core::rotation::watch::{Seen, Step, Watch};
use keywheel_core::secrets::Secrets;
use serde::Serialize;
use tokio::time::Instant;

use super::dead_letter_watch::DeadLetterWatch;
use super::decision::Decision;
use super::result::Outcome;
use super::unremovable::Unremovable;
use crate::args::Rotate;
use crate::terminal::Terminal;

/// The pause between two looks at the labels.
const PAUSE: Duration = Duration::from_secs(1);
/// The pause between two looks at a rotation that takes longer than most.
const LONG_PAUSE: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::from_mins(3);
/// How long the labels may be unreadable in one stretch.
const UNREAD_FOR: Duration = Duration::from_mins(2);
/// The pause between two looks at the dead letters.
const DEAD_LETTERS_PAUSE: Duration = Duration::from_secs(5);

/// How the following ended. The rotation itself goes on in the functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) outcome: Outcome,
    /// Why the outcome is not the one that was asked for.
    pub(super) why: Option<String>,
}

/// A step, and when it was seen.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Passed {
    step: Step,
    after_seconds: u64,
}

/// A rotation that is being followed.
pub(super) struct Follow<'a> {
    terminal: &'a Terminal,
    secret: &'a str,
    begun: Instant,
    timeout: Duration,
    revokes_now: bool,
    /// Why the old key, which was to be removed at once, cannot be removed. The removal is then not waited for.
    unremovable: Option<Unremovable>,
    pub(super) watch: Watch,
    /// The new version's key, once the version is stored.
    pub(super) key: Option<KeyId>,
    pub(super) passed: Vec<Passed>,
    /// Why the dead letters cannot be read.
    unread_dead_letters: Option<String>,
    progress: ProgressBar,
}

impl<'a> Follow<'a> {
    /// Begins to follow.
    pub(super) fn new(
        credential: &'a Credential,
        decision: &Decision,
        args: &Rotate,
        terminal: &'a Terminal,
    ) -> Self {
        let removable = args.now_revoke_old && decision.unremovable.is_none();
        let revoke = decision.old_key.filter(|_| removable);
        let replaces = decision.replaces.clone();
        Self {
            terminal,
            secret: credential.secret.as_str(),
            begun: Instant::now(),
            timeout: args.timeout,
            revokes_now: args.now_revoke_old,
            unremovable: decision.unremovable,
            watch: Watch::new(decision.rotation.clone().into(), replaces, revoke),
            key: None,
            passed: Vec::new(),
            unread_dead_letters: None,
            progress: terminal.spinner("waiting for the rotate function"),
        }
    }

    /// Looks until the rotation is done, or out of time, or interrupted.
    pub(super) async fn run(
        &mut self,
        secrets: &Secrets,
        dead_letters: Result<Option<DeadLetterWatch>, QueueError>,
    ) -> End {
        let deadline = self.begun + self.timeout;
        let dead_letters = dead_letters.unwrap_or_else(|failure| {
            self.unread_dead_letters = Some(failure.to_string());
            None
        });
        let end = tokio::select! {
            end = self.look(secrets, dead_letters.as_ref()) => end,
            () = tokio::time::sleep_until(deadline) => End::because(Outcome::TimedOut, self.waits_for()),
            Ok(()) = tokio::signal::ctrl_c() => Outcome::Interrupted.into(),
        };
        self.progress.finish_and_clear();
        end
    }

    async fn look(&mut self, secrets: &Secrets, dead_letters: Option<&DeadLetterWatch>) -> End {
        self.pass(Step::Queued);
        let mut look_at = Instant::now() + DEAD_LETTERS_PAUSE;
        let mut unread_since = None;
        loop {
            match secrets.describe(self.secret).await {
                Ok(described) => {
                    unread_since = None;
                    if let Some(end) = self.see(&described.state) {
                        return end;
                    }
                }
                Err(error) => {
                    let since = *unread_since.get_or_insert_with(|| {
                        self.say(&format!("the secret is looked at again: {error}"));
                        Instant::now()
                    });
                    if error.retry() == Retry::Never || since.elapsed() > UNREAD_FOR {
                        return End::because(Outcome::Unreadable, error.to_string());
                    }
                }
            }
            if let Some(dead_letters) = dead_letters.filter(|_| Instant::now() >= look_at) {
                match dead_letters.why().await {
                    Ok(Some(why)) => {
                        return End::because(
                            Outcome::Failed,
                            self.is_dead(&why, dead_letters.arn()),
                        );
                    }
                    Ok(None) => {}
                    Err(failure) => self.unread_dead_letters = Some(failure.to_string()),
                }
                look_at = Instant::now() + DEAD_LETTERS_PAUSE;
            }
            let long = self.begun.elapsed() > LONG;
            tokio::time::sleep(if long { LONG_PAUSE } else { PAUSE }).await;
        }
    }

    fn see(&mut self, secret: &SecretState) -> Option<End> {
        let followed = self.watch.version.clone();
        let seen = self.watch.see(secret);
        if self.watch.version != followed {
            let version = &self.watch.version;
            self.say(&format!(
                "another rotation came first and is followed instead: version {version}"
            ));
        }
        if let SecretState::Present(view) = secret {
            self.key = view.key_of(&self.watch.version);
        }
        match seen {
            Seen::Step(step) => {
                self.pass(step);
                (step == self.watch.last()).then(|| self.done(Outcome::Promoted))
            }
            Seen::Superseded(version) => {
                self.key = None;
                self.watch.version = version;
                Some(self.done(Outcome::Superseded))
            }
            Seen::Failed(why) => Some(End::because(Outcome::Failed, why)),
        }
    }

    fn done(&self, outcome: Outcome) -> End {
        match self.unremovable {
            Some(unremovable) => End::because(Outcome::NotRevoked, unremovable.why()),
            None => outcome.into(),
        }
    }

    /// Notes a step and the steps before it: several may have passed between two looks.
    fn pass(&mut self, reached: Step) {
        let known = self.reached();
        let steps = self.watch.steps().filter(|step| *step <= reached);
        let new: Vec<Step> = steps.filter(|step| Some(*step) > known).collect();
        for step in new {
            let after_seconds = self.begun.elapsed().as_secs();
            self.passed.push(Passed { step, after_seconds });
            let text = self.words(step);
            self.say(&format!("{after_seconds:>4}s  {text}"));
        }
        self.progress.set_message(next(reached));
    }

    fn reached(&self) -> Option<Step> {
        self.passed.last().map(|passed| passed.step)
    }

    fn words(&self, step: Step) -> String {
        let version = &self.watch.version;
        let key = self.key.map_or_else(String::new, |key| format!(", key {key}"));
        match step {
            Step::Queued => format!("queued    version {version}"),
            Step::Stored => format!("stored    version {version}{key}"),
            Step::Claimed => "claimed   AWSPENDING; the new secret is being proved".to_owned(),
            Step::Promoted => format!("promoted  AWSCURRENT is version {version}{key}"),
            Step::Recorded if self.watch.is_first() => "recorded".to_owned(),
            Step::Recorded if self.unremovable.is_some() => {
                "recorded  the old key is not removed".to_owned()
            }
            Step::Recorded => "recorded  the old key's overlap runs".to_owned(),
            Step::Revoked => "revoked   the old key is removed".to_owned(),
        }
    }

    /// Writes a line above the spinner.
    fn say(&self, text: &str) {
        self.progress.suspend(|| self.terminal.note(text));
    }

    /// Says of a job that failed for good how far it came, why it ended, and what to do.
    fn is_dead(&self, why: &str, arn: &str) -> String {
        let state = match self.reached() {
            Some(Step::Promoted | Step::Recorded | Step::Revoked) if self.revokes_now => {
                "The new secret is current, and the old key still works"
            }
            Some(Step::Promoted | Step::Recorded | Step::Revoked) => "The new secret is current",
            _ => "The current secret goes on working",
        };
        let why = why.trim_end_matches('.');
        format!(
            "its job failed for good and is a dead letter: {why}. {state}. Mend the cause and then redrive the dead \
             letter: aws sqs start-message-move-task --source-arn {arn}"
        )
    }

    /// Says what a rotation that is out of time waits for.
    fn waits_for(&self) -> String {
        let state = match self.reached() {
            None | Some(Step::Queued) => {
                "no function has stored a new secret yet; look for the job in the dead-letter queue and in the \
                 rotate function's log"
            }
            Some(Step::Stored | Step::Claimed) => {
                "the new secret is stored and not proved yet; the rotate function's log says why"
            }
            Some(Step::Promoted | Step::Recorded | Step::Revoked) => {
                "the new secret is current, and the steps after that are not done yet; the rotate function's log says \
                 why"
            }
        };
        match &self.unread_dead_letters {
            Some(failure) => {
                format!("{state}. Whether the job is a dead letter cannot be seen: {failure}")
            }
            None => state.to_owned(),
        }
    }
}

impl End {
    fn because(outcome: Outcome, why: String) -> Self {
        Self { outcome, why: Some(why) }
    }
}

impl From<Outcome> for End {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, why: None }
    }
}

/// Says what a rotation that has come this far does next.
fn next(reached: Step) -> &'static str {
    match reached {
        Step::Queued => "waiting for the rotate function",
        Step::Stored => "claiming AWSPENDING",
        Step::Claimed => "proving the new secret",
        Step::Promoted => "recording the promotion",
        Step::Recorded => "removing the old key",
        Step::Revoked => "done",
    }
}
