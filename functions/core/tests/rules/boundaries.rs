//! To the second: where a rule begins to hold, and where it does not hold yet.

use keywheel_core::ids::ObjectId as Object;
use keywheel_core::rotation::observed::most_keys;
use keywheel_core::rotation::retire::Target;

use super::*;

const HOUR: TimeDelta = TimeDelta::hours(1);

fn expected(scopes: Vec<Scope>) -> Expected {
    let (soon, lifetime) = (TimeDelta::days(30), TimeDelta::days(180));
    Expected { scopes, named: BTreeSet::new(), soon, lifetime }
}

#[test]
fn a_promotion_without_its_label_is_recorded_first() {
    let view = view(&[(1, &[Label::Current, Label::Key(key_id(1))])]);
    let keys = vec![key(1, Some(1), days(-90), Some(days(90)))];
    let (rotation, replaces) = (Some(rotation(1)), Some(rotation(1).into()));
    let record = Work::Rotate { rotation, replaces, reason: Reason::Record };
    assert_eq!(planned(view, keys), [record]);
}

#[test]
fn an_hour_between_two_labels_is_a_race_and_more_is_a_rollback() {
    let held = |again, other| {
        let view = view(&[
            (
                1,
                &[
                    Label::Current,
                    Label::Key(key_id(1)),
                    Label::Since(days(-150)),
                    Label::Since(again),
                ],
            ),
            (2, &[Label::Previous, Label::Since(other)]),
        ]);
        planned(view, vec![key(1, Some(1), days(-160), Some(days(20)))]).is_empty()
    };
    assert!(!held(days(-150) + HOUR, days(-150)), "both at once are no rollback");
    assert!(held(days(-150) + HOUR + TimeDelta::seconds(1), days(-150)));
    assert!(held(days(-150) + HOUR, days(-150) + TimeDelta::seconds(1)));
}

#[test]
fn an_unclaimed_key_that_expires_soon_is_not_taken_up() {
    let resumed = |left| {
        let mut view = settled();
        view.versions.insert(rotation(2).into(), [Label::Key(key_id(2))].into());
        let keys = vec![
            key(1, Some(1), days(-170), Some(days(3))),
            key(2, Some(2), days(-1), Some(days(left))),
        ];
        let work = planned(view, keys);
        let Some(Work::Rotate { rotation, .. }) = work.first() else { panic!("{work:?}") };
        rotation.clone()
    };
    assert_eq!(resumed(31), Some(rotation(2)));
    assert_eq!(resumed(30), None);
}

#[test]
fn a_key_that_is_gone_is_replaced_whoever_starts_the_rotations() {
    let state = SecretState::Present(settled());
    let plan = plan::plan(&terms(), Trigger::Native, &state, Some(&principal(Vec::new())), now());
    let [Work::Rotate { reason: Reason::KeyAbsent, rotation: None, .. }] = &plan.work[..] else {
        panic!("{plan:?}");
    };
    assert_eq!(plan.findings, [Finding::Stopped(Stop::CurrentKeyAbsent)]);
}

#[test]
fn what_stops_a_plan_is_told_and_nothing_is_queued() {
    let present = SecretState::Present(settled());
    let stops = |secret: &SecretState, principal: Option<&Principal>| {
        let plan = plan::plan(&terms(), Trigger::Sweep, secret, principal, now());
        assert!(plan.work.is_empty(), "{plan:?}");
        plan.findings
    };
    let whole = principal(Vec::new());
    let without = Principal { has_service_principal: false, ..whole.clone() };
    let deleted = SecretState::ScheduledForDeletion;
    for (secret, principal, stop) in [
        (&present, None, Stop::ApplicationGone),
        (&present, Some(&without), Stop::NoServicePrincipal),
        (&deleted, Some(&whole), Stop::SecretScheduledForDeletion),
    ] {
        assert_eq!(stops(secret, principal), [Finding::Stopped(stop)]);
    }
    let first = plan::plan(&terms(), Trigger::Sweep, &SecretState::Missing, Some(&whole), now());
    assert!(matches!(&first.work[..], [Work::Rotate { reason: Reason::First, .. }]));
    assert_eq!(first.findings, [Finding::Stopped(Stop::SecretMissing)]);
}

#[test]
fn a_days_grace_is_given_to_a_life() {
    let found = |more| {
        let end = days(180) + TimeDelta::days(1) + TimeDelta::seconds(more);
        let keys = [key(2, None, now(), Some(end))];
        inspect(&keys, &[], &expected(Vec::new()), now())
    };
    assert_eq!(found(0), []);
    assert_eq!(found(1), [Finding::LifetimeOverPolicy(key_id(2))]);
}

#[test]
fn only_a_name_as_keywheel_writes_it_is_a_keywheels() {
    let scope = terms().scope;
    let found = |name: &str| {
        let named =
            Key { display_name: Some(name.to_owned()), ..key(2, None, days(-1), Some(days(100))) };
        inspect(&[named], &[], &expected(vec![scope.clone()]), now())
    };
    let id = rotation(1);
    for foreign in ["terraform", "keywheel", "keywheel/", "keywheel/x", "keywheel/x/y", "other/x/y"]
    {
        assert_eq!(found(foreign), [Finding::ForeignKey(key_id(2))], "{foreign}");
    }
    assert_eq!(found(&format!("other/x/{id}")), [Finding::ForeignKey(key_id(2))]);
    assert_eq!(found(&format!("keywheel/0123456789ab/{id}")), [Finding::UnlistedKey(key_id(2))]);
}

