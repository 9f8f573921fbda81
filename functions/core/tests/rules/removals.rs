//! Which keys go, and from which second on.

use keywheel_core::rotation::retire::{self, Retire, Target};
use keywheel_core::rotation::room::{Room, make_room};
use keywheel_core::rotation::{OwnKey, Resolve, SignedInAs, resolve};

use super::edges::led;
use super::*;

const HOUR: TimeDelta = TimeDelta::hours(1);

#[test]
fn a_current_key_that_is_absent_for_an_hour_is_gone() {
    let old = [key(1, Some(1), days(-90), Some(days(90)))];
    let retire = |since| {
        let view = view(&[
            (1, &[Label::Previous, Label::Key(key_id(1)), Label::Since(days(-90))]),
            (2, &[Label::Current, Label::Key(key_id(2)), Label::Since(since)]),
        ]);
        let target = Target { version: Some(rotation(1).into()), key: key_id(1) };
        led(Retire::new(terms(), target, true), &view, &old, now()).1
    };
    let gone = Next::Done(retire::Outcome::Stopped(Stop::CurrentKeyAbsent));
    assert_eq!(retire(now() - HOUR), gone);
    let young = now() - HOUR + TimeDelta::seconds(1);
    assert_eq!(retire(young), Next::Done(retire::Outcome::NotYet));
}

/// A try to retire key 3 of version 3, which carries these labels beside its key's; version 2 is current since three days.
fn retired(
    labels: &[Label],
    start: DateTime<Utc>,
    at_once: bool,
) -> (Retire, Next<retire::Outcome>) {
    let labels = [labels, &[Label::Key(key_id(3))]].concat();
    let view = view(&[
        (2, &[Label::Current, Label::Key(key_id(2)), Label::Since(days(-3))]),
        (3, &labels),
    ]);
    let keys = [key(2, Some(2), days(-4), Some(days(170))), key(3, Some(3), start, Some(days(90)))];
    let target = Target { version: Some(rotation(3).into()), key: key_id(3) };
    led(Retire::new(terms(), target, at_once), &view, &keys, now())
}

#[test]
fn a_version_that_was_made_current_by_hand_and_left_again_has_its_overlap_from_now_on() {
    let anew = Next::Call(Call::MoveLabel {
        label: Label::Since(now()),
        to: Some(rotation(2).into()),
        from: None,
    });
    let goes = |next: &Next<retire::Outcome>| {
        matches!(next, Next::Call(Call::MoveLabel { label: Label::Removing(..), .. }))
    };
    let previous = [Label::Previous];
    let (this, asked) = retired(&previous, days(-3) + TimeDelta::seconds(1), false);
    assert_eq!(asked, anew);
    let ended = this.answered(Reply::Moved, now()).next();
    assert_eq!(ended, Next::Done(retire::Outcome::ClockStarted));
    let before = retired(&previous, days(-3), false).1;
    assert!(goes(&before), "its key is as old as the promotion: {before:?}");
    let at_once = retired(&previous, days(-1), true).1;
    assert!(goes(&at_once), "somebody wants the key gone: {at_once:?}");
    let told = retired(&[Label::Previous, Label::Since(days(-9))], days(-1), false).1;
    assert!(goes(&told), "its own label tells when it was current: {told:?}");
}

#[test]
fn a_promotion_without_its_label_is_told_before_the_overlap_is_counted() {
    let view = view(&[
        (1, &[Label::Previous, Label::Key(key_id(1)), Label::Since(days(-90))]),
        (2, &[Label::Current, Label::Key(key_id(2))]),
    ]);
    let keys =
        [key(1, Some(1), days(-90), Some(days(90))), key(2, Some(2), days(-3), Some(days(170)))];
    let target = Target { version: Some(rotation(1).into()), key: key_id(1) };
    let (this, asked) = led(Retire::new(terms(), target, false), &view, &keys, now());
    let (label, to) = (Label::Since(now()), Some(rotation(2).into()));
    assert_eq!(asked, Next::Call(Call::MoveLabel { label, to, from: None }));
    let ended = this.answered(Reply::Moved, now()).next();
    assert_eq!(ended, Next::Done(retire::Outcome::ClockStarted));
}

