//! The settings of one credential or rule: its own, else the defaults', else those built in.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use crate::ids::KeyId;
use crate::manifest::Settings;
use crate::manifest::decode::{At, Named};
use crate::manifest::lasting::words;
use crate::manifest::names::{TAG_CURE, check_tag};
use crate::manifest::problem::{Position, Problems};
use crate::manifest::wire::{
    FormatName, WireAllow, WireCredential, WireDecisions, WireFields, WireOptions, WireRule,
};
use crate::request::permission::Allow;
use crate::rotation::LEEWAY;
use crate::rotation::policy::Policy;
use crate::value::{FieldNames, Format, OWN};

/// Something was wrong, and has been noted already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noted;

/// Fills in the defaults.
pub(super) fn resolve(
    wire: &WireDecisions,
    defaults: Option<&WireOptions>,
    position: Position,
    problems: &mut Problems,
) -> Result<Settings, Noted> {
    let layers = Layers { own: &wire.options, defaults, position };
    // Everything is looked at before anything gives up.
    let policy = policy(wire, &layers, problems);
    let shortest_lifetime = shortest_lifetime(&layers, problems);
    let format = format(&layers, problems);
    let tags = tags(&layers, problems);
    let allow = allow(&layers, problems);
    Ok(Settings {
        subscription: layers.pick(|options| &options.subscription).value?,
        key_on: layers.pick(|options| &options.key_on).value?.unwrap_or_default(),
        trigger: layers.pick(|options| &options.trigger).value?.unwrap_or_default(),
        approval: layers.pick(|options| &options.approval).value?.unwrap_or_default(),
        allow: allow?,
        kms_key: layers.pick(|options| &options.kms_key).value?.map(|key| key.0),
        format: format?,
        policy: policy?,
        shortest_lifetime: shortest_lifetime?,
        tags: tags?,
    })
}

/// Where a setting is looked for.
struct Layers<'a> {
    own: &'a WireOptions,
    defaults: Option<&'a WireOptions>,
    position: Position,
}

/// A setting as it was found.
struct Picked<T> {
    /// Where it stands, or where it could stand.
    position: Position,
    /// How far from the credential it was found: 0 its own, 1 the defaults', 2 nowhere.
    layer: u8,
    /// The value, if there is one.
    value: Result<Option<T>, Noted>,
}

impl Layers<'_> {
    fn pick<T: Clone>(&self, field: impl Fn(&WireOptions) -> &Option<At<T>>) -> Picked<T> {
        let own = field(self.own).as_ref().map(|at| (at, 0));
        let found = own.or_else(|| Some((field(self.defaults?).as_ref()?, 1)));
        let (position, layer) =
            found.map_or((self.position, 2), |(at, layer)| (at.position, layer));
        Picked { position, layer, value: value_of(found.map(|(at, _)| at)) }
    }

    fn duration<T: Copy + Into<TimeDelta>>(
        &self,
        built_in: TimeDelta,
        field: impl Fn(&WireOptions) -> &Option<At<T>>,
    ) -> Timed {
        let Picked { position, layer, value } = self.pick(field);
        Timed { position, layer, value: value.map(|value| value.map_or(built_in, Into::into)) }
    }
}

fn value_of<T: Clone>(at: Option<&At<T>>) -> Result<Option<T>, Noted> {
    at.map(|at| at.value.clone().ok_or(Noted)).transpose()
}

/// A duration, and where it stands.
struct Timed {
    position: Position,
    layer: u8,
    value: Result<TimeDelta, Noted>,
}

fn policy(
    wire: &WireDecisions,
    layers: &Layers<'_>,
    problems: &mut Problems,
) -> Result<Policy, Noted> {
    let rotate_before = layers.duration(TimeDelta::days(30), |options| &options.rotate_before);
    let lifetime = layers.duration(TimeDelta::days(180), |options| &options.lifetime);
    let overlap = layers.duration(TimeDelta::hours(24), |options| &options.overlap);
    let settle = layers.duration(TimeDelta::seconds(60), |options| &options.settle);
    check_durations(&rotate_before, &lifetime, &overlap, problems);
    let retire = layers.pick(|options| &options.retire);
    let blocked = layers.pick(|options| &options.promote_when_blocked);
    Ok(Policy {
        rotate_before: rotate_before.value?,
        lifetime: lifetime.value?,
        overlap: overlap.value?,
        retire: retire.value?.unwrap_or_default(),
        settle: settle.value?,
        adopt: value_of(wire.adopt.as_ref())?.unwrap_or_default(),
        promote_when_blocked: blocked.value?.unwrap_or_default(),
        retire_keys: keys(wire)?,
    })
}

