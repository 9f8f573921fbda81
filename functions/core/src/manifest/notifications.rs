//! The manifest's `notifications`: the targets, and the events that each target is notified of.

use std::collections::BTreeSet;

use reqwest::Url;
use wildmatch::WildMatch;

use super::declare::{text, text_schema, wire, words};
use super::decode::{At, Text};
use super::names::check;
use super::problem::{Position, Problems};
use crate::events::Topic;
use crate::ids::CredentialName;

/// The most targets. Each event is compared with all targets.
const MOST: usize = 50;

/// A target and the events that the target is notified of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The target.
    pub target: Target,
    /// The topics of the events.
    pub on: BTreeSet<Topic>,
    /// The credentials of the events; empty: all credentials.
    pub credentials: Vec<Pattern>,
}

/// A place where notifications are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A Slack channel, by the name of its incoming webhook in the notify secret.
    Slack(String),
    /// An SNS topic, by its ARN.
    Sns(String),
    /// A receiver of webhooks signed by the Standard Webhooks scheme.
    Webhook {
        /// The receiver's address.
        url: Url,
        /// The name of the signing key in the notify secret.
        key: String,
    },
}

/// A pattern of credentials' names: `*` stands for any characters, and `?` for one character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Notification {
    /// Says whether the target is notified of this credential's events.
    pub fn concerns(&self, credential: &CredentialName) -> bool {
        self.credentials.is_empty()
            || self.credentials.iter().any(|pattern| pattern.matches(&credential.0))
    }
}

impl Pattern {
    /// Says whether a name fits the pattern.
    pub fn matches(&self, name: &str) -> bool {
        WildMatch::new(&self.0).matches(name)
    }
}

wire! {
    /// A target of notifications: one of `slack`, `sns` and `webhook`.
    #[schemars(rename = "Notification")]
    #[schemars(extend("oneOf" = [{ "required": ["slack"] }, { "required": ["sns"] }, { "required": ["webhook", "key"] }]))]
    WireNotification {
        /// A Slack channel: the name under which its incoming webhook's URL lies in the notify secret.
        optional slack: Name,
        /// An SNS topic: its ARN.
        optional sns: TopicArn,
        /// A receiver of signed webhooks (Standard Webhooks): its https URL.
        optional webhook: Address,
        /// The name under which the webhook's signing key lies in the notify secret.
        optional key: Name,
        /// The topics of the events (default: failures, findings, digest).
        optional on: Vec<At<Topic>>,
        /// The credentials of the events: names, with `*` for any characters and `?` for one (default: all).
        optional credentials: Vec<At<Pattern>>,
    }
}

text! {
    /// A name in the notify secret.
    Name: |text| check(text, 64, |c| c.is_ascii_alphanumeric() || "._-".contains(c)),
    cure "give the name of an entry of the notify secret (not what it holds): letters, digits and ._-, at most 64",
    { "type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$" }
}

words!(Topic, "topic", "failures" => Self::Failures, "findings" => Self::Findings,
    "rotations" => Self::Rotations, "digest" => Self::Digest);

/// The ARN of an SNS topic.
#[derive(Clone, Debug)]
pub(super) struct TopicArn(String);

/// The address of a receiver of webhooks.
#[derive(Clone, Debug)]
pub(super) struct Address(Url);

/// Puts the targets together.
pub(super) fn resolve(
    listed: Vec<At<WireNotification>>,
    problems: &mut Problems,
) -> Vec<Notification> {
    problems.within(["notifications"], |problems| {
        if let Some(over) = listed.get(MOST) {
            problems.add(over.position, format!("more than {MOST} targets"), "remove some");
        }
        let one = |(index, at): (usize, At<WireNotification>)| {
            let step = index.to_string();
            problems.within([&step], |problems| notification(at.value?, at.position, problems))
        };
        listed.into_iter().enumerate().filter_map(one).collect()
    })
}

fn notification(
    wire: WireNotification,
    position: Position,
    problems: &mut Problems,
) -> Option<Notification> {
    let WireNotification { slack, sns, webhook, key, on, credentials } = wire;
    if let (None, Some(key)) = (&webhook, &key) {
        let cure = "add `webhook:` with the receiver's URL, or remove it";
        problems.add(key.position, "`key` is given, but there is no `webhook`", cure);
    }
    let target = match (slack, sns, webhook) {
        (Some(name), None, None) => Target::Slack(name.value?.0),
        (None, Some(arn), None) => Target::Sns(arn.value?.0),
        (None, None, Some(url)) => {
            let Some(key) = key else {
                let cure = "add `key:` with the name of its signing key in the notify secret";
                problems.add(
                    url.position,
                    "the webhook has no `key`: it could not be signed",
                    cure,
                );
                return None;
            };
            Target::Webhook { url: url.value?.0, key: key.value?.0 }
        }
        (None, None, None) => {
            let what = "nobody is named who is to be told";
            problems.add(position, what, "add one of `slack`, `sns`, `webhook`");
            return None;
        }
        _ => {
            let what = "more than one of `slack`, `sns` and `webhook`";
            problems.add(position, what, "make an entry of each");
            return None;
        }
    };
    let told_of = BTreeSet::from([Topic::Failures, Topic::Findings, Topic::Digest]);
    let on =
        some(on, told_of, "told of nothing", "name what it is told of, or remove `on`", problems)?;
    let cure = "name some, or remove `credentials` to be told of all";
    let credentials = some(credentials, Vec::new(), "told of no credential", cure, problems)?;
    Some(Notification { target, on, credentials })
}

