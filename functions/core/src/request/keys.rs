//! The keys that requests are signed with: one Secrets Manager secret.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::secret::SecretText;
use crate::settings_secret::{entries, is_absent, text, webhook_keys};
use crate::signing_key::{SigningKey, shown};

/// The shortest text that Slack or GitHub may sign with, in characters. A shorter text can be guessed offline from a
/// captured request.
const SHORTEST_TEXT: usize = 16;

/// All keys of a deployment. A sender whose key is absent is refused.
#[derive(Debug, Default)]
pub struct Keys {
    /// Slack's signing secret.
    pub slack: Option<SigningKey>,
    /// The keys of each system that sends signed webhooks, by its name in the manifest.
    pub webhooks: BTreeMap<String, Vec<SigningKey>>,
    /// The secret of GitHub's webhook.
    pub github: Option<SigningKey>,
    /// The token that reads secret scanning alerts.
    pub github_token: Option<SecretText>,
    /// The names of entries that hold no key that can be used. A webhook's key is `whsec_` and base64 of 24 to 64 bytes.
    /// Other keys have 16 characters or more.
    pub refused: Vec<String>,
}

/// The secret holds no entries at all. The error quotes nothing of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not {{\"slack_signing_secret\", \"webhook_keys\": {{name: [\"whsec_…\"]}}, \"github_webhook_secret\", \"github_token\"}}"
)]
pub struct NoKeys;

impl Keys {
    /// Reads the secret's text. An entry that cannot be used is named in `refused`, and the others are used.
    pub fn parse(secret: &SecretText) -> Result<Self, NoKeys> {
        let mut keys = Self::default();
        for (name, value) in entries(secret.expose()).ok_or(NoKeys)? {
            match (name.as_str(), text(value), entries(value.get())) {
                _ if is_absent(value) => {}
                ("slack_signing_secret", Some(text), _) => keys.slack = keys.plain(&name, &text),
                ("github_webhook_secret", Some(text), _) => keys.github = keys.plain(&name, &text),
                ("github_token", Some(text), _) => {
                    keys.github_token = Some(text).filter(|text| !text.expose().is_empty());
                }
                ("webhook_keys", _, Some(named)) => {
                    for (name, value) in named {
                        keys.webhook(name, value);
                    }
                }
                _ => keys.refused.push(shown(&name).to_owned()),
            }
        }
        Ok(keys)
    }

    /// Makes a key of a text. An empty text counts as absent.
    fn plain(&mut self, name: &str, text: &SecretText) -> Option<SigningKey> {
        match text.expose().len() {
            0 => None,
            length if length < SHORTEST_TEXT => {
                self.refused.push(name.to_owned());
                None
            }
            _ => Some(SigningKey::of_text(text.expose())),
        }
    }

    fn webhook(&mut self, name: String, value: &RawValue) {
        let (usable, all) = webhook_keys(value);
        if !all {
            self.refused.push(format!("webhook_keys.{}", shown(&name)));
        }
        if !usable.is_empty() {
            self.webhooks.insert(name, usable);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Keys, NoKeys> {
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
    fn an_entry_that_is_no_key_takes_nothing_from_the_others() {
        const GOOD: &str = r#""webhook_keys":{"ci":["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw","v1,whsec_hush"],
            "cd":"v1,whsec_hush","whsec_hush":[],"ok":"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"},
            "github_webhook_secret":"It's a Secret to Everybody""#;
        for (more, refused) in [
            ("", None),
            (r#","slack_signing_secret":"hush""#, Some("slack_signing_secret")),
            (r#","slack_signing_secret":["hush"]"#, Some("slack_signing_secret")),
            (r#","github_token":7"#, Some("github_token")),
            (r#","slack":"hush""#, Some("slack")),
            (r#","whsec_hush":"hush""#, Some("…")),
            (r#","github_token":null"#, None),
        ] {
            let keys = parse(&format!("{{{GOOD}{more}}}")).unwrap();
            assert_eq!(keys.webhooks.keys().collect::<Vec<_>>(), ["ci", "ok"], "{more}");
            assert!(keys.github.is_some() && keys.slack.is_none() && keys.github_token.is_none());
            let mut expected = vec!["webhook_keys.cd", "webhook_keys.ci", "webhook_keys.…"];
            expected.extend(refused);
            expected.sort_unstable();
            let mut found = keys.refused.clone();
            found.sort_unstable();
            assert_eq!(found, expected, "{more}");
            assert!(!format!("{keys:?}").contains("hush"));
        }
    }

    #[test]
    fn what_holds_no_entries_is_refused_as_a_whole() {
        for text in ["not json", "[]", "\"hush\"", "{\"webhook_keys\":"] {
            assert!(!parse(text).unwrap_err().to_string().contains("hush"));
        }
    }
}
