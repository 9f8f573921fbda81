//! The turns of a rotation: what each answer leads to, and how often the same is tried.

use super::*;

/// Version 1 is current since long; version 2 is ours, with these labels beside its key's.
fn under_way(labels: &[Label]) -> SecretView {
    let own = [labels, &[Label::Key(key_id(2))]].concat();
    view(&[(1, &[Label::Current, Label::Key(key_id(1)), Label::Since(days(-90))]), (2, &own)])
}

fn both() -> Vec<Key> {
    vec![key(1, Some(1), days(-170), Some(days(3))), key(2, Some(2), days(-1), Some(days(179)))]
}

fn rotate() -> Rotate {
    let replaces = Replaces::Version(Some(rotation(1).into()));
    Rotate::new(terms(), rotation(2), replaces, Until::Promoted)
}

/// Runs a try to its end. `answer` has the first word; the rest is answered as by a world that stays as it is.
fn run(
    mut this: Rotate,
    view: &SecretView,
    keys: &[Key],
    mut answer: impl FnMut(&Call) -> Option<Reply>,
) -> (rotate::Outcome, Vec<Call>) {
    let (mut calls, mut time) = (Vec::new(), now());
    while calls.len() < 400 {
        let call = match this.next() {
            Next::Done(outcome) => return (outcome, calls),
            Next::Call(call) => call,
        };
        let reply = answer(&call).unwrap_or_else(|| match &call {
            Call::DescribeSecret => Reply::Secret(SecretState::Present(view.clone())),
            Call::ReadPrincipal => Reply::Principal(Some(principal(keys.to_vec()))),
            Call::ReadValue { .. } => Reply::Value,
            Call::AddPassword { .. } => Reply::Added { key: key_id(2) },
            Call::PutValue { .. } => Reply::Stored,
            Call::MoveLabel { .. } => Reply::Moved,
            Call::SignIn { .. } => Reply::SignIn(SignIn::Accepted),
            Call::Wait(pause) => {
                time += *pause;
                Reply::Waited
            }
            Call::Emit(_) => Reply::Emitted,
            other => panic!("{other:?}"),
        });
        calls.push(call);
        this = this.answered(reply, time);
    }
    panic!("the try does not end: {calls:#?}");
}

fn count(calls: &[Call], is_meant: impl Fn(&Call) -> bool) -> usize {
    calls.iter().filter(|call| is_meant(call)).count()
}

fn moves(call: &Call, which: &Label) -> bool {
    matches!(call, Call::MoveLabel { label, .. } if label == which)
}

fn is_void(call: &Call) -> bool {
    matches!(call, Call::MoveLabel { label: Label::Void(_), .. })
}

#[test]
fn a_claim_that_is_refused_is_tried_seven_times() {
    let refused = |call: &Call| moves(call, &Label::Pending).then_some(Reply::Refused);
    let (outcome, calls) = run(rotate(), &under_way(&[]), &both(), refused);
    assert_eq!(outcome, rotate::Outcome::Stopped(Stop::Contended));
    assert_eq!(count(&calls, |call| moves(call, &Label::Pending)), 7);
}

#[test]
fn a_value_without_a_keys_label_is_read_seven_times_and_is_foreign_then() {
    let mut view = under_way(&[Label::Pending]);
    view.versions.insert(rotation(2).into(), [Label::Pending].into());
    let (outcome, calls) = run(rotate(), &view, &both(), |_| None);
    assert_eq!(outcome, rotate::Outcome::Stopped(Stop::ForeignValue));
    assert_eq!(count(&calls, |call| matches!(call, Call::ReadValue { .. })), 7);
    let unreadable =
        |call: &Call| matches!(call, Call::ReadValue { .. }).then_some(Reply::Unreadable);
    let (outcome, calls) = run(rotate(), &view, &both(), unreadable);
    assert_eq!(outcome, rotate::Outcome::Stopped(Stop::ForeignValue));
    assert_eq!(count(&calls, is_void), 0);
}