#[test]
fn beside_a_dead_current_key_only_the_labels_of_a_void_version_go() {
    let void = [Label::Void(days(-9))];
    let past = [Label::Previous, Label::Since(days(-90))];
    let held = key(3, Some(3), days(-90), Some(days(90)));
    for (labels, held, goes) in
        [(&void[..], None, true), (&past, None, false), (&void, Some(&held), false)]
    {
        let labels = [labels, &[Label::Key(key_id(3))]].concat();
        let view = view(&[
            (2, &[Label::Current, Label::Key(key_id(2)), Label::Since(days(-3))]),
            (3, &labels),
        ]);
        let target = Target { version: Some(rotation(3).into()), key: key_id(3) };
        let dead = key(2, Some(2), days(-4), Some(days(-1)));
        let keys: Vec<Key> = [&dead].into_iter().chain(held).cloned().collect();
        let next = led(Retire::new(terms(), target, false), &view, &keys, now()).1;
        let stopped = Next::Done(retire::Outcome::Stopped(Stop::CurrentKeyAbsent));
        assert_eq!(next != stopped, goes, "{next:?}");
    }
}

/// What a try to resolve key 1 asks for or how it ends, where no version is current.
fn resolved(view: &SecretView, keys: &[Key]) -> Next<resolve::Outcome> {
    let this = Resolve::new(terms(), rotation(1), key_id(1));
    let (this, asked) = led(this, view, keys, now());
    match asked {
        Next::Call(Call::ReadValue { .. }) => {
            led(this.answered(Reply::NoValue, now()), view, keys, now()).1
        }
        other => other,
    }
}

#[test]
fn of_keys_that_were_minted_in_vain_the_youngest_valid_one_stays() {
    let stays = Next::Done(resolve::Outcome::NotYet);
    let first = |start| key(1, Some(1), start, Some(days(170)));
    let other = |minter, start, end| key(2, minter, start, Some(end));
    let empty = view(&[]);
    let goes = |view: &SecretView, keys: &[Key]| resolved(view, keys) != stays;
    assert!(!goes(&empty, &[first(days(-2))]), "there is no other");
    for (start, is_younger) in [(days(-3), false), (days(-1), true)] {
        let keys = [first(days(-2)), other(Some(2), start, days(170))];
        assert_eq!(goes(&empty, &keys), is_younger, "{start}");
        let foreign = [first(days(-2)), other(None, start, days(170))];
        assert!(goes(&empty, &foreign), "a foreign key can be signed in with");
        let expired = [first(days(-2)), other(Some(2), start, now())];
        assert!(!goes(&empty, &expired), "an expired one cannot");
        let named = view(&[(2, &[Label::Key(key_id(2))])]);
        assert!(goes(&named, &keys), "a version names the other: it was not in vain");
    }
    // Of the same second, the one with the greater id.
    let both = [first(days(-2)), other(Some(2), days(-2), days(170))];
    assert!(goes(&empty, &both));
    let lesser = Key { key_id: KeyId(Uuid::nil()), ..other(Some(2), days(-2), days(170)) };
    assert!(!goes(&empty, &[first(days(-2)), lesser]));
}

#[test]
fn a_key_of_the_secrets_past_life_waits_for_the_overlap_and_its_slack() {
    let keys =
        [key(1, Some(1), days(-90), Some(days(90))), key(2, Some(2), days(-3), Some(days(170)))];
    let goes = |since| {
        let mut view = view(&[(2, &[Label::Current, Label::Key(key_id(2)), Label::Since(since)])]);
        view.created = Some(days(-3));
        resolved(&view, &keys) != Next::Done(resolve::Outcome::NotYet)
    };
    let over = now() - TimeDelta::hours(24) - TimeDelta::minutes(10);
    assert!(goes(over));
    assert!(!goes(over + TimeDelta::seconds(1)));
}

