//! What Slack is sent: Block Kit within its published limits.

pub mod blocks;

use reqwest::Url;

/// Where Slack takes messages, and its service for governments: incoming webhooks, and the `response_url` of what somebody did.
const HOSTS: [&str; 2] = ["hooks.slack.com", "hooks.slack-gov.com"];

/// Whether an address is one of Slack's own for messages.
pub fn takes_messages(url: &Url) -> bool {
    url.scheme() == "https"
        && url.host_str().is_some_and(|host| HOSTS.contains(&host))
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}
