//! Properties of the pure rules: names, proofs, standings and plans.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod boundaries;
mod edges;
mod found;
mod proofs;
mod removals;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use keywheel_core::ids::{AppId, KeyId, KeyOn, ObjectId, RotationId, Token, VersionId};
use keywheel_core::rotation::finding::{Certificate, Expected, Finding, inspect, named_in_vain};
use keywheel_core::rotation::foreign_change::{Actor, Change, ChangedKey, Ourselves, foreign};
use keywheel_core::rotation::last_use::{LastUses, REPORT_LAG, Watched, judge, watch};
use keywheel_core::rotation::names::{display_name, minted_by};
use keywheel_core::rotation::plan::{self, Plan, Reason, Trigger, Work};
use keywheel_core::rotation::proof::{Proof, Verdict};
use keywheel_core::rotation::version_state::{VersionState, version_state};
use keywheel_core::rotation::{
    Call, Key, Label, Next, Policy, Principal, Replaces, Reply, RetireWhen, Rotate, Scope,
    SecretState, SecretView, SignIn, Stop, Terms, Try, Until, last_use, rotate,
};
use proptest::prelude::*;
use uuid::Uuid;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn now() -> DateTime<Utc> {
    at(0)
}

fn days(days: i64) -> DateTime<Utc> {
    now() + TimeDelta::days(days)
}

fn rotation(n: u128) -> Token {
    RotationId(Uuid::from_u128(n)).into()
}

fn key_id(n: u128) -> KeyId {
    KeyId(Uuid::from_u128(n << 64))
}

fn terms() -> Terms {
    Terms {
        application: AppId(Uuid::nil()),
        scope: Scope::of("0", "eu-central-1", "prod/azure/x"),
        policy: Policy {
            rotate_before: TimeDelta::days(30),
            lifetime: TimeDelta::days(180),
            overlap: TimeDelta::hours(24),
            retire: RetireWhen::AfterOverlap,
            settle: TimeDelta::seconds(60),
            adopt: false,
            promote_when_blocked: false,
            retire_keys: BTreeSet::new(),
        },
        signed_in_as: None,
        listed: Arc::default(),
    }
}

fn key(n: u128, minter: Option<u128>, start: DateTime<Utc>, end: Option<DateTime<Utc>>) -> Key {
    let display_name = minter.map(|id| display_name(&terms().scope, &rotation(id)));
    Key { key_id: key_id(n), display_name, start: Some(start), end }
}

fn principal(keys: Vec<Key>) -> Principal {
    Principal {
        object_id: ObjectId(Uuid::nil()),
        has_service_principal: true,
        locked: false,
        most_keys: None,
        keys,
    }
}

fn view(versions: &[(u128, &[Label])]) -> SecretView {
    let versions = versions
        .iter()
        .map(|(id, labels)| (rotation(*id).into(), labels.iter().cloned().collect()))
        .collect::<BTreeMap<VersionId, BTreeSet<Label>>>();
    SecretView { versions, rotation_enabled: false, created: Some(days(-300)) }
}

/// Version 1, current since long, of key 1.
fn settled() -> SecretView {
    view(&[(1, &[Label::Current, Label::Key(key_id(1)), Label::Since(days(-90))])])
}

fn planned(view: SecretView, keys: Vec<Key>) -> Vec<Work> {
    let state = SecretState::Present(view);
    plan::plan(&terms(), Trigger::Sweep, &state, Some(&principal(keys)), now()).work
}

