//! An application that holds two keys, and no more.

use chrono::TimeDelta;
use keywheel_core::rotation::retire::Target;
use keywheel_core::rotation::room::{Room, make_room};
use keywheel_core::rotation::{SecretState, Stop, rotate as rotating};

use crate::scenario::{Actor, Job, Outcome, Scenario, run};
use crate::world::{Replica, World, key_id, rotation, terms};
use crate::{explore, faults, rotate};

/// Version 2 is current, version 1 within its overlap, and there is no room for another key.
fn within_the_overlap() -> World {
    let mut world = World::new(terms(false)).with_current(true);
    world.keys.remove(&key_id(900));
    world.most_keys = Some(2);
    run(&mut world, &rotate(2, Some(1))).unwrap();
    world.tick(TimeDelta::hours(1));
    world
}

fn past() -> Target {
    Target { version: Some(rotation(1).into()), key: key_id(901) }
}

fn room(world: &World, urgent: bool) -> Option<Room> {
    let SecretState::Present(view) = world.secret_state() else { panic!("no secret") };
    make_room(&world.terms, &view, &world.principal(Replica::UpToDate), urgent, world.now)
}

fn full() -> Outcome {
    Outcome::Rotate(rotating::Outcome::Stopped(Stop::NoRoomForKey))
}

#[test]
fn nothing_is_minted_where_there_is_no_room_and_the_overlap_is_kept() {
    let mut world = within_the_overlap();
    let before = world.clone();
    assert_eq!(run(&mut world, &rotate(3, Some(2))).unwrap(), full());
    assert_eq!(world, before);
    assert_eq!(room(&world, false), None, "promise 2");
    world.tick(TimeDelta::hours(25));
    assert!(matches!(room(&world, false), Some(Room::Due(_))), "its overlap is over");
}

#[test]
fn a_past_key_makes_room_where_somebody_wants_the_old_keys_gone_at_once() {
    let mut world = within_the_overlap();
    let Some(Room::Early(target)) = room(&world, true) else { panic!("no room") };
    assert_eq!(target, past());
    world.waived.extend([target.key, key_id(1)]);
    let revoke = Job::Revoke(target);
    let old = Job::Revoke(Target { version: Some(rotation(2).into()), key: key_id(1) });
    let jobs = [rotate(3, Some(2)), revoke, rotate(3, Some(2)), old];
    let actors = vec![Actor::queue(jobs), Actor::queue([rotate(3, Some(2))])];
    explore("two keys, revoked now", Scenario::new(world, actors, faults(), faults()));
}

#[test]
fn room_is_made_and_the_rotation_ends() {
    let mut world = within_the_overlap();
    world.waived.insert(key_id(901));
    assert_eq!(run(&mut world, &rotate(3, Some(2))).unwrap(), full());
    run(&mut world, &Job::Revoke(past())).unwrap();
    let came = run(&mut world, &rotate(3, Some(2))).unwrap();
    assert_eq!(came, Outcome::Rotate(rotating::Outcome::Promoted(rotation(3))));
    assert_eq!(world.violation, None);
}

#[test]
fn an_expired_past_key_makes_room_within_its_overlap() {
    let mut world = within_the_overlap();
    let expired = world.now - TimeDelta::hours(1);
    world.keys.get_mut(&key_id(901)).unwrap().key.end = Some(expired);
    assert_eq!(room(&world, false), Some(Room::Early(past())));
}

#[test]
fn rotations_beside_each_other_on_an_application_that_holds_two_keys() {
    let mut world = World::new(terms(false)).with_current(true);
    world.keys.remove(&key_id(900));
    world.most_keys = Some(2);
    let actors = vec![Actor::queue([rotate(2, Some(1))]), Actor::queue([rotate(3, Some(1))])];
    explore("two keys, two rotations", Scenario::new(world, actors, faults(), faults()));
}
