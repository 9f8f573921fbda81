//! Metrics in CloudWatch's embedded metric format: JSON lines on standard output that CloudWatch Logs reads.
//!
//! Every metric has the dimension `Deployment` (the name of the stack and its bus), so that two deployments in one account
//! stay apart. Some metrics have a second dimension.

use std::collections::BTreeMap;
use std::io::{self, Write};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use crate::ids::CredentialName;

/// The namespace of all metrics.
pub const NAMESPACE: &str = "Keywheel";
/// The longest value of a dimension.
const LONGEST: usize = 1024;
/// The most values that one metric may have in one document.
const VALUES: usize = 100;
/// The most credentials with a metric of their own: those that expire first, because CloudWatch charges for each
/// metric. All others count in the metric of the whole deployment.
const CREDENTIALS: usize = 100;

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The number of secrets that were replaced.
    Rotations,
    /// The number of jobs that failed for good.
    RotationFailures,
    /// The number of findings, by `Kind`.
    Findings,
    /// The seconds from storing a new secret to its promotion.
    TimeToProve,
    /// The days that the current key of a credential has left, by `Credential`.
    DaysToExpiry,
}

impl Metric {
    fn name_and_unit(self) -> (&'static str, &'static str) {
        match self {
            Self::Rotations => ("Rotations", "Count"),
            Self::RotationFailures => ("RotationFailures", "Count"),
            Self::Findings => ("Findings", "Count"),
            Self::TimeToProve => ("TimeToProve", "Seconds"),
            // CloudWatch has no unit for days.
            Self::DaysToExpiry => ("DaysToExpiry", "None"),
        }
    }
}

/// Makes the metrics of one deployment.
#[derive(Clone, Debug)]
pub struct Metrics {
    deployment: String,
}

/// A document in the embedded metric format.
#[derive(Clone, Debug, PartialEq)]
pub struct Document(Value);

impl Metrics {
    /// Begins the metrics of the deployment of this name.
    pub fn of(deployment: &str) -> Self {
        Self { deployment: dimension(deployment) }
    }

    /// Makes a document of a metric of the whole deployment; `values` has 1 to 100 numbers.
    pub fn whole(&self, metric: Metric, values: &[f64], at: DateTime<Utc>) -> Document {
        self.document(metric, values, None, at)
    }

    /// Makes a document of a metric of the whole deployment that also counts by a second dimension.
    pub fn by(
        &self,
        metric: Metric,
        value: f64,
        (name, of): (&'static str, &str),
        at: DateTime<Utc>,
    ) -> Document {
        self.document(metric, &[value], Some((name, dimension(of))), at)
    }

    /// Makes the documents of the days that the current keys of these credentials have left.
    pub fn days_to_expiry(
        &self,
        ends: &BTreeMap<CredentialName, DateTime<Utc>>,
        at: DateTime<Utc>,
    ) -> Vec<Document> {
        let mut days: Vec<(f64, &CredentialName)> =
            ends.iter().map(|(name, end)| (days(*end - at), name)).collect();
        days.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let (own, others) = days.split_at(days.len().min(CREDENTIALS));
        let metric = Metric::DaysToExpiry;
        let own =
            own.iter().map(|(days, name)| self.by(metric, *days, ("Credential", &name.0), at));
        let others = others.chunks(VALUES).map(|some| {
            let some: Vec<f64> = some.iter().map(|(days, _)| *days).collect();
            self.whole(metric, &some, at)
        });
        own.chain(others).collect()
    }

    fn document(
        &self,
        metric: Metric,
        values: &[f64],
        by: Option<(&'static str, String)>,
        at: DateTime<Utc>,
    ) -> Document {
        let mut sets = vec![json!(["Deployment"])];
        let mut document = Map::new();
        if let Some((name, of)) = by {
            sets.push(json!(["Deployment", name]));
            document.insert(name.to_owned(), of.into());
        }
        document.insert("Deployment".to_owned(), self.deployment.clone().into());
        let value = match values {
            [only] => json!(only),
            several => json!(several.iter().take(VALUES).collect::<Vec<_>>()),
        };
        let (name, unit) = metric.name_and_unit();
        document.insert(name.to_owned(), value);
        let directive = json!({
            "Timestamp": at.timestamp_millis(),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": sets,
                "Metrics": [{ "Name": name, "Unit": unit }],
            }],
        });
        document.insert("_aws".to_owned(), directive);
        Document(document.into())
    }
}

/// Converts to days, to a hundredth.
fn days(left: TimeDelta) -> f64 {
    let hundredths = left.num_seconds() / 864;
    f64::from(i32::try_from(hundredths).unwrap_or(i32::MAX)) / 100.0
}

/// Makes the value of a dimension: 1 to 1024 ASCII characters without control characters.
fn dimension(text: &str) -> String {
    let fit = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    let text: String = text.trim().chars().take(LONGEST).map(fit).collect();
    if text.is_empty() { "unknown".to_owned() } else { text }
}

