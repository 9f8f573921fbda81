//! What requests are signed with: one Secrets Manager secret, read as a whole.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::secret::SecretText;

/// The shortest key of a webhook: Standard Webhooks asks for 24 to 64 bytes.
const SHORTEST_WEBHOOK: usize = 24;
/// The shortest other one: what is guessed offline against a captured request.
const SHORTEST_TEXT: usize = 16;
/// What every key of Standard Webhooks begins with.
const PREFIX: &str = "whsec_";

/// A key to verify signatures with. It cannot be displayed, and is wiped when dropped.
pub struct SigningKey(Zeroizing<Vec<u8>>);

impl SigningKey {
    /// A text's own bytes, as Slack and GitHub use theirs.
    pub fn of_text(text: &str) -> Self {
        Self(Zeroizing::new(text.as_bytes().to_vec()))
    }

    /// `whsec_` and base64, as Standard Webhooks writes them; `None` where it is not that.
    pub fn of_webhook(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?);
        (bytes.len() >= SHORTEST_WEBHOOK).then_some(Self(bytes))
    }

    /// The bytes: only for the code of a request.
    pub(super) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

/// All keys of a deployment. What is absent is off: nothing is signed as it must be there.
#[derive(Debug, Default)]
pub struct Keys {
    /// Slack's signing secret.
    pub slack: Option<SigningKey>,
    /// The keys of each system that sends signed webhooks, by its name in the manifest.
    pub webhooks: BTreeMap<String, Vec<SigningKey>>,
    /// The secret of GitHub's webhook.
    pub github: Option<SigningKey>,
    /// The token that secret scanning alerts are read with.
    pub github_token: Option<SecretText>,
}

/// The secret is not as it must be. Nothing of its text is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// Not the JSON of the keys.
    #[error(
        "not {{\"slack_signing_secret\", \"webhook_keys\": {{name: [\"whsec_…\"]}}, \"github_webhook_secret\", \"github_token\"}}"
    )]
    Shape,
    /// A key that is too short, or written otherwise than it must be.
    #[error(
        "`{0}` is no key: a webhook's is `whsec_` and base64 of {SHORTEST_WEBHOOK} bytes or more, others have {SHORTEST_TEXT} characters or more"
    )]
    Key(&'static str),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(default)]
    slack_signing_secret: Option<Wiped>,
    #[serde(default)]
    webhook_keys: BTreeMap<String, Vec<Wiped>>,
    #[serde(default)]
    github_webhook_secret: Option<Wiped>,
    #[serde(default)]
    github_token: Option<Wiped>,
}

/// A text that is wiped when dropped.
struct Wiped(Zeroizing<String>);

impl<'de> Deserialize<'de> for Wiped {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self(Zeroizing::new(text)))
    }
}

impl Keys {
    /// Reads the secret's text.
    pub fn parse(text: &SecretText) -> Result<Self, KeysError> {
        // serde's error quotes what it did not like.
        let wire: Wire = serde_json::from_str(text.expose()).map_err(|_| KeysError::Shape)?;
        let mut webhooks = BTreeMap::new();
        for (name, keys) in wire.webhook_keys {
            let keys: Option<Vec<_>> =
                keys.iter().map(|key| SigningKey::of_webhook(&key.0)).collect();
            webhooks.insert(name, keys.ok_or(KeysError::Key("webhook_keys"))?);
        }
        Ok(Self {
            slack: plain("slack_signing_secret", wire.slack_signing_secret)?,
            webhooks,
            github: plain("github_webhook_secret", wire.github_webhook_secret)?,
            github_token: wire
                .github_token
                .filter(|token| !token.0.is_empty())
                .map(|mut token| SecretText::new(std::mem::take(&mut *token.0))),
        })
    }
}

/// An empty text counts as absent.
fn plain(name: &'static str, text: Option<Wiped>) -> Result<Option<SigningKey>, KeysError> {
    match text.filter(|text| !text.0.is_empty()) {
        Some(text) if text.0.len() < SHORTEST_TEXT => Err(KeysError::Key(name)),
        text => Ok(text.map(|text| SigningKey::of_text(&text.0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Keys, KeysError> {
        Keys::parse(&SecretText::new(text.to_owned()))
    }

    #[test]
    fn what_is_absent_is_off() {
        let keys = parse("{}").unwrap();
        assert!(keys.slack.is_none() && keys.github.is_none() && keys.webhooks.is_empty());
        let empty = r#"{"slack_signing_secret":"","github_webhook_secret":"","github_token":""}"#;
        let keys = parse(empty).unwrap();
        assert!(keys.slack.is_none() && keys.github.is_none() && keys.github_token.is_none());
    }

    #[test]
    fn all_of_it_is_read_and_none_of_it_shown() {
        let text = r#"{"slack_signing_secret":"8f742231b10e8888abcd99yyyzzz85a5",
            "webhook_keys":{"ci":["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw","whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]},
            "github_webhook_secret":"It's a Secret to Everybody","github_token":"ghp_x"}"#;
        let keys = parse(text).unwrap();
        assert_eq!(keys.webhooks["ci"].len(), 2);
        let shown = format!("{keys:?}");
        for secret in ["8f74", "MfKQ", "Everybody", "ghp_x"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn weak_and_misspelt_keys_are_refused_without_a_word_of_them() {
        for (text, error) in [
            ("not json", KeysError::Shape),
            (r#"{"slack":"x"}"#, KeysError::Shape),
            (r#"{"webhook_keys":{"ci":"whsec_hush"}}"#, KeysError::Shape),
            (r#"{"webhook_keys":{"ci":["hush"]}}"#, KeysError::Key("webhook_keys")),
            (r#"{"webhook_keys":{"ci":["whsec_aHVzaA=="]}}"#, KeysError::Key("webhook_keys")),
            (r#"{"slack_signing_secret":"hush"}"#, KeysError::Key("slack_signing_secret")),
            (r#"{"github_webhook_secret":"hush"}"#, KeysError::Key("github_webhook_secret")),
        ] {
            let found = parse(text).unwrap_err();
            assert_eq!(found, error);
            assert!(!found.to_string().contains("hush"));
        }
    }
}
