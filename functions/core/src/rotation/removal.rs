//! Removes a key once its removal is decided.

use super::calls::{Call, Event, Reply};
use super::names::Label;
use super::observed::{SecretState, SecretView};
use crate::ids::{KeyId, ObjectId, Token, VersionId};

/// Carries out a removal: the intent, a last look, the removal, the record, the labels.
///
/// A removal that is cut off is taken up by a later try: the intent tells that Keywheel removed the key, and the key's
/// label stays until the record is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Removal {
    key: KeyId,
    /// The version whose labels go with the key; `None`: no version's label names the key.
    version: Option<VersionId>,
    /// The rotation that minted the key, if its try may have been cut off before the record of it.
    minted: Option<Token>,
    step: Step,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Step {
    /// Writes the intent before the removal: else a later try could not tell who removed the key.
    Intend(ObjectId),
    /// Reads the labels once more: time has passed since the last read.
    LookAgain,
    /// The key is gone: reads whether another try wrote its intent since the last read.
    LookForIntent,
    EmitMinted(Act),
    Act(Act),
    /// Takes the labels off, the last one first.
    TakeOff(Vec<Label>, End),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Act {
    Remove,
    /// This try removed the key, or an earlier try that was cut off before its record.
    RecordRemoved,
    RecordNotFound,
}

/// Says how a removal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum End {
    /// Keywheel removed the key, and its labels are off.
    Removed,
    /// The key is not there, and Keywheel did not remove it.
    NotFound,
    /// An answer did not fit its call.
    Unfit,
}

/// Says what follows an answer.
pub(super) enum Progress {
    /// The removal goes on.
    Going(Removal),
    /// The labels have changed: the removal is to be decided afresh.
    Undecided,
    /// The removal is over.
    Over(End),
}

impl Progress {
    /// Gives the state of the try that the removal is a part of.
    pub(super) fn state<S>(self, going: fn(Removal) -> S, undecided: S, over: fn(End) -> S) -> S {
        match self {
            Self::Going(removal) => going(removal),
            Self::Undecided => undecided,
            Self::Over(end) => over(end),
        }
    }
}

impl Removal {
    /// Begins the removal of a key. [`Removal::present`], [`Removal::absent`] or [`Removal::last_labels`] follows.
    pub(super) fn new(key: KeyId, version: Option<VersionId>, minted: Option<Token>) -> Self {
        Self { key, version, minted, step: Step::LookAgain }
    }

    /// Removes a key that Graph shows on this object.
    pub(super) fn present(mut self, object: ObjectId, view: &SecretView) -> Self {
        let written = view.holder(&Label::Removing(object, self.key)).is_some();
        if !written && self.intent_on(view).is_some() {
            self.step = Step::Intend(object);
        }
        self
    }

    /// Finishes the removal of a key that Graph does not show on this object.
    ///
    /// Without an intent the key may never have been on this object: the key may live on the object that the manifest
    /// named before, and must not be recorded as removed. A secret without a version has no place for an intent: there it
    /// is enough that a sweep saw the key.
    pub(super) fn absent(mut self, object: ObjectId, view: &SecretView) -> Self {
        let written = view.holder(&Label::Removing(object, self.key)).is_some();
        self.step = if written || view.current().is_none() {
            self.minted_first(Act::RecordRemoved)
        } else {
            Step::LookForIntent
        };
        self
    }

    /// Goes on after an earlier try that was cut off between the last labels; `None`: no label tells of such a try.
    pub(super) fn last_labels(mut self, view: &SecretView) -> Option<Self> {
        let labels = self.labels(view);
        let left = |label: &Label| matches!(label, Label::Void(_) | Label::Removing(..));
        let cut_off = labels.iter().any(left);
        self.step = Step::TakeOff(labels, End::Removed);
        cut_off.then_some(self)
    }

    /// Returns the version that carries the intent: the key's own version, or else the current version.
    fn intent_on<'a>(&'a self, view: &'a SecretView) -> Option<&'a VersionId> {
        self.version.as_ref().or(view.current())
    }

    fn minted_first(&self, act: Act) -> Step {
        if self.minted.is_some() { Step::EmitMinted(act) } else { Step::Act(act) }
    }

