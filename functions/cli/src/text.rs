//! Texts for people.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// A text from elsewhere, fit for a terminal: display names may hold control characters, and those may
/// hold anything.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// How long in the two largest units, such as `23d 4h`.
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

/// A time as seen from now: `in 23d 4h`, `3d 0h ago`.
pub(crate) fn relative(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let away = at - now;
    if away < TimeDelta::zero() {
        format!("{} ago", span(away))
    } else {
        format!("in {}", span(away))
    }
}

/// A time as JSON has it: RFC 3339, whole seconds, `Z`.
pub(crate) fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// `1 key`, `2 keys`.
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
    fn a_foreign_text_cannot_steer_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }
}
