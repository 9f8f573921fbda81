//! The manifest's `allow` and `approval`: the callers that may ask for a rotation, and whether a second person must
//! agree.

use std::collections::BTreeSet;

use schemars::JsonSchema;

use super::declare::{text, wire, words};
use super::decode::At;
use super::names::{NameError, check, check_credential};
use super::problem::Problems;

/// Whether a second person must agree before a requested rotation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub enum Approval {
    /// A caller who may ask is enough.
    None,
    /// Another person who may ask must approve, in Slack.
    Required,
}

words!(Approval, "approval", "none" => Self::None, "required" => Self::Required);

/// The callers that may ask for a rotation.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Allow {
    /// People: a Slack workspace's id and a user's within it.
    pub slack: BTreeSet<(String, String)>,
    /// Systems, by the name of their webhook keys.
    pub webhook: BTreeSet<String>,
}

wire! {
    /// The callers that may ask for a rotation.
    #[schemars(rename = "Allow")]
    WireAllow {
        /// People, by workspace.
        optional slack: Vec<At<WireSlack>>,
        /// Systems, by the names of their keys in the webhook secret.
        optional webhook: Vec<At<KeyName>>,
    }
}

wire! {
    /// People of one Slack workspace.
    #[schemars(rename = "SlackUsers")]
    WireSlack {
        /// The workspace's id.
        required team: SlackTeam,
        /// The users' ids.
        required users: Vec<At<SlackUser>>,
    }
}

text! {
    /// A Slack workspace's id.
    SlackTeam: |text| check_slack(text, &['T', 'E']),
    like "give the workspace's id, such as `T0123ABCD` (not its name)",
    { "type": "string", "pattern": "^[TE][A-Z0-9]{1,31}$" }
}
text! {
    /// A Slack user's id.
    SlackUser: |text| check_slack(text, &['U', 'W']),
    like "give the user's id, such as `U0123ABCD` (in Slack: profile, Copy member ID)",
    { "type": "string", "pattern": "^[UW][A-Z0-9]{1,31}$" }
}
text! {
    /// The name of a system's keys in the webhook secret.
    KeyName: check_credential,
    cure "give the name of the keys in the webhook secret: 1 to 64 letters, digits and ._-",
    { "type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$" }
}

/// Checks an id of Slack's: one of these letters, then capital letters and digits.
fn check_slack(text: &str, kinds: &[char]) -> Result<(), NameError> {
    check(text, 32, |c| c.is_ascii_uppercase() || c.is_ascii_digit())?;
    match text.chars().next() {
        Some(first) if kinds.contains(&first) && text.len() > 1 => Ok(()),
        first => Err(NameError::Character { character: first.unwrap_or_default(), position: 1 }),
    }
}

/// Puts together the callers that may ask. A list without users is a problem, because nobody means such a list.
pub(super) fn resolve(wire: Option<At<WireAllow>>, problems: &mut Problems) -> Option<Allow> {
    let mut allow = Allow::default();
    let Some(wire) = wire else { return Some(allow) };
    let WireAllow { slack, webhook } = wire.value?;
    for people in At::given(slack, Vec::new())? {
        let WireSlack { team, users } = people.value?;
        let (team, listed) = (team.value?, users.value?);
        if listed.is_empty() {
            problems.add(users.position, "no user is named", "name users, or remove the entry");
        }
        for user in listed {
            allow.slack.insert((team.0.clone(), user.value?.0));
        }
    }
    for key in At::given(webhook, Vec::new())? {
        allow.webhook.insert(key.value?.0);
    }
    Some(allow)
}
