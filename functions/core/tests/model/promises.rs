//! The promises, as far as the world and its ghosts can tell whether they are kept.

use keywheel_core::ids::KeyId;
use keywheel_core::rotation::Event;

use crate::world::{GraphKey, OVERLAP, World, key_id};

impl World {
    pub(crate) fn broken(&self) -> Option<String> {
        if let Some(current) = self.current() {
            let key = self.key_in(&current)?;
            if !self.proved.contains(&key) {
                return Some(format!("promise 1: {current} is current and was never proved"));
            }
            if !self.alive(key) {
                return Some(format!("promise 1: the key under AWSCURRENT ({current}) is gone"));
            }
        }
        let revoked = self
            .replaced
            .iter()
            .filter(|(_, (key, _))| !self.waived.contains(key))
            .find(|(_, (key, at))| !self.alive(*key) && self.now < *at + OVERLAP);
        revoked.map(|(version, _)| format!("promise 2: {version} was revoked within its overlap"))
    }

    /// Promises 4 and 6, once everything has come to rest.
    pub(crate) fn broken_at_rest(&mut self) -> Option<String> {
        let other = self.has_aside().then(|| self.aside(true, |world| world.orphaned())).flatten();
        self.orphaned().or(other).or_else(|| self.unrecorded())
    }

    fn orphaned(&self) -> Option<String> {
        let Some(current) = self.current() else {
            return Some("at rest: the secret has no value".into());
        };
        let key = self.key_in(&current);
        let orphan = self.keys.values().find(|other| {
            !other.removed
                && !other.elsewhere
                && other.key.minted_by(&self.terms.scope).is_some()
                && Some(other.key.key_id) != key
        });
        orphan.map(|orphan| format!("promise 4: key {} is an orphan", orphan.key.key_id))
    }

    fn unrecorded(&self) -> Option<String> {
        for n in 1..=self.minted {
            let id = key_id(n);
            let recorded = |event: &Event| matches!(event, Event::Minted { key, .. } if *key == id);
            if !self.events.iter().any(recorded) {
                return Some(format!("promise 6: minting {id} left no record"));
            }
        }
        for event in &self.events {
            if let Event::Stored { rotation, key } = event
                && self.key_in(&rotation.clone().into()).is_some_and(|stored| stored != *key)
            {
                return Some(format!("promise 6: {rotation} is said to hold {key}, and does not"));
            }
        }
        let removals = self.keys.values().find_map(|key| self.removal_unrecorded(key));
        if removals.is_some() {
            return removals;
        }
        let unsaid = self.promoted.iter().find(|id| {
            !self.unrecorded.contains(*id)
                && !self
                    .events
                    .iter()
                    .any(|event| matches!(event, Event::Promoted { version, .. } if version == *id))
        });
        unsaid.map(|id| format!("promise 6: promoting {id} left no record"))
    }

    /// One record of each removal of ours, none of what was not removed here, and a finding instead.
    fn removal_unrecorded(&self, key: &GraphKey) -> Option<String> {
        let id = key.key.key_id;
        let removed = |event: &&Event| matches!(event, Event::Removed { key, .. } if *key == id);
        let missed = |event: &Event| matches!(event, Event::NotFound { key, .. } if *key == id);
        let records = self.events.iter().filter(removed).count();
        let missed = self.events.iter().any(missed);
        let told = match (key.removed, self.by_hand.contains(&id)) {
            (false, _) => records == 0 && missed == (key.elsewhere && self.held(id)),
            (true, false) => records == 1 && !missed,
            // A person was faster, perhaps between our last look and our own removal.
            (true, true) => records == 1 || (records == 0 && missed),
        };
        (!told).then(|| {
            format!("promise 6: {id} has {records} records of its removal, missed: {missed}")
        })
    }

    /// Whether some version's value is of this key, and not the current one's.
    fn held(&self, key: KeyId) -> bool {
        let current = self.current().and_then(|current| self.key_in(&current));
        current != Some(key)
            && self.secret.versions.values().any(|version| version.value == Some(key))
    }
}
