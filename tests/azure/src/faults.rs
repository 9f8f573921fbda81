//! Bad days: what goes wrong, how often, and for whom.
//!
//! A [`Faults`] document replaces the one before as a whole. Its rules are tried in order; every rule that applies to a request and
//! whose chance comes up takes effect, and `times` counts those. Delays are drawn anew for each change and each replica.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::{Millis, SECOND};
use crate::dice::Dice;
use crate::error::Error;
use crate::operation::Operation;

/// The whole set of faults, limits and policies; the default is a good day with Graph's documented budgets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// How long replicas take to learn of changes.
    pub propagation: Propagation,
    /// How late audits and reports tell of what happened.
    pub lag: Lag,
    /// The services' clock is off by this much: token times, `Date`, expiry.
    pub clock_skew_seconds: i64,
    /// What a caller may ask for in a while.
    pub throttle: Throttle,
    /// What the tenant's policies and the directory's limits allow.
    pub limits: Limits,
    /// What goes wrong on top.
    pub rules: Vec<Rule>,
    /// How often each kind of the rules took effect since this set was given.
    #[serde(skip)]
    pub struck: BTreeMap<FaultKind, u64>,
}

/// Delays until replicas show a change, each drawn per change and replica.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Propagation {
    /// New passwords.
    pub keys: Delay,
    /// New and restored applications and service principals.
    pub principals: Delay,
    /// New federated identity credentials.
    pub federated_credentials: Delay,
    /// Anything removed: passwords, federated credentials, applications, service principals.
    pub deletions: Delay,
}

/// Delays until something that happened can be read of, each drawn per change or sign-in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lag {
    /// `auditLogs/directoryAudits`.
    pub directory_audits: Delay,
    /// `reports/appCredentialSignInActivities`.
    pub sign_in_activity: Delay,
}

/// A range of seconds; fractions are fine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Delay {
    /// The shortest.
    pub min_seconds: f64,
    /// The longest.
    pub max_seconds: f64,
}

impl Delay {
    /// Always between these two.
    pub const fn between(min_seconds: f64, max_seconds: f64) -> Self {
        Self { min_seconds, max_seconds }
    }

    pub(crate) fn bounds(&self) -> (Millis, Millis) {
        let least = millis(self.min_seconds);
        (least, millis(self.max_seconds).max(least))
    }
}

#[allow(clippy::cast_possible_truncation)] // Clamped to a century first.
fn millis(seconds: f64) -> Millis {
    (seconds.clamp(0.0, 3_155_760_000.0) * 1000.0).round() as Millis
}

/// Graph's budgets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Throttle {
    /// Resource units that an application may use in 10 seconds.
    pub units_per_10_seconds: u32,
    /// Writes that an application may make in 150 seconds.
    pub writes_per_150_seconds: u32,
    /// Requests that select `keyCredentials`, for the whole tenant, in a minute.
    pub key_credentials_per_minute: u32,
    /// Reads of the directory audit and of the reports that an application may make in 10 seconds.
    pub reports_per_10_seconds: u32,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            units_per_10_seconds: 8000,
            writes_per_150_seconds: 3000,
            key_credentials_per_minute: 150,
            reports_per_10_seconds: 5,
        }
    }
}

/// Limits and policies on credentials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Passwords after which an object is too large for another.
    pub max_passwords: usize,
    /// The longest life that the tenant's policy allows a new password.
    pub max_lifetime_days: Option<u32>,
    /// The tenant's policy forbids new passwords.
    pub forbid_passwords: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_passwords: 600, max_lifetime_days: None, forbid_passwords: false }
    }
}

/// What a rule does to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FaultKind {
    /// 429 with `Retry-After`.
    TooManyRequests,
    /// 500, nothing done.
    ServerError,
    /// 503, nothing done.
    Unavailable,
    /// 500, though the work was done.
    ServerErrorAfterWork,
    /// The work is done; the connection closes without an answer.
    LostAnswer,
    /// The connection closes without an answer, nothing done.
    CutConnection,
    /// The work is done; the connection closes amid the answer's body.
    CutBody,
    /// The answer comes late by `delay_ms`.
    Slow,
    /// 409 `Directory_ConcurrencyViolation`, nothing done.
    ConcurrencyViolation,
    /// 400 about concurrent requests being made to the tenant, nothing done.
    ConcurrentRequests,
    /// 403 `Authentication_RequestFromNonPremiumTenantOrB2CTenant`, for the audit and the report.
    NoPremiumLicense,
    /// 400 `CannotUpdateLockedServicePrincipalPropertyWithEnforcementScope`, for adding and removing passwords.
    LockedWithEnforcementScope,
    /// AADSTS53003, for the token endpoint.
    ConditionalAccess,
    /// AADSTS700213 though a federated credential matches, for the token endpoint.
    NoMatchingFederation,
}

