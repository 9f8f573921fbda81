//! Keys that are not where the manifest says: it was changed, or a person was faster.

use chrono::TimeDelta;
use keywheel_core::rotation::retire::{self, Target};
use keywheel_core::rotation::{Call, Event};

use crate::scenario::{Actor, Job, Outcome, Scenario, run};
use crate::world::{World, key_id, rotation, terms};
use crate::{explore, faults, rotate};

fn old() -> Target {
    Target { version: Some(rotation(1).into()), key: key_id(901) }
}

/// Version 2 is current, version 1 past its overlap, and `application` or `key_on` says otherwise since: key 901
/// lives where it always did.
fn moved() -> World {
    let mut world = World::new(terms(false)).with_current(true);
    world.keys.get_mut(&key_id(901)).unwrap().elsewhere = true;
    run(&mut world, &rotate(2, Some(1))).unwrap();
    world.tick(TimeDelta::hours(25));
    world
}

#[test]
fn a_key_that_lives_elsewhere_is_not_recorded_as_removed() {
    let mut world = moved();
    let outcome = run(&mut world, &Job::Retire(old())).unwrap();
    assert_eq!(outcome, Outcome::Retire(retire::Outcome::NotFound));
    let version = Some(rotation(1).into());
    assert!(world.events.contains(&Event::NotFound { version, key: key_id(901) }));
    assert!(!world.events.iter().any(|event| matches!(event, Event::Removed { .. })));
    assert!(world.alive(key_id(901)));
    assert!(world.secret.versions[&rotation(1).into()].labels.is_empty());
}

#[test]
fn a_manifest_that_points_elsewhere_since() {
    let mut world = World::new(terms(false)).with_current(true);
    world.keys.get_mut(&key_id(901)).unwrap().elsewhere = true;
    let actors = vec![Actor::queue([rotate(2, Some(1))]), Actor::queue([rotate(3, Some(1))])];
    explore("a manifest that moved", Scenario::new(world, actors, faults(), 0));
    let retire = Job::Retire(old());
    let actors = vec![Actor::queue([retire.clone()]), Actor::queue([retire])];
    explore("retire what moved, twice", Scenario::new(moved(), actors, faults() + 1, faults()));
}

#[test]
fn a_person_removes_the_old_key_in_the_middle() {
    let mut world = World::new(terms(false)).with_current(true);
    run(&mut world, &rotate(2, Some(1))).unwrap();
    world.tick(TimeDelta::hours(25));
    let by_hand = Job::Human(Call::RemovePassword { key: key_id(901) });
    let retire = Job::Retire(old());
    let actors = vec![
        Actor::queue([retire.clone(), retire.clone()]),
        Actor::queue([retire]),
        Actor::queue([by_hand]),
    ];
    explore("a key removed by hand", Scenario::new(world, actors, faults(), faults()));
}

#[test]
fn retired_twice_at_once_it_is_recorded_once() {
    let mut world = World::new(terms(false)).with_current(true);
    run(&mut world, &rotate(2, Some(1))).unwrap();
    world.tick(TimeDelta::hours(25));
    let retire = Job::Retire(old());
    let actors = vec![Actor::queue([retire.clone()]), Actor::queue([retire])];
    explore("retire twice", Scenario::new(world, actors, faults() + 1, faults()));
}
