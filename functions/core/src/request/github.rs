//! GitHub's secret scanning alerts: what the webhook says, and what the leaked text is compared with.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::field;
use crate::ids::{KeyId, VersionId};
use crate::rotation::version_state::{VersionState, version_state};
use crate::rotation::{SecretState, SecretView};
use crate::secret::SecretText;
use crate::value::{Format, SECRET_TEXT};

/// What GitHub sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A secret was found where others can read it.
    Leak(Alert),
    /// Anything else: nothing is done about it.
    Other,
}

/// Where a leaked secret can be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Reads an event; `kind` is `X-GitHub-Event`. The body is JSON or, as GitHub sends unless told otherwise, a form
    /// whose field `payload` is that JSON.
    pub fn parse(kind: &str, body: &[u8]) -> Result<Self, NotGitHub> {
        let value = serde_json::from_slice(body).or_else(|_| {
            let payload = field(body, "payload").ok_or(NotGitHub)?;
            serde_json::from_str(&payload).map_err(|_| NotGitHub)
        });
        let value: serde_json::Value = value?;
        // GitHub names the kind of every event; without it nobody knows what this one says.
        if !value.is_object() || kind.is_empty() {
            return Err(NotGitHub);
        }
        if kind != "secret_scanning_alert" {
            return Ok(Self::Other);
        }
        let payload: Payload = serde_json::from_value(value).map_err(|_| NotGitHub)?;
        let (owner, repository) = (payload.repository.owner.login, payload.repository.name);
        let alert = Alert { owner, repository, number: payload.alert.number };
        if !alert.is_named() {
            return Err(NotGitHub);
        }
        Ok(match payload.action.as_str() {
            "created" | "reopened" | "publicly_leaked" => Self::Leak(alert),
            _ => Self::Other,
        })
    }
}

/// Whether a text can be the name of an owner or of a repository.
fn is_name(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && text.bytes().any(|b| b != b'.')
}

impl Alert {
    /// Says whether its names are such as GitHub has. The address is made of them, and GitHub's token is sent there.
    pub fn is_named(&self) -> bool {
        is_name(&self.owner) && is_name(&self.repository)
    }

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

/// A leaked text, and what else it may be: scanners report a line of a file, or what a client sent, as they found it.
pub struct Leaked {
    /// The text without blanks around it, and what follows a name in `NAME=secret` or `id:secret`.
    parts: Vec<Zeroizing<String>>,
    /// The words in it, or in what it is base64 of, that look like secrets of Graph's.
    minted: Vec<Zeroizing<String>>,
}

impl Leaked {
    /// Takes the leaked text apart.
    pub fn new(text: &SecretText) -> Self {
        let whole = text.expose().trim();
        let after = |c| whole.split_once(c).map(|(_, rest)| rest.trim());
        let parts = [Some(whole), after('='), after(':')].into_iter().flatten();
        let parts = parts.chain(words(whole)).filter(|part| !part.is_empty());
        let parts = parts.map(|part| Zeroizing::new(part.to_owned())).collect();
        let mut minted = minted_words(whole);
        // The last word of a sentence ends with a full stop.
        let bare = minted.iter().filter_map(|word| word.strip_suffix('.'));
        let bare: Vec<_> = bare.map(|word| Zeroizing::new(word.to_owned())).collect();
        minted.extend(bare);
        Self { parts, minted }
    }

    /// Whether a secret's value holds the leaked text: as what the format reads in it, as the whole of it, or as a word
    /// in it or in what a part of it is base64 of. The last find a secret in a value of another shape: made for an
    /// earlier format or template, or by hand.
    pub fn is_in(&self, value: &SecretText, format: &Format) -> bool {
        let whole = value.expose().trim();
        let read = format.client_secret(value).ok();
        let read = read.as_ref().map(|read| read.expose().trim());
        let is_part = |text: &str| any(&self.parts, text);
        let is_read = read.is_some_and(is_part);
        // All are compared: the time does not say which one it was.
        let words = minted_words(whole);
        let is_word = words.iter().fold(false, |found, word| found | any(&self.minted, word));
        is_read | any(&self.parts[..1.min(self.parts.len())], whole) | is_word
    }
}

/// Whether a text is one of these, in a time that says nothing of which.
fn any(texts: &[Zeroizing<String>], text: &str) -> bool {
    texts.iter().fold(false, |found, one| found | same(one, text))
}

/// The words of a text that look like secrets of Graph's: as it is, percent-decoded, and of what its parts are base64
/// of, in one line or wrapped over several.
fn minted_words(text: &str) -> Vec<Zeroizing<String>> {
    let unwrapped: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let unwrapped = Zeroizing::new(unwrapped);
    let parts = [text, unwrapped.as_str()].into_iter();
    let parts = parts.flat_map(|text| text.split(|c: char| !in_base64(c)));
    let mut texts: Vec<Zeroizing<String>> = parts.filter_map(decode).collect();
    texts.push(Zeroizing::new(percent_decode_str(text).decode_utf8_lossy().into_owned()));
    texts.push(Zeroizing::new(text.to_owned()));
    let minted = texts.iter().flat_map(|text| words(text)).filter(|word| minted(word));
    minted.map(|word| Zeroizing::new(word.to_owned())).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !in_word(c))
}

/// What base64 is made of, and base64url.
fn in_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_')
}

/// What a text is base64 of, in either alphabet and however it is padded, with a mark for what is no text.
fn decode(text: &str) -> Option<Zeroizing<String>> {
    if text.len() < SECRET_TEXT.start() * 4 / 3 {
        return None;
    }
    let bytes = [URL_SAFE_NO_PAD, STANDARD_NO_PAD].iter().find_map(|way| way.decode(text).ok())?;
    let bytes = Zeroizing::new(bytes);
    Some(Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Whether a text looks like one that Graph made. What else stands in a value (ids, addresses, dates) does not, and is
/// no secret: it leaks in other ways, and nothing is to be rotated for it.
fn minted(text: &str) -> bool {
    SECRET_TEXT.contains(&text.len()) && text.contains('~') && text.chars().all(in_word)
}

/// What Graph's secrets are made of.
fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '~' | '.' | '_' | '-')
}

/// Whether two texts are the same, in a time that says nothing of where they differ.
fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
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
    let cure = match (version_state(view, version, overlap), view.key_of(version)) {
        // Also one that somebody stored by hand: where the manifest adopts it, it can be replaced.
        (VersionState::InUse, _) => Cure::Rotate,
        // One that was never current may belong to a try under way: the rules of its removal wait for that.
        (_, Some(key)) => Cure::Retire(key),
        (_, None) => Cure::ByHand,
    };
    Live { version: version.clone(), cure }
}

#[cfg(test)]
mod tests;
