//! The settings of a credential or a rule: its own, else the defaults', else those built in.
//!
//! A new setting is a line of `WireOptions`, a field of [`Settings`] and a line of `resolve`.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::declare::{text, wire};
use super::decode::{At, Group, Named};
use super::format::{self, FormatName, WireFields};
use super::names::{TAG_CURE, check, check_tag};
use super::permission::{self, Allow, Approval, WireAllow};
use super::problem::{Position, Problems};
use super::scalars::{Lasting, written};
use crate::identity::Cloud;
use crate::ids::{KeyId, KeyOn, SubscriptionId};
use crate::rotation::plan::Trigger;
use crate::rotation::policy::Policy;
use crate::rotation::{LEEWAY, RetireWhen};
use crate::value::{Format, Template};

wire! {
    /// Settings of one credential or rule, which have no default for all.
    WireDecisions {
        /// Whether a current version whose key is unknown may be replaced (default: false).
        optional adopt: bool,
        /// Keys that Keywheel did not mint and is to remove, by their `keyId`.
        optional retire_keys: Vec<At<KeyId>>,
        ..options: WireOptions,
    }
}

wire! {
    /// Settings that have a default.
    WireOptions {
        /// The Azure subscription (a UUID) that is written into the secret, where its format has one.
        optional subscription: SubscriptionId,
        /// The object that holds the key: the application, or its service principal (default: application).
        optional key_on: KeyOn,
        /// The format of the secret's value (default: json).
        optional format: FormatName,
        /// Other names for Keywheel's own fields of `format: json` (default: their own). All other fields of the value stay as they are.
        optional fields: WireFields,
        /// The value's text for `format: template`, with `{client_secret}` once, and `{tenant_id}`, `{client_id}`, `{key_id}`, `{expires_on}` and `{subscription_id}` where wanted; `{{` and `}}` are braces.
        optional template: Template,
        /// The trigger of rotations: Keywheel's sweep, or Secrets Manager's own rotation (default: sweep).
        optional trigger: Trigger,
        /// Whether a second person must approve a requested rotation, in Slack (default: none).
        optional approval: Approval,
        /// The callers that may ask for a rotation, in Slack or by a signed webhook (default: nobody). The list replaces the defaults' list.
        optional allow: WireAllow,
        /// A key with less than this left is replaced (default: 30d).
        optional rotate_before: Lasting<TWO_YEARS>,
        /// The life of a new key (default: 180d; at most two years).
        optional lifetime: Lasting<TWO_YEARS>,
        /// The shortest life to accept where the tenant's policy refuses `lifetime` (default: lifetime itself).
        optional shortest_lifetime: Lasting<TWO_YEARS>,
        /// The time for which the old key works on after the new key is current (default: 24h).
        optional overlap: Lasting<TWO_YEARS>,
        /// The time at which the old key is removed: after the overlap, or once the key is also seen unused (default: after-overlap).
        optional retire: RetireWhen,
        /// The time for which sign-ins with a new secret must succeed before the secret counts as proved (default: 60s; at most 4m).
        optional settle: Lasting<FOUR_MINUTES>,
        /// Whether a sign-in that only Conditional Access blocked counts as a success (default: false).
        optional promote_when_blocked: bool,
        /// The KMS key (id, alias or ARN) of a secret that the first rotation creates.
        optional kms_key: KmsKey,
        /// Tags of a secret that the first rotation creates; a credential's own are added to the defaults'.
        optional tags: Named<String>,
    }
}

/// Entra's limit for a client secret, with a leap day.
const TWO_YEARS: i64 = 731 * 24 * 3600;
/// The longest proof. A function runs five minutes, and has other work too.
const FOUR_MINUTES: i64 = 4 * 60;
/// Secrets Manager's limit.
const MOST_TAGS: usize = 50;

text! {
    /// A KMS key's id, alias or ARN.
    KmsKey: |text| check(text, 2048, |c| c.is_ascii_alphanumeric() || ":/_-".contains(c)),
    cure "give the id, the alias (`alias/…`) or the ARN of a KMS key",
    { "type": "string", "minLength": 1, "maxLength": 2048, "pattern": "^[A-Za-z0-9:/_-]+$" }
}

/// The settings of a credential, or of all credentials of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The subscription that is written into the secret. A format that needs a subscription always has one.
    pub subscription: Option<SubscriptionId>,
    /// The object that holds the keys.
    pub key_on: KeyOn,
    /// The format of the secret's value.
    pub format: Format,
    /// The part that starts rotations.
    pub trigger: Trigger,
    /// Whether a second person must agree to a requested rotation.
    pub approval: Approval,
    /// The callers that may ask for a rotation.
    pub allow: Allow,
    /// The policy of rotations.
    pub policy: Policy,
    /// The shortest life of a key to accept where the tenant's policy refuses the policy's `lifetime`.
    pub shortest_lifetime: TimeDelta,
    /// The KMS key of a secret that the first rotation creates.
    pub kms_key: Option<String>,
    /// The tags of a secret that the first rotation creates.
    pub tags: BTreeMap<String, String>,
}