/// Returns a list if every entry is right. An empty list is a problem, because nobody means an empty list.
fn some<T, L: FromIterator<T>>(
    list: Option<At<Vec<At<T>>>>,
    built_in: L,
    empty: &str,
    cure: &str,
    problems: &mut Problems,
) -> Option<L> {
    let Some(At { position, value, .. }) = list else { return Some(built_in) };
    let listed = value?;
    if listed.is_empty() {
        problems.add(position, empty, cure);
    }
    listed.into_iter().map(|at| at.value).collect()
}

impl Text for TopicArn {
    fn like() -> Option<String> {
        Some("write it like `arn:aws:sns:eu-central-1:111122223333:alerts`".to_owned())
    }

    fn read(text: &str) -> Result<Self, (String, String)> {
        if text.strip_suffix(".fifo").is_some() {
            let what = "a FIFO topic only takes messages in groups";
            return Err((what.to_owned(), "name a standard topic".to_owned()));
        }
        let is_arn = matches!(text.split(':').collect::<Vec<_>>().as_slice(),
            ["arn", partition, "sns", region, account, topic]
                if partition.starts_with("aws")
                    && named(partition, 16, "-")
                    && named(region, 32, "-")
                    && account.len() == 12
                    && account.chars().all(|c| c.is_ascii_digit())
                    && named(topic, 256, "-_"));
        let wrong =
            || ("this is not the ARN of an SNS topic".to_owned(), Self::like().unwrap_or_default());
        is_arn.then(|| Self(text.to_owned())).ok_or_else(wrong)
    }
}

fn named(text: &str, longest: usize, besides: &str) -> bool {
    (1..=longest).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || besides.contains(c))
}

impl Text for Address {
    fn like() -> Option<String> {
        Some("write it like `https://siem.example.com/keywheel`".to_owned())
    }

    fn read(text: &str) -> Result<Self, (String, String)> {
        let wrong = |what: &str| (what.to_owned(), Self::like().unwrap_or_default());
        address(text).map(Self).map_err(wrong)
    }
}

const LONGEST_ADDRESS: usize = 2048;

/// Reads the address of a receiver: https, and a host with a full name, because metadata services are reached by
/// address and without TLS.
///
/// A loopback address stands for a receiver in tests. Sending refuses such an address unless the deployment allows it.
/// The error does not quote the URL, which may be a capability of somebody else.
fn address(text: &str) -> Result<Url, &'static str> {
    if text.len() > LONGEST_ADDRESS {
        return Err("the URL is longer than 2048 characters");
    }
    let url: Url = text.parse().map_err(|_| "this is not a URL")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL holds a user or a password");
    }
    if url.fragment().is_some() {
        return Err("the URL has a fragment, which is never sent");
    }
    if crate::http::is_loopback(&url) {
        return Ok(url);
    }
    if url.scheme() != "https" {
        return Err("webhooks are sent over https only");
    }
    if url.domain().is_none_or(|name| !name.contains('.')) {
        return Err("the URL names no host by its full name");
    }
    Ok(url)
}

impl Text for Pattern {
    fn read(text: &str) -> Result<Self, (String, String)> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-*?".contains(c);
        if (1..=512).contains(&text.len()) && text.chars().all(fits) {
            return Ok(Self(text.to_owned()));
        }
        let cure = "name a credential; `*` stands for any characters, `?` for one";
        Err(("no credential has such a name".to_owned(), cure.to_owned()))
    }
}

text_schema!(TopicArn, { "type": "string", "pattern": "^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$" });
text_schema!(Address, { "type": "string", "format": "uri", "pattern": "^https?://", "maxLength": 2048 });
text_schema!(Pattern, { "type": "string", "pattern": "^[A-Za-z0-9/_+=.@*?-]{1,512}$" });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names() {
        let matches = |pattern: &str, name: &str| Pattern(pattern.to_owned()).matches(name);
        for (pattern, name) in [
            ("monk", "monk"),
            ("*", ""),
            ("*", "entra/408b"),
            ("prod-*", "prod-"),
            ("*-prod", "a-prod-prod"),
            ("a?c*e", "abcde"),
            ("**", "x"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("monk", "monkey"),
            ("monk", "mon"),
            ("prod-*", "test-prod-"),
            ("?", ""),
            ("a*b", "ac"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        // A pattern that was made to be slow takes quadratic time at most.
        assert!(!matches(&"*a".repeat(200), &"a".repeat(199)));
    }

    #[test]
    fn only_https_to_a_named_host_is_an_address() {
        for good in [
            "https://siem.example.com/a?b=c",
            "https://x.y:8443/",
            "http://127.0.0.1:80/",
            "http://localhost:1/",
        ] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in [
            "http://siem.example.com/",
            "https://169.254.169.254/latest",
            "http://169.254.169.254/latest",
            "https://10.0.0.1/",
            "https://[fd00:ec2::254]/",
            "https://0x7f.1.2.3/",
            "https://2130706434/",
            "https://intranet/",
            "https://user:word@siem.example.com/",
            "https://siem.example.com/#a",
            "ftp://127.0.0.1/",
            "siem.example.com",
            "",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