proptest! {
    #[test]
    fn a_display_name_is_known_to_its_scope_only(id: u128, account in "[0-9]{1,12}", secret in "\\PC{1,40}") {
        let (own, other) = (Scope::of(&account, "r", &secret), Scope::of(&account, "r2", &secret));
        let name = display_name(&own, &rotation(id));
        prop_assert_eq!(minted_by(&own, &name), Some(rotation(id)));
        prop_assert_eq!(minted_by(&other, &name), None);
        prop_assert!(name.len() <= 120, "Graph allows 120 characters");
    }

    #[test]
    fn each_spelling_of_a_token_has_its_own_display_name(id: u128) {
        let spelled = [Uuid::from_u128(id).hyphenated().to_string(), Uuid::from_u128(id).simple().to_string()];
        for text in spelled.iter().flat_map(|text| [text.clone(), text.to_uppercase()]) {
            let token: Token = text.parse().unwrap();
            let read = minted_by(&terms().scope, &display_name(&terms().scope, &token));
            prop_assert_eq!(read.map(VersionId::from), Some(VersionId(text.clone())));
            let own = text == spelled[0];
            prop_assert_eq!(VersionId(text).rotation().is_some(), own);
        }
    }

    #[test]
    fn no_other_text_passes_for_a_display_name(text in "\\PC{0,80}") {
        prop_assert_eq!(minted_by(&terms().scope, &text), None);
    }

    #[test]
    fn parts_of_a_scope_do_not_run_together(a in "[a-z]{1,6}", b in "[a-z]{1,6}", c in "[a-z]{1,6}") {
        prop_assert_ne!(Scope::of(&a, &format!("{b}{c}"), ""), Scope::of(&a, &b, &c));
        prop_assert_ne!(Scope::of(&format!("{a}{b}"), "", &c), Scope::of(&a, &b, &c));
    }

    #[test]
    fn labels_are_read_as_they_are_written(text in "\\PC{0,60}", id: u128, seconds in 0..4_000_000_000_i64) {
        let time = DateTime::from_timestamp(seconds, 0).unwrap();
        let all = [Label::Current, Label::Previous, Label::Pending, Label::Key(KeyId(Uuid::from_u128(id))),
            Label::Since(time), Label::Void(time)];
        for label in all {
            prop_assert_eq!(Label::parse(&label.to_string()), label.clone());
            prop_assert!(label.to_string().len() <= 256);
        }
        prop_assert_eq!(Label::parse(&text).to_string(), text);
    }

    /// A secret counts as proved only after sign-ins that span the settle time, the last refusal behind them.
    #[test]
    fn a_proof_spans_the_settle_time_without_a_refusal(
        settle in 0..120_i64,
        answers in proptest::collection::vec((any::<bool>(), 0..20_i64), 1..60),
    ) {
        let mut proof = Proof::new(TimeDelta::seconds(settle), false);
        let (mut time, mut unbroken) = (0, Vec::new());
        for (accepted, pause) in answers {
            time += pause;
            let answer = if accepted { SignIn::Accepted } else { SignIn::WrongSecret };
            if accepted { unbroken.push(time) } else { unbroken.clear() }
            if proof.sign_in(answer, at(time)) == Verdict::Proved {
                prop_assert!(unbroken.len() >= 6);
                prop_assert!(time - unbroken[0] >= settle);
                return Ok(());
            }
        }
    }

    /// Whoever waits as long as the proof asks for is done soon after the settle time, not sooner.
    #[test]
    fn a_proof_of_a_good_secret_ends(settle in 0..240_i64) {
        let mut proof = Proof::new(TimeDelta::seconds(settle), false);
        let mut time = now();
        for _ in 0..12 {
            match proof.sign_in(SignIn::Accepted, time) {
                Verdict::Proved => {
                    prop_assert!(time - now() >= TimeDelta::seconds(settle));
                    prop_assert!(time - now() <= TimeDelta::seconds(settle + 1));
                    return Ok(());
                }
                Verdict::Again(pause) => time += pause,
                other => prop_assert!(false, "{other:?}"),
            }
        }
        prop_assert!(false, "never proved");
    }

    /// No key is planned to go that is current, foreign, or was replaced within the overlap.
    #[test]
    fn nothing_in_use_is_planned_to_go(
        labels in proptest::collection::vec((0..4_u8, proptest::option::of(-200..1_i64), any::<bool>()), 1..6),
        unnamed in proptest::collection::vec((any::<bool>(), -300..1_i64), 0..4),
    ) {
        let mut versions: Vec<(u128, Vec<Label>)> = Vec::new();
        let mut keys = Vec::new();
        for (index, (kind, since, previous)) in labels.iter().enumerate() {
            let id = index as u128 + 1;
            let mut carried = vec![Label::Key(key_id(id))];
            if index == 0 { carried.push(Label::Current) }
            if index == 1 && *previous { carried.push(Label::Previous) }
            if index == 2 && *kind == 1 { carried.push(Label::Pending) }
            carried.extend(since.map(|hours| Label::Since(now() + TimeDelta::hours(hours))));
            versions.push((id, carried));
            keys.push(key(id, Some(id), days(-20), Some(days(100))));
        }
        for (index, (ours, hours)) in unnamed.iter().enumerate() {
            let id = 100 + index as u128;
            keys.push(key(id, ours.then_some(id), now() + TimeDelta::minutes(*hours), Some(days(100))));
        }
        let borrowed: Vec<(u128, &[Label])> = versions.iter().map(|(id, labels)| (*id, labels.as_slice())).collect();
        let view = view(&borrowed);
        let current_since = view.since(&rotation(1).into());
        for work in planned(view.clone(), keys.clone()) {
            let gone = match work {
                Work::Retire(target) => target.key,
                Work::Resolve { key, .. } => key,
                Work::Rotate { .. } => continue,
            };
            prop_assert_ne!(gone, key_id(1), "the current key");
            let read = keys.iter().find(|key| key.key_id == gone).unwrap();
            prop_assert!(read.minted_by(&terms().scope).is_some(), "a foreign key");
            let version = (1..100).find(|id| key_id(*id) == gone).map(|id| VersionId::from(rotation(id)));
            if let Some(version) = version {
                prop_assert_ne!(view.pending(), Some(&version));
                let past = view.since(&version).is_some_and(|since| current_since.is_some_and(|now| since < now));
                if past && current_since.is_some_and(|since| since + TimeDelta::hours(24) > now()) {
                    // Its successor may be older than the current version, never younger than the overlap.
                    let successor = view.versions.keys().filter_map(|other| view.since(other))
                        .filter(|other| view.since(&version).is_some_and(|own| *other > own)).min();
                    prop_assert!(successor.is_some_and(|since| since + TimeDelta::hours(24) <= now()));
                }
            } else {
                prop_assert!(read.start.unwrap() <= now() - TimeDelta::hours(1), "too young");
            }
        }
    }
}

