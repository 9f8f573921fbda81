//! GitHub's secret scanning alerts: the webhook's events, and the comparison of a leaked text with secrets.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::field;
use crate::ids::{KeyId, VersionId};
use crate::rotation::version_state::{VersionState, version_state};
use crate::rotation::{SecretState, SecretView};
use crate::secret::SecretText;
use crate::value::{Format, SECRET_TEXT};

/// An event of GitHub's webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// GitHub found a secret where others can read the secret.
    Leak(Alert),
    /// Any other event. Keywheel does nothing about such an event.
    Other,
}

/// The alert about a leaked secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The repository's owner.
    pub owner: String,
    /// The repository.
    pub repository: String,
    /// The alert's number in the repository.
    pub number: u64,
}

impl std::fmt::Display for Alert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{} alert {}", self.owner, self.repository, self.number)
    }
}

/// A request is not as GitHub sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an event as GitHub sends it")]
pub struct NotGitHub;

impl Sent {
    /// Reads an event; `kind` is `X-GitHub-Event`. The body is JSON or, as GitHub sends unless told otherwise, a form
    /// whose field `payload` is that JSON.
    pub fn parse(kind: &str, body: &[u8]) -> Result<Self, NotGitHub> {
        let value = serde_json::from_slice(body).or_else(|_| {
            let payload = field(body, "payload").ok_or(NotGitHub)?;
            serde_json::from_str(&payload).map_err(|_| NotGitHub)
        });
        let value: Value = value?;
        // GitHub names the kind of every event. An event without a kind cannot be read.
        if !value.is_object() || kind.is_empty() {
            return Err(NotGitHub);
        }
        if kind != "secret_scanning_alert" {
            return Ok(Self::Other);
        }
        let text = |pointer| value.pointer(pointer).and_then(Value::as_str).ok_or(NotGitHub);
        let alert = Alert {
            owner: text("/repository/owner/login")?.to_owned(),
            repository: text("/repository/name")?.to_owned(),
            number: value.pointer("/alert/number").and_then(Value::as_u64).ok_or(NotGitHub)?,
        };
        if !alert.is_named() {
            return Err(NotGitHub);
        }
        Ok(match text("/action")? {
            "created" | "reopened" | "publicly_leaked" => Self::Leak(alert),
            _ => Self::Other,
        })
    }
}

/// Says whether a text can be the name of an owner or of a repository.
fn is_name(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && text.bytes().any(|b| b != b'.')
}

impl Alert {
    /// Says whether the names can be GitHub's. The names form the address that GitHub's token is sent to.
    pub fn is_named(&self) -> bool {
        is_name(&self.owner) && is_name(&self.repository)
    }

    /// Gives the alert's path in GitHub's REST API.
    pub fn path(&self) -> String {
        format!("repos/{}/{}/secret-scanning/alerts/{}", self.owner, self.repository, self.number)
    }

    /// Reads the leaked text of GitHub's answer.
    pub fn secret(answer: &[u8]) -> Option<SecretText> {
        #[derive(Deserialize)]
        struct Answer {
            secret: String,
        }
        let answer: Answer = serde_json::from_slice(answer).ok()?;
        (!answer.secret.is_empty()).then(|| SecretText::new(answer.secret))
    }
}

/// A leaked text and its parts. Scanners report a whole line of a file or of a request, as they found the line.
pub struct Leaked {
    /// The text without blanks around it, the part after a name in `NAME=secret` or `id:secret`, and the words.
    parts: Vec<Zeroizing<String>>,
    /// The words that look like secrets of Graph's, in the text and in its parts decoded from base64.
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

    /// Says whether a secret's value holds the leaked text: as the secret that the format reads, as the whole value, or
    /// as a word of the value or of its parts decoded from base64.
    ///
    /// Words find a secret in a value of another shape: of an earlier format or template, or made by hand.
    pub fn is_in(&self, value: &SecretText, format: &Format) -> bool {
        let whole = value.expose().trim();
        let read = format.client_secret(value).ok();
        let read = read.as_ref().map(|read| read.expose().trim());
        let is_part = |text: &str| any(&self.parts, text);
        let is_read = read.is_some_and(is_part);
        // All are compared, so that the time does not show which part fits.
        let words = minted_words(whole);
        let is_word = words.iter().fold(false, |found, word| found | any(&self.minted, word));
        is_read | any(&self.parts[..1.min(self.parts.len())], whole) | is_word
    }
}

/// Says whether a text is one of these, in a time that does not show which.
fn any(texts: &[Zeroizing<String>], text: &str) -> bool {
    texts.iter().fold(false, |found, one| found | same(one, text))
}

/// Lists the words that look like secrets of Graph's: in the text, in the percent-decoded text, and in its parts decoded
/// from base64, in one line or wrapped over several.
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

/// Says whether a character belongs to base64 or to base64url.
fn in_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_')
}

/// Decodes base64 of either alphabet, with or without padding. Bytes that are no text become a mark.
fn decode(text: &str) -> Option<Zeroizing<String>> {
    if text.len() < SECRET_TEXT.start() * 4 / 3 {
        return None;
    }
    let bytes = [URL_SAFE_NO_PAD, STANDARD_NO_PAD].iter().find_map(|way| way.decode(text).ok())?;
    let bytes = Zeroizing::new(bytes);
    Some(Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Says whether a text looks like a secret of Graph's.
///
/// Other parts of a value (ids, addresses, dates) do not look like that. They are no secrets, and a leak of them calls for
/// no rotation.
fn minted(text: &str) -> bool {
    SECRET_TEXT.contains(&text.len()) && text.contains('~') && text.chars().all(in_word)
}

/// Says whether a character may stand in a secret of Graph's.
fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '~' | '.' | '_' | '-')
}

/// Says whether two texts are the same, in a time that does not show where they differ.
fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

/// A version whose secret may still work, and the response if the secret has leaked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkingVersion {
    /// The version.
    pub version: VersionId,
    /// The action.
    pub response: LeakResponse,
}

/// The response to a leaked secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeakResponse {
    /// Rotate, and remove the key at once: the version is current, or about to be.
    Rotate,
    /// Remove this key now, not after the overlap: the version was replaced already.
    Retire(KeyId),
    /// A person must act: the version was replaced, and its key is not known. Somebody stored the version by hand before
    /// the secret was adopted, or removed its label since.
    ByHand,
}

/// Lists the versions of a secret whose text may still sign in.
pub fn working_versions(state: &SecretState, overlap: TimeDelta) -> Vec<WorkingVersion> {
    let SecretState::Present(view) = state else { return Vec::new() };
    view.versions.keys().map(|version| working_version(view, version, overlap)).collect()
}

fn working_version(view: &SecretView, version: &VersionId, overlap: TimeDelta) -> WorkingVersion {
    let response = match (version_state(view, version, overlap), view.key_of(version)) {
        // This includes a version that somebody stored by hand: if the manifest adopts the secret, it can be rotated.
        (VersionState::InUse, _) => LeakResponse::Rotate,
        // A version that was never current may belong to a try under way. The rules of removal wait for that try.
        (_, Some(key)) => LeakResponse::Retire(key),
        (_, None) => LeakResponse::ByHand,
    };
    WorkingVersion { version: version.clone(), response }
}

#[cfg(test)]
mod tests;
