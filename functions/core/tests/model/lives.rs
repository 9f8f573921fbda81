//! A secret's first life and its next one: keys that no version names, before there is a current version and after the secret was
//! deleted and made anew.

use chrono::TimeDelta;
use keywheel_core::rotation::Label;
use keywheel_core::rotation::names::display_name;

use crate::rotate;
use crate::scenario::{Scenario, run, why_not_at_rest};
use crate::secrets::Secret;
use crate::world::{World, key_id, rotation, terms};

/// Six tries minted, one a sweep, and could not store: their put was denied, or their answers lost.
fn after_six_tries_in_vain(mut world: World) -> World {
    for n in 910..916 {
        let name = display_name(&world.terms.scope, &rotation(n));
        let end = world.now + TimeDelta::days(180);
        world.seed_key(key_id(n), Some(name), end);
    }
    world
}

fn at_rest(world: World) -> Option<String> {
    why_not_at_rest(&Scenario::new(world, Vec::new(), 0, 0).start)
}

/// Six sweeps in a row minted for a first rotation that Conditional Access (53003) stopped. Then it is
/// exempted; but without a current version no key is resolved, and with six unnamed ones none is minted.
#[test]
fn a_first_rotation_goes_on_after_six_that_failed() {
    let mut world = World::new(terms(false));
    world.secret.exists = true;
    world.secret.created = Some(world.now - TimeDelta::days(200));
    assert_eq!(at_rest(after_six_tries_in_vain(world)), None);
}

/// The key of a secret that is to be adopted is not known: no key was resolved beside it, and with six unnamed ones none was minted.
#[test]
fn an_adoption_goes_on_after_six_that_failed() {
    let world = World::new(terms(true)).with_current(false);
    assert_eq!(at_rest(after_six_tries_in_vain(world)), None);
}

/// The current key expired while nothing could be stored. Its consumers are locked out already; they must not stay so.
#[test]
fn a_rotation_goes_on_after_six_that_failed_and_the_current_keys_end() {
    let expired = |mut world: World| {
        world.keys.get_mut(&key_id(901)).unwrap().key.end = Some(world.now);
        world
    };
    let world = after_six_tries_in_vain(World::new(terms(false)).with_current(true));
    assert_eq!(at_rest(expired(world.clone())), None);
    // Nor where these keys are the only ones: then the last stays until there is a new current one.
    let mut alone = expired(world);
    alone.keys.remove(&key_id(900));
    assert_eq!(at_rest(alone), None);
}

/// Somebody's script deletes each new key before it is proved: five versions were given up, and the current key has expired.
/// Their labels leave no room for another rotation.
#[test]
fn versions_given_up_whose_keys_are_gone_stop_no_rotation() {
    let mut world = World::new(terms(false)).with_current(true);
    world.keys.get_mut(&key_id(901)).unwrap().key.end = Some(world.now);
    for n in 920..927 {
        let (key, version) = (key_id(n), rotation(n).into());
        world.seed_key(key, Some(display_name(&world.terms.scope, &rotation(n))), world.now);
        world.keys.get_mut(&key).unwrap().removed = true;
        world.by_hand.insert(key);
        world.secret.put(&version, key, &[Label::Key(key)]);
        let void = Label::Void(
            world.now - TimeDelta::days(2) - TimeDelta::seconds(i64::try_from(n).unwrap()),
        );
        assert!(world.secret.move_label(&void, Some(&version), None));
    }
    assert_eq!(at_rest(world), None);
}

/// Somebody deletes the secret and makes it anew (Terraform replaces it). Its consumers still hold the old
/// value: its key is unnamed now, and is resolved by the first sweep after the new first rotation.
#[test]
fn a_secret_made_anew_keeps_its_last_key_for_the_overlap() {
    let mut world = World::new(terms(false)).with_current(true);
    run(&mut world, &rotate(2, Some(1))).unwrap();
    world.tick(TimeDelta::days(3));
    world.replaced.insert(rotation(2).into(), (key_id(1), world.now));
    world.secret = Secret { exists: true, created: Some(world.now), ..Secret::default() };
    assert_eq!(at_rest(world), None);
}