#[test]
fn what_is_due_is_rotated_and_nothing_else() {
    let keys = |days_left| vec![key(1, Some(1), days(-150), Some(days(days_left)))];
    assert_eq!(planned(settled(), keys(31)), []);
    let rotate =
        |reason| vec![Work::Rotate { rotation: None, replaces: Some(rotation(1).into()), reason }];
    assert_eq!(planned(settled(), keys(30)), rotate(Reason::Expiring));
    assert_eq!(planned(settled(), keys(-3)), rotate(Reason::Expiring));
    assert_eq!(planned(settled(), Vec::new()), rotate(Reason::KeyAbsent));
}

#[test]
fn a_pending_rotation_is_resumed_never_rivalled() {
    let mut view = settled();
    view.versions.insert(rotation(2).into(), [Label::Pending, Label::Key(key_id(2))].into());
    let keys =
        vec![key(1, Some(1), days(-170), Some(days(3))), key(2, Some(2), now(), Some(days(180)))];
    let expected = Work::Rotate {
        rotation: Some(rotation(2)),
        replaces: Some(rotation(1).into()),
        reason: Reason::Resume,
    };
    assert_eq!(planned(view, keys), [expected]);
}

#[test]
fn a_rotation_cut_off_before_its_claim_is_taken_up() {
    let mut view = settled();
    view.versions.insert(rotation(2).into(), [Label::Key(key_id(2))].into());
    let keys = |days_left| {
        vec![
            key(1, Some(1), days(-170), Some(days(days_left))),
            key(2, Some(2), days(-1), Some(days(179))),
        ]
    };
    let due = planned(view.clone(), keys(3));
    assert!(matches!(&due[..], [Work::Rotate { rotation: Some(id), .. }] if *id == rotation(2)));
    // Nobody needs it any more: it is given up.
    let fresh = planned(view, keys(90));
    assert!(matches!(&fresh[..], [Work::Retire(target)] if target.key == key_id(2)));
}

#[test]
fn an_unknown_key_is_a_finding_unless_it_is_adopted() {
    let view = view(&[(1, &[Label::Current])]);
    let state = SecretState::Present(view);
    let principal = principal(vec![key(7, None, days(-300), Some(days(2)))]);
    let mut terms = terms();
    let refused = plan::plan(&terms, Trigger::Sweep, &state, Some(&principal), now());
    assert!(refused.work.is_empty());
    assert_eq!(refused.findings, [Finding::Stopped(Stop::UnknownKey)]);
    terms.policy.adopt = true;
    let adopted = plan::plan(&terms, Trigger::Sweep, &state, Some(&principal), now());
    assert!(matches!(&adopted.work[..], [Work::Rotate { reason: Reason::Adopt, .. }]));
}

#[test]
fn a_native_credential_is_only_watched() {
    let state = SecretState::Present(settled());
    let left = |days_left| {
        let principal = principal(vec![key(1, Some(1), days(-150), Some(days(days_left)))]);
        plan::plan(&terms(), Trigger::Native, &state, Some(&principal), now())
    };
    assert_eq!(left(20), Plan::default());
    assert_eq!(left(10).findings, [Finding::NativeRotationLate(key_id(1), days(10))]);
    assert!(left(10).work.is_empty());
}

