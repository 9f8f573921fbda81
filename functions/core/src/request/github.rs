//! GitHub's secret scanning alerts: what the webhook says, and what the leaked text is compared with.

use chrono::TimeDelta;
use serde::Deserialize;
use subtle::ConstantTimeEq;

use crate::ids::{KeyId, VersionId};
use crate::rotation::retire::{Standing, standing};
use crate::rotation::{SecretState, SecretView};
use crate::secret::SecretText;

/// What GitHub sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A secret was found where others can read it.
    Leak(Alert),
    /// Anything else: nothing is done about it.
    Other,
}

/// Where a leaked secret can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The repository's owner.
    pub owner: String,
    /// The repository.
    pub repository: String,
    /// The alert's number in it.
    pub number: u64,
}

impl std::fmt::Display for Alert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{} alert {}", self.owner, self.repository, self.number)
    }
}

/// Not what GitHub sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an event as GitHub sends it")]
pub struct NotGitHub;

#[derive(Deserialize)]
struct Payload {
    action: String,
    alert: WireAlert,
    repository: Repository,
}

#[derive(Deserialize)]
struct WireAlert {
    number: u64,
}

#[derive(Deserialize)]
struct Repository {
    name: String,
    owner: Owner,
}

#[derive(Deserialize)]
struct Owner {
    login: String,
}

impl Sent {
    /// Reads an event; `kind` is `X-GitHub-Event`.
    pub fn parse(kind: &str, body: &[u8]) -> Result<Self, NotGitHub> {
        let value: serde_json::Value = serde_json::from_slice(body).map_err(|_| NotGitHub)?;
        if !value.is_object() {
            return Err(NotGitHub);
        }
        if kind != "secret_scanning_alert" {
            return Ok(Self::Other);
        }
        let payload: Payload = serde_json::from_value(value).map_err(|_| NotGitHub)?;
        let (owner, repository) = (payload.repository.owner.login, payload.repository.name);
        // The address is made of these, never taken from the event: the token is sent there.
        let is_name = |text: &str| {
            (1..=100).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
                && text.bytes().any(|b| b != b'.')
        };
        if !is_name(&owner) || !is_name(&repository) {
            return Err(NotGitHub);
        }
        Ok(match payload.action.as_str() {
            "created" | "reopened" | "publicly_leaked" => {
                Self::Leak(Alert { owner, repository, number: payload.alert.number })
            }
            _ => Self::Other,
        })
    }
}

impl Alert {
    /// Its path in GitHub's REST API.
    pub fn path(&self) -> String {
        format!("repos/{}/{}/secret-scanning/alerts/{}", self.owner, self.repository, self.number)
    }

    /// The leaked text in GitHub's answer.
    pub fn secret(answer: &[u8]) -> Option<SecretText> {
        #[derive(Deserialize)]
        struct Answer {
            secret: String,
        }
        let answer: Answer = serde_json::from_slice(answer).ok()?;
        (!answer.secret.is_empty()).then(|| SecretText::new(answer.secret))
    }
}

/// Whether two texts are the same, in a time that says nothing of where they differ.
pub fn same(one: &SecretText, other: &SecretText) -> bool {
    one.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
}

/// A version whose secret still works, and what is done where it has leaked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// The version.
    pub version: VersionId,
    /// What is done.
    pub cure: Cure,
}

/// What is done about a leaked secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cure {
    /// It is current, or about to be: it is replaced, and its key removed at once.
    Rotate,
    /// It was replaced already: its key is removed now, not after the overlap.
    Retire(KeyId),
    /// It was replaced, and its key is not known: stored by hand before the secret was adopted, or removed since.
    ByHand,
}

/// The versions of a secret whose text may still be signed in with.
pub fn live(state: &SecretState, overlap: TimeDelta) -> Vec<Live> {
    let SecretState::Present(view) = state else { return Vec::new() };
    view.versions.keys().map(|version| live_version(view, version, overlap)).collect()
}

