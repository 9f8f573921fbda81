//! Says by the labels of its secret how far a rotation is.

use super::{SecretState, SecretView, Stop};
use crate::ids::{KeyId, VersionId};
use schemars::JsonSchema;
use serde::Serialize;

/// Names the last step that a rotation has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The rotation's job is queued.
    Queued,
    /// A new key is minted, and its secret is stored.
    Stored,
    /// The new secret is being proved.
    Claimed,
    /// The new secret is current.
    Promoted,
    /// The label says since when the new secret is current: the old key's overlap runs.
    Recorded,
    /// The new secret is current, and the old key is removed, as was asked for.
    Revoked,
}

/// Says what the labels show of a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The rotation is this far.
    Step(Step),
    /// Another version became current meanwhile.
    Superseded(VersionId),
    /// The version will not become current, for this reason.
    Failed(String),
}

/// Says why the old key stays beside a version whose key is not known.
const BY_HAND: &str = "somebody stored another secret by hand first, and the old key still works: remove it in Entra \
                       if it has to go";

/// Watches a rotation by its version.
#[derive(Clone, Debug)]
pub struct Watch {
    /// The version. Another rotation's version takes its place if that rotation held the lock first and is resumed instead,
    /// or if that version became current first while the old key is still to go.
    pub version: VersionId,
    replaces: Option<VersionId>,
    /// The old key, if it is to be removed at once.
    revoke: Option<KeyId>,
}

impl Watch {
    /// Watches a version until it is current and until `revoke` is gone.
    pub fn new(version: VersionId, replaces: Option<VersionId>, revoke: Option<KeyId>) -> Self {
        Self { version, replaces, revoke }
    }

    /// Returns the steps in their order.
    pub fn steps(&self) -> impl Iterator<Item = Step> {
        use Step::{Claimed, Promoted, Queued, Recorded, Revoked, Stored};
        let (first, revoke) = (self.is_first(), self.revoke.is_some());
        [Queued, Stored, Claimed, Promoted, Recorded, Revoked]
            .into_iter()
            // The first version is proved before it is stored, and is current at once.
            .filter(move |step| !(first && *step == Claimed))
            .filter(move |step| revoke || *step != Revoked)
    }

    /// Says whether the secret had no value before.
    pub fn is_first(&self) -> bool {
        self.replaces.is_none()
    }

    /// Returns the last step.
    pub fn last(&self) -> Step {
        match self.revoke {
            Some(_) => Step::Revoked,
            None => Step::Recorded,
        }
    }

    /// Reads the labels.
    pub fn see(&mut self, secret: &SecretState) -> Seen {
        match secret {
            SecretState::Present(view) => self.see_labels(view),
            SecretState::Missing if self.replaces.is_none() => Seen::Step(Step::Queued),
            SecretState::Missing => Seen::Failed(Stop::SecretMissing.explanation().to_owned()),
            SecretState::ScheduledForDeletion => {
                Seen::Failed(Stop::SecretScheduledForDeletion.explanation().to_owned())
            }
        }
    }

    fn see_labels(&mut self, view: &SecretView) -> Seen {
        let current = view.current();
        if let Some(pending) = view.pending()
            && view.void(pending).is_none()
            && current != Some(&self.version)
        {
            self.version = pending.clone();
        }
        if current == Some(&self.version) {
            return self.after_promotion(view);
        }
        if view.void(&self.version).is_some() {
            return Seen::Failed(
                "its key turned out dead, and it was given up; ask again for a new rotation"
                    .to_owned(),
            );
        }
        match current {
            Some(other) if self.replaces.as_ref() != Some(other) => {
                if self.revoke.is_none() {
                    return Seen::Superseded(other.clone());
                }
                // The job removes the replaced key all the same.
                self.version = other.clone();
                self.after_promotion(view)
            }
            _ if view.pending() == Some(&self.version) => Seen::Step(Step::Claimed),
            _ if view.key_of(&self.version).is_some() => Seen::Step(Step::Stored),
            _ => Seen::Step(Step::Queued),
        }
    }

