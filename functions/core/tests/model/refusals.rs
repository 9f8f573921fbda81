//! What a try must refuse, one case each: a mistake here would show in no interleaving.

use chrono::TimeDelta;
use keywheel_core::ids::{KeyId, VersionId};
use keywheel_core::rotation::retire::{self, Target};
use keywheel_core::rotation::{
    Call, Label, Next, OwnKey, Reply, SignedInAs, Stop, resolve, rotate as rotation_rules,
};

use crate::rotate;
use crate::scenario::{Job, Outcome, Running, run};
use crate::world::{Replica, World, key_id, rotation, terms};

/// Version 2 is current, version 1 past its overlap.
fn turned() -> World {
    let mut world = World::new(terms(false)).with_current(true);
    run(&mut world, &rotate(2, Some(1))).unwrap();
    world.tick(TimeDelta::hours(25));
    world
}

fn retire(version: u128, key: KeyId) -> Job {
    Job::Retire(Target { version: Some(rotation(version).into()), key })
}

fn retired(world: &mut World, job: &Job) -> retire::Outcome {
    match run(world, job).unwrap() {
        Outcome::Retire(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

fn refused(world: &mut World, job: &Job, stop: Stop) {
    assert_eq!(retired(world, job), retire::Outcome::Stopped(stop));
    assert!(world.keys.values().all(|key| !key.removed));
}

#[test]
fn a_past_key_goes() {
    assert_eq!(retired(&mut turned(), &retire(1, key_id(901))), retire::Outcome::Removed);
}

#[test]
fn nothing_goes_beside_a_current_key_that_is_absent_or_expired() {
    let mut absent = turned();
    absent.keys.remove(&key_id(1));
    refused(&mut absent, &retire(1, key_id(901)), Stop::CurrentKeyAbsent);
    let mut expired = turned();
    expired.keys.get_mut(&key_id(1)).unwrap().key.end = Some(expired.now);
    refused(&mut expired, &retire(1, key_id(901)), Stop::CurrentKeyAbsent);
}

/// Beside a current key that is gone, only what was never anybody's is resolved.
#[test]
fn a_key_that_may_have_been_published_stays_beside_a_current_key_that_expired() {
    let mut world = turned();
    let version = VersionId::from(rotation(1));
    let label = Label::Key(key_id(901));
    assert!(world.secret.move_label(&label, None, Some(&version)), "taken off by somebody");
    world.tick(TimeDelta::days(3));
    world.keys.get_mut(&key_id(1)).unwrap().key.end = Some(world.now);
    let resolve = Job::Resolve { rotation: rotation(1), key: key_id(901) };
    let stopped = Outcome::Resolve(resolve::Outcome::Stopped(Stop::CurrentKeyAbsent));
    assert_eq!(run(&mut world, &resolve).unwrap(), stopped);
    // Nor one of the secret's past life, though no version of its rotation is left.
    world.secret.versions.remove(&version);
    world.secret.created = Some(world.now - TimeDelta::days(50));
    assert_eq!(run(&mut world, &resolve).unwrap(), stopped);
    assert!(world.alive(key_id(901)));
}

#[test]
fn a_label_put_by_hand_lets_no_foreign_key_go() {
    let mut world = turned();
    let name = &mut world.keys.get_mut(&key_id(901)).unwrap().key.display_name;
    for other in [None, Some("keywheel/000000000000/".to_owned() + &rotation(1).to_string())] {
        name.clone_from(&other);
    }
    refused(&mut world, &retire(1, key_id(901)), Stop::ForeignKey);
}

#[test]
fn the_key_under_current_does_not_go_by_any_name() {
    let mut world = turned();
    world.terms.policy.retire_keys.insert(key_id(1));
    refused(&mut world, &retire(2, key_id(1)), Stop::KeyIsCurrent);
    let named = Job::Retire(Target { version: None, key: key_id(1) });
    refused(&mut world, &named, Stop::KeyIsCurrent);
}

#[test]
fn a_key_of_another_credential_does_not_go_by_name() {
    let mut world = World::new(terms(false)).with_current(true).with_other();
    world.terms.policy.retire_keys.insert(key_id(911));
    let named = Job::Retire(Target { version: None, key: key_id(911) });
    refused(&mut world, &named, Stop::KeyOfAnother);
    let label = Label::Key(key_id(911));
    world.secret.versions.entry(rotation(5).into()).or_default().value = Some(key_id(911));
    assert!(world.secret.move_label(&label, Some(&rotation(5).into()), None));
    let void = Label::Void(world.now - TimeDelta::days(2));
    assert!(world.secret.move_label(&void, Some(&rotation(5).into()), None));
    refused(&mut world, &retire(5, key_id(911)), Stop::KeyOfAnother);
}

#[test]
fn the_key_that_keywheel_is_signed_in_with_does_not_go() {
    let mut world = turned();
    let own = SignedInAs { app: Some(world.terms.application), key: OwnKey::Known(key_id(901)) };
    world.terms.signed_in_as = Some(own);
    refused(&mut world, &retire(1, key_id(901)), Stop::OwnKey);
}

#[test]
fn a_young_or_named_key_is_not_resolved() {
    let mut world = turned();
    let added = world.carry_out(&Call::AddPassword { rotation: rotation(3) }, Replica::UpToDate);
    let Some(Reply::Added { key }) = added else { panic!("not minted") };
    let resolve = Job::Resolve { rotation: rotation(3), key };
    let young = run(&mut world, &resolve).unwrap();
    assert_eq!(young, Outcome::Resolve(resolve::Outcome::NotYet));
    world
        .carry_out(
            &Call::PutValue { rotation: rotation(3), key, pending: false },
            Replica::UpToDate,
        )
        .unwrap();
    world.tick(TimeDelta::hours(2));
    let named = run(&mut world, &resolve).unwrap();
    assert_eq!(named, Outcome::Resolve(resolve::Outcome::Named));
}

#[test]
fn a_pending_rotation_is_resumed_and_no_rival_is_minted() {
    let mut world = World::new(terms(false)).with_current(true);
    let pending = VersionId::from(rotation(2));
    assert!(world.secret.begin_rotation(&pending));
    let outcome = run(&mut world, &rotate(3, Some(1))).unwrap();
    let promoted = rotation_rules::Outcome::Promoted(rotation(2));
    assert_eq!((outcome, world.minted), (Outcome::Rotate(promoted), 1));
    assert!(world.secret.versions[&pending].labels.contains(&Label::Current));
}

#[test]
fn what_somebody_made_current_meanwhile_is_not_replaced() {
    let mut world = World::new(terms(false)).with_current(true);
    let by_hand = VersionId("made-by-somebody-in-the-meantime".into());
    world.secret.versions.entry(by_hand.clone()).or_default().value = Some(key_id(900));
    world.proved.insert(key_id(900));
    let mut running = Running::start(&world, &rotate(2, Some(1)));
    while let Next::Call(call) = running.next() {
        if call == Call::DescribeSecret && world.proved.contains(&key_id(1)) {
            let (label, from) = (Label::Current, Some(VersionId::from(rotation(1))));
            world.secret.move_label(&label, Some(&by_hand), from.as_ref());
        }
        let reply = world.carry_out(&call, Replica::UpToDate).unwrap();
        running = running.answered(&mut world, &call, reply);
    }
    assert_eq!(world.current(), Some(by_hand));
}

#[test]
fn what_somebody_puts_at_any_step_stays_current() {
    let by_hand = VersionId("put-by-somebody-in-the-meantime".into());
    for at in 0.. {
        let mut world = World::new(terms(false)).with_current(true);
        world.proved.insert(key_id(900));
        let mut running = Running::start(&world, &rotate(2, Some(1)));
        let mut steps = 0;
        while let Next::Call(call) = running.next() {
            if steps == at {
                // It takes AWSPENDING off a version that was just promoted.
                world.secret.put(&by_hand, key_id(900), &[Label::Current]);
            }
            steps += 1;
            let reply = world.carry_out(&call, Replica::UpToDate).unwrap();
            running = running.answered(&mut world, &call, reply);
        }
        if steps <= at {
            assert!(at > 8, "only {at} steps");
            return;
        }
        assert_eq!(world.current().as_ref(), Some(&by_hand), "before step {at}");
        run(&mut world, &rotate(2, Some(1))).unwrap();
        assert_eq!(world.current().as_ref(), Some(&by_hand), "tried again, before step {at}");
        let pending = world.secret.holder(&Label::Pending);
        assert_ne!(pending, Some(rotation(2).into()), "before step {at}");
    }
}

#[test]
fn a_rotation_whose_key_is_dead_is_void_before_it_lets_go() {
    let mut world = World::new(terms(false)).with_current(true);
    let until = keywheel_core::rotation::Until::Stored;
    let pending = VersionId::from(rotation(2));
    assert!(world.secret.begin_rotation(&pending));
    let replaces = keywheel_core::rotation::Replaces::Current;
    let create = Job::Rotate { rotation: rotation(2), replaces, until };
    run(&mut world, &create).unwrap();
    world.keys.remove(&key_id(1));
    let mut running = Running::start(&world, &rotate(2, Some(1)));
    while let Next::Call(call) = running.next() {
        let reply = world.carry_out(&call, Replica::UpToDate).unwrap();
        if let Call::Wait(pause) = call {
            world.tick(pause);
        }
        running = running.answered(&mut world, &call, reply);
    }
    let labels = &world.secret.versions[&pending].labels;
    assert!(labels.iter().any(|label| matches!(label, Label::Void(_))), "{labels:?}");
    assert!(!labels.contains(&Label::Pending), "{labels:?}");
}

#[test]
fn a_version_that_people_went_back_from_stops_no_rotation_though_it_is_pending() {
    let mut world = World::new(terms(false)).with_current(true);
    run(&mut world, &rotate(2, Some(1))).unwrap();
    let (one, two) = (VersionId::from(rotation(1)), VersionId::from(rotation(2)));
    assert!(world.secret.versions[&two].labels.contains(&Label::Pending));
    assert!(world.secret.move_label(&Label::Current, Some(&one), Some(&two)));
    let outcome = run(&mut world, &rotate(9, Some(1))).unwrap();
    let promoted = rotation_rules::Outcome::Promoted(rotation(9));
    assert_eq!(outcome, Outcome::Rotate(promoted));
}

/// There was room for a rotation's labels when it began, and its own are no reason not to end it.
#[test]
fn a_rotation_that_had_room_for_its_labels_is_resumed() {
    let mut world = World::new(terms(false)).with_current(true);
    for n in 20..26 {
        let (key, version) = (key_id(n), VersionId::from(rotation(n)));
        world.secret.put(&version, key, &[Label::Key(key)]);
        let since = Label::Since(world.now - TimeDelta::hours(i64::try_from(n).unwrap()));
        assert!(world.secret.move_label(&since, Some(&version), None));
    }
    let added = world.carry_out(&Call::AddPassword { rotation: rotation(2) }, Replica::UpToDate);
    let Some(Reply::Added { key }) = added else { panic!("not minted") };
    let stored = Call::PutValue { rotation: rotation(2), key, pending: true };
    world.carry_out(&stored, Replica::UpToDate).unwrap();
    let outcome = run(&mut world, &rotate(2, Some(1))).unwrap();
    assert_eq!(outcome, Outcome::Rotate(rotation_rules::Outcome::Promoted(rotation(2))));

    let refused = run(&mut world, &rotate(3, Some(2))).unwrap();
    let stopped = rotation_rules::Outcome::Stopped(Stop::TooManyLabels);
    assert_eq!(refused, Outcome::Rotate(stopped), "there is none for another");
}

/// Entra refuses every change of the keys for as long as the lock is on: no try asks for one, and each goes on later.
#[test]
fn no_key_is_minted_or_removed_while_the_lock_is_on() {
    let mut world = turned();
    let loser = world.carry_out(&Call::AddPassword { rotation: rotation(9) }, Replica::UpToDate);
    let Some(Reply::Added { key: loser }) = loser else { panic!("not minted") };
    world.tick(TimeDelta::hours(2));
    let resolve = Job::Resolve { rotation: rotation(9), key: loser };
    world.locked = true;
    let stop = Stop::ServicePrincipalLocked;
    let stopped = Outcome::Rotate(rotation_rules::Outcome::Stopped(stop));
    assert_eq!(run(&mut world, &rotate(3, Some(2))).unwrap(), stopped);
    let stopped = Outcome::Resolve(resolve::Outcome::Stopped(stop));
    assert_eq!(run(&mut world, &resolve).unwrap(), stopped);
    refused(&mut world, &retire(1, key_id(901)), stop);

    world.locked = false;
    let removed = Outcome::Resolve(resolve::Outcome::Removed);
    assert_eq!(run(&mut world, &resolve).unwrap(), removed);
    assert_eq!(retired(&mut world, &retire(1, key_id(901))), retire::Outcome::Removed);
    let promoted = Outcome::Rotate(rotation_rules::Outcome::Promoted(rotation(3)));
    assert_eq!(run(&mut world, &rotate(3, Some(2))).unwrap(), promoted);
    assert_eq!(world.violation, None);
}

#[test]
fn a_rotation_that_has_its_key_goes_on_while_the_lock_is_on() {
    let mut world = turned();
    let added = world.carry_out(&Call::AddPassword { rotation: rotation(3) }, Replica::UpToDate);
    let Some(Reply::Added { key }) = added else { panic!("not minted") };
    let put = Call::PutValue { rotation: rotation(3), key, pending: false };
    world.carry_out(&put, Replica::UpToDate).unwrap();
    world.locked = true;
    let promoted = Outcome::Rotate(rotation_rules::Outcome::Promoted(rotation(3)));
    assert_eq!(run(&mut world, &rotate(3, Some(2))).unwrap(), promoted);
    assert_eq!(world.violation, None);
}
