//! Defines the seam between the rules and the world: the calls of a try, and their answers.
//!
//! The rules never see a secret's text. They name keys by `keyId`. The executor holds the texts by `keyId`.

use chrono::{DateTime, TimeDelta, Utc};

use super::last_use::{LastUses, Untold};
use super::names::Label;
use super::observed::{Principal, SecretState};
use crate::ids::{KeyId, Token, VersionId};

/// Names one call to the world. A call either does all of its work or none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// Secrets Manager `DescribeSecret`, fresh.
    DescribeSecret,
    /// Secrets Manager `CreateSecret` without a value.
    CreateSecret,
    /// Secrets Manager `GetSecretValue` of one version; the executor keeps its text under `key`.
    ReadValue {
        /// The version.
        version: VersionId,
        /// The key whose secret the value is said to hold, by the version's label.
        key: Option<KeyId>,
    },
    /// Graph: the application (or service principal), fresh, by its client id.
    ReadPrincipal,
    /// Graph `addPassword`, with the rotation in the display name and the policy's lifetime.
    AddPassword {
        /// The rotation that mints.
        rotation: Token,
    },
    /// Graph `removePassword`.
    RemovePassword {
        /// The key to remove.
        key: KeyId,
    },
    /// Secrets Manager `PutSecretValue` with the rotation as token and the label `keywheel:key:<key>`.
    PutValue {
        /// The token, and the version's id.
        rotation: Token,
        /// The key whose secret is stored.
        key: KeyId,
        /// The version holds `AWSPENDING` already, as `RotateSecret` begins, and keeps the label.
        pending: bool,
    },
    /// Secrets Manager `UpdateSecretVersionStage`.
    MoveLabel {
        /// The label.
        label: Label,
        /// `MoveToVersionId`.
        to: Option<VersionId>,
        /// `RemoveFromVersionId`.
        from: Option<VersionId>,
    },
    /// The token endpoint, on a fresh connection, with the secret of a key.
    SignIn {
        /// The key.
        key: KeyId,
    },
    /// Graph's report of the last sign-in with each key of the application.
    ReadLastUses,
    /// Nothing, for a while.
    Wait(TimeDelta),
    /// `PutEvents`, accepted.
    Emit(Event),
}

impl Call {
    /// Returns the operation's name, for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::DescribeSecret => "DescribeSecret",
            Self::CreateSecret => "CreateSecret",
            Self::ReadValue { .. } => "GetSecretValue",
            Self::ReadPrincipal => "get principal",
            Self::AddPassword { .. } => "addPassword",
            Self::RemovePassword { .. } => "removePassword",
            Self::PutValue { .. } => "PutSecretValue",
            Self::MoveLabel { .. } => "UpdateSecretVersionStage",
            Self::SignIn { .. } => "sign in",
            Self::ReadLastUses => "list sign-in activities",
            Self::Wait(_) => "wait",
            Self::Emit(_) => "PutEvents",
        }
    }
}

impl Reply {
    /// Returns the kind of answer, for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Secret(SecretState::Missing) => "missing",
            Self::Secret(SecretState::ScheduledForDeletion) => "scheduled for deletion",
            Self::Secret(SecretState::Present(_)) | Self::Principal(Some(_)) => "present",
            Self::Principal(None) => "gone",
            Self::Created => "created",
            Self::Value => "a value",
            Self::Unreadable => "unreadable",
            Self::NoValue => "no value",
            Self::Added { .. } => "added",
            Self::Full => "full",
            Self::Removed => "removed",
            Self::NotRemoved => "not removed yet",
            Self::Stored => "stored",
            Self::Taken => "taken",
            Self::Moved => "moved",
            Self::SignIn(SignIn::Accepted) => "accepted",
            Self::LastUses(Ok(_)) => "a report",
            Self::LastUses(Err(_)) => "no report",
            Self::Refused | Self::SignIn(_) => "refused",
            Self::Waited => "waited",
            Self::Emitted => "emitted",
        }
    }
}

