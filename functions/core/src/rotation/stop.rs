//! Says why a try stopped. Each reason is a finding, with its cure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::events::FindingKind;

/// Names a reason to stop. A later try can go on from there.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Stop {
    /// The secret that the job speaks of is not there.
    SecretMissing,
    /// The secret is scheduled for deletion.
    SecretScheduledForDeletion,
    /// Graph does not know the application (or it lies in the deleted items).
    ApplicationGone,
    /// The application has no service principal in this tenant: nobody could sign in with a new key.
    NoServicePrincipal,
    /// The current version's key is unknown, and the manifest does not say `adopt: true`.
    UnknownKey,
    /// `AWSPENDING` rests on a version that Keywheel did not make.
    ForeignPending,
    /// The version of this rotation has a value that Keywheel did not store.
    ForeignValue,
    /// Secrets Manager asked for a step on a version that is not `AWSPENDING`.
    NotPending,
    /// Too many keys of ours that no version names: a `resolve` must come first.
    TooManyUnnamedKeys,
    /// The object holds as many keys as it may, and no rule lets one of them go.
    NoRoomForKey,
    /// The application's instance property lock forbids changes of the keys on its service principal.
    ServicePrincipalLocked,
    /// Secrets Manager's limit of labels is near.
    TooManyLabels,
    /// Other tries changed the labels again and again.
    Contended,
    /// Conditional Access blocks the new secret (53003), and the manifest does not accept that.
    BlockedByConditionalAccess,
    /// The application or its service principal is disabled.
    PrincipalDisabled,
    /// The new secret was not accepted for as long as a try may last.
    NotProved,
    /// The new key works but Graph does not show it.
    KeyNotSeen,
    /// The current version's key is not in Graph (or has expired): nothing is removed beside it.
    CurrentKeyAbsent,
    /// The key under `AWSCURRENT` is never removed.
    KeyIsCurrent,
    /// Keywheel itself may be signed in with this key.
    OwnKey,
    /// Keywheel did not mint this key, and the manifest does not name it.
    ForeignKey,
    /// Keywheel minted this key for another credential of the manifest.
    KeyOfAnother,
}

impl Stop {
    /// Says whether a later try at the same job may succeed without anybody's help.
    pub fn retry_helps(self) -> bool {
        matches!(self, Self::Contended | Self::NotProved | Self::KeyNotSeen)
    }

    /// Gives the finding that reports this stop.
    pub fn kind(self) -> FindingKind {
        match self {
            Self::SecretMissing => FindingKind::SecretMissing,
            Self::SecretScheduledForDeletion => FindingKind::SecretScheduledForDeletion,
            Self::ApplicationGone => FindingKind::ApplicationGone,
            Self::NoServicePrincipal => FindingKind::NoServicePrincipal,
            Self::UnknownKey => FindingKind::UnknownKey,
            Self::ForeignPending => FindingKind::ForeignPending,
            Self::ForeignValue => FindingKind::ForeignValue,
            Self::NotPending => FindingKind::NotPending,
            Self::TooManyUnnamedKeys => FindingKind::TooManyUnnamedKeys,
            Self::NoRoomForKey => FindingKind::NoRoomForKey,
            Self::ServicePrincipalLocked => FindingKind::ServicePrincipalLocked,
            Self::TooManyLabels => FindingKind::TooManyLabels,
            Self::Contended => FindingKind::Contended,
            Self::BlockedByConditionalAccess => FindingKind::BlockedByConditionalAccess,
            Self::PrincipalDisabled => FindingKind::PrincipalDisabled,
            Self::NotProved => FindingKind::NotProved,
            Self::KeyNotSeen => FindingKind::KeyNotSeen,
            Self::CurrentKeyAbsent => FindingKind::CurrentKeyAbsent,
            Self::KeyIsCurrent => FindingKind::KeyIsCurrent,
            Self::OwnKey => FindingKind::OwnKey,
            Self::ForeignKey => FindingKind::ForeignKey,
            Self::KeyOfAnother => FindingKind::KeyOfAnother,
        }
    }

    /// Gives the finding's name.
    pub fn name(self) -> &'static str {
        self.kind().name()
    }

    /// Says what happened and what to do about it.
    pub fn explanation(self) -> &'static str {
        self.kind().explanation()
    }
}
