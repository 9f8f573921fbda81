//! Follows a queued rotation by its secret's labels.

use std::time::Duration;

use indicatif::ProgressBar;
use keywheel_core::http::Retry;
use keywheel_core::ids::KeyId;
use keywheel_core::manifest::Credential;
use keywheel_core::queue::QueueError;
use keywheel_core::rotation::SecretState;
use keywheel_core::secrets::{Secrets, SecretsError};
use serde::Serialize;
use tokio::time::Instant;

use super::decide::Decision;
use super::left::Left;
use super::letters::Letters;
use crate::args::Rotate;
use crate::exit::Exit;
use crate::terminal::Terminal;
use keywheel_core::rotation::watch::{Seen, Step, Watch};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// … once it takes longer than most rotations.
const LONG_PAUSE: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::from_mins(3);
/// Between two looks at the dead letters.
const LETTERS: Duration = Duration::from_secs(5);

/// How the following ended. The rotation is the functions' matter: it goes on whatever is said here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The new secret is current.
    Done,
    /// A new secret is current, and the old key, which was to go, is left.
    Left(Left),
    /// Another rotation's secret is.
    Superseded,
    /// Neither, within the time.
    TimedOut,
    /// It will not be, for this reason.
    Failed(String),
    /// Its job is a dead letter: nothing more comes of it by itself.
    Dead {
        /// Why.
        why: String,
        /// The queue that it is in.
        arn: String,
    },
    /// How far it is cannot be read.
    Unreadable(String),
    /// Ctrl-C.
    Interrupted,
}

impl End {
    /// The program's exit.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Done | Self::Superseded => Exit::Done,
            Self::TimedOut => Exit::TimedOut,
            Self::Failed(_) | Self::Dead { .. } | Self::Left(_) => Exit::Refused,
            Self::Unreadable(_) => Exit::Failed,
            Self::Interrupted => Exit::Interrupted,
        }
    }
}

/// A step, and when it was seen.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Passed {
    pub(super) step: Step,
    after_seconds: u64,
}

/// A rotation that is being followed.
pub(super) struct Follow<'a> {
    terminal: &'a Terminal,
    secret: &'a str,
    begun: Instant,
    timeout: Duration,
    pub(super) watch: Watch,
    /// The old key is wanted gone, and cannot be removed: it is not waited for.
    left: Option<Left>,
    /// The new version's key, once it is stored.
    pub(super) key: Option<KeyId>,
    pub(super) passed: Vec<Passed>,
    /// Why the dead letters cannot be read.
    pub(super) blind: Option<String>,
    progress: ProgressBar,
}

impl<'a> Follow<'a> {
    /// Follows from now on.
    pub(super) fn new(
        credential: &'a Credential,
        decision: &Decision,
        args: &Rotate,
        terminal: &'a Terminal,
    ) -> Self {
        let removable = args.now_revoke_old && decision.left.is_none();
        let revoke = decision.old_key.filter(|_| removable);
        let replaces = decision.replaces.clone();
        Self {
            terminal,
            secret: credential.secret.as_str(),
            begun: Instant::now(),
            timeout: args.timeout,
            watch: Watch::new(decision.rotation.clone().into(), replaces, revoke),
            left: decision.left,
            key: None,
            passed: Vec::new(),
            blind: None,
            progress: terminal.spinner("waiting for the rotate function"),
        }
    }

    /// Looks until it is done, or out of time, or interrupted.
    pub(super) async fn run(
        &mut self,
        secrets: &Secrets,
        letters: Result<Option<Letters>, QueueError>,
    ) -> End {
        let deadline = self.begun + self.timeout;
        let letters = letters.unwrap_or_else(|failure| {
            self.blind = Some(failure.to_string());
            None
        });
        let end = tokio::select! {
            end = self.look(secrets, letters.as_ref()) => end,
            () = tokio::time::sleep_until(deadline) => End::TimedOut,
            Ok(()) = tokio::signal::ctrl_c() => End::Interrupted,
        };
        self.progress.finish_and_clear();
        end
    }

    async fn look(&mut self, secrets: &Secrets, letters: Option<&Letters>) -> End {
        self.pass(Step::Queued);
        let mut look_at = Instant::now() + LETTERS;
        loop {
            match secrets.describe(self.secret).await {
                Ok(described) => {
                    if let Some(end) = self.see(&described.state) {
                        return end;
                    }
                }
                Err(error) if error.retry() == Retry::Never => {
                    return End::Unreadable(error.to_string());
                }
                Err(error) => self.mention(&error),
            }
            if let Some(letters) = letters.filter(|_| Instant::now() >= look_at) {
                if let Some(end) = self.dead(letters).await {
                    return end;
                }
                look_at = Instant::now() + LETTERS;
            }
            let long = self.begun.elapsed() > LONG;
            tokio::time::sleep(if long { LONG_PAUSE } else { PAUSE }).await;
        }
    }

    async fn dead(&mut self, letters: &Letters) -> Option<End> {
        match letters.why().await {
            Ok(why) => why.map(|why| End::Dead { why, arn: letters.arn().to_owned() }),
            Err(failure) => {
                self.blind = Some(failure.to_string());
                None
            }
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
                let end = self.left.map_or(End::Done, End::Left);
                (step == self.watch.last()).then_some(end)
            }
            Seen::Superseded(version) => {
                self.key = None;
                self.watch.version = version;
                Some(self.left.map_or(End::Superseded, End::Left))
            }
            Seen::Failed(why) => Some(End::Failed(why)),
        }
    }

    /// Notes a step and those before it: one may have passed between two looks.
    fn pass(&mut self, reached: Step) {
        let known = self.passed.last().map(|passed| passed.step);
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

    fn words(&self, step: Step) -> String {
        let version = &self.watch.version;
        let key = self.key.map_or_else(String::new, |key| format!(", key {key}"));
        match step {
            Step::Queued => format!("queued    version {version}"),
            Step::Stored => format!("stored    version {version}{key}"),
            Step::Claimed => "claimed   AWSPENDING; the new secret is being proved".to_owned(),
            Step::Promoted => format!("promoted  AWSCURRENT is version {version}{key}"),
            Step::Recorded if self.watch.is_first() => "recorded".to_owned(),
            Step::Recorded if self.left.is_some() => "recorded  the old key is left".to_owned(),
            Step::Recorded => "recorded  the old key's overlap runs".to_owned(),
            Step::Revoked => "revoked   the old key is removed".to_owned(),
        }
    }

    fn mention(&self, error: &SecretsError) {
        self.progress.set_message(format!("looking again: {error}"));
    }

    /// A line above the sign of life.
    fn say(&self, text: &str) {
        self.progress.suspend(|| self.terminal.note(text));
    }
}

/// What a rotation is doing that has come this far.
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
