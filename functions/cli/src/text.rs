//! Texts for people, and times for people and JSON.

use std::fmt;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Serialize, Serializer};

/// A time that is shown as RFC 3339 in whole seconds with `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(pub(crate) DateTime<Utc>);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Replaces control characters. A display name, say, may hold some, and a terminal would obey them.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Formats a duration in its two largest units, such as `23d 4h`.
pub(crate) fn span(span: TimeDelta) -> String {
    let seconds = span.num_seconds().unsigned_abs();
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {seconds}s"),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// Formats a time as seen from now: `in 23d 4h`, `3d 0h ago`.
pub(crate) fn relative(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let away = at - now;
    if away < TimeDelta::zero() {
        format!("{} ago", span(away))
    } else {
        format!("in {}", span(away))
    }
}

/// Formats a number of things: `1 key`, `2 keys`.
pub(crate) fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_units() {
        for (seconds, text) in
            [(0, "0s"), (61, "1m 1s"), (3 * 3600 + 59, "3h 0m"), (-(86_400 * 2 + 3600), "2d 1h")]
        {
            assert_eq!(span(TimeDelta::seconds(seconds)), text);
        }
        let now = Utc::now();
        assert_eq!(relative(now - TimeDelta::hours(1), now), "1h 0m ago");
        assert_eq!(relative(now + TimeDelta::hours(1), now), "in 1h 0m");
    }

    #[test]
    fn a_text_from_elsewhere_cannot_steer_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }
}
