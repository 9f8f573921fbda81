//! Limits how often a caller may ask: a token bucket for each caller.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

use crate::answer::Refused;

/// How many callers are remembered. A forgotten caller begins anew; the function's reserved concurrency bounds what all
/// callers together can do.
const CALLERS: usize = 4096;

/// The buckets of this process.
#[derive(Debug)]
pub(crate) struct RateLimit {
    per_minute: u32,
    buckets: Mutex<HashMap<String, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// The milliseconds of waiting that are used up. A request costs its share of a minute.
    debt: i64,
    at: DateTime<Utc>,
}

impl RateLimit {
    pub(crate) fn new(per_minute: u32) -> Self {
        Self { per_minute: per_minute.max(1), buckets: Mutex::default() }
    }

    /// Counts a request, or refuses a request that is one too many.
    pub(crate) fn count(&self, caller: &str, now: DateTime<Utc>) -> Result<(), Refused> {
        let cost = (60_000 / i64::from(self.per_minute)).max(1);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let before = buckets.get(caller).copied().unwrap_or(Bucket { debt: 0, at: now });
        let debt = left(before, now) + cost;
        if debt > 60_000 {
            let wait = u64::try_from(debt - 60_000).unwrap_or_default();
            return Err(Refused::TooOften(wait.div_ceil(1000)));
        }
        if buckets.len() >= CALLERS && !buckets.contains_key(caller) {
            forget(&mut buckets, now);
        }
        buckets.insert(caller.to_owned(), Bucket { debt, at: now });
        Ok(())
    }
}

fn left(bucket: Bucket, now: DateTime<Utc>) -> i64 {
    let passed = (now - bucket.at).num_milliseconds().max(0);
    (bucket.debt - passed).max(0)
}

/// Forgets the callers that owe nothing or, if all owe something, the caller that asked least recently.
fn forget(buckets: &mut HashMap<String, Bucket>, now: DateTime<Utc>) {
    buckets.retain(|_, bucket| left(*bucket, now) > 0);
    if buckets.len() >= CALLERS {
        let oldest = buckets.iter().min_by_key(|(_, bucket)| bucket.at);
        if let Some(oldest) = oldest.map(|(caller, _)| caller.clone()) {
            buckets.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    #[test]
    fn a_minute_holds_so_many_and_no_more() {
        let limiter = RateLimit::new(3);
        for _ in 0..3 {
            assert_eq!(limiter.count("a", now()), Ok(()));
        }
        assert_eq!(limiter.count("a", now()), Err(Refused::TooOften(20)));
        assert_eq!(limiter.count("b", now()), Ok(()), "another caller");
        let later = now() + TimeDelta::seconds(20);
        assert_eq!(limiter.count("a", later), Ok(()));
        assert_eq!(limiter.count("a", later), Err(Refused::TooOften(20)));
        // A clock set back gives nothing away.
        assert!(limiter.count("a", now()).is_err());
    }

    #[test]
    fn memory_is_bounded() {
        let limiter = RateLimit::new(2);
        let known = || limiter.buckets.lock().unwrap().len();
        for caller in 0..2 * CALLERS + 5 {
            assert_eq!(limiter.count(&caller.to_string(), now()), Ok(()));
        }
        assert_eq!(known(), CALLERS);
        let last = (2 * CALLERS + 4).to_string();
        assert_eq!(limiter.count(&last, now()), Ok(()));
        assert_eq!(known(), CALLERS, "nobody is forgotten for a caller who is known");
        let a_minute_later = now() + TimeDelta::minutes(1);
        assert_eq!(limiter.count("new", a_minute_later), Ok(()));
        assert_eq!(known(), 1, "whoever owes nothing need not be known");
    }
}