#[test]
fn a_stored_value_that_cannot_be_read_or_expires_soon_is_given_up() {
    let unreadable =
        |call: &Call| matches!(call, Call::ReadValue { .. }).then_some(Reply::Unreadable);
    let pending = under_way(&[Label::Pending]);
    let (outcome, calls) = run(rotate(), &pending, &both(), unreadable);
    assert_eq!(outcome, rotate::Outcome::Abandoned(rotation(2)));
    let voided = calls.iter().position(is_void).unwrap();
    let released = calls.iter().position(|call| moves(call, &Label::Pending)).unwrap();
    assert!(voided < released, "void before the lock is let go: {calls:?}");
    for (left, is_given_up) in [(30, true), (31, false)] {
        let keys = [both()[0].clone(), key(2, Some(2), days(-1), Some(days(left)))];
        let (outcome, calls) = run(rotate(), &under_way(&[]), &keys, |_| None);
        let abandoned = outcome == rotate::Outcome::Abandoned(rotation(2));
        assert_eq!(abandoned, is_given_up, "{outcome:?}");
        assert!(!abandoned || count(&calls, |call| moves(call, &Label::Pending)) == 0);
    }
}

#[test]
fn a_void_label_whose_second_is_taken_gets_the_next_one() {
    let mut refusals = 2;
    let mut times = Vec::new();
    let dead = [both()[0].clone(), key(2, Some(2), days(-1), Some(days(1)))];
    run(rotate(), &under_way(&[]), &dead, |call| {
        let Call::MoveLabel { label: Label::Void(at), .. } = call else { return None };
        times.push(*at);
        refusals -= 1;
        (refusals >= 0).then_some(Reply::Refused)
    });
    assert_eq!(times, [at(0), at(1), at(2)]);
}

#[test]
fn a_key_that_works_and_is_not_shown_is_looked_for_during_a_minute() {
    let mut looks = 0;
    let unseen = [both()[0].clone()];
    let (outcome, calls) = run(rotate(), &under_way(&[Label::Pending]), &both(), |call| {
        if *call != Call::ReadPrincipal {
            return None;
        }
        looks += 1;
        (looks > 1).then(|| Reply::Principal(Some(principal(unseen.to_vec()))))
    });
    assert_eq!(outcome, rotate::Outcome::Stopped(Stop::KeyNotSeen));
    assert_eq!(looks, 1 + 13);
    let last: Vec<_> = calls.iter().rev().take(4).collect();
    let wait = Call::Wait(TimeDelta::seconds(5));
    assert_eq!(last, [&Call::ReadPrincipal, &wait, &Call::ReadPrincipal, &wait]);
    assert_eq!(count(&calls, |call| moves(call, &Label::Current)), 0);
    // The last look decides as well.
    let mut looks = 0;
    let (outcome, _) = run(rotate(), &under_way(&[Label::Pending]), &both(), |call| {
        looks += u8::from(*call == Call::ReadPrincipal);
        let hidden = *call == Call::ReadPrincipal && (2..14).contains(&looks);
        hidden.then(|| Reply::Principal(Some(principal(unseen.to_vec()))))
    });
    assert_eq!(outcome, rotate::Outcome::Promoted(rotation(2)));
}

#[test]
fn what_was_changed_before_the_last_look_is_not_promoted() {
    let before = under_way(&[Label::Pending]);
    let own: VersionId = rotation(2).into();
    let with = |labels: &[Label]| {
        let mut view = before.clone();
        view.versions.insert(own.clone(), labels.iter().cloned().collect());
        view
    };
    let mut replaced = before.clone();
    replaced.versions.insert(rotation(1).into(), [Label::Previous].into());
    replaced.versions.insert(rotation(3).into(), [Label::Current, Label::Key(key_id(3))].into());
    let key_label = Label::Key(key_id(2));
    for changed in [
        replaced,
        with(std::slice::from_ref(&key_label)),
        with(&[Label::Pending, Label::Key(key_id(3))]),
        with(&[Label::Pending, key_label.clone(), Label::Void(now())]),
        with(&[Label::Pending, key_label, Label::Since(days(-1))]),
    ] {
        let mut described = 0;
        let (outcome, calls) = run(rotate(), &before, &both(), |call| {
            described += u8::from(*call == Call::DescribeSecret);
            match (call, described) {
                (Call::DescribeSecret, 2) => {
                    Some(Reply::Secret(SecretState::Present(changed.clone())))
                }
                // It starts over: enough is seen.
                (Call::DescribeSecret, 3) => Some(Reply::Secret(SecretState::Missing)),
                _ => None,
            }
        });
        assert_eq!(outcome, rotate::Outcome::Stopped(Stop::SecretMissing), "{changed:?}");
        assert_eq!(count(&calls, |call| moves(call, &Label::Current)), 0);
    }
}

