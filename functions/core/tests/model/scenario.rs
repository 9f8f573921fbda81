//! Tries of one credential beside each other, cut off anywhere: every interleaving is explored.
//!
//! The tries are the ones that the engine runs in production. Each of their calls may be carried out and
//! answered; carried out with its answer lost and the try killed; or left in flight by a killed try, to
//! land later or never. Calls that no other try can notice (records, waits, a proof's sign-ins with
//! replicas that agree) are taken together with the next one.

use chrono::TimeDelta;
use keywheel_core::ids::Token;
use keywheel_core::rotation::plan::{Trigger, Work, plan};
use keywheel_core::rotation::{Call, Next, Replaces, Reply, RetireWhen, Until, rotate};
use stateright::{Model, Property};

pub(crate) use crate::tries::{Actor, Job, Outcome, Running};
use crate::world::{Replica, World, rotation};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) actors: Vec<Actor>,
    /// Calls of killed tries that may still land.
    pub(crate) in_flight: Vec<(bool, Call)>,
    pub(crate) faults_left: u8,
    pub(crate) stale_left: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered(Replica),
    AnswerLost,
    Late,
    /// Graph wants to be asked again, after it did what was asked or not.
    AskAgain {
        done: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Step(usize, Fate),
    Land(usize),
}

pub(crate) struct Scenario {
    pub(crate) start: State,
}

impl Scenario {
    pub(crate) fn new(world: World, actors: Vec<Actor>, faults: u8, stale: u8) -> Self {
        let in_flight = Vec::new();
        let start = State { world, actors, in_flight, faults_left: faults, stale_left: stale };
        Self { start }
    }
}

/// Calls that change nothing another try could notice: they need no turn of their own.
fn is_local(world: &World, call: &Call) -> bool {
    match call {
        Call::Wait(_) | Call::Emit(_) | Call::ReadLastUses => true,
        Call::SignIn { .. } => !world.replicas_differ(call),
        _ => false,
    }
}

impl State {
    /// Runs one actor up to, not including, the next call that others could notice.
    fn advance(&mut self, index: usize) {
        self.on_side(index, |state| state.advance_here(index));
    }

    /// Turns the world to the credential that an actor works on, for as long as it does something.
    fn on_side<T>(&mut self, index: usize, run: impl FnOnce(&mut Self) -> T) -> T {
        let aside = self.actors[index].aside;
        if aside {
            self.world.turn();
        }
        let done = run(self);
        if aside {
            self.world.turn();
        }
        done
    }

    fn advance_here(&mut self, index: usize) {
        loop {
            let actor = &mut self.actors[index];
            let running = match actor.running.take() {
                Some(running) => running,
                None => match actor.jobs.front() {
                    Some(job) => Running::start(&self.world, job),
                    None => return,
                },
            };
            match running.next() {
                Next::Done(outcome) => finish(actor, &outcome),
                Next::Call(call) if !running.is_human() && is_local(&self.world, &call) => {
                    let reply = self.world.carry_out(&call, Replica::UpToDate);
                    actor.running =
                        reply.map(|reply| running.answered(&mut self.world, &call, reply));
                }
                Next::Call(_) => {
                    actor.running = Some(running);
                    return;
                }
            }
        }
    }

    fn is_human(&self, index: usize) -> bool {
        self.actors[index].running.as_ref().is_some_and(Running::is_human)
    }

    fn pending_call(&self, index: usize) -> Option<Call> {
        let running = match (&self.actors[index].running, self.actors[index].jobs.front()) {
            (Some(running), _) => running.clone(),
            (None, Some(job)) => Running::start(&self.world, job),
            (None, None) => return None,
        };
        match running.next() {
            Next::Call(call) => Some(call),
            Next::Done(_) => None,
        }
    }

    fn step(&mut self, index: usize, fate: Fate) {
        self.on_side(index, |state| state.step_here(index, fate));
    }

    fn step_here(&mut self, index: usize, fate: Fate) {
        let Some(call) = self.pending_call(index) else {
            return;
        };
        match fate {
            Fate::Answered(replica) => {
                if let (Call::RemovePassword { key }, true) = (&call, self.is_human(index)) {
                    self.world.by_hand.insert(*key);
                }
                self.stale_left -= u8::from(replica == Replica::Behind);
                let reply = self.world.carry_out(&call, replica);
                if let (Call::Wait(time), true) = (&call, self.is_human(index)) {
                    self.world.tick(*time);
                }
                let job = self.actors[index].jobs.front().cloned();
                let running = self.actors[index].running.take();
                let running = running.or_else(|| job.map(|job| Running::start(&self.world, &job)));
                self.actors[index].running = running
                    .zip(reply)
                    .map(|(running, reply)| running.answered(&mut self.world, &call, reply));
            }
            Fate::AskAgain { done } => {
                self.faults_left -= 1;
                if done {
                    self.world.carry_out(&call, Replica::UpToDate);
                }
                let running = self.actors[index].running.take();
                self.actors[index].running = running
                    .map(|running| running.answered(&mut self.world, &call, Reply::NotRemoved));
            }
            Fate::AnswerLost | Fate::Late => {
                self.faults_left -= 1;
                self.actors[index].running = None;
                if fate == Fate::AnswerLost {
                    self.world.carry_out(&call, Replica::UpToDate);
                } else {
                    self.in_flight.push((self.actors[index].aside, call));
                    self.in_flight.sort();
                }
            }
        }
        self.advance_here(index);
    }

