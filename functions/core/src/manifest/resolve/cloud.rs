//! What a manifest asks for that one of Microsoft's clouds does not have.

use crate::identity::Cloud;
use crate::manifest::decode::NAMELESS;
use crate::manifest::problem::Problems;
use crate::manifest::wire::{Wire, WireOptions};
use crate::rotation::RetireWhen;

/// `retire: when-unused` rests on a report that only the global cloud has: elsewhere no old key would ever go.
pub(in crate::manifest) fn check_cloud(wire: &Wire, cloud: Cloud, problems: &mut Problems) {
    if cloud.has_sign_in_activities() {
        return;
    }
    if let Some(defaults) = wire.defaults.as_ref().and_then(|defaults| defaults.value.as_ref()) {
        problems.within("defaults", |problems| check(defaults, problems));
    }
    let listed = wire.credentials.iter().flat_map(|listed| &listed.value);
    for (name, credential) in listed.flat_map(|listed| &listed.0) {
        let step = name.value.as_deref().unwrap_or(NAMELESS);
        let Some(credential) = &credential.value else { continue };
        problems.within("credentials", |problems| {
            problems.within(step, |problems| check(&credential.only.options, problems));
        });
    }
    let rules = wire.rules.iter().flat_map(|rules| &rules.value).flatten();
    for (index, rule) in rules.enumerate() {
        let Some(rule) = &rule.value else { continue };
        problems.within("rules", |problems| {
            problems.within(&index.to_string(), |problems| check(&rule.only.options, problems));
        });
    }
}

fn check(options: &WireOptions, problems: &mut Problems) {
    let Some(retire) = &options.retire else { return };
    if retire.value == Some(RetireWhen::WhenUnused) {
        let what = "`when-unused` cannot work in this cloud (KEYWHEEL_CLOUD): only the global one has the report of \
                    sign-ins that it needs, so no old key would ever be removed";
        problems.add(retire.position, what, "write `retire: after-overlap`, or remove it");
    }
}
