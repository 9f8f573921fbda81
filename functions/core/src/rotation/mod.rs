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

pub mod calls;
pub mod names;
pub mod observed;
pub mod plan;
pub mod policy;
pub mod proof;
pub mod resolve;
pub mod retire;
pub mod rotate;
pub mod stop;
mod tail;

use chrono::TimeDelta;

pub use calls::{Call, Event, Next, Reply, SignIn, Try};
pub use names::{Label, Scope};
pub use observed::{Key, Principal, SecretState, SecretView};
pub use policy::Policy;
pub use resolve::Resolve;
pub use retire::Retire;
pub use rotate::{Replaces, Rotate, Until};
pub use stop::Stop;

use crate::ids::{AppId, KeyId};

/// How far apart the clocks of Lambda, Entra and the writer of a label may be.
pub const CLOCK_SLACK: TimeDelta = TimeDelta::minutes(10);
/// How long a key that no version names is left alone: the try that minted it may still store it.
pub const UNNAMED_FOR: TimeDelta = TimeDelta::hours(1);
/// How long a void version's key is kept: longer than any try lives that did not see the label.
pub const VOID_FOR: TimeDelta = TimeDelta::minutes(15);

/// Whom Keywheel itself is signed in as: that key is never removed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignedInAs {
    /// The application.
    pub application: AppId,
    /// How it proves itself.
    pub by: SignedInBy,
}

/// What Keywheel itself signs in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignedInBy {
    /// A federated credential, a managed identity, a person: no key is at stake.
    NoKey,
    /// This key.
    Key(KeyId),
    /// Some key, and there is no telling which: none of the application's is removed.
    UnknownKey,
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
}

impl Terms {
    /// Whether a key may be the one that Keywheel itself is signed in with.
    pub fn is_own_key(&self, key: KeyId) -> bool {
        self.signed_in_as.as_ref().is_some_and(|own| {
            own.application == self.application
                && match own.by {
                    SignedInBy::NoKey => false,
                    SignedInBy::Key(id) => id == key,
                    SignedInBy::UnknownKey => true,
                }
        })
    }
}
