//! The tries that a scenario runs, and who delivers them.

use std::collections::VecDeque;

use keywheel_core::ids::{KeyId, Token};
use keywheel_core::rotation::retire::Target;
use keywheel_core::rotation::{
    Call, Next, Replaces, Reply, Resolve, Retire, Rotate, SignIn, Try, Until, resolve, retire,
    rotate,
};

use crate::world::World;

/// What an actor carries out, once or again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Job {
    Rotate {
        rotation: Token,
        replaces: Replaces,
        until: Until,
    },
    Retire(Target),
    /// `revoke_old: now`: somebody asked for the key to go without its overlap.
    Revoke(Target),
    Resolve {
        rotation: Token,
        key: KeyId,
    },
    /// A person's own call, past Keywheel; a wait lets time pass for all.
    Human(Call),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Running {
    Rotate(Rotate),
    Retire(Retire),
    Resolve(Resolve),
    Human(Option<Call>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Rotate(rotate::Outcome),
    Retire(retire::Outcome),
    Resolve(resolve::Outcome),
    Human,
}

impl Running {
    pub(crate) fn start(world: &World, job: &Job) -> Self {
        let terms = world.terms.clone();
        match job.clone() {
            Job::Rotate { rotation, replaces, until } => {
                Self::Rotate(Rotate::new(terms, rotation, replaces, until))
            }
            Job::Retire(target) => Self::Retire(Retire::new(terms, target, false)),
            Job::Revoke(target) => Self::Retire(Retire::new(terms, target, true)),
            Job::Resolve { rotation, key } => Self::Resolve(Resolve::new(terms, rotation, key)),
            Job::Human(call) => Self::Human(Some(call)),
        }
    }

    pub(crate) fn is_human(&self) -> bool {
        matches!(self, Self::Human(_))
    }

    pub(crate) fn next(&self) -> Next<Outcome> {
        fn map<O>(next: Next<O>, wrap: impl Fn(O) -> Outcome) -> Next<Outcome> {
            match next {
                Next::Call(call) => Next::Call(call),
                Next::Done(outcome) => Next::Done(wrap(outcome)),
            }
        }
        match self {
            Self::Rotate(rotate) => map(rotate.next(), Outcome::Rotate),
            Self::Retire(retire) => map(retire.next(), Outcome::Retire),
            Self::Resolve(resolve) => map(resolve.next(), Outcome::Resolve),
            Self::Human(Some(call)) => Next::Call(call.clone()),
            Self::Human(None) => Next::Done(Outcome::Human),
        }
    }

    pub(crate) fn answered(self, world: &mut World, call: &Call, reply: Reply) -> Self {
        if let (Call::SignIn { key }, Reply::SignIn(SignIn::Accepted)) = (call, &reply) {
            // The ghost is generous: what the proof itself demands is tested on its own.
            world.proved.insert(*key);
            let now = world.now;
            world.last_uses.as_mut().map(|uses| uses.insert(*key, now));
        }
        match self {
            Self::Rotate(rotate) => Self::Rotate(rotate.answered(reply, world.now)),
            Self::Retire(retire) => Self::Retire(retire.answered(reply, world.now)),
            Self::Resolve(resolve) => Self::Resolve(resolve.answered(reply, world.now)),
            Self::Human(_) => Self::Human(None),
        }
    }
}

/// One deliverer of jobs: a queue's message group, or Secrets Manager and its four steps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Actor {
    pub(crate) jobs: VecDeque<Job>,
    pub(crate) running: Option<Running>,
    /// Whether a job that did not reach what it was asked for keeps the next ones from starting.
    pub(crate) native: bool,
    /// Whether it works on the world's other credential.
    pub(crate) aside: bool,
}

impl Actor {
    pub(crate) fn queue(jobs: impl IntoIterator<Item = Job>) -> Self {
        Self { jobs: jobs.into_iter().collect(), running: None, native: false, aside: false }
    }

    /// The same, for the other credential on the application.
    pub(crate) fn aside(jobs: impl IntoIterator<Item = Job>) -> Self {
        Self { aside: true, ..Self::queue(jobs) }
    }

    /// `RotateSecret` with this token.
    pub(crate) fn native(token: &Token) -> Self {
        let step =
            |until| Job::Rotate { rotation: token.clone(), replaces: Replaces::Current, until };
        let steps = [Until::Stored, Until::Proved, Until::Promoted].map(step);
        Self { jobs: steps.into(), running: None, native: true, aside: false }
    }
}
