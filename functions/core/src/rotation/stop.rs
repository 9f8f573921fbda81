//! Why a try stopped without doing what it was asked: each is a finding, with its cure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A reason to stop. Nothing was changed that a later try could not go on from.
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
    /// Secrets Manager's limit of labels is near.
    TooManyLabels,
    /// Other tries kept getting in the way.
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
    /// Whether trying the same job again later may help without anybody's doing.
    pub fn retry_helps(self) -> bool {
        matches!(self, Self::Contended | Self::NotProved | Self::KeyNotSeen)
    }

    /// The finding's name, as in `keywheel.finding.<name>`.
    pub fn name(self) -> &'static str {
        match self {
            Self::SecretMissing => "secret-missing",
            Self::SecretScheduledForDeletion => "secret-scheduled-for-deletion",
            Self::ApplicationGone => "application-gone",
            Self::NoServicePrincipal => "no-service-principal",
            Self::UnknownKey => "unknown-key",
            Self::ForeignPending => "foreign-pending",
            Self::ForeignValue => "foreign-value",
            Self::NotPending => "not-pending",
            Self::TooManyUnnamedKeys => "too-many-unnamed-keys",
            Self::NoRoomForKey => "no-room-for-key",
            Self::TooManyLabels => "too-many-labels",
            Self::Contended => "contended",
            Self::BlockedByConditionalAccess => "blocked-by-conditional-access",
            Self::PrincipalDisabled => "principal-disabled",
            Self::NotProved => "not-proved",
            Self::KeyNotSeen => "key-not-seen",
            Self::CurrentKeyAbsent => "current-key-absent",
            Self::KeyIsCurrent => "key-is-current",
            Self::OwnKey => "own-key",
            Self::ForeignKey => "foreign-key",
            Self::KeyOfAnother => "key-of-another",
        }
    }

    /// What happened and what to do about it, in a sentence for people.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::SecretMissing => {
                "the secret is not in Secrets Manager; a sweep creates it when the credential is in the manifest"
            }
            Self::SecretScheduledForDeletion => {
                "the secret is scheduled for deletion; restore it (aws secretsmanager restore-secret) or take the credential out of the manifest"
            }
            Self::ApplicationGone => {
                "Graph does not know the application; restore it from the deleted items or correct `application` in the manifest"
            }
            Self::NoServicePrincipal => {
                "the application has no service principal in this tenant, so nobody can sign in with a new secret; create one (az ad sp create --id <appId>)"
            }
            Self::UnknownKey => {
                "the current version was not stored by Keywheel, so its key is unknown; set `adopt: true` to replace it, and name its keyId under `retire_keys` to have the old key removed"
            }
            Self::ForeignPending => {
                "AWSPENDING rests on a version that Keywheel did not make, or of which it left no trace; if RotateSecret was called for Keywheel's function, call it again: Secrets Manager then goes on with that version; otherwise finish that rotation with the tool that began it, or give it up: take the label off (aws secretsmanager update-secret-version-stage --version-stage AWSPENDING --remove-from-version-id <the version>); cancel-rotate-secret leaves the label where it is, and turns the schedule off"
            }
            Self::ForeignValue => {
                "this rotation's version holds a value that Keywheel did not store; take its labels off, the next sweep starts afresh"
            }
            Self::NotPending => "the version is not AWSPENDING; start again with RotateSecret",
            Self::TooManyUnnamedKeys => {
                "earlier tries failed and left keys that no version names; sweeps remove them an hour after they were minted and then try again; mend what failed the tries"
            }
            Self::NoRoomForKey => {
                "the application holds as many keys as it may (two, where `signInAudience` lets personal accounts in), so no new one is minted; wait until the old key's overlap is over, or have the old keys removed at once (keywheel rotate --now-revoke-old), or remove a key that nobody needs in Entra"
            }
            Self::TooManyLabels => {
                "the secret carries nearly as many staging labels as Secrets Manager allows; a shorter `overlap` has old versions retired sooner; take off labels that others made, and never one of Keywheel's (`keywheel:…`): what it does not know of it removes"
            }
            Self::Contended => {
                "other rotations of this secret kept getting in the way; it is tried again"
            }
            Self::BlockedByConditionalAccess => {
                "a Conditional Access policy blocks sign-ins of this service principal from here (AADSTS53003); exempt it or set `promote_when_blocked: true`"
            }
            Self::PrincipalDisabled => {
                "the application or its service principal is disabled (AADSTS7000112); enable it or take the credential out of the manifest"
            }
            Self::NotProved => {
                "the new secret was not accepted in time, so it was not published; it is tried again"
            }
            Self::KeyNotSeen => {
                "sign-ins with the new secret succeed but Graph does not show its key yet; it is tried again"
            }
            Self::CurrentKeyAbsent => {
                "the key of the current version is not on the application or has expired, so no other key is removed; rotate the credential (keywheel rotate)"
            }
            Self::KeyIsCurrent => "the key under AWSCURRENT is never removed",
            Self::OwnKey => {
                "Keywheel may be signed in with this key; let it sign in federated, or rotate its own credential first"
            }
            Self::ForeignKey => {
                "Keywheel did not mint this key; name its keyId under `retire_keys` to have it removed"
            }
            Self::KeyOfAnother => {
                "`retire_keys` names a key that Keywheel minted for another credential of the manifest, so it is not removed; take it out of `retire_keys`: it goes when its own credential does not need it any more"
            }
        }
    }
}
