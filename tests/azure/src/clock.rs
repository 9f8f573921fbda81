//! The emulator's clock: real time plus an offset.
//!
//! Everything that depends on time reads it: key expiry, propagation, token lifetimes, throttling windows and the 30 days of soft
//! deletion. Tests step it instead of sleeping.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};

/// Milliseconds since the Unix epoch.
pub(crate) type Millis = i64;

/// One second in [`Millis`].
pub(crate) const SECOND: Millis = 1000;
/// One day in [`Millis`].
pub(crate) const DAY: Millis = 24 * 60 * 60 * SECOND;

#[derive(Debug, Default)]
pub(crate) struct Clock {
    stepped: AtomicI64,
    skew: AtomicI64,
}

impl Clock {
    /// What the services believe the time to be.
    pub(crate) fn now(&self) -> Millis {
        real() + self.offset()
    }

    pub(crate) fn offset(&self) -> Millis {
        self.stepped.load(Ordering::SeqCst) + self.skew.load(Ordering::SeqCst)
    }

    pub(crate) fn advance(&self, by: Millis) {
        self.stepped.fetch_add(by, Ordering::SeqCst);
    }

    /// How far the services' clock is off from everyone else's, apart from steps.
    pub(crate) fn set_skew(&self, skew: Millis) {
        self.skew.store(skew, Ordering::SeqCst);
    }
}

fn real() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// As Graph writes it: `2026-01-01T00:00:00Z`, with milliseconds where there are any.
pub(crate) fn rfc3339(at: Millis) -> String {
    moment(at).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// As the token endpoint writes it in `timestamp`.
pub(crate) fn entra(at: Millis) -> String {
    moment(at).format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// As the `Date` header wants it.
pub(crate) fn http_date(at: Millis) -> String {
    moment(at).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// As Graph writes it in `innerError.date`.
pub(crate) fn graph_error_date(at: Millis) -> String {
    moment(at).format("%Y-%m-%dT%H:%M:%S").to_string()
}

pub(crate) fn parse_rfc3339(text: &str) -> Option<Millis> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp_millis())
}

pub(crate) fn moment(at: Millis) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(at).unwrap_or_default()
}
