//! What Slack sends: slash commands and pressed buttons.

use reqwest::Url;
use serde::Deserialize;

use super::delivery::SlackOrigin;
use super::field;
use super::permission::Caller;
use crate::ids::{CredentialName, RotationId};
use crate::queue::RevokeOld;
use crate::slack::takes_messages;

/// The longest reason that is kept.
pub const LONGEST_REASON: usize = 500;
/// The most that is repeated of an option that there is none of.
const LONGEST_OPTION: usize = 40;
/// The longest name that a credential can have: a secret's, where a rule made it.
pub const LONGEST_NAME: usize = 512;
/// The button's `action_id`.
pub const APPROVE: &str = "keywheel_approve";

/// Not what Slack sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a request as Slack sends it")]
pub struct NotSlack;

/// A slash command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slash {
    /// Who typed it, and where.
    pub origin: SlackOrigin,
    /// What.
    pub command: Command,
}

/// What somebody typed after `/keywheel`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `rotate NAME [reason…] [--now]`.
    Rotate {
        /// The credential.
        name: CredentialName,
        /// Why.
        reason: Option<String>,
        /// `--now`: the old key goes at once.
        revoke_old: RevokeOld,
    },
    /// `status [NAME]`.
    Status(Option<CredentialName>),
    /// `plan`.
    Plan,
    /// `help`, or nothing.
    Help,
    /// An option that there is none of: nothing is done, for it may have meant what leaving it out does not.
    UnknownOption(String),
    /// Anything else.
    Unknown,
}

/// A pressed button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pressed {
    /// Who pressed it, and where.
    pub origin: SlackOrigin,
    /// What is approved.
    pub approval: RotationId,
}

impl SlackOrigin {
    /// Who it is.
    pub fn caller(&self) -> Caller {
        Caller::Slack { team: self.team.clone(), user: self.user.clone() }
    }
}

/// Whether Slack only looks whether the address answers over TLS (`ssl_check=1`): it wants 200, and nothing done.
pub fn is_ssl_check(body: &[u8]) -> bool {
    field(body, "ssl_check").as_deref() == Some("1")
}

impl Slash {
    /// Reads the form of a slash command.
    pub fn parse(body: &[u8]) -> Result<Self, NotSlack> {
        let field = |name: &str| field(body, name);
        let id = |name: &str| field(name).filter(|text| is_id(text)).ok_or(NotSlack);
        let origin = SlackOrigin {
            response_url: field("response_url").ok_or(NotSlack)?,
            channel: id("channel_id")?,
            user: id("user_id")?,
            team: id("team_id")?,
        };
        let text = field("text").unwrap_or_default();
        Ok(Self { origin, command: Command::parse(&text) })
    }
}

impl Command {
    /// Reads what was typed.
    pub fn parse(text: &str) -> Self {
        let mut words = text.split_whitespace();
        let verb = words.next().unwrap_or("help").to_lowercase();
        let command = match verb.as_str() {
            "rotate" => {
                let (options, rest): (Vec<_>, Vec<_>) =
                    words.partition(|word| option(word).is_some());
                let mut rest = rest.into_iter();
                let Some(name) = rest.next().and_then(name) else { return Self::Unknown };
                let is_now = |word: &&str| option(word).is_some_and(|option| option == "now");
                if let Some(other) = options.iter().find(|word| !is_now(word)) {
                    return Self::UnknownOption(plain(other, LONGEST_OPTION));
                }
                let reason = plain(&rest.collect::<Vec<_>>().join(" "), LONGEST_REASON);
                return Self::Rotate {
                    name,
                    reason: Some(reason).filter(|reason| !reason.is_empty()),
                    revoke_old: if options.is_empty() {
                        RevokeOld::AfterOverlap
                    } else {
                        RevokeOld::Now
                    },
                };
            }
            "status" => match words.next().map(name) {
                None => Self::Status(None),
                Some(Some(name)) => Self::Status(Some(name)),
                Some(None) => Self::Unknown,
            },
            "plan" => Self::Plan,
            "help" => Self::Help,
            _ => Self::Unknown,
        };
        if words.next().is_some() { Self::Unknown } else { command }
    }
}

/// A credential's name. An option is none: `rotate --now` names nothing; nor is what would have to be cut or cleaned.
fn name(word: &str) -> Option<CredentialName> {
    let word = unlinked(word);
    let fits = option(word).is_none() && plain(word, LONGEST_NAME) == word;
    fits.then(|| CredentialName(word.to_owned()))
}

/// A name with dots as it was typed: Slack makes a link of one that could be a host (`<http://a.io|a.io>`).
fn unlinked(word: &str) -> &str {
    let link = word.strip_prefix('<').and_then(|word| word.strip_suffix('>'));
    let shown = link.and_then(|link| link.split_once('|')).filter(|(address, shown)| {
        let address = address.strip_prefix("mailto:").unwrap_or(address);
        let address = address.split_once("://").map_or(address, |(_, rest)| rest);
        address.trim_end_matches('/') == shown.trim_end_matches('/')
    });
    shown.map_or(word, |(_, shown)| shown)
}