    fn after_promotion(&self, view: &SecretView) -> Seen {
        match self.revoke {
            // Also if a person stored this version: such a version gets no `since` label.
            Some(key) if !view.named_keys().contains(&key) => Seen::Step(Step::Revoked),
            Some(_) if view.key_of(&self.version).is_none() => Seen::Failed(BY_HAND.to_owned()),
            _ if view.since(&self.version).is_none() => Seen::Step(Step::Promoted),
            _ => Seen::Step(Step::Recorded),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rotation::Label;
    use chrono::{DateTime, Utc};
    use uuid::Uuid;

    use super::*;

    const OLD: &str = "00000000-0000-0000-0000-00000000000a";
    const NEW: &str = "00000000-0000-0000-0000-00000000000b";
    const RIVAL: &str = "00000000-0000-0000-0000-00000000000c";

    fn id(text: &str) -> VersionId {
        VersionId(text.to_owned())
    }

    fn key(number: u128) -> KeyId {
        KeyId(Uuid::from_u128(number))
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn view(versions: &[(&str, &[Label])]) -> SecretState {
        let mut view = SecretView::default();
        for (version, labels) in versions {
            let labels = labels.iter().cloned().collect();
            view.versions.insert(id(version), labels);
        }
        SecretState::Present(view)
    }

    #[test]
    fn a_rotation_is_followed_from_the_queue_to_the_removal_of_the_old_key() {
        let mut watch = Watch::new(id(NEW), Some(id(OLD)), Some(key(1)));
        let old = [Label::Key(key(1)), Label::Current];
        let was = [Label::Key(key(1)), Label::Previous];
        let (new, since) = (Label::Key(key(2)), Label::Since(now()));
        let stored = [new.clone()];
        let promoted = [new.clone(), Label::Current];
        let recorded = [new.clone(), Label::Current, since];
        for (state, step) in [
            (view(&[(OLD, &old)]), Step::Queued),
            (view(&[(OLD, &old), (NEW, &stored)]), Step::Stored),
            (view(&[(OLD, &old), (NEW, &[new, Label::Pending])]), Step::Claimed),
            (view(&[(OLD, &was), (NEW, &promoted)]), Step::Promoted),
            (view(&[(OLD, &was), (NEW, &recorded)]), Step::Recorded),
            (view(&[(NEW, &recorded)]), Step::Revoked),
        ] {
            assert_eq!(watch.see(&state), Seen::Step(step));
        }
        assert_eq!(watch.last(), Step::Revoked);
    }

    #[test]
    fn a_first_rotation_has_no_claim() {
        let mut watch = Watch::new(id(NEW), None, None);
        assert_eq!(watch.see(&SecretState::Missing), Seen::Step(Step::Queued));
        assert!(watch.steps().all(|step| step != Step::Claimed && step != Step::Revoked));
        assert_eq!(watch.last(), Step::Recorded);
    }

    #[test]
    fn the_rotation_that_holds_the_lock_is_followed_instead() {
        let mut watch = Watch::new(id(NEW), Some(id(OLD)), None);
        let old = [Label::Key(key(1)), Label::Current];
        let rival = [Label::Key(key(3)), Label::Pending];
        let state = view(&[(OLD, &old), (RIVAL, &rival)]);
        assert_eq!(watch.see(&state), Seen::Step(Step::Claimed));
        assert_eq!(watch.version, id(RIVAL));
    }

    #[test]
    fn the_old_key_is_watched_until_it_is_gone_whichever_rotation_replaced_it() {
        let was = [Label::Key(key(1)), Label::Previous];
        let rotated = [Label::Key(key(3)), Label::Current, Label::Since(now())];
        let by_hand = [Label::Current];
        let stays = Seen::Failed(BY_HAND.to_owned());
        for (rival, seen) in [(&rotated[..], Seen::Step(Step::Recorded)), (&by_hand[..], stays)] {
            let mut watch = Watch::new(id(NEW), Some(id(OLD)), Some(key(1)));
            let replaced = view(&[(OLD, &was), (RIVAL, rival)]);
            assert_eq!(watch.see(&replaced), seen);
            assert_eq!(watch.version, id(RIVAL));
            assert_eq!(watch.see(&replaced), seen);
            let removed = view(&[(OLD, &[Label::Previous]), (RIVAL, rival)]);
            assert_eq!(watch.see(&removed), Seen::Step(watch.last()));
        }
    }

    #[test]
    fn what_will_not_come_is_not_waited_for() {
        let mut watch = Watch::new(id(NEW), Some(id(OLD)), None);
        let other = view(&[(RIVAL, &[Label::Key(key(3)), Label::Current])]);
        assert_eq!(watch.see(&other), Seen::Superseded(id(RIVAL)));
        let void = [Label::Key(key(2)), Label::Void(now())];
        let void = view(&[(OLD, &[Label::Current]), (NEW, &void)]);
        assert!(matches!(watch.see(&void), Seen::Failed(_)));
        assert!(matches!(watch.see(&SecretState::ScheduledForDeletion), Seen::Failed(_)));
    }
}
