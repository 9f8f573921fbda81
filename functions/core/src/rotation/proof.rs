//! When a new secret counts as proved.

use chrono::{DateTime, TimeDelta, Utc};

use super::calls::SignIn;

/// How many sign-ins are spread over the settle time, the first and the last included.
const SIGN_INS: i32 = 6;
/// The pause after a refusal, doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(1);
const LONGEST_PAUSE: TimeDelta = TimeDelta::seconds(8);
/// A secret that was refused all along for this long may be dead rather than young.
const PATIENCE: TimeDelta = TimeDelta::minutes(3);

/// A proof under way: several successes spread over a settle time, without one refusal between.
///
/// Replicas of the token service disagree for a while about a fresh secret, so one success proves little.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Proof {
    settle: TimeDelta,
    blocked_counts: bool,
    first_success: Option<DateTime<Utc>>,
    successes: i32,
    first_refusal: Option<DateTime<Utc>>,
    refusals: u32,
}

/// What a sign-in means for the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Proved.
    Proved,
    /// Sign in again after this pause.
    Again(TimeDelta),
    /// Refused for longer than propagation takes: look whether the key is still there.
    Doubtful,
    /// The key has expired.
    Expired,
    /// Right, but Conditional Access forbids the sign-in and the manifest does not accept that.
    Blocked,
    /// The application or its service principal is disabled.
    Disabled,
}

impl Proof {
    /// A proof without any sign-in yet.
    pub fn new(settle: TimeDelta, blocked_counts: bool) -> Self {
        Self {
            settle,
            blocked_counts,
            first_success: None,
            successes: 0,
            first_refusal: None,
            refusals: 0,
        }
    }

    /// Takes one sign-in's answer in.
    pub fn sign_in(&mut self, answer: SignIn, now: DateTime<Utc>) -> Verdict {
        match answer {
            SignIn::Accepted => self.success(now),
            SignIn::BlockedByConditionalAccess if self.blocked_counts => self.success(now),
            SignIn::BlockedByConditionalAccess => Verdict::Blocked,
            SignIn::Disabled => Verdict::Disabled,
            SignIn::Expired => Verdict::Expired,
            SignIn::WrongSecret | SignIn::UnknownApplication => self.refusal(now),
        }
    }

    fn success(&mut self, now: DateTime<Utc>) -> Verdict {
        let first = *self.first_success.get_or_insert(now);
        self.successes += 1;
        self.first_refusal = None;
        self.refusals = 0;
        if self.successes >= SIGN_INS && now - first >= self.settle {
            return Verdict::Proved;
        }
        // Enough sign-ins, but they came too fast: the last one falls on the end of the settle time.
        let left = self.settle - (now - first);
        let step = self.settle / (SIGN_INS - 1);
        Verdict::Again(if self.successes >= SIGN_INS { left } else { step }.max(TimeDelta::zero()))
    }

    fn refusal(&mut self, now: DateTime<Utc>) -> Verdict {
        self.first_success = None;
        self.successes = 0;
        let first = *self.first_refusal.get_or_insert(now);
        if now - first >= PATIENCE {
            self.first_refusal = None;
            return Verdict::Doubtful;
        }
        let pause = FIRST_PAUSE * (1 << self.refusals.min(3));
        self.refusals += 1;
        Verdict::Again(pause.min(LONGEST_PAUSE))
    }
}
