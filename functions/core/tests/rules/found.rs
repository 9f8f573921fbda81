//! What is found: keys and certificates by their ends, use after the overlap, changes by others.

use super::*;

#[test]
fn keys_and_certificates_are_inspected() {
    let scope = terms().scope;
    let keys = [
        key(1, Some(1), days(-10), Some(days(170))),
        key(2, None, days(-10), Some(days(5))),
        key(3, None, days(-10), None),
        key(4, None, days(-10), Some(days(3_640))),
        key(7, None, days(-10), Some(days(5))),
        Key {
            display_name: Some(display_name(&Scope::of("1", "us-east-1", "same"), &rotation(6))),
            ..key(6, None, days(-10), Some(days(100)))
        },
    ];
    let certificate = Certificate { key_id: key_id(5), end: Some(days(12)) };
    let expected = |scopes| Expected {
        scopes,
        named: BTreeSet::from([key_id(7)]),
        soon: TimeDelta::days(30),
        lifetime: TimeDelta::days(180),
    };
    let certificates = std::slice::from_ref(&certificate);
    let managed = inspect(&keys, certificates, &expected(vec![scope]), now());
    for expected in [
        Finding::ForeignKey(key_id(2)),
        Finding::EndlessKey(key_id(3)),
        Finding::LifetimeOverPolicy(key_id(4)),
        Finding::ExpiringCertificate(key_id(5), days(12)),
    ] {
        assert!(managed.contains(&expected), "{expected:?}");
    }
    for silent in [key_id(1), key_id(7)] {
        assert!(managed.iter().all(|finding| finding.key() != Some(silent)));
    }
    let of_another: Vec<_> = managed.iter().filter(|it| it.key() == Some(key_id(6))).collect();
    assert_eq!(
        of_another,
        [&Finding::UnlistedKey(key_id(6))],
        "in use elsewhere: nobody is told to name it"
    );
    let expiring = Finding::ExpiringKey(key_id(2), days(5));
    assert!(!managed.contains(&expiring), "the key's own finding has the cure, which is another");
    let unmanaged = inspect(&keys, &[], &expected(Vec::new()), now());
    assert!(unmanaged.contains(&expiring));
    assert!(!unmanaged.iter().any(|finding| matches!(finding, Finding::ForeignKey(_))));
}

proptest! {
    /// Whatever the report says, a key that was signed in with after its overlap and lately does not go.
    #[test]
    fn a_key_used_lately_is_in_use(
        overlap in 1..200_i64,
        over in 0..400_i64,
        used in 0..400_i64,
        shown in any::<bool>(),
    ) {
        let mut policy = terms().policy;
        policy.retire = RetireWhen::WhenUnused;
        policy.overlap = TimeDelta::hours(overlap);
        let ago = |hours: i64| now() - TimeDelta::hours(hours);
        let mut uses = LastUses::from([(key_id(1), ago(used))]);
        if shown {
            uses.insert(key_id(2), ago(1));
        }
        let watched = Watched { key: key_id(1), current: key_id(2), over: ago(over) };
        let verdict = judge(&uses, watched, &policy, now());
        prop_assert_eq!(verdict == last_use::Verdict::Unknown, !shown);
        if verdict == last_use::Verdict::Unused {
            let idle = now() - ago(over).max(ago(used));
            prop_assert!(idle >= TimeDelta::hours(overlap.max(24)) + REPORT_LAG);
            prop_assert!(idle >= watch(&policy));
        }
    }

    /// Only what our own identity did to keys of our scopes, or to keys that are named for removal, is ours.
    #[test]
    fn only_what_can_be_proved_is_ours(
        by in 0..4_u8,
        added in proptest::collection::vec((1..9_u128, any::<bool>()), 0..3),
        removed in proptest::collection::vec((11..19_u128, any::<bool>()), 0..3),
        named in proptest::collection::vec(11..19_u128, 0..3),
    ) {
        let (us, own) = (AppId(Uuid::from_u128(7)), ObjectId(Uuid::from_u128(8)));
        let ourselves = Ourselves { app: Some(us), service_principal: Some(own) };
        let app = |app, service_principal| Actor::App { app, service_principal, display_name: None };
        let actor = match by {
            0 => app(None, Some(own)),
            1 => app(Some(us), None),
            2 => app(Some(us), Some(ObjectId(Uuid::nil()))),
            _ => Actor::User { id: None, name: None },
        };
        let changed = |keys: &[(u128, bool)]| -> Vec<ChangedKey> {
            keys.iter().map(|(id, ours)| ChangedKey {
                id: key_id(*id),
                display_name: ours.then(|| display_name(&terms().scope, &rotation(*id))),
            }).collect()
        };
        let change = Change { object: ObjectId(Uuid::nil()), actor, added: changed(&added), removed: changed(&removed) };
        let named: Vec<KeyId> = named.iter().map(|id| key_id(*id)).collect();
        let left = foreign(&change, &ourselves, &[terms().scope], &named);
        let strange = added.iter().filter(|(_, ours)| !ours).count()
            + removed.iter().filter(|(id, ours)| !ours && !named.contains(&key_id(*id))).count();
        let expected = match by {
            0 | 1 => strange,
            _ => added.len() + removed.len(),
        };
        prop_assert_eq!(left.map_or(0, |left| left.added.len() + left.removed.len()), expected);
    }
}

