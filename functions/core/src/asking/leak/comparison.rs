//! The message of an alert in the queue of comparisons. The message never holds the leaked text.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::RotationId;
use crate::request::github::Alert;
use crate::request::request_id;
use crate::sha256;

/// The version of the message.
const SCHEMA: u32 = 1;
/// The length of a SHA-256 in hexadecimal.
const DIGEST: usize = 64;

/// An alert whose leaked text must be compared with every secret that works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    schema: u32,
    /// The alert.
    #[serde(flatten)]
    pub alert: Alert,
    /// The SHA-256 of the delivery's body, in hexadecimal: a delivery's id is not signed.
    digest: String,
    /// The time at which the delivery was received. The ids of the comparison's events contain this time.
    pub received_at: DateTime<Utc>,
}

/// A message is no comparison. The error quotes nothing of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a comparison of schema {SCHEMA}, as the webhook function queues them")]
pub struct NotAComparison;

impl Comparison {
    /// Makes the comparison of a delivery.
    pub fn new(alert: Alert, body: &[u8], received_at: DateTime<Utc>) -> Self {
        Self { schema: SCHEMA, alert, digest: sha256::hexadecimal(body), received_at }
    }

    /// Reads a message. The alert's names are checked again, because they form the address that GitHub's token goes to.
    pub fn parse(text: &str) -> Result<Self, NotAComparison> {
        let comparison: Self = serde_json::from_str(text).map_err(|_| NotAComparison)?;
        let is_digest = comparison.digest.len() == DIGEST
            && comparison.digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        let known = comparison.schema == SCHEMA && is_digest && comparison.alert.is_named();
        if known { Ok(comparison) } else { Err(NotAComparison) }
    }

    /// Writes the message.
    pub fn to_json(&self) -> String {
        // Texts and numbers always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Gives the id that marks the delivery as done.
    pub fn delivery(&self) -> RotationId {
        request_id("github body", &self.digest)
    }

    /// Gives the id that marks that the delivery's text was a secret that worked.
    ///
    /// A later try may not find the secret again, because its key is removed by then.
    pub fn hit(&self) -> RotationId {
        request_id("github hit", &self.digest)
    }

    /// Gives the id of the request that acts on one version of one credential.
    pub fn request(&self, credential: &str, version: &str) -> RotationId {
        request_id("github", &format!("{} {credential} {version}", self.digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison() -> Comparison {
        let alert = Alert { owner: "octo".to_owned(), repository: "app".to_owned(), number: 7 };
        Comparison::new(alert, b"{}", DateTime::from_timestamp(1_800_000_000, 0).unwrap())
    }

    #[test]
    fn a_comparison_is_read_as_it_was_written() {
        let text = comparison().to_json();
        assert_eq!(
            text,
            "{\"schema\":1,\"owner\":\"octo\",\"repository\":\"app\",\"number\":7,\"digest\":\
             \"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\
             \"received_at\":\"2027-01-15T08:00:00Z\"}"
        );
        assert_eq!(Comparison::parse(&text).unwrap(), comparison());
    }

    #[test]
    fn a_message_that_is_no_comparison_is_refused() {
        let text = comparison().to_json();
        let longest = format!("\"{}\"", "o".repeat(101));
        for (part, other) in [
            ("\"schema\":1", "\"schema\":0"),
            ("\"octo\"", "\"octo/app/../..\""),
            ("\"octo\"", "\"\""),
            ("\"octo\"", "\"..\""),
            ("\"octo\"", &longest),
            ("\"app\"", "\"app?x\""),
            ("\"number\":7", "\"number\":-7"),
            ("4413", "441"),
            ("4413", "441x"),
        ] {
            let changed = text.replace(part, other);
            assert_ne!(changed, text);
            assert_eq!(Comparison::parse(&changed), Err(NotAComparison), "{changed}");
        }
    }

    #[test]
    fn ids_follow_from_the_body_the_credential_and_the_version() {
        let one = comparison();
        let mut other = comparison();
        other.digest = sha256::hexadecimal(b"[]");
        assert_ne!(one.delivery(), other.delivery());
        let ids = [
            one.delivery(),
            one.hit(),
            one.request("a", "v1"),
            one.request("a", "v2"),
            one.request("b", "v1"),
            other.request("a", "v1"),
        ];
        for (index, id) in ids.iter().enumerate() {
            assert!(!ids[..index].contains(id), "{index}");
        }
    }
}