/// What keyboards make of `-` and `--`: hyphens, dashes, the minus, and their wide and small forms.
fn is_dash(c: char) -> bool {
    matches!(
        c,
        '-' | '\u{ad}' | '\u{2010}'
            ..='\u{2015}'
                | '\u{2043}'
                | '\u{2212}'
                | '\u{2e3a}'
                | '\u{2e3b}'
                | '\u{fe58}'
                | '\u{fe63}'
                | '\u{ff0d}'
    )
}

/// The option that a word is, without its dashes and in small letters: `--now` however a keyboard wrote it. A dash
/// alone is none, nor is a single hyphen before a word (`-5`): that may be part of a reason.
fn option(word: &str) -> Option<String> {
    let bare = word.trim_start_matches(is_dash);
    let dashes = &word[..word.len() - bare.len()];
    // One long dash stands for two hyphens.
    let long = dashes.chars().count() > 1 || dashes.chars().any(|c| c != '-');
    let is_word = bare.starts_with(|c: char| c.is_alphabetic());
    (is_word && (long || bare.eq_ignore_ascii_case("now"))).then(|| bare.to_lowercase())
}

#[derive(Deserialize)]
struct Payload {
    r#type: String,
    user: User,
    team: Option<Id>,
    channel: Option<Id>,
    response_url: Option<String>,
    #[serde(default)]
    actions: Vec<Action>,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
struct User {
    id: String,
    team_id: Option<String>,
}

#[derive(Deserialize)]
struct Action {
    action_id: String,
    value: Option<String>,
}

impl Pressed {
    /// Reads the form of an interaction: `payload=` with JSON.
    pub fn parse(body: &[u8]) -> Result<Self, NotSlack> {
        let payload = field(body, "payload").ok_or(NotSlack)?;
        let payload: Payload = serde_json::from_str(&payload).map_err(|_| NotSlack)?;
        let [Action { action_id, value: Some(value) }] = payload.actions.as_slice() else {
            return Err(NotSlack);
        };
        if payload.r#type != "block_actions" || action_id != APPROVE {
            return Err(NotSlack);
        }
        // In a shared channel the person's own workspace counts, not the one the channel is in.
        let team = payload.user.team_id.or(payload.team.map(|team| team.id)).ok_or(NotSlack)?;
        let origin = SlackOrigin {
            response_url: payload.response_url.ok_or(NotSlack)?,
            channel: payload.channel.ok_or(NotSlack)?.id,
            user: payload.user.id,
            team,
        };
        if ![&origin.channel, &origin.user, &origin.team].into_iter().all(|id| is_id(id)) {
            return Err(NotSlack);
        }
        Ok(Self { origin, approval: value.parse().map_err(|_| NotSlack)? })
    }
}