/// By `signInAudience` two keys are the most: what is in their way is told before a rotation is due, and none that
/// could not mint is queued.
#[test]
fn an_application_that_holds_two_keys_only_is_told_of_beforehand() {
    let found = |end, foreign: Option<KeyId>, retired: &[KeyId]| {
        let mut terms = terms();
        terms.policy.retire_keys = retired.iter().copied().collect();
        let keys = [key(1, Some(1), days(-90), Some(end))].into_iter();
        let other = foreign.map(|id| Key { key_id: id, ..key(7, None, days(-9), Some(days(90))) });
        let principal = Principal { most_keys: Some(2), ..principal(keys.chain(other).collect()) };
        let state = SecretState::Present(settled());
        plan::plan(&terms, Trigger::Sweep, &state, Some(&principal), now())
    };
    let foreign = key_id(7);
    let stopped = Finding::Stopped(Stop::NoRoomForKey);
    let ahead = found(days(90), Some(foreign), &[]);
    assert_eq!((ahead.findings, ahead.work), (vec![Finding::TwoKeysOnly], vec![]));
    let due = found(days(1), Some(foreign), &[]);
    assert_eq!(
        (due.findings, due.work),
        (vec![Finding::TwoKeysOnly, stopped], vec![]),
        "no dead letter each hour"
    );
    assert!(found(days(90), None, &[]).findings.is_empty());
    let named = found(days(1), Some(foreign), &[foreign]);
    assert!(named.findings.is_empty(), "it goes, and makes room");
    assert_eq!(named.work.len(), 2);
    let expiring = found(days(1), None, &[]);
    assert!(matches!(expiring.work[..], [Work::Rotate { .. }]));
}

/// A first secret needs room as any other: without room Keywheel queues nothing, and does not promise that the next sweep
/// makes the secret.
#[test]
fn a_first_secret_waits_for_room_on_the_application() {
    let missing = |foreign: u128| {
        let keys = (7..7 + foreign).map(|id| key(id, None, days(-9), Some(days(90))));
        let principal = Principal { most_keys: Some(2), ..principal(keys.collect()) };
        plan::plan(&terms(), Trigger::Sweep, &SecretState::Missing, Some(&principal), now())
    };
    let room = missing(1);
    assert!(matches!(room.work[..], [Work::Rotate { reason: Reason::First, .. }]));
    assert_eq!(room.findings, [Finding::Stopped(Stop::SecretMissing)]);
    let full = missing(2);
    assert_eq!(full.work, []);
    assert_eq!(full.findings, [Finding::TwoKeysOnly, Finding::Stopped(Stop::NoRoomForKey)]);
}

