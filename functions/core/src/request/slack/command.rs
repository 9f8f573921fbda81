//! Slash commands: the words after `/keywheel`.

use super::super::delivery::SlackOrigin;
use super::super::field;
use super::{NotSlack, is_id, plain};
use crate::ids::CredentialName;
use crate::queue::RevokeOld;

/// The longest reason that is kept, in characters.
pub const LONGEST_REASON: usize = 500;
/// The most characters of an unknown option that are repeated.
const LONGEST_OPTION: usize = 40;
/// The longest name of a credential, in characters. A rule names credentials by their secrets.
pub const LONGEST_NAME: usize = 512;

/// A slash command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slash {
    /// The person who typed the command, and the place.
    pub origin: SlackOrigin,
    /// The command.
    pub command: Command,
}

/// The words after `/keywheel`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `rotate NAME [reason…] [--now]`.
    Rotate {
        /// The credential.
        name: CredentialName,
        /// The reason.
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
    /// An unknown option. Nothing is done, because leaving the option out may change what the person meant.
    UnknownOption(String),
    /// Anything else.
    Unknown,
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
    /// Reads the words.
    pub fn parse(text: &str) -> Self {
        let mut words = text.split_whitespace();
        let verb = words.next().unwrap_or("help").to_lowercase();
        let command = match verb.as_str() {
            "rotate" => return Self::rotate(words).unwrap_or(Self::Unknown),
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

    /// Reads the words after `rotate`; `None`: they name no credential.
    fn rotate<'a>(words: impl Iterator<Item = &'a str>) -> Option<Self> {
        let (options, rest): (Vec<_>, Vec<_>) = words.partition(|word| option(word).is_some());
        let (first, rest) = rest.split_first()?;
        let name = name(first)?;
        let is_now = |word: &&str| option(word).is_some_and(|option| option == "now");
        if let Some(other) = options.iter().find(|word| !is_now(word)) {
            return Some(Self::UnknownOption(plain(other, LONGEST_OPTION)));
        }
        let reason = Some(plain(&rest.join(" "), LONGEST_REASON)).filter(|text| !text.is_empty());
        let revoke_old = if options.is_empty() { RevokeOld::AfterOverlap } else { RevokeOld::Now };
        Some(Self::Rotate { name, reason, revoke_old })
    }
}

/// Reads a credential's name. An option is no name (`rotate --now`), nor is a word that would have to be cut or cleaned.
fn name(word: &str) -> Option<CredentialName> {
    let word = unlinked(word);
    let fits = option(word).is_none() && plain(word, LONGEST_NAME) == word;
    fits.then(|| CredentialName(word.to_owned()))
}

/// Gives a name with dots as it was typed. Slack makes a link of a name that could be a host (`<http://a.io|a.io>`).
fn unlinked(word: &str) -> &str {
    let link = word.strip_prefix('<').and_then(|word| word.strip_suffix('>'));
    let shown = link.and_then(|link| link.split_once('|')).filter(|(address, shown)| {
        let address = address.strip_prefix("mailto:").unwrap_or(address);
        let address = address.split_once("://").map_or(address, |(_, rest)| rest);
        address.trim_end_matches('/') == shown.trim_end_matches('/')
    });
    shown.map_or(word, |(_, shown)| shown)
}

/// Says whether a keyboard may write this character for `-` or `--`: hyphens, dashes, the minus, wide and small forms.
fn is_dash(c: char) -> bool {
    const OTHERS: &str = "-\u{ad}\u{2043}\u{2212}\u{2e3a}\u{2e3b}\u{fe58}\u{fe63}\u{ff0d}";
    ('\u{2010}'..='\u{2015}').contains(&c) || OTHERS.contains(c)
}

/// Reads an option, without its dashes and in small letters: `--now` however a keyboard wrote it.
///
/// A dash alone is no option, nor is a single hyphen before a word (`-5`): both may be part of a reason.
fn option(word: &str) -> Option<String> {
    let bare = word.trim_start_matches(is_dash);
    let dashes = &word[..word.len() - bare.len()];
    // A keyboard may write one long dash for two hyphens.
    let long = dashes.chars().count() > 1 || dashes.chars().any(|c| c != '-');
    let is_word = bare.starts_with(|c: char| c.is_alphabetic());
    let short = dashes == "-" && bare.eq_ignore_ascii_case("now");
    (is_word && (long || short)).then(|| bare.to_lowercase())
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
            ("rotate monk -see ticket", rotate("monk", Some("-see ticket"), AfterOverlap)),
            ("rotate monk -5 days", rotate("monk", Some("-5 days"), AfterOverlap)),
            ("rotate monk we need it now", rotate("monk", Some("we need it now"), AfterOverlap)),
            ("rotate now", rotate("now", None, AfterOverlap)),
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
}
