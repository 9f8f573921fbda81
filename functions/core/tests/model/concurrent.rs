//! What else may be under way on a credential: removals, people, Secrets Manager, another credential.

use chrono::TimeDelta;
use keywheel_core::ids::{KeyId, VersionId};
use keywheel_core::rotation::names::display_name;
use keywheel_core::rotation::retire::Target;
use keywheel_core::rotation::rotate::Outcome as Rotated;
use keywheel_core::rotation::{Call, Label, Reply};

use crate::scenario::{Actor, Job, Outcome, Scenario};
use crate::world::{Replica, World, key_id, rotation, spellings, terms};
use crate::{explore, faults, rotate};

fn version(n: u128) -> VersionId {
    rotation(n).into()
}

fn target(id: u128, key: KeyId) -> Target {
    Target { version: Some(version(id)), key }
}

/// A person moves a label.
fn by_hand(label: Label, to: Option<u128>, from: Option<u128>) -> Job {
    Job::Human(Call::MoveLabel { label, to: to.map(version), from: from.map(version) })
}

fn settled() -> World {
    World::new(terms(false)).with_current(true)
}

/// Version 2, stored by a try that was cut off before its claim, with the key that it minted.
fn unclaimed() -> (World, KeyId) {
    let mut world = settled();
    let added = world.carry_out(&Call::AddPassword { rotation: rotation(2) }, Replica::UpToDate);
    let Some(Reply::Added { key }) = added else { panic!("not minted") };
    world
        .carry_out(
            &Call::PutValue { rotation: rotation(2), key, pending: false },
            Replica::UpToDate,
        )
        .unwrap();
    world.tick(TimeDelta::minutes(65));
    (world, key)
}

fn label(world: &mut World, label: &Label, to: u128) {
    assert!(world.secret.move_label(label, Some(&version(to)), None));
}

#[test]
fn three_rotations_at_once() {
    let (world, _) = unclaimed();
    let actors = [2, 3, 4].map(|id| Actor::queue([rotate(id, Some(1))]));
    explore("three rotations", Scenario::new(world, actors.to_vec(), faults() - 1, 0));
}

#[test]
fn resolving_beside_a_rotation() {
    let mut world = settled();
    let name = display_name(&world.terms.scope, &rotation(2));
    let end = world.now + TimeDelta::days(180);
    world.seed_key(key_id(902), Some(name), end);
    let resolve = Job::Resolve { rotation: rotation(2), key: key_id(902) };
    // The key that the rotation is about to mint: too young.
    let early = Job::Resolve { rotation: rotation(2), key: key_id(1) };
    let actors =
        vec![Actor::queue([rotate(2, Some(1))]), Actor::queue([early, resolve.clone(), resolve])];
    explore("resolve beside rotate", Scenario::new(world, actors, faults(), faults()));
}

/// What was minted in vain goes beside a current key that is unknown, or dead, too: while a rotation runs, and its answers are lost.
#[test]
fn resolving_beside_an_adoption_and_beside_a_dead_current_key() {
    let mut dead = settled();
    dead.keys.get_mut(&key_id(901)).unwrap().key.end = Some(dead.now);
    dead.keys.remove(&key_id(900));
    let adopted = World::new(terms(true)).with_current(false);
    for (name, mut world) in [("an adoption", adopted), ("a dead current key", dead)] {
        for n in [2, 3] {
            let name = display_name(&world.terms.scope, &rotation(n));
            world.seed_key(key_id(900 + n), Some(name), world.now + TimeDelta::days(180));
        }
        let resolve = |n| Job::Resolve { rotation: rotation(n), key: key_id(900 + n) };
        let actors =
            vec![Actor::queue([rotate(2, Some(1))]), Actor::queue([resolve(2), resolve(3)])];
        let scenario = Scenario::new(world, actors, faults(), faults());
        explore(&format!("resolve beside {name}"), scenario);
    }
}

#[test]
fn resolving_what_a_version_names_after_all() {
    let (world, key) = unclaimed();
    let resolve = Job::Resolve { rotation: rotation(2), key };
    let actors = vec![Actor::queue([rotate(2, Some(1))]), Actor::queue([resolve])];
    explore("resolve a named key", Scenario::new(world, actors, faults(), faults()));
}