/// Whatever life the tenant's policy leaves a key, it must not be due at once.
fn shortest_lifetime(layers: &Layers<'_>, problems: &mut Problems) -> Result<TimeDelta, Noted> {
    let before = layers.duration(TimeDelta::days(30), |options| &options.rotate_before);
    let lifetime = layers.duration(TimeDelta::days(180), |options| &options.lifetime);
    let overlap = layers.duration(TimeDelta::hours(24), |options| &options.overlap);
    let (longest, needed) = (lifetime.value?, before.value? + overlap.value?);
    let shortest = layers.duration(longest, |options| &options.shortest_lifetime);
    let value = shortest.value?;
    if shortest.layer == 2 {
        return Ok(value);
    }
    if value > longest {
        let what = format!(
            "shortest_lifetime ({}) is longer than lifetime ({})",
            words(value),
            words(longest)
        );
        problems.add(shortest.position, what, "shorten it, or remove it");
    } else if value <= needed {
        let what = format!(
            "rotate_before and overlap ({} together) do not fit into shortest_lifetime ({})",
            words(needed),
            words(value)
        );
        problems.add(shortest.position, what, "lengthen it, or shorten the others");
    }
    Ok(value)
}

fn keys(wire: &WireDecisions) -> Result<BTreeSet<KeyId>, Noted> {
    let keys = value_of(wire.retire_keys.as_ref())?.unwrap_or_default();
    keys.into_iter().map(|key| key.value.ok_or(Noted)).collect()
}

/// What must hold between the durations, each pair once, at the one that is nearest to the credential.
fn check_durations(
    rotate_before: &Timed,
    lifetime: &Timed,
    overlap: &Timed,
    problems: &mut Problems,
) {
    let (Ok(before), Ok(life)) = (rotate_before.value, lifetime.value) else {
        return;
    };
    if before >= life {
        let what = format!(
            "rotate_before ({}) is not shorter than lifetime ({}): a new key would be due at once",
            words(before),
            words(life)
        );
        problems.add(
            nearest(&[rotate_before, lifetime]),
            what,
            "shorten rotate_before, or lengthen lifetime",
        );
        return;
    }
    let Ok(over) = overlap.value else { return };
    if over + LEEWAY > before {
        let what = format!(
            "overlap ({}) is not two hours shorter than rotate_before ({}): sweeps are an hour apart, and the old key could expire before its overlap is over",
            words(over),
            words(before)
        );
        problems.add(
            nearest(&[overlap, rotate_before]),
            what,
            "shorten overlap, or lengthen rotate_before",
        );
    }
    if before + over >= life {
        let what = format!(
            "rotate_before ({}) and overlap ({}) do not fit into lifetime ({}): the next rotation would begin within the overlap of the last",
            words(before),
            words(over),
            words(life),
        );
        problems.add(
            nearest(&[overlap, rotate_before, lifetime]),
            what,
            "shorten one of the two, or lengthen lifetime",
        );
    }
}

fn nearest(of: &[&Timed]) -> Position {
    of.iter().min_by_key(|timed| timed.layer).map_or(Position::START, |timed| timed.position)
}

fn format(layers: &Layers<'_>, problems: &mut Problems) -> Result<Format, Noted> {
    let name = layers.pick(|options| &options.format);
    let template = layers.pick(|options| &options.template);
    let chosen = name.value?.unwrap_or(FormatName::Json);
    if chosen != FormatName::Template && template.layer == 0 {
        let what = "`template` is given, but the format is not `template`";
        problems.add(template.position, what, "write `format: template`, or remove the template");
    }
    let fields = layers.pick(|options| &options.fields);
    if chosen != FormatName::Json && fields.layer == 0 {
        let what = "`fields` is given, but the format is not `json`";
        problems.add(fields.position, what, "write `format: json`, or remove `fields`");
    }
    let format = match (chosen, template.value) {
        (FormatName::Json, _) => json(fields, problems)?,
        (FormatName::SdkAuth, _) => Format::SdkAuth,
        (FormatName::Env, _) => Format::Env,
        (FormatName::Dstack, _) => Format::Dstack,
        (FormatName::Raw, _) => Format::Raw,
        (FormatName::Template, Ok(Some(template))) => Format::Template(template),
        (FormatName::Template, Err(noted)) => return Err(noted),
        (FormatName::Template, Ok(None)) => {
            let what = "`format: template` has no template";
            problems.add(
                name.position,
                what,
                "add `template:` with a text that has {client_secret} in it",
            );
            return Err(Noted);
        }
    };
    let subscription = layers.pick(|options| &options.subscription);
    if format.needs_subscription() && matches!(subscription.value, Ok(None)) {
        // Where the credential stands: the format may be the defaults', the cure is here.
        let position = if name.layer == 0 { name.position } else { layers.position };
        let what = format!("format `{format}` names a subscription, and there is none");
        problems.add(position, what, "add `subscription:`");
    }
    Ok(format)
}

