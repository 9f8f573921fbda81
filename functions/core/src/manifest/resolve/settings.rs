//! The settings of one credential or rule: its own, else the defaults', else those built in.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use crate::ids::KeyId;
use crate::manifest::Settings;
use crate::manifest::decode::{At, Named};
use crate::manifest::format::Format;
use crate::manifest::names::{TAG_CURE, check_tag};
use crate::manifest::problem::{Place, Problems};
use crate::manifest::wire::{
    FormatName, WireCredential, WireDecisions, WireOptions, WireRule, words,
};
use crate::rotation::policy::Policy;

/// Fills in the defaults. `None` if something was wrong; it has been noted.
pub(super) fn resolve(
    wire: WireDecisions,
    defaults: Option<&WireOptions>,
    place: Place,
    problems: &mut Problems,
) -> Option<Settings> {
    let layers = Layers {
        own: &wire.options,
        defaults,
        place,
    };
    // Everything is looked at before anything gives up.
    let policy = policy(&wire, &layers, problems);
    let format = format(&layers, problems);
    let tags = tags(&layers, problems);
    Some(Settings {
        subscription: layers.pick(|options| &options.subscription).settle()?,
        key_on: layers
            .pick(|options| &options.key_on)
            .settle()?
            .unwrap_or_default(),
        trigger: layers
            .pick(|options| &options.trigger)
            .settle()?
            .unwrap_or_default(),
        kms_key: layers
            .pick(|options| &options.kms_key)
            .settle()?
            .map(|key| key.0),
        format: format?,
        policy: policy?,
        tags: tags?,
    })
}

/// Where a setting is looked for.
struct Layers<'a> {
    own: &'a WireOptions,
    defaults: Option<&'a WireOptions>,
    place: Place,
}

/// A setting as it was found.
struct Picked<T> {
    /// Where it stands, or where it could stand.
    place: Place,
    /// How far from the credential it was found: 0 its own, 1 the defaults', 2 nowhere.
    layer: u8,
    /// `Some(None)` if it is wrong, which has been noted.
    value: Option<Option<T>>,
}

impl<T> Picked<T> {
    /// The value if there is one; `None` if it was wrong.
    fn settle(self) -> Option<Option<T>> {
        match self.value {
            None => Some(None),
            Some(None) => None,
            Some(value) => Some(value),
        }
    }
}

impl Layers<'_> {
    fn pick<T: Clone>(&self, field: impl Fn(&WireOptions) -> &Option<At<T>>) -> Picked<T> {
        let own = field(self.own).as_ref().map(|at| (at, 0));
        let found = own.or_else(|| Some((field(self.defaults?).as_ref()?, 1)));
        match found {
            Some((at, layer)) => Picked {
                place: at.place,
                layer,
                value: Some(at.value.clone()),
            },
            None => Picked {
                place: self.place,
                layer: 2,
                value: None,
            },
        }
    }

    fn duration<T: Copy + Into<TimeDelta>>(
        &self,
        built_in: TimeDelta,
        field: impl Fn(&WireOptions) -> &Option<At<T>>,
    ) -> Timed {
        let Picked {
            place,
            layer,
            value,
        } = self.pick(field);
        Timed {
            place,
            layer,
            value: value.map_or(Some(built_in), |value| value.map(Into::into)),
        }
    }
}

/// A duration, and where it stands.
struct Timed {
    place: Place,
    layer: u8,
    value: Option<TimeDelta>,
}

fn policy(wire: &WireDecisions, layers: &Layers<'_>, problems: &mut Problems) -> Option<Policy> {
    let rotate_before = layers.duration(TimeDelta::days(30), |options| &options.rotate_before);
    let lifetime = layers.duration(TimeDelta::days(180), |options| &options.lifetime);
    let overlap = layers.duration(TimeDelta::hours(24), |options| &options.overlap);
    let settle = layers.duration(TimeDelta::seconds(60), |options| &options.settle);
    check_durations(&rotate_before, &lifetime, &overlap, problems);
    let blocked = layers.pick(|options| &options.promote_when_blocked);
    Some(Policy {
        rotate_before: rotate_before.value?,
        lifetime: lifetime.value?,
        overlap: overlap.value?,
        settle: settle.value?,
        adopt: own(wire.adopt.as_ref())?.unwrap_or_default(),
        promote_when_blocked: blocked.settle()?.unwrap_or_default(),
        retire_keys: keys(wire)?,
    })
}

