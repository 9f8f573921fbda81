//! Messages for Slack: Block Kit within its published limits.

pub mod blocks;

use reqwest::Url;

use crate::http::is_loopback;

/// The hosts that take messages, of Slack and of its service for governments: incoming webhooks, and every
/// `response_url`.
const HOSTS: [&str; 2] = ["hooks.slack.com", "hooks.slack-gov.com"];

/// Says whether an address is one of Slack's own for messages. With `loopback`, for tests, this machine counts as Slack.
pub fn takes_messages(url: &Url, loopback: bool) -> bool {
    let is_slack = url.scheme() == "https"
        && url.host_str().is_some_and(|host| HOSTS.contains(&host))
        && url.port().is_none();
    let anonymous = url.username().is_empty() && url.password().is_none();
    anonymous && (is_slack || (loopback && is_loopback(url)))
}