#[test]
fn retiring_an_unclaimed_version_beside_its_rotation() {
    let (world, key) = unclaimed();
    let retire = Job::Retire(target(2, key));
    let actors = vec![Actor::queue([rotate(2, Some(1))]), Actor::queue([retire.clone(), retire])];
    explore("retire an unclaimed version", Scenario::new(world, actors, faults(), faults()));
}

#[test]
fn retiring_a_void_version_beside_its_rotation() {
    let (mut world, key) = unclaimed();
    label(&mut world, &Label::Pending, 2);
    let since = world.now - TimeDelta::hours(25);
    label(&mut world, &Label::Void(since), 2);
    let retire = Job::Retire(target(2, key));
    let actors = vec![Actor::queue([rotate(2, Some(1))]), Actor::queue([retire])];
    // Replicas that all lag may go on taking the dead key's secret for the whole of a proof.
    explore("retire a void version", Scenario::new(world, actors, faults(), 8));
}

#[test]
fn a_rollback_by_hand_in_the_middle() {
    let rollback = by_hand(Label::Current, Some(1), Some(2));
    let actors =
        vec![Actor::queue([rotate(2, Some(1)), rotate(3, Some(2))]), Actor::queue([rollback])];
    explore("a rollback", Scenario::new(settled(), actors, faults(), faults()));
}

#[test]
fn a_rollback_of_a_version_that_is_still_labelled_pending() {
    let rollback = by_hand(Label::Current, Some(1), Some(2));
    let actors = vec![
        Actor::queue([rotate(2, Some(1)), rollback, rotate(4, Some(1))]),
        Actor::queue([rotate(3, Some(1))]),
    ];
    explore("a rollback, and on", Scenario::new(settled(), actors, faults() - 1, faults() - 1));
}

#[test]
fn a_rollback_is_followed_by_another_rotation_a_day_later() {
    let actors = vec![Actor::queue([
        rotate(2, Some(1)),
        by_hand(Label::Current, Some(1), Some(2)),
        Job::Human(Call::Wait(TimeDelta::hours(23))),
        rotate(3, Some(1)),
    ])];
    explore("a rollback, a day later", Scenario::new(settled(), actors, faults(), faults()));
}

#[test]
fn a_value_put_by_hand_in_the_middle() {
    let mut world = World::new(terms(true)).with_current(true);
    world.secret.versions.entry(version(7)).or_default().value = Some(key_id(900));
    world.proved.insert(key_id(900));
    world.unrecorded.insert(version(7));
    // `PutSecretValue` makes it current wherever the label is.
    let puts = [1, 2].map(|from| by_hand(Label::Current, Some(7), Some(from)));
    let actors = vec![Actor::queue([rotate(2, Some(1))]), Actor::queue(puts)];
    explore("a value put by hand", Scenario::new(world, actors, faults(), faults()));
}

#[test]
fn secrets_manager_calls_each_step_twice_at_once() {
    let mut world = settled();
    assert!(world.secret.begin_rotation(&version(3)));
    let actors = vec![Actor::native(&rotation(3)), Actor::native(&rotation(3))];
    explore("native steps twice", Scenario::new(world, actors, faults(), faults()));
}

#[test]
fn rotate_secret_on_an_empty_secret_beside_the_first_rotation() {
    let mut world = World::new(terms(false));
    world.secret.exists = true;
    assert!(world.secret.begin_rotation(&version(3)));
    let actors = vec![Actor::queue([rotate(2, None)]), Actor::native(&rotation(3))];
    explore("RotateSecret on nothing", Scenario::new(world, actors, faults(), faults()));
}

#[test]
fn pending_rests_on_a_version_of_other_hands_until_somebody_takes_it_off() {
    let mut world = settled();
    let foreign = VersionId("a-version-of-another-rotation-function".into());
    let made = world.secret.versions.entry(foreign.clone()).or_default();
    made.value = Some(key_id(900));
    made.labels.insert(Label::Pending);
    let release =
        Job::Human(Call::MoveLabel { label: Label::Pending, to: None, from: Some(foreign) });
    let actors = vec![Actor::queue([rotate(2, Some(1))]), Actor::queue([release])];
    explore("foreign pending", Scenario::new(world, actors, faults(), faults()));
}

