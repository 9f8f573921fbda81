//! Records a promotion, and starts the clock of the overlap.

use chrono::{DateTime, TimeDelta, Utc};

use super::calls::{Call, Event, Reply};
use super::names::Label;
use super::observed::SecretView;
use crate::ids::{KeyId, VersionId};

/// Holds what is left to do once a version is current. Without a `since` label something is left.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct AfterPromotion {
    version: VersionId,
    key: KeyId,
    step: AfterPromotionStep,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum AfterPromotionStep {
    EmitMinted,
    EmitStored,
    EmitPromoted,
    Since(DateTime<Utc>),
    Finished,
}

impl AfterPromotion {
    /// Returns what an earlier promotion left undone, before another promotion moves the labels that tell of it.
    pub(super) fn due(view: &SecretView, now: DateTime<Utc>) -> Option<Self> {
        let ours = |version: &VersionId| Some((version.clone(), view.key_of(version)?));
        let current = view.current();
        // Without a `since` label a later retire could not tell that the version was ever current.
        let mut cut_off = [current, view.holder(&Label::Previous)].into_iter().flatten();
        if let Some(version) =
            cut_off.find(|id| view.key_of(id).is_some() && view.since(id).is_none())
        {
            return ours(version).map(|(version, key)| Self::mend(version, key));
        }
        // After a rollback by hand no label says that the version is current again. The overlap of the version that
        // it replaced would end early.
        let (version, key) = ours(current?)?;
        let since = view.since(&version)?;
        let others = view.versions.keys().filter(|other| **other != version);
        let later =
            others.filter(|other| view.key_of(other).is_some()).filter_map(|id| view.since(id));
        let later = later.filter(|later| *later > since).max()?;
        let again = now.max(later + TimeDelta::seconds(1));
        Some(Self { version, key, step: AfterPromotionStep::Since(again) })
    }

    /// Begins with all that a promotion that was cut off may lack.
    pub(super) fn mend(version: VersionId, key: KeyId) -> Self {
        Self { version, key, step: AfterPromotionStep::EmitMinted }
    }

    /// Begins after a promotion that this try made.
    pub(super) fn begin(version: VersionId, key: KeyId) -> Self {
        Self { version, key, step: AfterPromotionStep::EmitPromoted }
    }

    /// Returns the next call; `None`: the `since` label is on.
    pub(super) fn call(&self) -> Option<Call> {
        let key = self.key;
        // Somebody else put a version with a foreign id: Keywheel did not mint its key.
        let rotation = self.version.token();
        Some(match (&self.step, rotation) {
            (AfterPromotionStep::EmitMinted, Some(rotation)) => {
                Call::Emit(Event::Minted { rotation, key })
            }
            (AfterPromotionStep::EmitStored, Some(rotation)) => {
                Call::Emit(Event::Stored { rotation, key })
            }
            (
                AfterPromotionStep::EmitMinted
                | AfterPromotionStep::EmitStored
                | AfterPromotionStep::EmitPromoted,
                _,
            ) => Call::Emit(Event::Promoted { version: self.version.clone(), key }),
            (AfterPromotionStep::Since(at), _) => Call::MoveLabel {
                label: Label::Since(*at),
                to: Some(self.version.clone()),
                from: None,
            },
            (AfterPromotionStep::Finished, _) => return None,
        })
    }

    /// Takes the answer to [`AfterPromotion::call`] in.
    pub(super) fn answered(mut self, reply: &Reply, now: DateTime<Utc>) -> Self {
        let foreign = self.version.token().is_none();
        self.step = match (self.step, reply) {
            (AfterPromotionStep::EmitMinted, _) if !foreign => AfterPromotionStep::EmitStored,
            (AfterPromotionStep::EmitStored, _) if !foreign => AfterPromotionStep::EmitPromoted,
            (
                AfterPromotionStep::EmitMinted
                | AfterPromotionStep::EmitStored
                | AfterPromotionStep::EmitPromoted,
                _,
            ) => AfterPromotionStep::Since(now),
            // Another version became current within the same second: labels are one per secret.
            (AfterPromotionStep::Since(at), Reply::Refused) => {
                AfterPromotionStep::Since(at + TimeDelta::seconds(1))
            }
            (AfterPromotionStep::Since(_) | AfterPromotionStep::Finished, _) => {
                AfterPromotionStep::Finished
            }
        };
        self
    }
}
