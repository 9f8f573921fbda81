//! Decides what a rotation does: pure functions over plain data.
//!
//! The rules have no I/O, no clock and no randomness. A [`Try`] asks for one [`Call`] at a time and goes on with its
//! [`Reply`]. What must outlive a try lies in Secrets Manager's staging labels and in the display names of Graph's keys.
//! A version of a secret is at each time one of
//!
//! | labels | the version is |
//! |---|---|
//! | `keywheel:key` alone | **stored**: minted, not yet claimed |
//! | … and `AWSPENDING` | **pending**: the one rotation under way |
//! | … and `AWSCURRENT` | **current**, from `keywheel:since` on |
//! | … and `keywheel:since`, not `AWSCURRENT` | **past**: its key goes when the overlap is over |
//! | … and `keywheel:void` | **void**: given up, never current again; its key goes soon |

mod after_promotion;
pub mod calls;
mod current_key;
pub mod finding;
pub mod foreign_change;
mod held;
pub mod last_use;
mod live;
pub mod names;
pub mod observed;
pub mod plan;
pub mod policy;
pub mod proof;
mod removal;
pub mod resolve;
pub mod retire;
pub mod room;
pub mod rotate;
pub mod stop;
pub mod version_state;
pub mod watch;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::TimeDelta;

pub use calls::{Call, Event, Next, Reply, SignIn, Try};
pub use last_use::{LastUses, Untold};
pub use names::{Label, Scope};
pub use observed::{Key, Principal, SecretState, SecretView};
pub use policy::{Policy, RetireWhen};
pub use resolve::Resolve;
pub use retire::Retire;
pub use rotate::{Replaces, Rotate, Until};
pub use stop::Stop;

use crate::ids::{AppId, KeyId};

/// Bounds how far apart the clocks of Lambda, Entra and the writer of a label may be.
pub const CLOCK_SLACK: TimeDelta = TimeDelta::minutes(10);
/// Bounds from below by how much a key outlives its overlap where its rotation begins in time.
///
/// A sweep sees up to its interval late that a key is due, and the rotation takes its time too.
pub const LEEWAY: TimeDelta = TimeDelta::hours(2);
/// Says how long a key stays that no version names. The try that minted the key may still store its secret.
pub const UNNAMED_FOR: TimeDelta = TimeDelta::hours(1);
/// Bounds from below how long a void version's key stays: longer than a try that did not see the label.
pub const VOID_FOR: TimeDelta = TimeDelta::minutes(15);

/// Says who Keywheel is signed in as, so that no rule removes the key of that sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignedInAs {
    /// The application; `None`: a person or a machine is signed in.
    pub app: Option<AppId>,
    /// The key of the sign-in.
    pub key: OwnKey,
}

/// Names the key that Keywheel itself signs in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnKey {
    /// Keywheel signs in without a client secret.
    None,
    /// This key.
    Known(KeyId),
    /// Any key of the application: the client secret came without its key's id.
    Unknown,
}

impl SignedInAs {
    /// Says whether the removal of this key could lock Keywheel out.
    pub fn protects(&self, app: AppId, key: KeyId) -> bool {
        self.app == Some(app)
            && match self.key {
                OwnKey::None => false,
                OwnKey::Known(own) => own == key,
                OwnKey::Unknown => true,
            }
    }
}

/// Holds what all tries at one credential know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Terms {
    /// The application whose keys are rotated.
    pub application: AppId,
    /// The scope of the keys that are ours.
    pub scope: Scope,
    /// The manifest's rules.
    pub policy: Policy,
    /// Keywheel's own identity, if known.
    pub signed_in_as: Option<SignedInAs>,
    /// The scopes of all credentials that the manifest lists, this one among them.
    pub listed: Arc<BTreeSet<Scope>>,
}

impl Terms {
    /// Says whether a key was minted for another credential of the manifest, which alone may remove the key.
    pub fn is_anothers(&self, key: &Key) -> bool {
        self.listed.iter().any(|other| *other != self.scope && key.minted_by(other).is_some())
    }

    /// Says whether Keywheel itself may be signed in with a key.
    pub fn is_own_key(&self, key: KeyId) -> bool {
        self.signed_in_as.is_some_and(|own| own.protects(self.application, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_key_is_protected() {
        let app = AppId(uuid::Uuid::from_u128(1));
        let (own, other) = (KeyId(uuid::Uuid::from_u128(2)), KeyId(uuid::Uuid::from_u128(3)));
        let with = |key| SignedInAs { app: Some(app), key };
        assert!(with(OwnKey::Known(own)).protects(app, own));
        assert!(!with(OwnKey::Known(own)).protects(app, other));
        assert!(with(OwnKey::Unknown).protects(app, other));
        assert!(!with(OwnKey::None).protects(app, own));
        assert!(!with(OwnKey::Known(own)).protects(AppId(uuid::Uuid::nil()), own));
    }
}