impl FaultKind {
    /// Whether it can happen to that operation at all.
    fn befalls(self, operation: Operation) -> bool {
        match self {
            Self::NoPremiumLicense => operation.is_report(),
            Self::LockedWithEnforcementScope => {
                matches!(operation, Operation::AddPassword | Operation::RemovePassword)
            }
            _ => true,
        }
    }
}

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What happens.
    pub kind: FaultKind,
    /// Only for this operation, or group of operations.
    #[serde(default)]
    pub operation: Operation,
    /// Only when this application is worked on or signs in: its appId, or the object id of it or of its service principal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// How likely, from 0 to 1.
    #[serde(default = "certain")]
    pub probability: f64,
    /// How many times at most; counts down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// How late, for [`FaultKind::Slow`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// What `Retry-After` says, for [`FaultKind::TooManyRequests`] and [`FaultKind::Unavailable`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

fn certain() -> f64 {
    1.0
}

impl Rule {
    /// A rule that hits every request.
    pub fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            operation: Operation::Any,
            application: None,
            probability: 1.0,
            times: None,
            delay_ms: None,
            retry_after_seconds: None,
        }
    }

    /// Only for that operation.
    #[must_use]
    pub fn on(mut self, operation: Operation) -> Self {
        self.operation = operation;
        self
    }

    /// Only where that application is concerned.
    #[must_use]
    pub fn application(mut self, id: impl Into<String>) -> Self {
        self.application = Some(id.into());
        self
    }

    /// At most so many times.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// With that probability.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }
}

/// What befalls one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mishap {
    pub(crate) kind: FaultKind,
    pub(crate) delay_ms: u64,
    pub(crate) retry_after: Option<u32>,
}

impl Faults {
    /// Reads a document in YAML or JSON.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let faults: Self = serde_saphyr::from_str(text)
            .map_err(|e| Error::Document { what: "faults", reason: e.to_string() })?;
        faults.check().map_err(|reason| Error::Document { what: "faults", reason })?;
        Ok(faults)
    }

    /// Refuses what cannot be meant.
    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(rule) = self.rules.iter().find(|rule| !(0.0..=1.0).contains(&rule.probability))
        {
            return Err(format!("probability {} is not between 0 and 1", rule.probability));
        }
        let propagation = &self.propagation;
        for delay in [
            propagation.keys,
            propagation.principals,
            propagation.federated_credentials,
            propagation.deletions,
            self.lag.directory_audits,
            self.lag.sign_in_activity,
        ] {
            if !delay.min_seconds.is_finite()
                || !delay.max_seconds.is_finite()
                || delay.min_seconds < 0.0
            {
                return Err("a delay must be finite and not negative".to_owned());
            }
            if delay.max_seconds < delay.min_seconds {
                return Err(format!(
                    "max_seconds {} is below min_seconds {}",
                    delay.max_seconds, delay.min_seconds
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn skew(&self) -> Millis {
        self.clock_skew_seconds.saturating_mul(SECOND)
    }

    /// Rolls the dice for a request on `operation` that concerns any of `ids`.
    pub(crate) fn strike(
        &mut self,
        operation: Operation,
        ids: &[String],
        dice: &mut Dice,
    ) -> Vec<Mishap> {
        let mut struck = Vec::new();
        for rule in &mut self.rules {
            let concerned = rule
                .application
                .as_ref()
                .is_none_or(|wanted| ids.iter().any(|id| id.eq_ignore_ascii_case(wanted)));
            if rule.times == Some(0)
                || !rule.operation.covers(operation)
                || !rule.kind.befalls(operation)
                || !concerned
                || !dice.hits(rule.probability)
            {
                continue;
            }
            rule.times = rule.times.map(|times| times - 1);
            *self.struck.entry(rule.kind).or_default() += 1;
            struck.push(Mishap {
                kind: rule.kind,
                delay_ms: rule.delay_ms.unwrap_or(0),
                retry_after: rule.retry_after_seconds,
            });
        }
        struck
    }
}