/// Fills in the defaults of an entry at this position. `None`: a value was wrong, and the problem was noted.
pub(super) fn resolve(
    wire: WireDecisions,
    defaults: Option<&WireOptions>,
    position: Position,
    problems: &mut Problems,
) -> Option<Settings> {
    let options = wire.options.or(defaults);
    // All parts are checked before a wrong part ends the reading.
    let durations = durations(&options, position, problems);
    let format = format::resolve(&options, position, problems);
    let inherited = defaults.and_then(|defaults| defaults.tags.as_ref());
    let tags = tags(inherited, wire.options.tags.as_ref(), problems);
    let allow = permission::resolve(options.allow, problems);
    let Durations { rotate_before, lifetime, overlap, shortest } = durations?;
    let keys = At::given(wire.retire_keys, Vec::new())?;
    Some(Settings {
        subscription: At::given(options.subscription.map(At::some), None)?,
        key_on: At::given(options.key_on, KeyOn::Application)?,
        format: format?,
        trigger: At::given(options.trigger, Trigger::Sweep)?,
        approval: At::given(options.approval, Approval::None)?,
        allow: allow?,
        policy: Policy {
            rotate_before,
            lifetime,
            overlap,
            retire: At::given(options.retire, RetireWhen::AfterOverlap)?,
            settle: At::given(options.settle, Lasting(TimeDelta::seconds(60)))?.0,
            adopt: At::given(wire.adopt, false)?,
            promote_when_blocked: At::given(options.promote_when_blocked, false)?,
            retire_keys: keys.into_iter().map(|key| key.value).collect::<Option<_>>()?,
        },
        shortest_lifetime: shortest,
        kms_key: At::given(options.kms_key.map(At::some), None)?.map(|key| key.0),
        tags: tags?,
    })
}

struct Durations {
    rotate_before: TimeDelta,
    lifetime: TimeDelta,
    overlap: TimeDelta,
    shortest: TimeDelta,
}

/// Checks the conditions between the durations. Each problem is noted once, at the duration that is nearest to the
/// credential.
fn durations(
    options: &WireOptions,
    position: Position,
    problems: &mut Problems,
) -> Option<Durations> {
    let WireOptions { rotate_before, lifetime, overlap, shortest_lifetime, .. } = options;
    let of = |at: &Option<At<Lasting<TWO_YEARS>>>, built_in| {
        At::given(at.clone(), Lasting(built_in)).map(|duration| duration.0)
    };
    let mut wrong = |fields: &[&Option<At<Lasting<TWO_YEARS>>>], what: String, cure: &str| {
        let nearest = fields.iter().copied().flatten().min_by_key(|at| !at.own);
        problems.add(nearest.map_or(position, |at| at.position), what, cure);
    };
    let before = of(rotate_before, TimeDelta::days(30))?;
    let life = of(lifetime, TimeDelta::days(180))?;
    let [before_text, life_text] = [before, life].map(written);
    if before >= life {
        let what = format!(
            "rotate_before ({before_text}) is not shorter than lifetime ({life_text}): a new key would be due at once"
        );
        wrong(&[rotate_before, lifetime], what, "shorten rotate_before, or lengthen lifetime");
    }
    let over = of(overlap, TimeDelta::hours(24))?;
    let over_text = written(over);
    if before < life && over + LEEWAY > before {
        let what = format!(
            "overlap ({over_text}) is not two hours shorter than rotate_before ({before_text}): sweeps are an hour apart, and the old key could expire before its overlap is over"
        );
        wrong(&[overlap, rotate_before], what, "shorten overlap, or lengthen rotate_before");
    }
    if before < life && before + over >= life {
        let what = format!(
            "rotate_before ({before_text}) and overlap ({over_text}) do not fit into lifetime ({life_text}): the next rotation would begin within the overlap of the last"
        );
        let cure = "shorten one of the two, or lengthen lifetime";
        wrong(&[overlap, rotate_before, lifetime], what, cure);
    }
    // A key must not be due at once, whatever life the tenant's policy allows.
    let shortest = of(shortest_lifetime, life)?;
    let shortest_text = written(shortest);
    if shortest > life {
        let what =
            format!("shortest_lifetime ({shortest_text}) is longer than lifetime ({life_text})");
        wrong(&[shortest_lifetime], what, "shorten it, or remove it");
    } else if shortest_lifetime.is_some() && shortest <= before + over {
        let what = format!(
            "rotate_before and overlap ({} together) do not fit into shortest_lifetime ({shortest_text})",
            written(before + over),
        );
        wrong(&[shortest_lifetime], what, "lengthen it, or shorten the others");
    }
    Some(Durations { rotate_before: before, lifetime: life, overlap: over, shortest })
}

/// Adds a credential's own tags to the defaults' tags. The own tags win.
fn tags(
    defaults: Option<&At<Named<String>>>,
    own: Option<&At<Named<String>>>,
    problems: &mut Problems,
) -> Option<BTreeMap<String, String>> {
    let mut tags = BTreeMap::new();
    for at in [defaults, own].into_iter().flatten() {
        for (key, value) in &at.value.as_ref()?.0 {
            let (Some(name), Some(text)) = (&key.value, &value.value) else { continue };
            if let Err(error) = check_tag(name, text) {
                problems.add(key.position, format!("this tag is not possible: {error}"), TAG_CURE);
            }
            tags.insert(name.clone(), text.clone());
        }
    }
    if let Some(at) = own.or(defaults).filter(|_| tags.len() > MOST_TAGS) {
        let what = format!("{} tags are more than {MOST_TAGS}", tags.len());
        problems.add(at.position, what, "remove some");
    }
    Some(tags)
}

/// Notes `retire: when-unused` in a cloud without the report of sign-ins, because no old key would ever be removed
/// there.
pub(super) fn check_cloud(options: &WireOptions, cloud: Cloud, problems: &mut Problems) {
    let Some(retire) = &options.retire else { return };
    if retire.value == Some(RetireWhen::WhenUnused) && !cloud.has_sign_in_activities() {
        let what = "`when-unused` cannot work in this cloud (KEYWHEEL_CLOUD): only the global one has the report of \
                    sign-ins that it needs, so no old key would ever be removed";
        problems.add(retire.position, what, "write `retire: after-overlap`, or remove it");
    }
}