#[test]
fn a_named_foreign_key_goes_only_after_the_overlap() {
    let mut terms = terms();
    terms.policy.retire_keys.insert(key_id(9));
    let keys =
        vec![key(1, Some(1), days(-2), Some(days(178))), key(9, None, days(-300), Some(days(60)))];
    let work = |since| {
        let labels = [Label::Current, Label::Key(key_id(1)), Label::Since(since)];
        let state = SecretState::Present(view(&[(1, &labels)]));
        plan::plan(&terms, Trigger::Sweep, &state, Some(&principal(keys.clone())), now()).work
    };
    assert!(work(days(-1)).is_empty(), "the overlap and its slack are not over");
    assert!(matches!(&work(days(-2))[..], [Work::Retire(target)] if target.key == key_id(9)));
}

#[test]
fn a_key_of_another_credential_goes_by_no_name() {
    let other = Scope::of("0", "eu-central-1", "prod/azure/y");
    let mut terms = terms();
    terms.policy.retire_keys = [key_id(8), key_id(9)].into();
    let named = |n, minter: &Scope| Key {
        display_name: Some(display_name(minter, &rotation(n))),
        ..key(n, None, days(-300), Some(days(60)))
    };
    let gone = Scope::of("0", "eu-central-1", "prod/azure/gone");
    let keys = vec![key(1, Some(1), days(-90), Some(days(90))), named(8, &gone), named(9, &other)];
    let planned = |terms: &Terms| {
        let state = SecretState::Present(settled());
        plan::plan(terms, Trigger::Sweep, &state, Some(&principal(keys.clone())), now())
    };
    assert_eq!(planned(&terms).work.len(), 2, "the manifest knows of no other");
    terms.listed = Arc::new([terms.scope.clone(), other].into());
    let Plan { work, findings } = planned(&terms);
    assert!(matches!(&work[..], [Work::Retire(target)] if target.key == key_id(8)), "{work:?}");
    assert_eq!(findings, [Finding::NamedKeyOfAnother(key_id(9))]);
}

#[test]
fn after_a_rollback_by_hand_the_overlap_is_not_believed() {
    let view = view(&[
        (1, &[Label::Current, Label::Key(key_id(1)), Label::Since(days(-90))]),
        (2, &[Label::Previous, Label::Key(key_id(2)), Label::Since(days(-3))]),
    ]);
    let standing = version_state(&view, &rotation(2).into(), TimeDelta::hours(24));
    assert_eq!(standing, VersionState::PastUnknown);
}

/// How a rotation fares that may only describe the secret and take labels off it.
fn without_touching_a_key(mut this: Rotate, view: &mut SecretView) -> rotate::Outcome {
    for _ in 0..20 {
        let reply = match this.next() {
            Next::Done(outcome) => return outcome,
            Next::Call(Call::DescribeSecret) => Reply::Secret(SecretState::Present(view.clone())),
            Next::Call(Call::MoveLabel { label, to: None, from: Some(from) }) => {
                assert!(view.versions.get_mut(&from).unwrap().remove(&label));
                Reply::Moved
            }
            Next::Call(Call::Emit(_)) => Reply::Emitted,
            Next::Call(other) => panic!("it went as far as {}", other.name()),
        };
        this = this.answered(reply, now());
    }
    panic!("it does not end");
}

#[test]
fn a_rotation_that_was_rolled_back_by_hand_is_over() {
    // AWSPENDING stays where it was when AWSCURRENT moved, and the sweep resumes what is pending.
    let mut view = view(&[
        (1, &[Label::Current, Label::Key(key_id(1)), Label::Since(days(0))]),
        (2, &[Label::Previous, Label::Pending, Label::Key(key_id(2)), Label::Since(days(-1))]),
    ]);
    let replaces = Replaces::Version(Some(rotation(1).into()));
    let this = Rotate::new(terms(), rotation(2), replaces, Until::Promoted);
    assert_eq!(without_touching_a_key(this, &mut view), rotate::Outcome::Superseded);
    assert_eq!(view.pending(), None, "else the next rotation would find it");
}

#[test]
fn a_try_that_finds_its_rotation_given_up_says_so() {
    // A superseded rotation is done; a given-up one wants another in its place, where somebody asked for it.
    let mut view = view(&[
        (1, &[Label::Current, Label::Key(key_id(1)), Label::Since(days(-90))]),
        (2, &[Label::Pending, Label::Key(key_id(2)), Label::Void(days(0))]),
    ]);
    let replaces = Replaces::Version(Some(rotation(1).into()));
    let this = Rotate::new(terms(), rotation(2), replaces, Until::Promoted);
    let outcome = without_touching_a_key(this, &mut view);
    assert_eq!(outcome, rotate::Outcome::Abandoned(rotation(2)));
}