/// Writes documents, a line for each.
pub fn write(documents: &[Document], to: &mut impl Write) -> io::Result<()> {
    for Document(document) in documents {
        // One write for a line, because the log writes to the same stream.
        to.write_all(format!("{document}\n").as_bytes())?;
    }
    to.flush()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rules of the specification (docs.aws.amazon.com: embedded metric format specification).
    fn check(document: &Document) {
        let root = document.0.as_object().unwrap();
        let aws = root["_aws"].as_object().unwrap();
        assert!(aws["Timestamp"].is_i64() || aws["Timestamp"].is_u64());
        assert_eq!(aws.len(), 2, "no other members");
        for directive in aws["CloudWatchMetrics"].as_array().unwrap() {
            let directive = directive.as_object().unwrap();
            assert_eq!(
                directive.keys().collect::<Vec<_>>(),
                ["Dimensions", "Metrics", "Namespace"]
            );
            let namespace = directive["Namespace"].as_str().unwrap();
            assert!((1..=1024).contains(&namespace.len()) && !namespace.starts_with("AWS/"));
            let sets = directive["Dimensions"].as_array().unwrap();
            assert!(!sets.is_empty());
            for set in sets {
                let set = set.as_array().unwrap();
                assert!((1..=30).contains(&set.len()));
                for name in set {
                    let value = root[name.as_str().unwrap()].as_str().unwrap();
                    assert!((1..=1024).contains(&value.chars().count()), "{value}");
                    assert!(value.is_ascii() && !value.contains(|c: char| c.is_ascii_control()));
                    assert!(!value.trim().is_empty(), "{value:?}");
                }
            }
            let metrics = directive["Metrics"].as_array().unwrap();
            assert!((1..=100).contains(&metrics.len()));
            for metric in metrics {
                let metric = metric.as_object().unwrap();
                assert_eq!(metric.keys().collect::<Vec<_>>(), ["Name", "Unit"]);
                assert!(["Count", "Seconds", "None"].contains(&metric["Unit"].as_str().unwrap()));
                let value = &root[metric["Name"].as_str().unwrap()];
                let several = std::slice::from_ref(value);
                let several = value.as_array().map_or(several, Vec::as_slice);
                assert!((1..=100).contains(&several.len()));
                assert!(several.iter().all(Value::is_number), "{several:?}");
            }
        }
        assert!(document.0.to_string().len() < 256 * 1024);
    }

    fn at() -> DateTime<Utc> {
        "2026-11-21T09:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_document_says_what_cloudwatch_is_to_read() {
        let document =
            Metrics::of("keywheel").by(Metric::Findings, 1.0, ("Kind", "foreign-key"), at());
        assert_eq!(
            document.0,
            json!({
                "_aws": {
                    "Timestamp": 1_795_251_600_000_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "Keywheel",
                        "Dimensions": [["Deployment"], ["Deployment", "Kind"]],
                        "Metrics": [{ "Name": "Findings", "Unit": "Count" }],
                    }],
                },
                "Deployment": "keywheel",
                "Kind": "foreign-key",
                "Findings": 1.0,
            })
        );
    }

    #[test]
    fn the_first_to_expire_have_a_metric_of_their_own_and_all_are_counted() {
        let ends: BTreeMap<_, _> = (0..350)
            .map(|n| (CredentialName(format!("c{n}")), at() + TimeDelta::hours(n * 12)))
            .collect();
        let documents = Metrics::of("keywheel").days_to_expiry(&ends, at());
        documents.iter().for_each(check);
        let own: Vec<&Value> = documents.iter().filter_map(|one| one.0.get("Credential")).collect();
        assert_eq!((own.len(), own[0], own[99]), (CREDENTIALS, &json!("c0"), &json!("c99")));
        assert_eq!(documents[3].0["DaysToExpiry"], json!(1.5));
        let counted: usize =
            documents.iter().map(|one| one.0["DaysToExpiry"].as_array().map_or(1, Vec::len)).sum();
        assert_eq!(counted, 350);
    }

    #[test]
    fn lines_are_written_one_by_one() {
        let documents = [
            Metrics::of("a").whole(Metric::Rotations, &[1.0], at()),
            Metrics::of("a").whole(Metric::TimeToProve, &[61.0], at()),
        ];
        let mut to = Vec::new();
        write(&documents, &mut to).unwrap();
        let text = String::from_utf8(to).unwrap();
        let read: Vec<Document> =
            text.lines().map(|line| Document(serde_json::from_str(line).unwrap())).collect();
        assert_eq!(read, documents);
    }

    proptest! {
        #[test]
        fn every_document_keeps_to_the_specification(
            deployment in ".*", of in ".{0,2000}", values in proptest::collection::vec(-1e9..1e9, 1..300),
            seconds in any::<i32>(),
        ) {
            let metrics = Metrics::of(&deployment);
            check(&metrics.whole(Metric::TimeToProve, &values, at()));
            check(&metrics.by(Metric::DaysToExpiry, days(TimeDelta::seconds(seconds.into())), ("Credential", &of), at()));
        }
    }
}
