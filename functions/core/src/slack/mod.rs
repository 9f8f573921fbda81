//! Messages for Slack: Block Kit within its published limits.

pub mod blocks;

use reqwest::Url;

/// The hosts that take messages, of Slack and of its service for governments: incoming webhooks, and every
/// `response_url`.
const HOSTS: [&str; 2] = ["hooks.slack.com", "hooks.slack-gov.com"];

/// Says whether an address is one of Slack's own for messages.
pub fn takes_messages(url: &Url) -> bool {
    url.scheme() == "https"
        && url.host_str().is_some_and(|host| HOSTS.contains(&host))
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}