#[test]
fn a_secret_that_is_refused_all_along_is_doubted_and_its_key_looked_for() {
    for is_there in [true, false] {
        let mut looks = 0;
        let (outcome, calls) = run(rotate(), &under_way(&[Label::Pending]), &both(), |call| {
            if *call == Call::ReadPrincipal {
                looks += 1;
                let gone = looks == 2 && !is_there;
                return gone.then(|| Reply::Principal(Some(principal(vec![both()[0].clone()]))));
            }
            let refused = matches!(call, Call::SignIn { .. }) && looks < 2;
            refused.then_some(Reply::SignIn(SignIn::WrongSecret))
        });
        let ended = if is_there {
            rotate::Outcome::Promoted(rotation(2))
        } else {
            rotate::Outcome::Abandoned(rotation(2))
        };
        assert_eq!(outcome, ended);
        assert_eq!(count(&calls, is_void), usize::from(!is_there));
    }
}

#[test]
fn a_first_secret_that_is_not_proved_is_not_stored() {
    let first = || Rotate::new(terms(), rotation(2), Replaces::Version(None), Until::Promoted);
    for (answer, stop) in [
        (SignIn::WrongSecret, Stop::NotProved),
        (SignIn::Expired, Stop::NotProved),
        (SignIn::BlockedByConditionalAccess, Stop::BlockedByConditionalAccess),
        (SignIn::Disabled, Stop::PrincipalDisabled),
    ] {
        let (outcome, calls) = run(first(), &view(&[]), &[], |call| match call {
            Call::ReadValue { .. } => Some(Reply::NoValue),
            Call::SignIn { .. } => Some(Reply::SignIn(answer)),
            _ => None,
        });
        assert_eq!(outcome, rotate::Outcome::Stopped(stop), "{answer:?}");
        assert_eq!(count(&calls, |call| matches!(call, Call::PutValue { .. })), 0);
    }
}

#[test]
fn each_step_of_the_contract_ends_where_it_should() {
    let pending = under_way(&[Label::Pending]);
    let until = |until| Rotate::new(terms(), rotation(2), Replaces::Current, until);
    let (stored, calls) = run(until(Until::Stored), &pending, &both(), |_| None);
    assert_eq!(stored, rotate::Outcome::Stored(rotation(2)));
    assert_eq!(count(&calls, |call| matches!(call, Call::SignIn { .. })), 0);
    let (proved, calls) = run(until(Until::Proved), &pending, &both(), |_| None);
    assert_eq!(proved, rotate::Outcome::Proved(rotation(2)));
    assert_eq!(count(&calls, |call| matches!(call, Call::SignIn { .. })), 6);
    assert_eq!(count(&calls, |call| moves(call, &Label::Current)), 0);
    let (promoted, calls) = run(until(Until::Promoted), &pending, &both(), |_| None);
    assert_eq!(promoted, rotate::Outcome::Promoted(rotation(2)));
    let promotion = Call::MoveLabel {
        label: Label::Current,
        to: Some(rotation(2).into()),
        from: Some(rotation(1).into()),
    };
    assert_eq!(count(&calls, |call| *call == promotion), 1);
}

