//! Decides when a new secret counts as proved.

use chrono::{DateTime, TimeDelta, Utc};

use super::calls::SignIn;

/// Says how many sign-ins are spread over the settle time, the first and the last included.
const SIGN_INS: i32 = 6;
/// Pauses so long after a refusal; the pause doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(1);
const LONGEST_PAUSE: TimeDelta = TimeDelta::seconds(8);
/// After so long without a success the secret may be dead rather than young.
const PATIENCE: TimeDelta = TimeDelta::minutes(3);

/// Proves a secret: several successes spread over a settle time, without a refusal between them.
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

/// Says how the proof goes on after a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The secret is proved.
    Proved,
    /// Sign in again after this pause.
    Again(TimeDelta),
    /// The secret is refused for longer than propagation takes: read whether Graph still shows the key.
    Doubtful,
    /// The key has expired.
    Expired,
    /// The secret is right, but Conditional Access blocks the sign-in, and the manifest does not accept that.
    Blocked,
    /// The application or its service principal is disabled.
    Disabled,
}

impl Proof {
    /// Begins a proof.
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

    /// Takes in the answer of one sign-in.
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
        // Enough sign-ins came too fast: the last sign-in falls on the end of the settle time.
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