    fn at_rest(&self) -> bool {
        (0..self.actors.len()).all(|index| self.pending_call(index).is_none())
    }

    /// Sweeps and carries out what the sweeps queue, without faults, until nothing is left to do.
    pub(crate) fn rest(&self) -> Result<World, String> {
        let mut world = self.world.clone();
        let mut quiet = 0;
        // A key that is watched goes some days after the last thing that was done.
        let enough = if world.terms.policy.retire == RetireWhen::WhenUnused { 6 } else { 3 };
        for round in 0..40_u128 {
            world.tick(if quiet == 0 { TimeDelta::minutes(65) } else { TimeDelta::hours(25) });
            let sides = if world.has_aside() { 2 } else { 1 };
            let mut done = 0;
            for side in 0..sides {
                let fresh = rotation(5_000 + 2 * round + side);
                done += world.aside(side == 1, |world| sweep(world, &fresh))?;
            }
            quiet = if done == 0 { quiet + 1 } else { 0 };
            if quiet == enough {
                return Ok(world);
            }
        }
        Err("never comes to rest".into())
    }
}

/// One sweep, and all that it queues; how much that was.
fn sweep(world: &mut World, fresh: &Token) -> Result<usize, String> {
    let state = world.secret_state();
    let principal = world.principal(Replica::UpToDate);
    let found = plan(&world.terms, Trigger::Sweep, &state, Some(&principal), world.now);
    let due = found.work.len();
    for work in found.work {
        run(world, &job_of(work, fresh.clone()))?;
    }
    Ok(due)
}

fn job_of(work: Work, fresh: Token) -> Job {
    match work {
        Work::Rotate { rotation, replaces, .. } => Job::Rotate {
            rotation: rotation.unwrap_or(fresh),
            replaces: Replaces::Version(replaces),
            until: Until::Promoted,
        },
        Work::Retire(target) => Job::Retire(target),
        Work::Resolve { rotation, key } => Job::Resolve { rotation, key },
    }
}

/// One try from beginning to end on a good day.
pub(crate) fn run(world: &mut World, job: &Job) -> Result<Outcome, String> {
    let mut running = Running::start(world, job);
    for _ in 0..300 {
        match running.next() {
            Next::Done(outcome) => return Ok(outcome),
            Next::Call(call) => {
                let Some(reply) = world.carry_out(&call, Replica::UpToDate) else {
                    return Err(format!("{call:?} failed"));
                };
                running = running.answered(world, &call, reply);
            }
        }
    }
    Err(format!("{job:?} never ends"))
}

fn finish(actor: &mut Actor, outcome: &Outcome) {
    use rotate::Outcome::{Promoted, Proved, Stored};
    actor.jobs.pop_front();
    let went_well = matches!(outcome, Outcome::Rotate(Stored(_) | Proved(_) | Promoted(_)));
    if actor.native && !went_well {
        // Secrets Manager calls no further step; the version keeps AWSPENDING.
        actor.jobs.clear();
    }
}

impl Model for Scenario {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut state = self.start.clone();
        for index in 0..state.actors.len() {
            state.advance(index);
        }
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.world.violation.is_some() {
            return;
        }
        for index in 0..state.actors.len() {
            let Some(call) = state.pending_call(index) else {
                continue;
            };
            actions.push(Action::Step(index, Fate::Answered(Replica::UpToDate)));
            if state.is_human(index) {
                continue;
            }
            if state.stale_left > 0 && state.world.replicas_differ(&call) {
                actions.push(Action::Step(index, Fate::Answered(Replica::Behind)));
            }
            if state.faults_left > 0 {
                actions.push(Action::Step(index, Fate::AnswerLost));
                if changes(&call) {
                    actions.push(Action::Step(index, Fate::Late));
                }
                if matches!(call, Call::RemovePassword { .. }) {
                    for done in [false, true] {
                        actions.push(Action::Step(index, Fate::AskAgain { done }));
                    }
                }
            }
        }
        for index in 0..state.in_flight.len() {
            actions.push(Action::Land(index));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Step(index, fate) => state.step(index, fate),
            Action::Land(index) => {
                let (aside, call) = state.in_flight.remove(index);
                state.world.aside(aside, |world| world.carry_out(&call, Replica::UpToDate));
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("promises 1 to 3 hold", |_, state: &State| {
                state.world.violation.is_none()
            }),
            Property::always("all comes to rest, promises 4 and 6 hold", |_, state: &State| {
                !state.at_rest() || why_not_at_rest(state).is_none()
            }),
            Property::sometimes("a rotation ends", |_, state: &State| state.at_rest()),
        ]
    }
}

/// What is broken once everything has come to rest from here, in words.
pub(crate) fn why_not_at_rest(state: &State) -> Option<String> {
    match state.rest() {
        Ok(mut world) => world.violation.clone().or_else(|| world.broken_at_rest()),
        Err(why) => Some(why),
    }
}

fn changes(call: &Call) -> bool {
    matches!(
        call,
        Call::CreateSecret
            | Call::AddPassword { .. }
            | Call::RemovePassword { .. }
            | Call::PutValue { .. }
            | Call::MoveLabel { .. }
    )
}
