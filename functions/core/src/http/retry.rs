//! When a request may be sent again, in the terms that all clients share.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

/// Whether, and when, the same request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Retry {
    /// Never: the request would fail again until somebody changes something.
    Never,
    /// Not before this time has passed. The service said so.
    After(Duration),
    /// After a pause that the caller chooses.
    Soon,
}

/// The pauses between the tries of one call. Each is twice the last, from half a second on, and none ends after the
/// deadline.
#[derive(Debug)]
pub struct Backoff {
    tries_left: u32,
    pause: Duration,
    deadline: Instant,
}

impl Backoff {
    /// Allows at most this many further tries, none of which begins after the deadline.
    pub fn new(retries: u32, deadline: Instant) -> Self {
        Self { tries_left: retries, pause: Duration::from_millis(500), deadline }
    }

    /// Waits before the next try. `false`, at once: there is no further try.
    pub async fn pause(&mut self, retry: Retry) -> bool {
        // The pause is up to a quarter longer, so that functions that were throttled together do not come back
        // together.
        let spread = uuid::Uuid::new_v4().as_bytes()[0];
        let Some(pause) = self.next(retry, spread, Instant::now()) else {
            return false;
        };
        tokio::time::sleep(pause).await;
        true
    }

    /// Gives the pause before the next try; `None`: there is no further try.
    fn next(&mut self, retry: Retry, spread: u8, now: Instant) -> Option<Duration> {
        let pause = match retry {
            Retry::Never => return None,
            Retry::After(wanted) => wanted.max(self.pause),
            Retry::Soon => self.pause,
        };
        let pause = pause + pause / 1024 * u32::from(spread);
        if self.tries_left == 0 || now + pause >= self.deadline {
            return None;
        }
        self.tries_left -= 1;
        self.pause *= 2;
        Some(pause)
    }
}

/// The longest pause that a service is granted. A caller can add to this pause without an overflow.
const LONGEST: Duration = Duration::from_hours(24);

/// Reads the pause that `Retry-After` asks for, in either form (RFC 9110, section 10.2.3), up to a day.
pub fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    let at = DateTime::parse_from_rfc2822(text).ok()?;
    Some((at.with_timezone(&Utc) - now).to_std().unwrap_or_default().min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_retry_after_are_read() {
        let now = "2026-11-21T09:00:00Z".parse().unwrap();
        for (text, seconds) in [
            ("7", Some(7)),
            ("Sat, 21 Nov 2026 09:00:30 GMT", Some(30)),
            ("Sat, 21 Nov 2026 08:00:30 GMT", Some(0)),
            ("18446744073709551615", Some(86_400)),
            ("Mon, 31 Dec 262142 09:00:00 GMT", Some(86_400)),
            ("soon", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn tries_are_bounded_in_number_and_by_the_deadline() {
        let now = Instant::now();
        let (half, ten) = (Duration::from_millis(500), Duration::from_secs(10));
        let mut few = Backoff::new(2, now + Duration::from_mins(1));
        assert_eq!(few.next(Retry::Soon, 0, now), Some(half));
        assert_eq!(few.next(Retry::After(ten), 0, now + half), Some(ten));
        assert_eq!(few.next(Retry::Soon, 0, now + half + ten), None);

        let five = Duration::from_secs(5);
        let mut late = Backoff::new(9, now + five);
        assert_eq!(late.next(Retry::After(five), 0, now), None, "there would be no time left");
        assert_eq!(late.next(Retry::Never, 0, now), None);
        let spread = late.next(Retry::Soon, u8::MAX, now);
        assert!(spread > Some(half) && spread <= Some(half * 5 / 4), "{spread:?}");
        assert_eq!(late.next(Retry::Soon, 0, now), Some(2 * half), "each is twice the last");
    }
}