/// Answers a [`Call`]. A failure that ends the try is no answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reply {
    /// To `DescribeSecret`.
    Secret(SecretState),
    /// To `CreateSecret`: the secret exists, made by this call or another.
    Created,
    /// To `ReadValue`: the version has a value. The executor holds its text if the call named a key.
    Value,
    /// To `ReadValue`: the version has a value of another format than the credential's.
    Unreadable,
    /// To `ReadValue`: no such version, or the version has no value yet.
    NoValue,
    /// To `ReadPrincipal`; `None`: no such application, or the application is among the deleted items.
    Principal(Option<Principal>),
    /// To `AddPassword`.
    Added {
        /// The new key.
        key: KeyId,
    },
    /// To `AddPassword`: the object holds as many keys as Entra allows; no key was minted.
    Full,
    /// To `RemovePassword`: the key is gone, by this call or before it.
    Removed,
    /// To `RemovePassword`: ask again. Some time has passed, and the key may be gone.
    NotRemoved,
    /// To `PutValue`: stored, now or by an earlier call with the same value.
    Stored,
    /// To `PutValue`: the token already has another value (`ResourceExistsException`).
    Taken,
    /// To `MoveLabel`.
    Moved,
    /// To `MoveLabel`: the label is not where the call said (`InvalidParameterException`).
    Refused,
    /// To `SignIn`.
    SignIn(SignIn),
    /// To `ReadLastUses`: the report, or why there is none.
    LastUses(Result<LastUses, Untold>),
    /// To `Wait`.
    Waited,
    /// To `Emit`.
    Emitted,
}

/// Says how the token endpoint answered a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignIn {
    /// A token.
    Accepted,
    /// AADSTS7000215: wrong, or not yet known to this replica.
    WrongSecret,
    /// AADSTS7000222.
    Expired,
    /// AADSTS53003: right, but Conditional Access forbids the sign-in.
    BlockedByConditionalAccess,
    /// AADSTS7000112.
    Disabled,
    /// AADSTS700016, 7000229: the tenant does not know the application, or not yet.
    UnknownApplication,
}

/// Tells the audit trail what a rotation did: at least once, and under the same event id each time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// `keywheel.key.minted`.
    Minted {
        /// By this rotation.
        rotation: Token,
        /// This key.
        key: KeyId,
    },
    /// `keywheel.rotation.stored`.
    Stored {
        /// The rotation.
        rotation: Token,
        /// Its key.
        key: KeyId,
    },
    /// `keywheel.rotation.promoted`.
    Promoted {
        /// The version that is current now.
        version: VersionId,
        /// Its key.
        key: KeyId,
    },
    /// `keywheel.rotation.abandoned`.
    Abandoned {
        /// The rotation.
        rotation: Token,
        /// Its key.
        key: KeyId,
    },
    /// `keywheel.key.removed`.
    Removed {
        /// The version that held its secret, if any.
        version: Option<VersionId>,
        /// The key.
        key: KeyId,
    },
    /// `keywheel.finding.key-not-found`: a key that was to be removed is not on its object, and
    /// Keywheel did not remove the key.
    NotFound {
        /// The version that holds its secret, if any.
        version: Option<VersionId>,
        /// The key.
        key: KeyId,
    },
}

/// Says how a try goes on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Next<O> {
    /// Carry out this call and answer it.
    Call(Call),
    /// The try is over, with this outcome.
    Done(O),
}

/// Asks for one call at a time, and goes on with its answer.
///
/// A try holds no secret and no connection. The next try takes up what a dropped try left.
pub trait Try: Sized {
    /// The outcomes of the try.
    type Outcome;

    /// Returns the next call, or the outcome.
    fn next(&self) -> Next<Self::Outcome>;

    /// Takes in the answer to the call of [`Try::next`]. `now` is the time of the answer.
    #[must_use]
    fn answered(self, reply: Reply, now: DateTime<Utc>) -> Self;
}
