//! Where hands, clocks and lagging replicas meet the rules.

use keywheel_core::rotation::resolve::{self, Resolve};
use keywheel_core::rotation::retire::{self, Retire, Target};

use super::*;

const HOUR: TimeDelta = TimeDelta::hours(1);

fn plan_of(terms: &Terms, view: &SecretView, keys: &[Key], now: DateTime<Utc>) -> Plan {
    let (state, principal) = (SecretState::Present(view.clone()), principal(keys.to_vec()));
    plan::plan(terms, Trigger::Sweep, &state, Some(&principal), now)
}

fn rotations(plan: &Plan) -> Vec<Reason> {
    let rotates = plan.work.iter().filter_map(|work| match work {
        Work::Rotate { reason, .. } => Some(*reason),
        _ => None,
    });
    rotates.collect()
}

/// Answers what is asked with the same world until the try asks for something else.
pub(crate) fn led<T: Try>(
    mut this: T,
    view: &SecretView,
    keys: &[Key],
    now: DateTime<Utc>,
) -> (T, Next<T::Outcome>) {
    for _ in 0..20 {
        let reply = match this.next() {
            Next::Call(Call::DescribeSecret) => Reply::Secret(SecretState::Present(view.clone())),
            Next::Call(Call::ReadPrincipal) => Reply::Principal(Some(principal(keys.to_vec()))),
            Next::Call(Call::Emit(_)) => Reply::Emitted,
            other => return (this, other),
        };
        this = this.answered(reply, now);
    }
    panic!("the try asks the same for ever");
}

#[test]
fn a_key_promoted_just_now_is_not_taken_for_absent() {
    let since = |at| view(&[(1, &[Label::Current, Label::Key(key_id(1)), Label::Since(at)])]);
    let fresh = plan_of(&terms(), &since(now() - TimeDelta::minutes(59)), &[], now());
    assert_eq!(fresh, Plan::default());
    let settled = plan_of(&terms(), &since(now() - HOUR), &[], now());
    assert_eq!(rotations(&settled), [Reason::KeyAbsent]);
}

/// Version 1 was replaced by 2, and somebody went back to it.
fn gone_back(labels_of_1: &[Label], labels_of_2: &[Label]) -> SecretView {
    let mut one = vec![Label::Current, Label::Key(key_id(1)), Label::Since(days(-160))];
    one.extend_from_slice(labels_of_1);
    view(&[(1, &one), (2, labels_of_2)])
}

#[test]
fn whoever_goes_back_by_hand_is_not_overruled_by_a_sweep() {
    let replaced = [Label::Previous, Label::Key(key_id(2)), Label::Since(days(-1))];
    let keys = |left| {
        [key(1, Some(1), days(-160), Some(days(left))), key(2, Some(2), days(-1), Some(days(179)))]
    };
    let mended = [Label::Since(days(0))];
    for view in [
        gone_back(&[], &replaced),
        gone_back(&mended, &replaced),
        // Version 2's key has been retired since.
        gone_back(&mended, &[Label::Previous]),
    ] {
        let held = plan_of(&terms(), &view, &keys(20), now());
        assert_eq!(rotations(&held), [], "{view:?}");
        assert!(held.findings.contains(&Finding::RolledBack));
        let late = plan_of(&terms(), &view, &keys(14), now());
        assert_eq!(rotations(&late), [Reason::Expiring], "half of `rotate_before` is over");
        assert!(
            rotations(&plan_of(&terms(), &view, &keys(31), now())).is_empty(),
            "not due at all"
        );
    }
}

/// Nothing is planned that would stop each hour: the finding says what is the matter.
#[test]
fn beside_a_current_version_without_its_label_nothing_is_planned_but_what_was_minted_in_vain() {
    let mut terms = terms();
    terms.policy.retire_keys.insert(key_id(7));
    let mut view = view(&[
        (2, &[Label::Current, Label::Since(days(-9))]),
        (1, &[Label::Previous, Label::Key(key_id(1)), Label::Since(days(-99))]),
    ]);
    view.created = Some(days(-99));
    let keys = [
        key(1, Some(1), days(-99), Some(days(81))),
        key(2, Some(2), days(-9), Some(days(171))),
        key(7, None, days(-99), Some(days(81))),
    ];
    let plan = plan_of(&terms, &view, &keys, now());
    assert_eq!(plan.work, []);
    assert!(plan.findings.contains(&Finding::Stopped(Stop::UnknownKey)), "{:?}", plan.findings);
    let in_vain = key(3, Some(3), days(-1), Some(days(179)));
    let plan = plan_of(&terms, &view, &[keys.to_vec(), vec![in_vain]].concat(), now());
    assert_eq!(plan.work, [Work::Resolve { rotation: rotation(3), key: key_id(3) }]);
}