#[test]
fn no_more_labels_are_added_than_the_secret_has_room_for() {
    let others = |count: usize| -> Vec<Label> {
        (0..count).map(|number| Label::Other(format!("team-{number}"))).collect()
    };
    for (count, stops) in [(12, false), (13, true)] {
        let labels = others(count);
        let view = view(&[
            (1, &[Label::Current, Label::Key(key_id(1)), Label::Since(days(-90))]),
            (7, &labels),
        ]);
        let (outcome, _) = run(rotate(), &view, &both()[..1], |call| match call {
            Call::ReadValue { .. } => Some(Reply::NoValue),
            Call::AddPassword { .. } => Some(Reply::Full),
            _ => None,
        });
        let full = rotate::Outcome::Stopped(Stop::TooManyLabels);
        assert_eq!(outcome == full, stops, "{count}: {outcome:?}");
    }
}

#[test]
fn a_stored_secret_whose_key_expired_is_given_up() {
    let expired =
        |call: &Call| matches!(call, Call::SignIn { .. }).then_some(Reply::SignIn(SignIn::Expired));
    let (outcome, calls) = run(rotate(), &under_way(&[Label::Pending]), &both(), expired);
    assert_eq!(outcome, rotate::Outcome::Abandoned(rotation(2)));
    assert_eq!(count(&calls, is_void), 1);
}

#[test]
fn only_keys_that_failed_tries_left_stand_in_the_way_of_another() {
    let outcome = |created, minter: Option<u128>, start, keys: u128| {
        let mut view = settled();
        view.created = created;
        let more = (0..keys).map(|n| key(100 + n, minter.map(|id| id + n), start, Some(days(9))));
        let keys: Vec<Key> = both().into_iter().take(1).chain(more).collect();
        let (outcome, _) = run(rotate(), &view, &keys, |call| match call {
            Call::ReadValue { .. } => Some(Reply::NoValue),
            Call::AddPassword { .. } => Some(Reply::Full),
            _ => None,
        });
        outcome
    };
    let too_many = rotate::Outcome::Stopped(Stop::TooManyUnnamedKeys);
    let tried = rotate::Outcome::Stopped(Stop::NoRoomForKey);
    let made = Some(days(-300));
    assert_eq!(outcome(made, Some(100), days(-1), 6), too_many);
    assert_eq!(outcome(None, Some(100), days(-1), 6), too_many);
    assert_eq!(outcome(made, Some(100), days(-1), 5), tried);
    assert_eq!(outcome(made, Some(100), days(-301), 6), tried, "of the secret's past life");
    assert_eq!(outcome(made, None, days(-1), 6), tried, "foreign");
}

/// The calls after the second record of a try that mints, of a secret whose view is this.
fn after_the_record(this: Rotate, view: &SecretView) -> Vec<Call> {
    let (_, calls) = run(this, view, &both()[..1], |call| match call {
        Call::ReadValue { .. } => Some(Reply::NoValue),
        Call::MoveLabel { label: Label::Pending, .. } => Some(Reply::Refused),
        _ => None,
    });
    let second = calls.iter().enumerate().filter(|(_, call)| matches!(call, Call::Emit(_))).nth(1);
    calls[second.unwrap().0 + 1..].to_vec()
}

#[test]
fn only_the_first_version_of_all_needs_no_claim() {
    let first = Rotate::new(terms(), rotation(2), Replaces::Version(None), Until::Promoted);
    let calls = after_the_record(first, &view(&[]));
    assert_eq!(calls[0], Call::DescribeSecret, "Secrets Manager made it current");
    let calls = after_the_record(rotate(), &settled());
    assert!(moves(&calls[0], &Label::Pending), "{:?}", calls[0]);
}

#[test]
fn a_claim_that_is_taken_is_followed_by_the_proof() {
    let (_, calls) = run(rotate(), &under_way(&[]), &both(), |_| None);
    let claim = calls.iter().position(|call| moves(call, &Label::Pending)).unwrap();
    assert_eq!(calls[claim + 1], Call::SignIn { key: key_id(2) });
}
