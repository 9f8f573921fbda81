//! What should happen: the rules of a rotation as pure functions over plain data.
//!
//! No I/O, no clock and no randomness in here. A [`Try`] asks for one [`Call`] at a time and goes on
//! with its [`Reply`]; everything it must remember beyond its own life lies in Secrets Manager's
//! staging labels and in the display names of Graph's keys. A version of a secret is at each time one of
//!
//! | labels | the version is |
//! |---|---|
//! | `keywheel:key` alone | **stored**: minted, not yet claimed |
//! | … and `AWSPENDING` | **pending**: the one rotation under way |
//! | … and `AWSCURRENT` | **current**, from `keywheel:since` on |
//! | … and `keywheel:since`, not `AWSCURRENT` | **past**: its key goes when the overlap is over |
//! | … and `keywheel:void` | **void**: given up, will never be current; its key goes soon |

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

/// How far apart the clocks of Lambda, Entra and the writer of a label may be.
pub const CLOCK_SLACK: TimeDelta = TimeDelta::minutes(10);
/// By how much a key outlives its overlap, at least, where its rotation begins in time: it is seen to be due up to a
/// sweep's interval late, and the rotation takes its time too.
pub const LEEWAY: TimeDelta = TimeDelta::hours(2);
/// How long a key that no version names is left alone: the try that minted it may still store it.
pub const UNNAMED_FOR: TimeDelta = TimeDelta::hours(1);
/// How long a void version's key is kept at least: longer than any try lives that did not see the label.
pub const VOID_FOR: TimeDelta = TimeDelta::minutes(15);

/// Whom Keywheel itself is signed in as, so that no rule ever removes that key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignedInAs {
    /// Its application; `None` where a person is signed in, or a machine.
    pub app: Option<AppId>,
    /// The key it signs in with.
    pub key: OwnKey,
}

/// The key that Keywheel itself signs in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnKey {
    /// It signs in without a client secret.
    None,
    /// This one.
    Known(KeyId),
    /// A client secret that came without its key's id: it may be any of the application's.
    Unknown,
}

impl SignedInAs {
    /// Whether removing this key could lock Keywheel out.
    pub fn protects(&self, app: AppId, key: KeyId) -> bool {
        self.app == Some(app)
            && match self.key {
                OwnKey::None => false,
                OwnKey::Known(own) => own == key,
                OwnKey::Unknown => true,
            }
    }
}

/// What all tries at one credential know of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Terms {
    /// The application whose keys are turned.
    pub application: AppId,
    /// Whose keys are ours.
    pub scope: Scope,
    /// The manifest's rules.
    pub policy: Policy,
    /// Keywheel's own identity, where it is known.
    pub signed_in_as: Option<SignedInAs>,
    /// The scopes of all credentials that the manifest lists, this one among them.
    pub listed: Arc<BTreeSet<Scope>>,
}

impl Terms {
    /// Whether a key was minted for another credential of the manifest: what that one publishes, or has published,
    /// is not for this one to remove.
    pub fn is_anothers(&self, key: &Key) -> bool {
        self.listed.iter().any(|other| *other != self.scope && key.minted_by(other).is_some())
    }

    /// Whether a key may be the one that Keywheel itself is signed in with.
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
