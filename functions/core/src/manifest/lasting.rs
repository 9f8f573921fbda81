//! Durations as they are written in a manifest.

use chrono::TimeDelta;

use super::decode::{Decode, parsed_like, text_schema};
use super::problem::Problems;
use super::tree::Node;

/// A duration above zero and of at most so many seconds, written like `30d`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lasting<const LIMIT: i64>(pub(super) TimeDelta);

impl<const LIMIT: i64> Decode for Lasting<LIMIT> {
    fn decode(node: Node, problems: &mut Problems) -> Option<Self> {
        let like = Some("give it a unit, like `180d`, `24h` or `60s`");
        parsed_like(node, problems, like, |text| duration(text, LIMIT).map(Self))
    }
}

fn duration(text: &str, limit: i64) -> Result<TimeDelta, (String, String)> {
    let cure = || "write it like `30d`, `24h` or `60s`".to_owned();
    if text.trim_start().starts_with('-') {
        return Err(("a duration cannot be negative".to_owned(), cure()));
    }
    let parsed = humantime::parse_duration(text.trim())
        .map_err(|_| ("this is not a duration".to_owned(), cure()))?;
    if parsed.is_zero() {
        return Err(("a duration of zero is not possible".to_owned(), cure()));
    }
    let longest = TimeDelta::seconds(limit);
    TimeDelta::from_std(parsed).ok().filter(|delta| *delta <= longest).ok_or_else(|| {
        let most = words(longest);
        ("the duration is too long".to_owned(), format!("at most {most} is possible here"))
    })
}

/// A duration as one would write it in a manifest.
pub(super) fn words(delta: TimeDelta) -> String {
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

text_schema!([const LIMIT: i64] Lasting<LIMIT>, "Duration", {
    "type": "string", "pattern": "^\\s*([0-9]+\\s*[a-zA-Zµ]+\\s*)+$", "examples": ["30d", "24h", "60s"]
});

impl<const LIMIT: i64> From<Lasting<LIMIT>> for TimeDelta {
    fn from(duration: Lasting<LIMIT>) -> Self {
        duration.0
    }
}