#[test]
fn a_key_counts_as_unused_from_the_end_of_its_watch_on() {
    let policy = Policy { retire: RetireWhen::WhenUnused, ..terms().policy };
    let uses = LastUses::from([(key_id(1), days(-3)), (key_id(2), days(-1))]);
    let watched = Watched { key: key_id(1), current: key_id(2), over: days(-9) };
    let of = |now| judge(&uses, watched, &policy, now);
    let end = days(-3) + watch(&policy);
    assert_eq!(of(end - TimeDelta::seconds(1)), last_use::Verdict::InUse(days(-3)));
    assert_eq!(of(end), last_use::Verdict::Unused);
}

#[test]
fn an_audience_with_personal_accounts_holds_two_keys() {
    for two in ["AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount"] {
        assert_eq!(most_keys(Some(two)), Some(2), "{two}");
    }
    for many in [None, Some("AzureADMyOrg"), Some("AzureADMultipleOrgs")] {
        assert_eq!(most_keys(many), None, "{many:?}");
    }
}

#[test]
fn a_change_is_ours_where_everybody_named_in_it_is_us() {
    let (us, own) = (AppId(Uuid::from_u128(7)), Object(Uuid::from_u128(8)));
    let (other, object) = (AppId(Uuid::from_u128(9)), Object(Uuid::from_u128(10)));
    let is_ours = |known: Option<Object>, app, service_principal| {
        let added = ChangedKey {
            id: key_id(1),
            display_name: Some(display_name(&terms().scope, &rotation(1))),
        };
        let change = Change {
            object: Object(Uuid::nil()),
            actor: Actor::App { app, service_principal, display_name: None },
            added: vec![added],
            removed: Vec::new(),
        };
        let ourselves = Ourselves { app: Some(us), service_principal: known };
        foreign(&change, &ourselves, &[terms().scope], &[]).is_none()
    };
    for (known, app, principal, ours) in [
        (Some(own), Some(us), Some(own), true),
        (Some(own), Some(us), Some(object), false),
        (Some(own), Some(other), Some(own), false),
        (None, Some(us), Some(object), true),
        (None, Some(other), Some(object), false),
        (Some(own), Some(us), None, true),
        (Some(own), Some(other), None, false),
        (Some(own), None, Some(own), true),
        (Some(own), None, Some(object), false),
        (None, None, Some(object), false),
        (Some(own), None, None, false),
    ] {
        assert_eq!(is_ours(known, app, principal), ours, "{known:?} {app:?} {principal:?}");
    }
}

#[test]
fn what_people_read_of_work_and_of_actors_is_written_out() {
    let target = Target { version: None, key: key_id(1) };
    let (rotation, key) = (rotation(1), key_id(2));
    assert_eq!(Work::Retire(target).to_string(), format!("retire key {}", key_id(1)));
    assert_eq!(Work::Resolve { rotation, key }.to_string(), format!("resolve key {key}"));
    let reasons = [
        (Reason::First, "first"),
        (Reason::Expiring, "expiring"),
        (Reason::KeyAbsent, "key absent"),
        (Reason::Resume, "resume"),
        (Reason::Adopt, "adopt"),
        (Reason::Record, "record"),
        (Reason::Requested, "requested"),
    ];
    for (reason, text) in reasons {
        let work = Work::Rotate { rotation: None, replaces: None, reason };
        assert_eq!(work.to_string(), format!("rotate ({text})"));
    }
    let (app, object) = (AppId(Uuid::from_u128(1)), Object(Uuid::from_u128(2)));
    let by = |app, service_principal, name: Option<&str>| {
        let display_name = name.map(str::to_owned);
        Actor::App { app, service_principal, display_name }.to_string()
    };
    assert_eq!(by(Some(app), Some(object), Some("ci")), format!("app ci ({app})"));
    assert_eq!(by(None, Some(object), Some("ci")), format!("app ci (service principal {object})"));
    assert_eq!(by(None, None, None), "app without a name");
    let user = |id: Option<&str>, name: Option<&str>| {
        Actor::User { id: id.map(str::to_owned), name: name.map(str::to_owned) }.to_string()
    };
    assert_eq!(user(Some("1"), Some("ada@example.com")), "user ada@example.com");
    assert_eq!(user(Some("1"), None), "user 1");
    assert_eq!(user(None, None), "user without a name");
    assert_eq!(Actor::Unknown.to_string(), "unknown");
}

#[test]
fn a_log_tells_calls_and_answers_apart() {
    let (rotation, key) = (rotation(1), key_id(1));
    let calls = [
        Call::DescribeSecret,
        Call::CreateSecret,
        Call::ReadValue { version: rotation.clone().into(), key: None },
        Call::ReadPrincipal,
        Call::AddPassword { rotation: rotation.clone() },
        Call::RemovePassword { key },
        Call::PutValue { rotation, key, pending: false },
        Call::MoveLabel { label: Label::Current, to: None, from: None },
        Call::SignIn { key },
        Call::ReadLastUses,
        Call::Wait(HOUR),
    ];
    let names: BTreeSet<&str> = calls.iter().map(Call::name).collect();
    assert_eq!(names.len(), calls.len());
    let replies = [Reply::Created, Reply::Value, Reply::NoValue, Reply::Full, Reply::Removed];
    let names: BTreeSet<&str> = replies.iter().map(Reply::name).collect();
    assert_eq!(names.len(), replies.len());
}