/// A value that has no default: `None` if it is wrong.
fn own<T: Clone>(at: Option<&At<T>>) -> Option<Option<T>> {
    match at {
        None => Some(None),
        Some(at) => at.value.clone().map(Some),
    }
}

fn keys(wire: &WireDecisions) -> Option<BTreeSet<KeyId>> {
    let keys = own(wire.retire_keys.as_ref())?.unwrap_or_default();
    keys.into_iter().map(|key| key.value).collect()
}

/// What must hold between the durations, each pair once, at the one that is nearest to the credential.
fn check_durations(
    rotate_before: &Timed,
    lifetime: &Timed,
    overlap: &Timed,
    problems: &mut Problems,
) {
    let (Some(before), Some(life)) = (rotate_before.value, lifetime.value) else {
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
    let Some(over) = overlap.value else { return };
    if over > before {
        let what = format!(
            "overlap ({}) is longer than rotate_before ({}): the old key would expire before its overlap is over",
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

fn nearest(of: &[&Timed]) -> Place {
    of.iter()
        .min_by_key(|timed| timed.layer)
        .map_or(Place::START, |timed| timed.place)
}

fn format(layers: &Layers<'_>, problems: &mut Problems) -> Option<Format> {
    let name = layers.pick(|options| &options.format);
    let template = layers.pick(|options| &options.template);
    let chosen = match name.value {
        None => FormatName::Json,
        Some(value) => value?,
    };
    if chosen != FormatName::Template && template.layer == 0 {
        let what = "`template` is given, but the format is not `template`";
        problems.add(
            template.place,
            what,
            "write `format: template`, or remove the template",
        );
    }
    let format = match chosen {
        FormatName::Json => Format::Json,
        FormatName::SdkAuth => Format::SdkAuth,
        FormatName::Env => Format::Env,
        FormatName::Dstack => Format::Dstack,
        FormatName::Raw => Format::Raw,
        FormatName::Template => match template.value {
            Some(value) => Format::Template(value?),
            None => {
                let what = "`format: template` has no template";
                problems.add(
                    name.place,
                    what,
                    "add `template:` with a text that has {client_secret} in it",
                );
                return None;
            }
        },
    };
    let subscription = layers.pick(|options| &options.subscription);
    if format.needs_subscription() && subscription.value.is_none() {
        // Where the credential stands: the format may be the defaults', the cure is here.
        let place = if name.layer == 0 {
            name.place
        } else {
            layers.place
        };
        let what = format!("format `{format}` names a subscription, and there is none");
        problems.add(place, what, "add `subscription:`");
    }
    Some(format)
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
    let of_credentials = credentials
        .0
        .iter()
        .filter_map(|(_, at)| Some(&at.value.as_ref()?.only.options));
    let of_rules = rules
        .iter()
        .filter_map(|at| Some(&at.value.as_ref()?.only.options));
    if !of_credentials.chain(of_rules).any(uses) {
        let what = "no credential uses the template of the defaults";
        problems.add(
            template.place,
            what,
            "write `format: template` where it is wanted, or remove it",
        );
    }
}

/// Secrets Manager's limit.
const MOST_TAGS: usize = 50;

/// The defaults' tags and the credential's own, which win.
fn tags(layers: &Layers<'_>, problems: &mut Problems) -> Option<BTreeMap<String, String>> {
    let mut tags = BTreeMap::new();
    let mut valid = true;
    for options in layers.defaults.into_iter().chain([layers.own]) {
        let Some(at) = &options.tags else { continue };
        for (key, value) in &at.value.as_ref()?.0 {
            let (Some(key_text), Some(text)) = (&key.value, &value.value) else {
                valid = false;
                continue;
            };
            if let Err(error) = check_tag(key_text, text) {
                problems.add(
                    key.place,
                    format!("this tag is not possible: {error}"),
                    TAG_CURE,
                );
                valid = false;
            }
            tags.insert(key_text.clone(), text.clone());
        }
    }
    if tags.len() > MOST_TAGS {
        let place = layers.pick(|options| &options.tags).place;
        problems.add(
            place,
            format!("{} tags are more than {MOST_TAGS}", tags.len()),
            "remove some",
        );
        valid = false;
    }
    valid.then_some(tags)
}
