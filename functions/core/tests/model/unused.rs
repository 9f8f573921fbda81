//! `retire: when-unused`: a key that is still signed in with stays.

use chrono::TimeDelta;
use keywheel_core::rotation::retire::{self, Target};
use keywheel_core::rotation::{LastUses, OwnKey, RetireWhen, SignedInAs, Stop, Untold};

use crate::scenario::{Actor, Job, Outcome, Scenario, run};
use crate::world::{World, key_id, rotation, terms};
use crate::{explore, faults, rotate};

fn old() -> Target {
    Target { version: Some(rotation(1).into()), key: key_id(901) }
}

/// Version 2 is current for so many hours, and the report shows sign-ins with its key.
fn turned(hours: i64) -> World {
    let mut terms = terms(false);
    terms.policy.retire = RetireWhen::WhenUnused;
    let mut world = World::new(terms).with_current(true);
    world.last_uses = Some(LastUses::new());
    run(&mut world, &rotate(2, Some(1))).unwrap();
    world.tick(TimeDelta::hours(hours));
    world
}

fn used(world: &mut World, hours_ago: i64) {
    let at = world.now - TimeDelta::hours(hours_ago);
    world.last_uses.as_mut().unwrap().insert(key_id(901), at);
}

fn retired(world: &mut World) -> retire::Outcome {
    match run(world, &Job::Retire(old())).unwrap() {
        Outcome::Retire(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_goes_only_when_it_was_seen_unused_for_long_enough() {
    // 24 h overlap, 24 h watched, 24 h that the report may be late, ten minutes for the clocks.
    for (hours, used_ago, expected) in [
        (25, None, retire::Outcome::NotYet),
        (72, None, retire::Outcome::NotYet),
        (73, None, retire::Outcome::Removed),
        (73, Some(60), retire::Outcome::Removed),
        (200, Some(49), retire::Outcome::Removed),
    ] {
        let mut world = turned(hours);
        if let Some(ago) = used_ago {
            used(&mut world, ago);
        }
        assert_eq!(retired(&mut world), expected, "{hours} {used_ago:?}");
    }
    for ago in [47, 1, -1] {
        let mut world = turned(200);
        used(&mut world, ago);
        let last = world.last_uses.as_ref().unwrap()[&key_id(901)];
        assert_eq!(retired(&mut world), retire::Outcome::InUse(last), "{ago}");
        assert!(world.alive(key_id(901)));
    }
}

#[test]
fn a_report_that_cannot_be_read_or_lacks_our_own_sign_ins_proves_nothing() {
    for (report, why) in [(None, Untold::Unread), (Some(LastUses::new()), Untold::Behind)] {
        let mut world = turned(200);
        world.last_uses = report;
        assert_eq!(retired(&mut world), retire::Outcome::UseUnknown(why));
        assert!(world.alive(key_id(901)));
    }
}

/// Or where the report is never to be had its labels would stay, until there is no room for those of a rotation.
#[test]
fn a_key_that_has_expired_is_used_by_nobody() {
    let mut world = turned(10 * 24 + 1);
    world.last_uses = None;
    assert_eq!(retired(&mut world), retire::Outcome::Removed);
}

#[test]
fn revoke_now_asks_no_report() {
    let mut world = turned(1);
    world.last_uses = None;
    world.waived.insert(key_id(901));
    let outcome = run(&mut world, &Job::Revoke(old())).unwrap();
    assert_eq!(outcome, Outcome::Retire(retire::Outcome::Removed));
}

#[test]
fn the_key_that_keywheel_is_signed_in_with_stays_unused_or_not() {
    let mut world = turned(200);
    let own = SignedInAs { app: Some(world.terms.application), key: OwnKey::Known(key_id(901)) };
    world.terms.signed_in_as = Some(own);
    assert_eq!(retired(&mut world), retire::Outcome::Stopped(Stop::OwnKey));
}

#[test]
fn a_named_foreign_key_is_watched_as_well() {
    let mut world = turned(200);
    world.terms.policy.retire_keys.insert(key_id(900));
    let report = world.last_uses.as_mut().unwrap();
    report.insert(key_id(900), world.now - TimeDelta::hours(2));
    let named = Job::Retire(Target { version: None, key: key_id(900) });
    let outcome = run(&mut world, &named).unwrap();
    assert!(matches!(outcome, Outcome::Retire(retire::Outcome::InUse(_))), "{outcome:?}");
    used(&mut world, 100);
    world.last_uses.as_mut().unwrap().remove(&key_id(900));
    let outcome = run(&mut world, &named).unwrap();
    assert_eq!(outcome, Outcome::Retire(retire::Outcome::Removed));
}

#[test]
fn retiring_what_is_unused_beside_a_rotation() {
    let retire = Job::Retire(old());
    let actors = vec![Actor::queue([retire.clone(), rotate(3, Some(2))]), Actor::queue([retire])];
    explore("retire the unused", Scenario::new(turned(200), actors, faults(), faults()));
}