#[test]
fn a_version_that_names_another_key_is_left_alone() {
    let view = view(&[
        (1, &[Label::Previous, Label::Key(key_id(1)), Label::Since(days(-90))]),
        (2, &[Label::Current, Label::Key(key_id(2)), Label::Since(days(-3))]),
    ]);
    let keys = [
        key(1, Some(1), days(-90), Some(days(90))),
        key(2, Some(2), days(-3), Some(days(170))),
        key(9, Some(1), days(-90), Some(days(90))),
    ];
    let target = Target { version: Some(rotation(1).into()), key: key_id(9) };
    let next = led(Retire::new(terms(), target, true), &view, &keys, now()).1;
    assert_eq!(next, Next::Done(retire::Outcome::Nothing));
}

#[test]
fn a_named_foreign_key_goes_from_the_end_of_the_overlap_on() {
    let mut terms = terms();
    terms.policy.retire_keys.insert(key_id(9));
    let keys =
        [key(2, Some(2), days(-9), Some(days(170))), key(9, None, days(-300), Some(days(60)))];
    let not_yet = |since| {
        let view = view(&[(2, &[Label::Current, Label::Key(key_id(2)), Label::Since(since)])]);
        let target = Target { version: None, key: key_id(9) };
        let this = Retire::new(terms.clone(), target, false);
        led(this, &view, &keys, now()).1 == Next::Done(retire::Outcome::NotYet)
    };
    let over = now() - TimeDelta::hours(24) - TimeDelta::minutes(10);
    assert!(!not_yet(over));
    assert!(not_yet(over + TimeDelta::seconds(1)));
}

#[test]
fn room_is_made_of_past_keys_of_ours_alone() {
    let view = view(&[
        (1, &[Label::Previous, Label::Key(key_id(1)), Label::Since(days(-90))]),
        (2, &[Label::Current, Label::Key(key_id(2)), Label::Since(at(-7200))]),
    ]);
    let room = |terms: &Terms, minter, end, urgent| {
        let keys = vec![key(1, minter, days(-90), Some(end)), key(2, Some(2), at(-9000), None)];
        make_room(terms, &view, &principal(keys), urgent, now())
    };
    let early = Some(Room::Early(Target { version: Some(rotation(1).into()), key: key_id(1) }));
    let ours = terms();
    assert_eq!(room(&ours, Some(1), days(90), true), early);
    assert_eq!(room(&ours, Some(1), days(90), false), None, "its overlap is not over");
    assert_eq!(room(&ours, None, days(90), true), None, "it is foreign");
    let key = OwnKey::Known(key_id(1));
    let own =
        Terms { signed_in_as: Some(SignedInAs { app: Some(ours.application), key }), ..terms() };
    assert_eq!(room(&own, Some(1), days(90), true), None, "Keywheel signs in with it");
    // One that nobody can sign in with any more, wrong clocks allowed for, goes early.
    assert_eq!(room(&ours, Some(1), at(-600), false), early);
    assert_eq!(room(&ours, Some(1), at(-599), false), None);
}

#[test]
fn a_version_is_past_since_another_that_holds_a_key_became_current() {
    let past = |labels: &[Label]| {
        let view = view(&[
            (1, &[Label::Previous, Label::Key(key_id(1)), Label::Since(days(-90))]),
            (2, &[Label::Current, Label::Key(key_id(2)), Label::Since(days(-3))]),
            (3, labels),
        ]);
        version_state(&view, &rotation(1).into(), TimeDelta::hours(24))
    };
    let since =
        |at: DateTime<Utc>| VersionState::Past(at + TimeDelta::hours(24) + TimeDelta::minutes(10));
    let named = Label::Key(key_id(3));
    assert_eq!(past(&[named.clone(), Label::Since(days(-50))]), since(days(-50)));
    assert_eq!(past(&[Label::Since(days(-50))]), since(days(-3)), "it holds no key");
    assert_eq!(past(&[named.clone(), Label::Since(days(-90))]), since(days(-3)), "no later");
    assert_eq!(past(&[named, Label::Since(days(-91))]), since(days(-3)), "before it");
}