fn live_version(view: &SecretView, version: &VersionId, overlap: TimeDelta) -> Live {
    let cure = match (standing(view, version, overlap), view.key_of(version)) {
        // Also one that somebody stored by hand: where the manifest adopts it, it can be replaced.
        (Standing::InUse, _) => Cure::Rotate,
        // One that was never current may belong to a try under way: the rules of its removal wait for that.
        (_, Some(key)) => Cure::Retire(key),
        (_, None) => Cure::ByHand,
    };
    Live { version: version.clone(), cure }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::rotation::Label;

    fn event(action: &str, owner: &str, name: &str) -> String {
        serde_json::json!({
            "action": action,
            "alert": { "number": 42, "url": "https://evil.example/", "secret_type": "azure" },
            "repository": { "name": name, "owner": { "login": owner }, "full_name": "x/y" },
        })
        .to_string()
    }

    #[test]
    fn only_a_leak_is_a_leak() {
        let read = |action| {
            Sent::parse("secret_scanning_alert", event(action, "octo-org", "app.js").as_bytes())
        };
        for action in ["created", "reopened", "publicly_leaked"] {
            let Ok(Sent::Leak(alert)) = read(action) else { panic!("{action}") };
            assert_eq!(alert.path(), "repos/octo-org/app.js/secret-scanning/alerts/42");
        }
        assert_eq!(read("resolved"), Ok(Sent::Other));
        assert_eq!(Sent::parse("ping", b"{\"zen\":\"x\"}"), Ok(Sent::Other));
        assert_eq!(Sent::parse("secret_scanning_alert", b"{}"), Err(NotGitHub));
        assert_eq!(Sent::parse("ping", b"[]"), Err(NotGitHub));
    }

    #[test]
    fn a_repository_cannot_lead_elsewhere() {
        for (owner, name) in
            [("..", "x"), ("a/b", "x"), ("a", "../x"), ("a", "x?y"), ("", "x"), ("a", "")]
        {
            let event = event("created", owner, name);
            let read = Sent::parse("secret_scanning_alert", event.as_bytes());
            assert_eq!(read, Err(NotGitHub), "{owner} {name}");
        }
    }

    #[test]
    fn texts_are_the_same_or_not() {
        let text = |text: &str| SecretText::new(text.to_owned());
        assert!(same(&text("abc"), &text("abc")));
        for other in ["abd", "ab", "abcd", "", " abc", "ABC"] {
            assert!(!same(&text("abc"), &text(other)), "{other}");
        }
        assert_eq!(Alert::secret(br#"{"secret":"x","number":1}"#).unwrap().expose(), "x");
        assert!(Alert::secret(br#"{"number":1}"#).is_none());
        assert!(Alert::secret(br#"{"secret":""}"#).is_none());
    }

    #[test]
    fn a_version_in_use_is_replaced_and_a_past_one_retired() {
        let key = |number| KeyId(Uuid::from_u128(number));
        let since = |seconds| Label::Since(DateTime::from_timestamp(seconds, 0).unwrap());
        let mut view = SecretView::default();
        for (version, labels) in [
            ("current", vec![Label::Current, Label::Key(key(1)), since(20)]),
            ("past", vec![Label::Previous, Label::Key(key(2)), since(10)]),
            ("pending", vec![Label::Pending, Label::Key(key(3))]),
            ("by hand", vec![Label::Previous]),
        ] {
            view.versions.insert(VersionId(version.to_owned()), labels.into_iter().collect());
        }
        let live = live(&SecretState::Present(view), TimeDelta::days(1));
        let cures: Vec<_> = live.iter().map(|one| (one.version.0.as_str(), one.cure)).collect();
        assert_eq!(
            cures,
            [
                ("by hand", Cure::ByHand),
                ("current", Cure::Rotate),
                ("past", Cure::Retire(key(2))),
                ("pending", Cure::Rotate)
            ]
        );
    }
}