#[test]
fn keys_that_are_named_for_removal_and_are_not_here_are_told_of() {
    let (here, there) = ([key(1, None, days(-9), None)], [key(2, None, days(-9), Some(days(9)))]);
    let named = [key_id(1), key_id(2), key_id(3)].into();
    let found = named_in_vain(&named, (KeyOn::Application, &here), &there);
    let elsewhere = Finding::NamedKeyElsewhere(key_id(2), KeyOn::ServicePrincipal);
    assert!(elsewhere.explanation().contains("which is on the service principal"));
    assert_eq!(found, [elsewhere, Finding::NamedKeyNowhere(key_id(3))]);
}

/// `RotateSecret` with a token in another spelling, cut off between `addPassword` and its put: no label says whose the
/// pending version is. The name of a key does.
#[test]
fn a_pending_version_that_a_key_of_ours_was_minted_for_is_resumed() {
    let token: Token = "ABCDEF01-0000-4000-8000-000000000002".parse().unwrap();
    let mut view = settled();
    view.versions.insert(token.clone().into(), [Label::Pending].into());
    let named = |scope: &Scope, token: &Token| Key {
        display_name: Some(display_name(scope, token)),
        ..key(2, None, days(0), Some(days(180)))
    };
    let found = |minted: Option<Key>| {
        let keys = [key(1, Some(1), days(-90), Some(days(90)))].into_iter().chain(minted);
        let state = SecretState::Present(view.clone());
        plan::plan(&terms(), Trigger::Native, &state, Some(&principal(keys.collect())), now())
    };
    let ours = found(Some(named(&terms().scope, &token)));
    let resume = Work::Rotate {
        rotation: Some(token.clone()),
        replaces: Some(rotation(1).into()),
        reason: Reason::Resume,
    };
    assert_eq!((ours.work, ours.findings), (vec![resume], vec![]));
    let foreign = vec![Finding::Stopped(Stop::ForeignPending)];
    let other_spelling: Token = token.to_string().to_lowercase().parse().unwrap();
    for minted in [
        None,
        Some(named(&Scope::of("0", "eu-central-1", "another"), &token)),
        Some(named(&terms().scope, &other_spelling)),
    ] {
        let left_alone = found(minted);
        assert_eq!(left_alone.findings, foreign);
        assert!(!left_alone.work.iter().any(|work| matches!(work, Work::Rotate { .. })));
    }
}

/// What Entra would refuse is not queued, and is queued once the lock is off. The lock is told of first: no other cure
/// helps before.
#[test]
fn a_locked_principal_is_told_of_and_only_a_rotation_that_has_its_key_goes_on() {
    let planned = |state: &SecretState, locked: bool| {
        let keys = [
            key(1, Some(1), days(-170), Some(days(5))),
            key(2, Some(2), days(-9), Some(days(170))),
        ];
        let principal = Principal { locked, ..principal(keys.into()) };
        plan::plan(&terms(), Trigger::Sweep, state, Some(&principal), now())
    };
    let lock = Finding::Stopped(Stop::ServicePrincipalLocked);
    let with = |labels: &[Label]| {
        let mut view = settled();
        view.versions.insert(rotation(2).into(), labels.iter().cloned().collect());
        SecretState::Present(view)
    };
    let key_label = Label::Key(key_id(2));
    // A first rotation; one that is due beside a lost key; an old key.
    let old = [key_label.clone(), Label::Since(days(-100)), Label::Previous];
    for state in [SecretState::Missing, SecretState::Present(settled()), with(&old)] {
        let (held, free) = (planned(&state, true), planned(&state, false));
        assert_eq!((held.work.as_slice(), held.findings.first()), ([].as_slice(), Some(&lock)));
        assert!(!free.work.is_empty() && !free.findings.contains(&lock), "{state:?}");
    }
    let stored = planned(&with(&[key_label, Label::Pending]), true);
    let goes_on = Some(rotation(2));
    assert!(
        matches!(&stored.work[..], [Work::Rotate { rotation, .. }] if *rotation == goes_on),
        "{stored:?}"
    );
    assert_eq!(stored.findings, [lock]);
}
