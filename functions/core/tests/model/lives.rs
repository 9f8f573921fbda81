//! A secret's first life and its next one: keys that no version names, before there is a current version and after the secret was
//! deleted and made anew.

use chrono::TimeDelta;
use keywheel_core::rotation::names::display_name;

use crate::rotate;
use crate::scenario::{Scenario, run, why_not_at_rest};
use crate::secrets::Secret;
use crate::world::{World, key_id, rotation, terms};

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
    for n in 910..916 {
        let name = display_name(&world.terms.scope, rotation(n));
        let end = world.now + TimeDelta::days(180);
        world.seed_key(key_id(n), Some(name), end);
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