    /// Returns the next call.
    pub(super) fn call(&self, view: &SecretView) -> Option<Call> {
        let key = self.key;
        let version = || self.version.clone().or(self.minted.clone().map(VersionId::from));
        Some(match &self.step {
            Step::Intend(object) => Call::MoveLabel {
                label: Label::Removing(*object, key),
                to: self.intent_on(view).cloned(),
                from: None,
            },
            Step::LookAgain | Step::LookForIntent => Call::DescribeSecret,
            Step::EmitMinted(_) => {
                Call::Emit(Event::Minted { rotation: self.minted.clone()?, key })
            }
            Step::Act(Act::Remove) => Call::RemovePassword { key },
            Step::Act(Act::RecordRemoved) => Call::Emit(Event::Removed { version: version(), key }),
            Step::Act(Act::RecordNotFound) => {
                Call::Emit(Event::NotFound { version: version(), key })
            }
            Step::TakeOff(labels, _) => {
                let label = labels.last()?.clone();
                let from = view.holder(&label).or(self.version.as_ref()).cloned();
                Call::MoveLabel { label, to: None, from }
            }
        })
    }

    /// Takes in the answer to [`Removal::call`]. `view` holds the labels on which the removal was decided.
    pub(super) fn answered(mut self, view: &mut SecretView, reply: Reply) -> Progress {
        let step = std::mem::replace(&mut self.step, Step::LookAgain);
        self.step = match (step, reply) {
            (Step::Intend(object), Reply::Moved) => {
                let on = self.intent_on(view).cloned();
                let labels = on.and_then(|version| view.versions.get_mut(&version));
                labels.map(|labels| labels.insert(Label::Removing(object, self.key)));
                Step::LookAgain
            }
            (Step::LookAgain, Reply::Secret(SecretState::Present(now))) if now == *view => {
                self.minted_first(Act::Remove)
            }
            (Step::LookForIntent, Reply::Secret(SecretState::Present(now))) if now == *view => {
                self.minted_first(Act::RecordNotFound)
            }
            // Another try was faster, or the labels have changed since.
            (Step::Intend(_), Reply::Refused)
            | (Step::LookAgain | Step::LookForIntent, Reply::Secret(_)) => {
                return Progress::Undecided;
            }
            (Step::EmitMinted(act), Reply::Emitted) => Step::Act(act),
            (Step::Act(Act::Remove), Reply::Removed) => Step::Act(Act::RecordRemoved),
            // Graph made the try wait, and the labels may have changed meanwhile.
            (Step::Act(Act::Remove), Reply::NotRemoved) => Step::LookAgain,
            (Step::Act(Act::RecordRemoved), Reply::Emitted) => {
                Step::TakeOff(self.labels(view), End::Removed)
            }
            (Step::Act(Act::RecordNotFound), Reply::Emitted) => {
                Step::TakeOff(self.labels(view), End::NotFound)
            }
            (Step::TakeOff(mut labels, end), _) => {
                // A label that is refused is off already.
                labels.pop();
                Step::TakeOff(labels, end)
            }
            _ => return Progress::Over(End::Unfit),
        };
        match &self.step {
            Step::TakeOff(labels, end) if labels.is_empty() => Progress::Over(*end),
            // Nobody misses a key that no version's label named.
            Step::Act(Act::RecordNotFound) if self.version.is_none() && self.minted.is_some() => {
                Progress::Over(End::NotFound)
            }
            _ => Progress::Going(self),
        }
    }

    /// Returns the labels that go with the key, the first to go last.
    ///
    /// A later try goes on until the key's label is off. `AWSPENDING` goes before that label and `void` after it: a
    /// version that has its key's label and is not void may be resumed, and lagging replicas would still accept the
    /// dead key's secret. The intent goes last: until then a try can tell that Keywheel removed the key.
    fn labels(&self, view: &SecretView) -> Vec<Label> {
        let every = view.versions.values().flatten();
        let intents =
            every.filter(|label| matches!(label, Label::Removing(_, key) if *key == self.key));
        let mut ours: Vec<Label> = intents.cloned().collect();
        let Some(labels) = self.version.as_ref().and_then(|id| view.versions.get(id)) else {
            return ours;
        };
        let of = |kind: fn(&Label) -> bool| labels.iter().filter(move |label| kind(label)).cloned();
        ours.extend(of(|label| matches!(label, Label::Void(_))));
        ours.push(Label::Key(self.key));
        ours.extend(of(|label| matches!(label, Label::Since(_))));
        ours.extend(of(|label| matches!(label, Label::Previous | Label::Pending)));
        ours
    }
}