/// An id of Slack's: a letter that says of what, then letters and digits.
pub fn is_id(text: &str) -> bool {
    (2..=32).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Without control characters, and not longer than this.
pub(super) fn plain(text: &str, longest: usize) -> String {
    let mut plain: String = text.chars().filter(|c| !c.is_control()).take(longest).collect();
    plain.truncate(plain.trim_end().len());
    plain
}

/// As Slack's mrkdwn shows it word for word: no link, no mention, and no way out of a code span.
pub fn escaped(text: &str) -> String {
    let text = plain(text, LONGEST_NAME);
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('`', "'")
}

/// Whether a `response_url` leads to Slack. `loopback`: or, in tests, to this machine.
pub fn response_url(text: &str, loopback: bool) -> Option<Url> {
    let url: Url = text.parse().ok()?;
    let plain = url.username().is_empty() && url.password().is_none();
    let local = loopback
        && url.scheme() == "http"
        && matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    (takes_messages(&url) || (plain && local)).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotate(name: &str, reason: Option<&str>, revoke_old: RevokeOld) -> Command {
        let name = CredentialName(name.to_owned());
        Command::Rotate { name, reason: reason.map(str::to_owned), revoke_old }
    }

    #[test]
    fn commands_are_read_as_people_type_them() {
        use RevokeOld::{AfterOverlap, Now};
        for (text, command) in [
            ("rotate monk", rotate("monk", None, AfterOverlap)),
            ("  Rotate  monk  it  leaked ", rotate("monk", Some("it leaked"), AfterOverlap)),
            ("rotate monk --now", rotate("monk", None, Now)),
            ("rotate monk --now it leaked", rotate("monk", Some("it leaked"), Now)),
            ("rotate monk it --now leaked", rotate("monk", Some("it leaked"), Now)),
            ("rotate monk —now it leaked", rotate("monk", Some("it leaked"), Now)),
            ("rotate monk –Now", rotate("monk", None, Now)),
            ("rotate monk −−NOW", rotate("monk", None, Now)),
            ("rotate monk -now", rotate("monk", None, Now)),
            ("rotate monk \u{2011}\u{2011}now", rotate("monk", None, Now)),
            ("ROTATE —now monk", rotate("monk", None, Now)),
            (
                "rotate monk it leaked — badly",
                rotate("monk", Some("it leaked — badly"), AfterOverlap),
            ),
            ("rotate monk -5 days", rotate("monk", Some("-5 days"), AfterOverlap)),
            ("rotate monk —nwo it leaked", Command::UnknownOption("—nwo".to_owned())),
            ("rotate monk --force", Command::UnknownOption("--force".to_owned())),
            ("rotate <http://monk.io|monk.io>", rotate("monk.io", None, AfterOverlap)),
            ("rotate <mailto:ci@monk.io|ci@monk.io>", rotate("ci@monk.io", None, AfterOverlap)),
            (
                "status <http://monk.io/|monk.io>",
                Command::Status(Some(CredentialName("monk.io".to_owned()))),
            ),
            (
                "rotate <http://evil.io|monk.io>",
                rotate("<http://evil.io|monk.io>", None, AfterOverlap),
            ),
            ("rotate —now", Command::Unknown),
            ("status —now", Command::Unknown),
            ("rotate", Command::Unknown),
            ("rotate --now", Command::Unknown),
            ("rotate \u{e}", Command::Unknown),
            ("status mo\u{7}nk", Command::Unknown),
            ("status", Command::Status(None)),
            ("status monk", Command::Status(Some(CredentialName("monk".to_owned())))),
            ("status monk aks", Command::Unknown),
            ("plan", Command::Plan),
            ("plan now", Command::Unknown),
            ("help", Command::Help),
            ("", Command::Help),
            ("turn monk", Command::Unknown),
        ] {
            assert_eq!(Command::parse(text), command, "{text}");
        }
    }

    #[test]
    fn reasons_are_bounded_and_plain() {
        let long = format!("rotate monk {}\u{7}", "é".repeat(900));
        let Command::Rotate { reason: Some(reason), .. } = Command::parse(&long) else {
            panic!("no reason");
        };
        assert_eq!(reason, "é".repeat(LONGEST_REASON));
    }

    #[test]
    fn a_slash_command_is_a_form() {
        let body = "team_id=T1DC2JH3J&channel_id=G8PSS9T3V&user_id=U2CERLKJA&command=%2Fkeywheel&text=rotate+monk+%26+more&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1%2F3%2F9";
        let slash = Slash::parse(body.as_bytes()).unwrap();
        assert_eq!(slash.origin.response_url, "https://hooks.slack.com/commands/T1/3/9");
        assert_eq!(slash.origin.caller().to_string(), "slack:T1DC2JH3J/U2CERLKJA");
        assert_eq!(slash.command, rotate("monk", Some("& more"), RevokeOld::AfterOverlap));
        for left_out in ["team_id", "channel_id", "user_id", "response_url"] {
            let other = body.replace(left_out, "x");
            assert_eq!(Slash::parse(other.as_bytes()), Err(NotSlack), "{left_out}");
        }
        assert_eq!(Slash::parse(b"\xff\xfe"), Err(NotSlack));
        assert_eq!(Slash::parse(body.replace("U2CERLKJA", "<@U1>").as_bytes()), Err(NotSlack));
    }

    fn pressed(payload: &serde_json::Value) -> Result<Pressed, NotSlack> {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("payload", &payload.to_string())
            .finish();
        Pressed::parse(body.as_bytes())
    }

    #[test]
    fn a_pressed_button_is_json_in_a_form() {
        let payload = serde_json::json!({
            "type": "block_actions", "user": { "id": "U2", "team_id": "T1" }, "team": { "id": "T9" },
            "channel": { "id": "C1" }, "response_url": "https://hooks.slack.com/actions/x",
            "actions": [{ "action_id": APPROVE, "value": "00000000-0000-0000-0000-000000000007" }],
        });
        let read = pressed(&payload).unwrap();
        assert_eq!(read.approval.0.as_u128(), 7);
        assert_eq!(read.origin.caller().to_string(), "slack:T1/U2");
        for (pointer, value) in [
            ("/type", "view_submission".into()),
            ("/user/id", "".into()),
            ("/actions", serde_json::json!([])),
            ("/actions/0/action_id", "other".into()),
            ("/actions/0/value", "7".into()),
            ("/channel", serde_json::Value::Null),
            ("/response_url", serde_json::Value::Null),
        ] {
            let mut other = payload.clone();
            *other.pointer_mut(pointer).unwrap() = value;
            assert_eq!(pressed(&other), Err(NotSlack), "{pointer}");
        }
        assert_eq!(Pressed::parse(b"payload=%7B"), Err(NotSlack));
    }

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
            ("https://127.0.0.1/x", false, false),
            ("", false, false),
        ] {
            assert_eq!(response_url(url, false).is_some(), real, "{url}");
            assert_eq!(response_url(url, true).is_some(), test, "{url}");
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