/// Whoever cached the old secret may use it for the overlap after it is replaced.
#[test]
fn a_rollback_is_held_no_longer_than_leaves_room_for_the_overlap() {
    let mut terms = terms();
    terms.policy.overlap = TimeDelta::days(21);
    let view = gone_back(&[Label::Since(days(0))], &[Label::Previous]);
    let left = |left| [key(1, Some(1), days(-160), Some(days(left)))];
    assert_eq!(rotations(&plan_of(&terms, &view, &left(22), now())), []);
    assert_eq!(rotations(&plan_of(&terms, &view, &left(21), now())), [Reason::Expiring]);
}

#[test]
fn two_labels_of_a_race_are_no_rollback() {
    let view = gone_back(&[Label::Since(days(-160) + TimeDelta::minutes(4))], &[Label::Previous]);
    let due = plan_of(&terms(), &view, &[key(1, Some(1), days(-160), Some(days(20)))], now());
    assert_eq!(rotations(&due), [Reason::Expiring]);
}

#[test]
fn keys_of_a_secrets_past_life_do_not_stop_the_first_rotation_of_the_next() {
    let (mut view, days_old) = (view(&[]), |n: i64| days(-n));
    view.created = Some(days(-1));
    let first = || Rotate::new(terms(), rotation(9), Replaces::Version(None), Until::Promoted);
    for (older, younger, minted) in [(20, 0, true), (20, 5, true), (0, 6, false), (20, 6, false)] {
        let keys: Vec<Key> = (0..older + younger)
            .map(|n| {
                let start = if n < older { days_old(2 + n) } else { now() - TimeDelta::minutes(n) };
                let n = u128::try_from(n).unwrap();
                key(100 + n, Some(100 + n), start, Some(days(170)))
            })
            .collect();
        let (this, asked) = led(first(), &view, &keys, now());
        assert!(matches!(asked, Next::Call(Call::ReadValue { .. })), "{asked:?}");
        let (_, asked) = led(this.answered(Reply::NoValue, now()), &view, &keys, now());
        let mints = matches!(asked, Next::Call(Call::AddPassword { .. }));
        assert_eq!(mints, minted, "{older} older, {younger} younger: {asked:?}");
    }
}

/// Somebody took `keywheel:key` off a version: its key looks like one that was minted and lost.
#[test]
fn a_key_whose_version_was_stored_waits_for_the_overlap() {
    let keys =
        [key(1, Some(1), days(-90), Some(days(90))), key(2, Some(2), days(-3), Some(days(170)))];
    for (hours, removed) in [(20, false), (25, true)] {
        let since = now() - TimeDelta::hours(hours);
        let view = view(&[(1, &[Label::Current, Label::Key(key_id(1)), Label::Since(since)])]);
        let this = Resolve::new(terms(), rotation(2), key_id(2));
        let (this, asked) = led(this, &view, &keys, now());
        assert_eq!(asked, Next::Call(Call::ReadValue { version: rotation(2).into(), key: None }));
        let (_, never_stored) =
            led(this.clone().answered(Reply::NoValue, now()), &view, &keys, now());
        assert!(matches!(never_stored, Next::Call(Call::MoveLabel { .. })), "{never_stored:?}");
        let (_, stored) = led(this.answered(Reply::Value, now()), &view, &keys, now());
        assert_eq!(matches!(stored, Next::Call(Call::MoveLabel { .. })), removed, "{stored:?}");
        assert_eq!(matches!(stored, Next::Done(resolve::Outcome::NotYet)), !removed, "{stored:?}");
    }
}

fn replaced_since(since: DateTime<Utc>) -> SecretView {
    view(&[
        (1, &[Label::Previous, Label::Key(key_id(1)), Label::Since(days(-90))]),
        (2, &[Label::Current, Label::Key(key_id(2)), Label::Since(since)]),
    ])
}

fn retire_now() -> Retire {
    Retire::new(terms(), Target { version: Some(rotation(1).into()), key: key_id(1) }, true)
}

