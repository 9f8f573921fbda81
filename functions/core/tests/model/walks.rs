//! Scenarios too large to explore: many tries beside each other, faults by the handful, one way through at a time.

use std::sync::atomic::{AtomicUsize, Ordering};

use keywheel_core::rotation::retire::Target;
use keywheel_core::rotation::{Call, Label};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use stateright::Model;

use crate::rotate;
use crate::scenario::{Actor, Job, Scenario, State, why_not_at_rest};
use crate::world::{World, key_id, rotation, terms};

const WALKS: u32 = 1_500;
/// Longer than any walk; whatever comes after the choices goes well.
const STEPS: usize = 600;

/// What one actor is about: it may be delivered more than once, and beside the same of another.
fn actor() -> impl Strategy<Value = Actor> {
    let replaced = prop_oneof![Just(Some(1)), Just(Some(2)), Just(Some(3))];
    let rotation_of = (2..6_u128, replaced).prop_map(|(id, replaces)| rotate(id, replaces));
    let retire = (1..5_u128, prop_oneof![Just(901), 1..5_u128]).prop_map(|(version, key)| {
        Job::Retire(Target { version: Some(rotation(version).into()), key: key_id(key) })
    });
    let resolve = (2..6_u128, 1..5_u128)
        .prop_map(|(id, key)| Job::Resolve { rotation: rotation(id), key: key_id(key) });
    // A person goes back from 2 to 1, which a retire of 1 under way cannot know of: not while an hour passes.
    let back = Job::Human(Call::MoveLabel {
        label: Label::Current,
        to: Some(rotation(1).into()),
        from: Some(rotation(2).into()),
    });
    let job = prop_oneof![4 => rotation_of, 1 => retire, 1 => resolve, 1 => Just(back)];
    let queue = proptest::collection::vec(job, 1..4).prop_map(Actor::queue);
    prop_oneof![5 => queue, 1 => Just(Actor::native(&rotation(7)))]
}

fn start(actors: Vec<Actor>, faults: u8, stale: u8) -> Scenario {
    let mut world = World::new(terms(false)).with_current(true);
    if actors.iter().any(|actor| actor.native) {
        assert!(world.secret.begin_rotation(&rotation(7).into()));
    }
    Scenario::new(world, actors, faults, stale)
}

/// One way through: `choices` says which of the things that can happen does.
fn walk(scenario: &Scenario, choices: &[u16]) -> (State, usize) {
    let mut state = scenario.init_states().remove(0);
    for step in 0..STEPS {
        let mut actions = Vec::new();
        scenario.actions(&state, &mut actions);
        if actions.is_empty() {
            return (state, step);
        }
        let chosen = choices.get(step).map_or(0, |choice| usize::from(*choice) % actions.len());
        state = scenario.next_state(&state, actions.swap_remove(chosen)).unwrap();
    }
    panic!("no end after {STEPS} steps: {state:#?}");
}

#[test]
fn many_tries_on_bad_days_keep_every_promise() {
    let (steps, deepest) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let walks = (
        proptest::collection::vec(actor(), 3..6),
        proptest::collection::vec(any::<u16>(), 400),
        0..7_u8,
        0..5_u8,
    );
    let tried = |(actors, choices, faults, stale): (Vec<Actor>, Vec<u16>, u8, u8)| {
        let (end, length) = walk(&start(actors, faults, stale), &choices);
        steps.fetch_add(length, Ordering::Relaxed);
        deepest.fetch_max(length, Ordering::Relaxed);
        prop_assert_eq!(end.world.violation.clone().or_else(|| why_not_at_rest(&end)), None);
        Ok(())
    };
    TestRunner::new(Config::with_cases(WALKS)).run(&walks, tried).unwrap();
    let (steps, deepest) = (steps.into_inner(), deepest.into_inner());
    println!("{WALKS} walks of three to five tries: {steps} states, depth {deepest}");
}
