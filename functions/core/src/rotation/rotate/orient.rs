//! Decides by the labels where a rotation goes on, before Graph is asked.

use chrono::{DateTime, Utc};

use super::super::after_promotion::AfterPromotion;
use super::super::observed::SecretState;
use super::super::stop::Stop;
use super::state::{AbandonStep, State};
use super::{MAX_LABELS, Outcome, Replaces, Rotate, Until};
use crate::ids::VersionId;

impl Rotate {
    /// Takes in the labels.
    pub(super) fn on_secret(&mut self, secret: SecretState, now: DateTime<Utc>) -> State {
        match secret {
            SecretState::Present(view) => {
                self.view = view;
                self.orient(now)
            }
            SecretState::ScheduledForDeletion => Self::stop(Stop::SecretScheduledForDeletion),
            SecretState::Missing if self.replaces == Replaces::Version(None) => State::Create,
            SecretState::Missing => Self::stop(Stop::SecretMissing),
        }
    }

    /// Decides by the labels alone where this rotation goes on.
    fn orient(&mut self, now: DateTime<Utc>) -> State {
        let current = self.view.current().cloned();
        if let Some(after) = AfterPromotion::due(&self.view, now) {
            return State::MendPromoted(after);
        }
        if self.replaces == Replaces::Current {
            self.replaces = Replaces::Version(current.clone());
        }
        let own = self.version();
        if current.as_ref() == Some(&own) {
            return State::Done(match self.view.key_of(&own) {
                Some(_) => Outcome::Promoted(self.rotation.clone()),
                None => Outcome::Stopped(Stop::UnknownKey),
            });
        }
        if let Some(pending) = self.view.pending().cloned()
            && (self.view.void(&pending).is_some() || self.view.since(&pending).is_some())
        {
            // The version was given up, or somebody went back from it by hand: it will not become current again.
            return State::Release { from: pending };
        }
        if self.replaces != Replaces::Version(current) || self.view.since(&own).is_some() {
            return self.superseded(&own);
        }
        if self.view.void(&own).is_some() {
            return self.given_up(&own);
        }
        if let Some(stop) = self.join_pending(&own) {
            return Self::stop(stop);
        }
        // A rotation that is stored needs no more labels than were reserved for it.
        let is_stored = self.view.key_of(&self.version()).is_some();
        if !is_stored && self.view.label_count() > MAX_LABELS {
            return Self::stop(Stop::TooManyLabels);
        }
        State::ReadPrincipal
    }

    /// Lets go of the lock, else the next sweep would resume a rotation that is not needed any more.
    fn superseded(&self, own: &VersionId) -> State {
        match self.view.key_of(own) {
            Some(key) if self.until == Until::Promoted && self.view.pending() == Some(own) => {
                State::Abandon { key, step: AbandonStep::Release }
            }
            _ => State::Done(Outcome::Superseded),
        }
    }

    /// Records that an earlier try gave the rotation up: that try may have been cut off before its record.
    fn given_up(&self, own: &VersionId) -> State {
        match self.view.key_of(own) {
            Some(key) => State::Abandon { key, step: AbandonStep::Emit },
            None => State::Done(Outcome::Abandoned(self.rotation.clone())),
        }
    }

    /// Resumes the rotation that holds `AWSPENDING` instead of starting a rival.
    fn join_pending(&mut self, own: &VersionId) -> Option<Stop> {
        let pending = self.view.pending();
        if self.until != Until::Promoted && pending != Some(own) {
            return Some(Stop::NotPending);
        }
        match pending {
            None => None,
            Some(pending) if pending == own => None,
            Some(pending) => match self.view.rotation_of(pending) {
                Some(rotation) => {
                    self.rotation = rotation;
                    None
                }
                None => Some(Stop::ForeignPending),
            },
        }
    }
}