/// Its id is a UUID, and in none of the spellings that Keywheel writes.
#[test]
fn pending_rests_on_a_version_of_other_hands_whose_id_is_a_uuid() {
    for foreign in spellings().map(VersionId::from) {
        let mut world = settled();
        let made = world.secret.versions.entry(foreign.clone()).or_default();
        made.value = Some(key_id(900));
        made.labels.insert(Label::Pending);
        let release = by_hand_release(&foreign);
        let actors = vec![Actor::queue([rotate(2, Some(1))]), Actor::queue([release])];
        explore("a foreign UUID pending", Scenario::new(world, actors, faults(), faults()));
    }
}

fn by_hand_release(from: &VersionId) -> Job {
    Job::Human(Call::MoveLabel { label: Label::Pending, to: None, from: Some(from.clone()) })
}

#[test]
fn rotate_secret_with_a_token_in_another_spelling_beside_a_queued_job() {
    for token in spellings() {
        let mut world = settled();
        assert!(world.secret.begin_rotation(&token.clone().into()));
        let actors = vec![Actor::queue([rotate(2, Some(1))]), Actor::native(&token)];
        explore("a token spelled otherwise", Scenario::new(world, actors, faults(), faults()));
    }
}

#[test]
fn rotate_secret_makes_the_version_of_its_token_however_that_is_spelled() {
    for token in spellings() {
        let version = VersionId::from(token.clone());
        let mut world = settled();
        assert!(world.secret.begin_rotation(&version));
        for job in Actor::native(&token).jobs {
            let came = crate::scenario::run(&mut world, &job).unwrap();
            assert!(!matches!(came, Outcome::Rotate(Rotated::Stopped(_))), "{token}: {came:?}");
        }
        assert_eq!(world.current(), Some(version.clone()));
        let key = world.key_in(&version).unwrap();
        assert_eq!(world.keys[&key].key.minted_by(&world.terms.scope), Some(token));
        assert_eq!(world.violation, None);
    }
}

#[test]
fn two_credentials_on_one_application() {
    let world = settled().with_other();
    let actors = vec![Actor::queue([rotate(2, Some(1))]), Actor::aside([rotate(12, Some(11))])];
    explore("two credentials", Scenario::new(world, actors, faults() - 1, faults()));
}

#[test]
fn two_credentials_retire_beside_each_other() {
    let mut world = settled().with_other();
    crate::scenario::run(&mut world, &rotate(2, Some(1))).unwrap();
    world.aside(true, |world| crate::scenario::run(world, &rotate(12, Some(11)))).unwrap();
    world.tick(TimeDelta::hours(25));
    // Each is also asked for the other's key.
    let actors = vec![
        Actor::queue([
            Job::Retire(target(1, key_id(901))),
            Job::Retire(Target { version: None, key: key_id(911) }),
            Job::Resolve { rotation: rotation(12), key: key_id(2) },
        ]),
        Actor::aside([
            Job::Retire(target(11, key_id(911))),
            Job::Retire(target(1, key_id(901))),
            Job::Resolve { rotation: rotation(2), key: key_id(1) },
        ]),
    ];
    explore("two credentials retire", Scenario::new(world, actors, faults(), faults()));
}

#[test]
fn the_old_key_is_revoked_at_once_beside_another_rotation() {
    let mut world = settled();
    world.waived.insert(key_id(901));
    let revoke = Job::Revoke(target(1, key_id(901)));
    let actors =
        vec![Actor::queue([rotate(2, Some(1)), revoke]), Actor::queue([rotate(3, Some(1))])];
    explore("revoke now", Scenario::new(world, actors, faults(), faults()));
}

#[test]
fn a_named_foreign_key_goes_after_the_overlap_only() {
    let mut world = World::new(terms(true)).with_current(false);
    world.terms.policy.retire_keys.insert(key_id(901));
    let named = Job::Retire(Target { version: None, key: key_id(901) });
    let actors = vec![Actor::queue([rotate(2, Some(1)), named.clone()]), Actor::queue([named])];
    explore("a named foreign key", Scenario::new(world, actors, faults(), faults()));
}
