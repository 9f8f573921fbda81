//! The notify secret: the addresses of Slack's channels, and the keys that sign webhooks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::NotifyError;
use crate::secret::SecretText;
use crate::secrets::{Age, Cache};
use crate::settings_secret::{Entries, entries, is_absent, text, webhook_keys};
use crate::signing_key::SigningKey;

/// The time for which the secret is kept: somebody may change the secret while a function's process lives.
const KEPT_FOR: Duration = Duration::from_mins(5);
/// The time after which the secret is read again if a name is missing or an address was refused.
const LOOKED_AGAIN: Duration = Duration::from_secs(15);

/// The entries of the notify secret. An entry that cannot be used takes nothing from the others.
#[derive(Debug, Default)]
pub struct NotifySecret {
    slack: BTreeMap<String, SecretText>,
    webhooks: BTreeMap<String, Vec<SigningKey>>,
}

impl NotifySecret {
    /// Reads `{"slack": {name: URL}, "webhooks": {name: "whsec_…" or a list of such}}`. An entry that cannot be used
    /// counts as absent. An error quotes nothing.
    pub fn parse(secret: &SecretText) -> Result<Self, NotifyError> {
        let shape = || {
            let shape =
                "not as it should be: {\"slack\": {name: URL}, \"webhooks\": {name: \"whsec_…\"}}";
            NotifyError::SecretShape(shape.to_owned())
        };
        let parts = entries(secret.expose()).ok_or_else(shape)?;
        let part = |name: &str| match parts.get(name) {
            Some(value) if !is_absent(value) => entries(value.get()).ok_or_else(shape),
            _ => Ok(Entries::new()),
        };
        let slack = part("slack")?.into_iter();
        let slack = slack.filter_map(|(name, value)| Some((name, text(value)?)));
        // Each key that can be used signs, so that a mistyped key does not silence its target.
        let keys = part("webhooks")?.into_iter().map(|(name, value)| (name, webhook_keys(value).0));
        let keys = keys.filter(|(_, keys)| !keys.is_empty());
        Ok(Self { slack: slack.collect(), webhooks: keys.collect() })
    }

    /// Gives the incoming webhook of this name.
    pub fn slack(&self, name: &str) -> Option<&SecretText> {
        self.slack.get(name)
    }

    /// Gives the new address of the incoming webhook of this name, if the address was changed.
    pub(super) fn slack_moved(&self, name: &str, before: &SecretText) -> Option<&SecretText> {
        self.slack(name).filter(|now| now.expose().trim() != before.expose().trim())
    }

    /// Gives the signing keys of this name: one, or several while a receiver changes its key.
    pub fn webhook(&self, name: &str) -> Option<&[SigningKey]> {
        self.webhooks.get(name).map(Vec::as_slice)
    }
}

/// Gives the kept secret, or reads the secret again if the kept one is old or lacks the wanted entry.
pub(super) async fn held(
    cache: &Cache<NotifySecret>,
    has: impl Fn(&NotifySecret) -> bool,
) -> Result<Arc<NotifySecret>, NotifyError> {
    let suffices =
        |kept: &NotifySecret, age: Age| age.read < if has(kept) { KEPT_FOR } else { LOOKED_AGAIN };
    cache.value(suffices, |current, _| NotifySecret::parse(&current.text)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    fn parse(text: &str) -> Result<NotifySecret, NotifyError> {
        NotifySecret::parse(&SecretText::new(text.to_owned()))
    }

    #[test]
    fn entries_are_found_by_name() {
        let secret = parse(&format!(
            r#"{{"slack": {{"ops": "https://hooks.slack.com/services/x"}},
                "webhooks": {{"one": "{KEY}", "two": ["{KEY}", "{KEY}"]}}}}"#
        ))
        .unwrap();
        assert!(secret.slack("ops").is_some() && secret.slack("dev").is_none());
        assert_eq!(secret.webhook("one").unwrap().len(), 1);
        assert_eq!(secret.webhook("two").unwrap().len(), 2);
        assert!(!format!("{secret:?}").contains("hooks.slack.com"));
        assert!(parse("{}").is_ok());
    }

    #[test]
    fn a_webhook_of_slack_moves_where_its_address_is_another() {
        let at = |url: &str| SecretText::new(format!("https://hooks.slack.com/services/{url}"));
        let secret =
            parse(r#"{"slack": {"ops": "https://hooks.slack.com/services/new"}}"#).unwrap();
        let moved = |name, before: &str| {
            secret.slack_moved(name, &at(before)).map(|now| now.expose().to_owned())
        };
        assert_eq!(moved("ops", "old"), Some(at("new").expose().to_owned()));
        assert_eq!(moved("ops", "new"), None);
        assert_eq!(moved("ops", "new\n"), None);
        assert_eq!(moved("dev", "old"), None, "it is gone");
    }

    #[test]
    fn an_entry_that_cannot_be_used_takes_nothing_from_the_others() {
        let secret = parse(&format!(
            r#"{{"slack": {{"ops": "https://hooks.slack.com/services/x", "dev": ["PLANTED"], "none": 7}}, "other": {{}},
                "webhooks": {{"siem": "v1,{KEY}", "both": ["v1,{KEY}", "{KEY}"], "empty": [], "ok": "{KEY}"}}}}"#
        ))
        .unwrap();
        assert!(secret.slack("ops").is_some());
        assert!(secret.slack("dev").is_none() && secret.slack("none").is_none());
        assert!(secret.webhook("siem").is_none() && secret.webhook("empty").is_none());
        assert_eq!(secret.webhook("both").unwrap().len(), 1);
        assert_eq!(secret.webhook("ok").unwrap().len(), 1);
    }

    #[test]
    fn what_is_wrong_is_told_without_what_it_holds() {
        for text in ["nonsense-PLANTED", r#"{"slack": ["PLANTED"]}"#, r#""PLANTED""#] {
            let error = parse(text).unwrap_err();
            assert!(error.to_string().contains("not as it should be"), "{error}");
            assert!(!format!("{error} {error:?}").contains("PLANTED"), "{error:?}");
        }
    }
}
