//! Requests of Slack: slash commands and pressed buttons.

mod command;
mod pressed;

use reqwest::Url;

pub use self::command::{Command, LONGEST_NAME, LONGEST_REASON, Slash};
pub use self::pressed::{APPROVE, Choice, DENY, Pressed};
use super::delivery::SlackOrigin;
use super::field;
use super::permission::Caller;
use crate::slack::takes_messages;

/// A request is not as Slack sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a request as Slack sends it")]
pub struct NotSlack;

impl SlackOrigin {
    /// Gives the caller.
    pub fn caller(&self) -> Caller {
        Caller::Slack { team: self.team.clone(), user: self.user.clone() }
    }
}

/// Says whether Slack only checks that the address answers over TLS (`ssl_check=1`). Slack then expects 200 and no action.
pub fn is_ssl_check(body: &[u8]) -> bool {
    field(body, "ssl_check").as_deref() == Some("1")
}

/// Says whether a text can be an id of Slack's: capital letters and digits, a letter first.
pub fn is_id(text: &str) -> bool {
    (2..=32).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Removes control characters, and cuts a text to this many characters.
pub(super) fn plain(text: &str, longest: usize) -> String {
    let mut plain: String = text.chars().filter(|c| !c.is_control()).take(longest).collect();
    plain.truncate(plain.trim_end().len());
    plain
}

/// Escapes a text for Slack's mrkdwn, so that the text makes no link and no mention, and does not end a code span.
pub fn escaped(text: &str) -> String {
    let text = plain(text, LONGEST_NAME);
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('`', "'")
}

/// Reads a `response_url`; `None`: the address is not Slack's. With `loopback`, for tests, this machine counts as Slack.
pub fn response_url(text: &str, loopback: bool) -> Option<Url> {
    text.parse().ok().filter(|url| takes_messages(url, loopback))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_go_to_slack_and_nowhere_else() {
        for (url, real, test) in [
            ("https://hooks.slack.com/commands/T1/1/x", true, true),
            ("https://hooks.slack-gov.com/commands/T1/1/x", true, true),
            ("https://hooks.slack-gov.com.evil.example/x", false, false),
            ("https://slack-gov.com/x", false, false),
            ("https://hooks.slack.com:8443/x", false, false),
            ("https://hooks.slack.com@evil.example/x", false, false),
            ("https://user@hooks.slack.com/x", false, false),
            ("https://hooks.slack.com.evil.example/x", false, false),
            ("http://hooks.slack.com/x", false, false),
            ("http://169.254.169.254/x", false, false),
            ("http://127.0.0.1:8080/x", false, true),
            ("http://user@127.0.0.1:8080/x", false, false),
            ("http://:word@127.0.0.1:8080/x", false, false),
            ("https://127.0.0.1/x", false, false),
            ("", false, false),
        ] {
            assert_eq!(response_url(url, false).is_some(), real, "{url}");
            assert_eq!(response_url(url, true).is_some(), test, "{url}");
        }
    }

    #[test]
    fn an_id_of_slacks_has_capitals_and_digits_and_begins_with_a_capital() {
        let longest = "T".repeat(32);
        for (text, is) in [("T1", true), (&longest, true), (&format!("{longest}T"), false)] {
            assert_eq!(is_id(text), is, "{text}");
        }
        for no_id in ["", "T", "1T", "11", "Tx", "T-1"] {
            assert!(!is_id(no_id), "{no_id}");
        }
    }

    #[test]
    fn nothing_typed_becomes_a_mention_or_a_link() {
        assert_eq!(
            escaped("<!channel> `a` & <http://x|y>"),
            "&lt;!channel&gt; 'a' &amp; &lt;http://x|y&gt;"
        );
    }
}
