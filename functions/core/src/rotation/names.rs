//! Writes and reads Keywheel's names: a key's display name in Graph, and a version's staging labels.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Datelike, Utc};
use sha2::{Digest, Sha256};

use crate::ids::{KeyId, ObjectId, Token};

const PREFIX: &str = "keywheel";

/// Names the version in use (Secrets Manager's own label).
pub const AWSCURRENT: &str = "AWSCURRENT";
/// Names the version that was in use before (Secrets Manager's own label).
pub const AWSPREVIOUS: &str = "AWSPREVIOUS";
/// Names the version of the rotation under way (Secrets Manager's own label). The label is Keywheel's lock.
pub const AWSPENDING: &str = "AWSPENDING";

/// Tells our keys from others: a short hash of account, region and secret name.
///
/// Two deployments, or two credentials on one application, never touch each other's keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(String);

impl Scope {
    /// Makes the scope of one secret. Each part has its length before it, so no two secrets hash the same text.
    pub fn of(account: &str, region: &str, secret: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [account, region, secret] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let digest = hash.finalize();
        let short =
            digest.iter().take(6).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        Self(format!("{short:012x}"))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Writes the display name of a key that a rotation mints: `keywheel/<scope>/<token>`.
///
/// Graph keeps nothing else of where a key came from. The name cannot be changed afterwards.
pub fn display_name(scope: &Scope, rotation: &Token) -> String {
    format!("{PREFIX}/{scope}/{rotation}")
}

/// Says whether any Keywheel minted the key of this display name, of whatever scope.
pub fn is_minted(display_name: &str) -> bool {
    let scope_and_id = display_name.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('/'));
    let Some((scope, _)) = scope_and_id.and_then(|rest| rest.split_once('/')) else { return false };
    minted_by(&Scope(scope.to_owned()), display_name).is_some()
}

/// Returns the rotation of this scope that minted the key of this display name.
///
/// `None`: the key is **foreign**, and stays unless the manifest names the key.
pub fn minted_by(scope: &Scope, display_name: &str) -> Option<Token> {
    let rest = display_name.strip_prefix(PREFIX)?.strip_prefix('/')?;
    let id = rest.strip_prefix(scope.0.as_str())?.strip_prefix('/')?;
    // The token keeps its spelling: each spelling is the id of another version.
    id.parse().ok()
}

/// Bounds the times that Keywheel writes, so that adding an overlap cannot overflow.
fn within(at: &DateTime<Utc>) -> bool {
    (1970..=9999).contains(&at.year())
}

/// Reads a staging label, as far as Keywheel knows labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// `AWSCURRENT`.
    Current,
    /// `AWSPREVIOUS`.
    Previous,
    /// `AWSPENDING`.
    Pending,
    /// `keywheel:key:<keyId>`: the version holds this key's secret.
    Key(KeyId),
    /// `keywheel:since:<epoch seconds>`: the version became current then.
    Since(DateTime<Utc>),
    /// `keywheel:void:<epoch seconds>`: the version was given up then and must never become current.
    Void(DateTime<Utc>),
    /// `keywheel:removing:<object>:<keyId>`: Keywheel saw the key on that object, and is about to remove the key. A later
    /// try that does not find the key knows who removed it.
    Removing(ObjectId, KeyId),
    /// A label of somebody else.
    Other(String),
}

impl Label {
    /// Reads a label. A label that Keywheel would spell otherwise is [`Label::Other`].
    pub fn parse(text: &str) -> Self {
        match text {
            AWSCURRENT => return Self::Current,
            AWSPREVIOUS => return Self::Previous,
            AWSPENDING => return Self::Pending,
            _ => {}
        }
        let known = text.strip_prefix("keywheel:").and_then(|rest| {
            if let Some(key) = rest.strip_prefix("key:") {
                return key.parse().ok().map(Self::Key);
            }
            if let Some(what) = rest.strip_prefix("removing:") {
                let (object, key) = what.split_once(':')?;
                return Some(Self::Removing(object.parse().ok()?, key.parse().ok()?));
            }
            let (kind, seconds) = rest.split_once(':')?;
            let at = DateTime::from_timestamp(seconds.parse().ok()?, 0).filter(within)?;
            match kind {
                "since" => Some(Self::Since(at)),
                "void" => Some(Self::Void(at)),
                _ => None,
            }
        });
        known
            .filter(|label| label.to_string() == text)
            .unwrap_or_else(|| Self::Other(text.to_owned()))
    }

    /// Parses all labels of a version.
    pub fn parse_all<'a>(texts: impl IntoIterator<Item = &'a str>) -> BTreeSet<Self> {
        texts.into_iter().map(Self::parse).collect()
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Current => f.write_str(AWSCURRENT),
            Self::Previous => f.write_str(AWSPREVIOUS),
            Self::Pending => f.write_str(AWSPENDING),
            Self::Key(key) => write!(f, "keywheel:key:{key}"),
            Self::Since(at) => write!(f, "keywheel:since:{}", at.timestamp()),
            Self::Void(at) => write!(f, "keywheel:void:{}", at.timestamp()),
            Self::Removing(object, key) => write!(f, "keywheel:removing:{object}:{key}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}
