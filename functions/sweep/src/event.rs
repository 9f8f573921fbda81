//! The events that start a sweep: a schedule's, an earlier sweep's that ran out of time, or a person's invocation.

use keywheel_core::engine::sweep::{Cursor, Digested, Report};
use keywheel_core::events::{Digest, EventType};
use keywheel_lambda::Failure;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An event that starts a sweep.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SweepEvent {
    /// The place where the sweep begins.
    pub(crate) cursor: Cursor,
    pub(crate) dry_run: bool,
}

/// A schedule's input or a person's invocation, such as `{"dry_run": true}` or `{"digest": true}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invocation {
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    digest: bool,
}

impl SweepEvent {
    /// Reads an event. The failure repeats no word of the event: a strange event may hold anything.
    ///
    /// EventBridge's events have a `detail-type`. Of these, only Keywheel's own event says where to go on.
    pub(crate) fn parse(event: &Value) -> Result<Self, Failure> {
        match event.get("detail-type").and_then(Value::as_str).map(EventType::from) {
            Some(EventType::SweepContinued) => {
                let detail = event.get("detail").filter(|detail| detail.is_object());
                let cursor = detail.and_then(|detail| Cursor::deserialize(detail).ok());
                let cursor = cursor.ok_or_else(|| {
                    Failure::event(
                        "the detail of keywheel.sweep.continued is not as Keywheel writes it",
                    )
                })?;
                Ok(Self { cursor, dry_run: false })
            }
            Some(_) => Ok(Self::default()),
            None if event.is_null() => Ok(Self::default()),
            None => {
                // serde would read a list as an invocation too, by the order of the fields.
                let invocation = event.is_object().then(|| Invocation::deserialize(event).ok());
                let invocation = invocation.flatten().ok_or_else(|| {
                    Failure::event(
                        "the event is neither an EventBridge event nor {} nor {\"dry_run\": true} nor {\"digest\": true}",
                    )
                })?;
                let cursor = if invocation.digest { Cursor::digest() } else { Cursor::default() };
                Ok(Self { cursor, dry_run: invocation.dry_run })
            }
        }
    }
}

/// The answer to the caller.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Answer {
    Swept {
        credentials: usize,
        objects: usize,
        queued: Vec<Queued>,
        findings: usize,
        finished: bool,
    },
    Digested {
        digest: Digest,
        objects: usize,
        finished: bool,
    },
}

#[derive(Debug, Serialize)]
pub(crate) struct Queued {
    credential: String,
    work: String,
}

impl Answer {
    /// Answers with a sweep's report.
    pub(crate) fn swept(report: Report) -> Self {
        let queued = report.planned.into_iter().map(|planned| Queued {
            work: planned.work.to_string(),
            credential: planned.credential.0,
        });
        Self::Swept {
            credentials: report.credentials,
            objects: report.objects,
            queued: queued.collect(),
            findings: report.findings.len(),
            finished: report.rest.is_none(),
        }
    }

    /// Answers with a digest.
    pub(crate) fn digested(digested: Digested) -> Self {
        let Digested { digest, objects, rest } = digested;
        Self::Digested { digest, objects, finished: rest.is_none() }
    }
}

#[cfg(test)]
#[path = "../../core/tests/fuzz/material.rs"]
mod material;

#[cfg(test)]
mod tests {
    use keywheel_core::engine::sweep::Listing;
    use serde_json::json;

    use super::{material, *};

    fn sample(name: &str) -> Value {
        let path = format!("{}/../../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    #[test]
    fn a_schedule_and_an_empty_invocation_begin_at_the_beginning() {
        for event in [sample("sweep-schedule"), json!({}), Value::Null] {
            assert_eq!(SweepEvent::parse(&event).unwrap(), SweepEvent::default());
        }
    }

    #[test]
    fn a_sweep_that_ran_out_of_time_goes_on() {
        let event = sample("sweep-continued");
        let next = event["detail"]["next"].as_str().map(str::to_owned);
        let cursor = Cursor::at(Listing::Applications, next);
        assert_eq!(SweepEvent::parse(&event).unwrap(), SweepEvent { cursor, dry_run: false });
    }

    #[test]
    fn a_digest_is_asked_for_and_goes_on_as_one() {
        let asked = SweepEvent::parse(&sample("sweep-digest")).unwrap();
        assert_eq!(asked, SweepEvent { cursor: Cursor::digest(), dry_run: false });
        let event = json!({ "detail-type": EventType::SweepContinued, "detail": asked.cursor });
        assert_eq!(SweepEvent::parse(&event).unwrap(), asked);
        let dry = SweepEvent::parse(&json!({ "digest": true, "dry_run": true })).unwrap();
        assert!(dry.dry_run && dry.cursor.digest.is_some());
    }

    #[test]
    fn a_misspelt_invocation_is_refused_rather_than_swept() {
        for event in
            [json!({ "dryrun": true }), json!([]), json!([false]), json!("sweep"), json!(1)]
        {
            let failure = SweepEvent::parse(&event).unwrap_err();
            assert_eq!(failure.kind, "keywheel.event");
        }
        assert!(SweepEvent::parse(&sample("sweep-dry-run")).unwrap().dry_run);
    }

    proptest::proptest! {
        #![proptest_config(material::config())]

        #[test]
        fn fuzz_sweep_event(event in material::json(vec![
            material::event("sweep-schedule.json"),
            material::event("sweep-continued.json"),
            material::event("sweep-dry-run.json"),
            material::event("sweep-digest.json"),
            json!({ "dry_run": false, "client_secret": material::SECRET }).to_string(),
            json!({ "detail-type": EventType::SweepContinued, "detail": { "listing": material::SECRET, "next": 1 } }).to_string(),
        ])) {
            match material::in_time(|| SweepEvent::parse(&event)) {
                // Only who says so, and says it in full, sweeps dry.
                Ok(read) => proptest::prop_assert_eq!(read.dry_run, event["detail-type"].is_null() && event["dry_run"] == true),
                Err(failure) => material::error_tells_nothing(&failure),
            }
        }
    }
}