/// `format: json`, with the fields' names.
fn json(fields: Picked<WireFields>, problems: &mut Problems) -> Result<Format, Noted> {
    let Some(wire) = fields.value? else { return Ok(Format::Json) };
    let given = [wire.tenant_id, wire.client_id, wire.client_secret, wire.key_id, wire.expires_on];
    let mut names = [const { None }; 5];
    for (name, at) in names.iter_mut().zip(&given) {
        *name = value_of(at.as_ref())?.map(|name| name.0);
    }
    if names.iter().zip(OWN).all(|(name, own)| name.as_deref().is_none_or(|name| name == own)) {
        return Ok(Format::Json);
    }
    FieldNames::new(names).map(Format::JsonAs).ok_or_else(|| {
        let cure = "give each field a name of its own; one that is left out keeps its name";
        problems.add(fields.position, "two of the fields have the same name", cure);
        Noted
    })
}

/// Who may ask. A list that names nobody was hardly meant: nobody is named by leaving it out.
fn allow(layers: &Layers<'_>, problems: &mut Problems) -> Result<Allow, Noted> {
    let picked = layers.pick(|options| &options.allow);
    let Some(WireAllow { slack, webhook }) = picked.value? else {
        return Ok(Allow::default());
    };
    let mut allow = Allow::default();
    let mut verdict = Ok(());
    for people in value_of(slack.as_ref())?.unwrap_or_default() {
        let wire = people.value.ok_or(Noted)?;
        let (team, users) = (wire.team.value.ok_or(Noted)?, wire.users.value.ok_or(Noted)?);
        if users.is_empty() {
            problems.add(
                wire.users.position,
                "no user is named",
                "name users, or remove the entry",
            );
            verdict = Err(Noted);
        }
        for user in users {
            allow.slack.insert((team.0.clone(), user.value.ok_or(Noted)?.0));
        }
    }
    for key in value_of(webhook.as_ref())?.unwrap_or_default() {
        allow.webhook.insert(key.value.ok_or(Noted)?.0);
    }
    verdict.map(|()| allow)
}

/// A template in the defaults that nothing uses was probably meant to be used.
pub(super) fn check_default_template(
    defaults: Option<&WireOptions>,
    credentials: &Named<WireCredential>,
    rules: &[At<WireRule>],
    problems: &mut Problems,
) {
    let Some((defaults, template)) =
        defaults.and_then(|options| Some((options, options.template.as_ref()?)))
    else {
        return;
    };
    let uses = |options: &WireOptions| {
        let chosen = options.format.as_ref().or(defaults.format.as_ref());
        // A format that is wrong may have been meant to be this one.
        chosen.is_some_and(|at| at.value.is_none_or(|name| name == FormatName::Template))
            && options.template.is_none()
    };
    let of_credentials =
        credentials.0.iter().filter_map(|(_, at)| Some(&at.value.as_ref()?.only.options));
    let of_rules = rules.iter().filter_map(|at| Some(&at.value.as_ref()?.only.options));
    if !of_credentials.chain(of_rules).any(uses) {
        let what = "no credential uses the template of the defaults";
        problems.add(
            template.position,
            what,
            "write `format: template` where it is wanted, or remove it",
        );
    }
}

/// Secrets Manager's limit.
const MOST_TAGS: usize = 50;

/// The defaults' tags and the credential's own, which win.
fn tags(layers: &Layers<'_>, problems: &mut Problems) -> Result<BTreeMap<String, String>, Noted> {
    let mut tags = BTreeMap::new();
    let mut verdict = Ok(());
    for options in layers.defaults.into_iter().chain([layers.own]) {
        let Some(at) = &options.tags else { continue };
        for (key, value) in &at.value.as_ref().ok_or(Noted)?.0 {
            let (Some(key_text), Some(text)) = (&key.value, &value.value) else {
                verdict = Err(Noted);
                continue;
            };
            if let Err(error) = check_tag(key_text, text) {
                problems.add(key.position, format!("this tag is not possible: {error}"), TAG_CURE);
                verdict = Err(Noted);
            }
            tags.insert(key_text.clone(), text.clone());
        }
    }
    if tags.len() > MOST_TAGS {
        let position = layers.pick(|options| &options.tags).position;
        problems.add(
            position,
            format!("{} tags are more than {MOST_TAGS}", tags.len()),
            "remove some",
        );
        verdict = Err(Noted);
    }
    verdict.map(|()| tags)
}
