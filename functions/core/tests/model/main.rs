//! The rules run through every crash point and every interleaving of two tries of one credential.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod concurrent;
mod label_rules;
mod lives;
mod moved;
mod promises;
mod refusals;
mod room;
mod scenario;
mod secrets;
mod tries;
mod unused;
mod walks;
mod world;

use keywheel_core::ids::VersionId;
use keywheel_core::rotation::retire::Target;
use keywheel_core::rotation::{Replaces, Until};
use scenario::{Actor, Job, Scenario, why_not_at_rest};
use stateright::{Checker, HasDiscoveries, Model};
use world::{World, key_id, rotation, terms};

pub(crate) fn rotate(id: u128, replaces: Option<u128>) -> Job {
    let replaces = Replaces::Version(replaces.map(|id| VersionId::from(rotation(id))));
    Job::Rotate { rotation: rotation(id), replaces, until: Until::Promoted }
}

/// How many faults each scenario of two tries may hold; `KEYWHEEL_MODEL_FAULTS=2` takes minutes.
pub(crate) fn faults() -> u8 {
    std::env::var("KEYWHEEL_MODEL_FAULTS").map_or(1, |text| text.parse().unwrap())
}

/// Explores everything that can happen, or shows the shortest way to a broken promise.
pub(crate) fn explore(name: &str, scenario: Scenario) {
    let checker =
        scenario.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    for (property, path) in checker.discoveries() {
        if property == "a rotation ends" {
            continue;
        }
        let last = path.last_state();
        let why = last.world.violation.clone().or_else(|| why_not_at_rest(last));
        let actions: Vec<_> = path.clone().into_actions();
        panic!("{name}: {property}: {why:?}\nafter {actions:#?}\nin {:#?}", last.world);
    }
    println!("{name}: {} states, depth {}", checker.unique_state_count(), checker.max_depth());
    assert!(checker.is_done());
}

#[test]
fn one_try_cut_off_three_times() {
    let world = World::new(terms(false)).with_current(true);
    let actors = vec![Actor::queue([rotate(2, Some(1))])];
    explore("one try, three faults", Scenario::new(world, actors, 3, 2));
}

#[test]
fn a_job_delivered_twice_at_once() {
    let world = World::new(terms(false)).with_current(true);
    let actors = vec![Actor::queue([rotate(2, Some(1))]), Actor::queue([rotate(2, Some(1))])];
    explore("the same job twice", Scenario::new(world, actors, faults(), faults()));
}

#[test]
fn two_rotations_at_once() {
    let world = World::new(terms(false)).with_current(true);
    let actors = vec![Actor::queue([rotate(2, Some(1))]), Actor::queue([rotate(3, Some(1))])];
    explore("two rotations", Scenario::new(world, actors, faults(), faults()));
}

#[test]
fn a_queued_job_beside_rotate_secret() {
    let mut world = World::new(terms(false)).with_current(true);
    assert!(world.secret.begin_rotation(&rotation(3).into()));
    let actors = vec![Actor::queue([rotate(2, Some(1))]), Actor::native(&rotation(3))];
    explore("a job beside RotateSecret", Scenario::new(world, actors, faults(), faults()));
}

#[test]
fn the_first_rotation_twice_at_once() {
    let world = World::new(terms(false));
    let actors = vec![Actor::queue([rotate(2, None)]), Actor::queue([rotate(3, None)])];
    explore("two first rotations", Scenario::new(world, actors, faults(), faults()));
}

#[test]
fn the_first_rotation_cut_off() {
    let world = World::new(terms(false));
    let actors = vec![Actor::queue([rotate(2, None)])];
    explore("a first rotation, three faults", Scenario::new(world, actors, 3, 2));
}

#[test]
fn an_adopted_secret() {
    let world = World::new(terms(true)).with_current(false);
    let actors = vec![Actor::queue([rotate(2, Some(1))]), Actor::queue([rotate(2, Some(1))])];
    explore("adoption", Scenario::new(world, actors, faults(), faults()));
}

#[test]
fn retiring_beside_a_rotation() {
    let mut world = World::new(terms(false)).with_current(true);
    let first = scenario::run(&mut world, &rotate(2, Some(1))).unwrap();
    assert_eq!(
        first,
        scenario::Outcome::Rotate(keywheel_core::rotation::rotate::Outcome::Promoted(rotation(2)))
    );
    world.tick(chrono::TimeDelta::hours(25));
    let retire = Job::Retire(Target { version: Some(rotation(1).into()), key: key_id(901) });
    let actors = vec![
        Actor::queue([retire.clone(), rotate(3, Some(2))]),
        Actor::queue([rotate(3, Some(2)), retire]),
    ];
    explore("retire beside rotate", Scenario::new(world, actors, faults(), faults()));
}
