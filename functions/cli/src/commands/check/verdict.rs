//! The results of checks, and the results of readings.

use keywheel_core::http::aws::AwsFailure;

use crate::exit::Failure;

/// A thing that is not as it should be, and the cure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) what: String,
    pub(super) cure: String,
}

impl Trouble {
    pub(super) fn new(what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { what: what.into(), cure: cure.into() }
    }

    /// Tells of a call of AWS that failed. `permission` is the permission that the call needs.
    pub(super) fn aws(permission: &str, failure: &AwsFailure) -> Self {
        let code = failure.code.as_deref().unwrap_or_default();
        let denied = code.contains("AccessDenied") || code == "AuthorizationError";
        let cure = if denied {
            format!("allow {permission} to whoever runs this command")
        } else {
            "check the network and the AWS credentials, then try again".to_owned()
        };
        Self::new(format!("{permission} failed: {failure}"), cure)
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        let cure = failure.cure.unwrap_or_else(|| "mend the cause that the error names".to_owned());
        Self::new(failure.what, cure)
    }
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Everything is as it should be: what was seen.
    Passed(String),
    /// Keywheel works, and somebody should look.
    Warned(Trouble),
    /// Keywheel does not work as it should.
    Failed(Trouble),
    /// The check could not be made, or is not needed: why.
    Skipped(String),
}

impl Verdict {
    pub(super) fn passed(what: impl Into<String>) -> Self {
        Self::Passed(what.into())
    }

    pub(super) fn warned(what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::Warned(Trouble::new(what, cure))
    }

    pub(super) fn failed(what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::Failed(Trouble::new(what, cure))
    }

    pub(super) fn skipped(why: impl Into<String>) -> Self {
        Self::Skipped(why.into())
    }
}

/// The result of a reading: a value, or the reason why there is none.
#[derive(Debug)]
pub(super) enum Reading<T> {
    Read(T),
    /// The reading failed. The check that is about the reading fails.
    Failed(Trouble),
    /// The reading was not tried: why.
    NotTried(String),
}

impl<T> Reading<T> {
    pub(super) fn not_tried(why: impl Into<String>) -> Self {
        Self::NotTried(why.into())
    }

    /// Takes what was read; `None`: nothing was read.
    pub(super) fn get(&self) -> Option<&T> {
        match self {
            Self::Read(read) => Some(read),
            Self::Failed(_) | Self::NotTried(_) => None,
        }
    }

    /// Judges the check that is about this reading.
    pub(super) fn judge(&self, of: impl FnOnce(&T) -> Verdict) -> Verdict {
        match self {
            Self::Read(read) => of(read),
            Self::Failed(trouble) => Verdict::Failed(trouble.clone()),
            Self::NotTried(why) => Verdict::Skipped(why.clone()),
        }
    }

    /// Judges a check that needs this reading, and is about another thing. `what` names what is missing without it.
    pub(super) fn given(&self, what: &str, of: impl FnOnce(&T) -> Verdict) -> Verdict {
        match self {
            Self::Read(read) => of(read),
            Self::Failed(_) => Verdict::Skipped(format!("{what} could not be read")),
            Self::NotTried(why) => Verdict::Skipped(why.clone()),
        }
    }
}

impl<T> From<Result<T, Trouble>> for Reading<T> {
    fn from(result: Result<T, Trouble>) -> Self {
        match result {
            Ok(read) => Self::Read(read),
            Err(trouble) => Self::Failed(trouble),
        }
    }
}
