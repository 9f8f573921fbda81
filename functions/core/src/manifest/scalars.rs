//! Ids, durations and plain texts of a manifest.

use chrono::TimeDelta;

use super::declare::{text_schema, words};
use super::decode::Text;
use super::names::{NameError, SecretName, SecretPattern};
use crate::ids::{AppId, KeyId, KeyOn, SubscriptionId, TenantId};
use crate::rotation::RetireWhen;
use crate::rotation::plan::Trigger;

words!(KeyOn, "place for a key", "application" => Self::Application, "servicePrincipal" => Self::ServicePrincipal);
words!(Trigger, "trigger", "sweep" => Self::Sweep, "native" => Self::Native);
words!(RetireWhen, "time to retire a key", "after-overlap" => Self::AfterOverlap, "when-unused" => Self::WhenUnused);

const UUID: &str = "write it like `408bf248-dd4e-4be5-919a-7f6207a307ab`";

macro_rules! uuids {
    ($($type:ty),*) => {$(
        impl Text for $type {
            fn like() -> Option<String> {
                Some(UUID.to_owned())
            }

            fn read(text: &str) -> Result<Self, (String, String)> {
                // Only the form with hyphens is taken, because Azure shows that form and users can search for it.
                let id = (text.len() == 36).then(|| text.parse().ok()).flatten();
                id.ok_or_else(|| ("this is not a UUID".to_owned(), UUID.to_owned()))
            }
        }
    )*};
}

uuids!(TenantId, AppId, KeyId, SubscriptionId);

impl Text for String {
    fn read(text: &str) -> Result<Self, (String, String)> {
        Ok(text.to_owned())
    }
}

impl Text for SecretName {
    fn read(text: &str) -> Result<Self, (String, String)> {
        text.parse().map_err(NameError::of_secret)
    }
}

impl Text for SecretPattern {
    fn read(text: &str) -> Result<Self, (String, String)> {
        text.parse().map_err(NameError::of_secret)
    }
}

text_schema!(SecretName, {
    "type": "string", "minLength": 1, "maxLength": 512, "pattern": "^[A-Za-z0-9/_+=.@-]+$"
});
text_schema!(SecretPattern, {
    "type": "string", "maxLength": 512, "pattern": "^[A-Za-z0-9/_+=.@-]*\\{appId\\}([A-Za-z0-9/_+=.@-]|\\{appId\\})*$"
});

/// A duration above zero and of at most so many seconds, written like `30d`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lasting<const LIMIT: i64>(pub(super) TimeDelta);

impl<const LIMIT: i64> Text for Lasting<LIMIT> {
    fn like() -> Option<String> {
        Some("give it a unit, like `180d`, `24h` or `60s`".to_owned())
    }

    fn read(text: &str) -> Result<Self, (String, String)> {
        let wrong =
            |what: &str| (what.to_owned(), "write it like `30d`, `24h` or `60s`".to_owned());
        if text.trim_start().starts_with('-') {
            return Err(wrong("a duration cannot be negative"));
        }
        let parsed = humantime::parse_duration(text.trim());
        let parsed = parsed.map_err(|_| wrong("this is not a duration"))?;
        if parsed.is_zero() {
            return Err(wrong("a duration of zero is not possible"));
        }
        let longest = TimeDelta::seconds(LIMIT);
        let fits = TimeDelta::from_std(parsed).ok().filter(|delta| *delta <= longest);
        fits.map(Self).ok_or_else(|| {
            let cure = format!("at most {} is possible here", written(longest));
            ("the duration is too long".to_owned(), cure)
        })
    }
}

text_schema!([const LIMIT: i64] Lasting<LIMIT>, {
    "type": "string", "pattern": "^\\s*([0-9]+\\s*[a-zA-Zµ]+\\s*)+$", "examples": ["30d", "24h", "60s"]
});

/// Writes a duration as in a manifest.
pub(super) fn written(delta: TimeDelta) -> String {
    let seconds = delta.num_seconds();
    for (unit, name) in [(86_400, 'd'), (3_600, 'h'), (60, 'm')] {
        if seconds > unit && seconds % unit == 0 {
            return format!("{}{name}", seconds / unit);
        }
    }
    delta.to_std().map_or_else(
        |_| format!("{seconds}s"),
        |delta| humantime::format_duration(delta).to_string(),
    )
}