#[test]
fn a_current_key_that_one_replica_does_not_show_yet_is_waited_for() {
    let old = [key(1, Some(1), days(-90), Some(days(90)))];
    let (_, young) = led(retire_now(), &replaced_since(at(-30)), &old, now());
    assert_eq!(young, Next::Done(retire::Outcome::NotYet));
    let (_, gone) = led(retire_now(), &replaced_since(days(-1)), &old, now());
    assert_eq!(gone, Next::Done(retire::Outcome::Stopped(Stop::CurrentKeyAbsent)));
}

#[test]
fn the_labels_are_read_again_before_a_removal_is_asked_for_again() {
    let view = replaced_since(days(-1));
    let keys =
        [key(1, Some(1), days(-90), Some(days(90))), key(2, Some(2), days(-1), Some(days(179)))];
    let (this, asked) = led(retire_now(), &view, &keys, now());
    assert!(
        matches!(asked, Next::Call(Call::MoveLabel { label: Label::Removing(..), .. })),
        "{asked:?}"
    );
    let mut intended = view.clone();
    let intent = Label::Removing(ObjectId(Uuid::nil()), key_id(1));
    intended.versions.get_mut(&VersionId::from(rotation(1))).unwrap().insert(intent);
    let (this, asked) = led(this.answered(Reply::Moved, now()), &intended, &keys, now());
    assert_eq!(asked, Next::Call(Call::RemovePassword { key: key_id(1) }));
    let (_, again) = led(this.clone().answered(Reply::NotRemoved, now()), &intended, &keys, now());
    assert_eq!(again, Next::Call(Call::RemovePassword { key: key_id(1) }));

    // Somebody went back to it while Graph made the removal wait.
    let back = super::view(&[
        (1, &[Label::Current, Label::Key(key_id(1)), Label::Since(days(-90))]),
        (2, &[Label::Previous, Label::Key(key_id(2)), Label::Since(days(-1))]),
    ]);
    let (_, stopped) = led(this.answered(Reply::NotRemoved, now()), &back, &keys, now());
    assert_eq!(stopped, Next::Done(retire::Outcome::Stopped(Stop::KeyIsCurrent)));
}

/// What a try to retire the foreign key 9, which is named, asks for first, besides reads; or how it ends.
fn named(view: &SecretView, now_: bool, named: bool) -> Next<retire::Outcome> {
    let mut terms = terms();
    if named {
        terms.policy.retire_keys.insert(key_id(9));
    }
    let keys =
        [key(2, Some(2), days(-2), Some(days(178))), key(9, None, days(-300), Some(days(60)))];
    let target = Target { version: None, key: key_id(9) };
    led(Retire::new(terms, target, now_), view, &keys, now()).1
}

#[test]
fn a_try_at_a_named_foreign_key_waits_for_the_overlap_unless_told_not_to() {
    let current =
        |since| view(&[(2, &[Label::Current, Label::Key(key_id(2)), Label::Since(since)])]);
    let intends = |asked: &Next<retire::Outcome>| {
        matches!(asked, Next::Call(Call::MoveLabel { label: Label::Removing(..), .. }))
    };
    let early = named(&current(days(-1)), false, true);
    assert_eq!(early, Next::Done(retire::Outcome::NotYet), "the slack is not over");
    let young = named(&current(at(-7200)), false, true);
    assert_eq!(young, Next::Done(retire::Outcome::NotYet));
    let ripe = named(&current(days(-2)), false, true);
    assert!(intends(&ripe), "{ripe:?}");
    let at_once = named(&current(at(-7200)), true, true);
    assert!(intends(&at_once), "{at_once:?}");
    for at_once in [false, true] {
        let unnamed = named(&current(days(-2)), at_once, false);
        assert_eq!(unnamed, Next::Done(retire::Outcome::Stopped(Stop::ForeignKey)));
    }
}

#[test]
fn a_key_that_a_version_names_is_no_foreign_key_though_the_manifest_names_it() {
    let labels = [Label::Previous, Label::Key(key_id(9)), Label::Since(days(-90))];
    let view = view(&[
        (1, &labels),
        (2, &[Label::Current, Label::Key(key_id(2)), Label::Since(days(-3))]),
    ]);
    for at_once in [false, true] {
        let asked = named(&view, at_once, true);
        assert_eq!(asked, Next::Done(retire::Outcome::NotYet), "{at_once}");
    }
}
