//! The notify secret: where Slack's channels are reached, and what webhooks are signed with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::NotifyError;
use crate::secret::SecretText;
use crate::secrets::{Age, Cache};
use crate::settings_secret::{Entries, Entry};
use crate::signing_key::SigningKey;

/// How long it is held before it is read anew: somebody may change it while a function's process lives.
const HELD_FOR: Duration = Duration::from_mins(5);
/// How soon it is read anew for the sake of a name that it does not have, or of an address that was refused.
const LOOKED_AGAIN: Duration = Duration::from_secs(15);

/// What the notify secret holds, each entry on its own: one that cannot be used takes nothing from the others.
#[derive(Debug, Default)]
pub struct NotifySecret {
    slack: BTreeMap<String, SecretText>,
    webhooks: BTreeMap<String, Vec<SigningKey>>,
}

impl NotifySecret {
    /// Reads `{"slack": {name: URL}, "webhooks": {name: "whsec_…" or a list of such}}`. An entry that cannot be used
    /// is as if it were not there; an error quotes nothing.
    pub fn parse(text: &SecretText) -> Result<Self, NotifyError> {
        let shape =
            "not as it should be: {\"slack\": {name: URL}, \"webhooks\": {name: \"whsec_…\"}}";
        let entries: Result<Entries, _> = serde_json::from_str(text.expose());
        let mut entries = entries.map_err(|_| NotifyError::SecretShape(shape.to_owned()))?;
        let mut part = |name: &str| match entries.remove(name) {
            None | Some(Entry::Absent) => Ok(Entries::new()),
            Some(Entry::Entries(part)) => Ok(part),
            Some(_) => Err(NotifyError::SecretShape(shape.to_owned())),
        };
        let slack = part("slack")?.into_iter().filter_map(|(name, entry)| match entry {
            Entry::Text(url) => Some((name, url)),
            _ => None,
        });
        // Of several keys, each that can be used signs: one mistyped key is no reason to tell nobody.
        let keys =
            part("webhooks")?.into_iter().map(|(name, entry)| (name, entry.webhook_keys().0));
        let keys = keys.filter(|(_, keys)| !keys.is_empty());
        Ok(Self { slack: slack.collect(), webhooks: keys.collect() })
    }

    /// The incoming webhook of this name.
    pub fn slack(&self, name: &str) -> Option<&SecretText> {
        self.slack.get(name)
    }

    /// Where the incoming webhook of this name is by now, if elsewhere than before.
    pub(super) fn slack_moved(&self, name: &str, before: &SecretText) -> Option<&SecretText> {
        self.slack(name).filter(|now| now.expose().trim() != before.expose().trim())
    }

    /// The signing keys of this name, one or, while a receiver changes over, several.
    pub fn webhook(&self, name: &str) -> Option<&[SigningKey]> {
        self.webhooks.get(name).map(Vec::as_slice)
    }
}

/// What the notify secret holds; read anew where it is old, or lacks what is looked for.
pub(super) async fn held(
    cache: &Cache<NotifySecret>,
    has: impl Fn(&NotifySecret) -> bool,
) -> Result<Arc<NotifySecret>, NotifyError> {
    let suffices =
        |held: &NotifySecret, age: Age| age.read < if has(held) { HELD_FOR } else { LOOKED_AGAIN };
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
