//! Lists what a sweep reports: of the credentials in the manifest, and of keys that nobody manages.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::Scope;
use super::last_use::Untold;
use super::names::is_minted;
use super::observed::Key;
use super::stop::Stop;
use crate::events::FindingKind;
use crate::ids::{AppId, KeyId, KeyOn};

/// Describes what a sweep saw and only reports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finding {
    /// A rotation would stop for this reason.
    Stopped(Stop),
    /// A key on a managed application that Keywheel did not mint.
    ForeignKey(KeyId),
    /// A key that a Keywheel minted for a secret that the manifest does not list.
    UnlistedKey(KeyId),
    /// A key that a credential names for removal, and that was minted for another credential of the manifest.
    NamedKeyOfAnother(KeyId),
    /// A key that a credential names for removal, and that is on this other object of the application.
    NamedKeyElsewhere(KeyId, KeyOn),
    /// A key that a credential names for removal, and that is nowhere on its application.
    NamedKeyNowhere(KeyId),
    /// A key without an end.
    EndlessKey(KeyId),
    /// A key whose life is longer than the policy allows.
    LifetimeOverPolicy(KeyId),
    /// A key that expires soon (or has expired) and that nobody manages.
    ExpiringKey(KeyId, DateTime<Utc>),
    /// A certificate that expires soon or has expired.
    ExpiringCertificate(KeyId, DateTime<Utc>),
    /// `trigger: native`, and Secrets Manager's schedule is late.
    NativeRotationLate(KeyId, DateTime<Utc>),
    /// `retire: when-unused`: an old key is out of its overlap, and somebody still signs in with it.
    KeyInUse(KeyId, DateTime<Utc>),
    /// `retire: when-unused`: Keywheel cannot tell whether an old key is still used.
    LastUseUnknown(KeyId, Untold),
    /// An old key that was to be removed is gone, and Keywheel did not remove the key.
    KeyNotFound(KeyId),
    /// The application may hold two keys, and the keys that stay leave no room for the next rotation's key.
    TwoKeysOnly,
    /// `application` is the object id of this object, and not its client id.
    ObjectIdGiven(KeyOn, AppId),
    /// No application has the tag of a rule.
    RuleMatchesNobody(String),
    /// Somebody went back to this version by hand: its rotation begins later than the policy says.
    RolledBack,
    /// A replaced secret was to be revoked, and no label says which key belongs to the secret.
    ReplacedKeyUnknown,
    /// Somebody else changed the keys of a managed application.
    ForeignChange(ForeignChange),
    /// Keywheel may not read Entra's directory audit, so foreign changes go unseen.
    AuditNotPermitted,
    /// The tenant lacks the licence for Entra's directory audit.
    AuditNotLicensed,
    /// This cloud has no directory audit in Graph.
    AuditNotInCloud,
    /// Entra's directory audit could not be read since this time.
    AuditUnread(DateTime<Utc>),
    /// Graph answered an object otherwise than documented. The object is left out.
    UnreadableObject {
        /// Its listing, id and name.
        object: String,
        /// Why the object cannot be read.
        why: String,
    },
}

/// Reports the keys in `retire_keys` that no try can find, because the credential keeps its keys on the other object.
///
/// `here` is the object that holds the credential's keys; `elsewhere` are the keys of the other object.
pub fn named_in_vain(
    named: &BTreeSet<KeyId>,
    (on, here): (KeyOn, &[Key]),
    elsewhere: &[Key],
) -> Vec<Finding> {
    let holds = |keys: &[Key], id: KeyId| keys.iter().any(|key| key.key_id == id);
    let absent = named.iter().filter(|id| !holds(here, **id));
    let found = absent.map(|id| {
        if holds(elsewhere, *id) {
            Finding::NamedKeyElsewhere(*id, on.other())
        } else {
            Finding::NamedKeyNowhere(*id)
        }
    });
    found.collect()
}

/// Describes a key that somebody else added or removed, by Entra's directory audit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForeignChange {
    /// The key.
    pub key: KeyId,
    /// `true`: the key was added; `false`: the key was removed.
    pub added: bool,
    /// Who changed the key.
    pub actor: String,
    /// When.
    pub at: DateTime<Utc>,
    /// The audit entry's `id`.
    pub audit: String,
    /// The audit entry's `correlationId`.
    pub correlation: Option<String>,
}

impl Finding {
    /// Gives the finding's entry in the catalogue.
    pub fn kind(&self) -> FindingKind {
        match self {
            Self::Stopped(stop) => stop.kind(),
            Self::ForeignKey(_) => FindingKind::ForeignKey,
            Self::UnlistedKey(_) => FindingKind::UnlistedKey,
            Self::NamedKeyOfAnother(_) => FindingKind::KeyOfAnother,
            Self::NamedKeyElsewhere(..) => FindingKind::NamedKeyElsewhere,
            Self::NamedKeyNowhere(_) => FindingKind::NamedKeyNowhere,
            Self::EndlessKey(_) => FindingKind::EndlessKey,
            Self::LifetimeOverPolicy(_) => FindingKind::LifetimeOverPolicy,
            Self::ExpiringKey(..) => FindingKind::ExpiringKey,
            Self::ExpiringCertificate(..) => FindingKind::ExpiringCertificate,
            Self::NativeRotationLate(..) => FindingKind::NativeRotationLate,
            Self::KeyInUse(..) => FindingKind::KeyInUse,
            Self::LastUseUnknown(..) => FindingKind::LastUseUnknown,
            Self::KeyNotFound(_) => FindingKind::KeyNotFound,
            Self::TwoKeysOnly => FindingKind::TwoKeysOnly,
            Self::ObjectIdGiven(..) => FindingKind::ObjectIdGiven,
            Self::RuleMatchesNobody(_) => FindingKind::RuleMatchesNobody,
            Self::RolledBack => FindingKind::RolledBack,
            Self::ReplacedKeyUnknown => FindingKind::ReplacedKeyUnknown,
            Self::ForeignChange(_) => FindingKind::ForeignChange,
            Self::AuditNotPermitted => FindingKind::AuditNotPermitted,
            Self::AuditNotLicensed => FindingKind::AuditNotLicensed,
            Self::AuditNotInCloud => FindingKind::AuditNotInCloud,
            Self::AuditUnread(_) => FindingKind::AuditUnread,
            Self::UnreadableObject { .. } => FindingKind::UnreadableObject,
        }
    }

    /// Gives the finding's name, as in `keywheel.finding.<name>`.
    pub fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// Returns the key or certificate that the finding concerns.
    pub fn key(&self) -> Option<KeyId> {
        match self {
            Self::Stopped(_)
            | Self::TwoKeysOnly
            | Self::ObjectIdGiven(..)
            | Self::RuleMatchesNobody(_)
            | Self::RolledBack
            | Self::ReplacedKeyUnknown
            | Self::AuditNotPermitted
            | Self::AuditNotLicensed
            | Self::AuditNotInCloud
            | Self::AuditUnread(_)
            | Self::UnreadableObject { .. } => None,
            Self::ForeignChange(change) => Some(change.key),
            Self::ForeignKey(key)
            | Self::UnlistedKey(key)
            | Self::NamedKeyOfAnother(key)
            | Self::NamedKeyElsewhere(key, _)
            | Self::NamedKeyNowhere(key)
            | Self::EndlessKey(key)
            | Self::LifetimeOverPolicy(key)
            | Self::ExpiringKey(key, _)
            | Self::ExpiringCertificate(key, _)
            | Self::NativeRotationLate(key, _)
            | Self::KeyInUse(key, _)
            | Self::LastUseUnknown(key, _)
            | Self::KeyNotFound(key) => Some(*key),
        }
    }
}

impl Finding {
    /// Says what the finding means and what to do, in a sentence for people.
    pub fn explanation(&self) -> String {
        match self {
            Self::NamedKeyElsewhere(_, there) => elsewhere(*there),
            Self::ExpiringKey(_, at) => {
                format!(
                    "expires on {}, and nobody manages it; add it to the manifest",
                    at.date_naive()
                )
            }
            Self::ExpiringCertificate(_, at) => {
                format!("expires on {}; Keywheel does not rotate certificates", at.date_naive())
            }
            Self::NativeRotationLate(_, at) => format!(
                "expires on {}, and Secrets Manager's rotation schedule has not replaced it; check the schedule",
                at.date_naive()
            ),
            Self::KeyInUse(_, last) => format!(
                "the overlap of this key is over, but somebody signed in with the key on {last}, so Keywheel does not remove the key; \
                 have its users read the secret anew, or rotate with `revoke_old: now`"
            ),
            Self::LastUseUnknown(_, why) => {
                format!("the overlap of this key is over, but {}", why.explanation())
            }
            Self::ObjectIdGiven(on, client) => object_id(*on, *client),
            Self::RuleMatchesNobody(tag) => format!(
                "no application has the tag `{tag}`, so this rule of the manifest manages nothing; tag an application in \
                 Entra, correct the tag (capital letters count), or take the rule out"
            ),
            Self::ForeignChange(change) => {
                let did = if change.added { "added" } else { "removed" };
                format!(
                    "{did} on {} by {}, and not by Keywheel; if nobody knows why, treat the application as taken over",
                    change.at, change.actor
                )
            }
            Self::AuditUnread(since) => format!(
                "Entra's directory audit could not be read since {since}: changes that others make to keys go unseen; \
                 the sweep's log says why"
            ),
            Self::UnreadableObject { object, why } => format!(
                "Graph lists {object} otherwise than documented ({why}), so Keywheel leaves the object out and does not watch its keys; \
                 look at the object in Entra, and ask Microsoft's support if the object is right there"
            ),
            _ => self.kind().explanation().to_owned(),
        }
    }
}

fn elsewhere(there: KeyOn) -> String {
    let (there, here) = (there.words(), there.other().words());
    format!(
        "`retire_keys` names this key, which is on the {there}; this credential keeps its keys on the {here}, and Keywheel \
         removes keys there alone; remove the key in Entra, and take the key out of `retire_keys`"
    )
}

fn object_id(on: KeyOn, client: AppId) -> String {
    format!(
        "`application` is the object id of the {} whose client id is {client}, and no client id; \
         write `application: {client}`",
        on.words()
    )
}

/// Describes a certificate (Graph `keyCredential`), which Keywheel only watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// `keyId`.
    pub key_id: KeyId,
    /// `endDateTime`.
    pub end: Option<DateTime<Utc>>,
}

/// Says what the manifest expects of the keys on one object.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The scopes of the credentials that keep their keys there; empty: nobody manages these keys.
    pub scopes: Vec<Scope>,
    /// The keys that a credential names for removal. They go when the overlap is over, and are no finding.
    pub named: BTreeSet<KeyId>,
    /// How long before its end a key is reported.
    pub soon: TimeDelta,
    /// How long a key may live.
    pub lifetime: TimeDelta,
}

/// Reports what is wrong with an object's keys and certificates.
pub fn inspect(
    keys: &[Key],
    certificates: &[Certificate],
    expected: &Expected,
    now: DateTime<Utc>,
) -> Vec<Finding> {
    let Expected { scopes, named, soon, lifetime } = expected;
    let soon = now + *soon;
    let mut findings = Vec::new();
    for key in keys {
        let ours = scopes.iter().any(|scope| key.minted_by(scope).is_some());
        if !ours && !scopes.is_empty() {
            let minted = key.display_name.as_deref().is_some_and(is_minted);
            let finding = if minted { Finding::UnlistedKey } else { Finding::ForeignKey };
            findings.push(finding(key.key_id));
        }
        match key.end {
            None => findings.push(Finding::EndlessKey(key.key_id)),
            Some(end) => {
                // On a managed object the key is foreign or unlisted, and that finding has the cure.
                if scopes.is_empty() && end <= soon {
                    findings.push(Finding::ExpiringKey(key.key_id, end));
                }
                // One day of grace: Graph rounds times, and people count in months.
                let life = key.start.map(|start| end - start);
                if life.is_some_and(|life| life > *lifetime + TimeDelta::days(1)) {
                    findings.push(Finding::LifetimeOverPolicy(key.key_id));
                }
            }
        }
    }
    let expiring = certificates.iter().filter_map(|certificate| {
        let end = certificate.end.filter(|end| *end <= soon)?;
        Some(Finding::ExpiringCertificate(certificate.key_id, end))
    });
    findings.extend(expiring);
    findings.retain(|finding| !finding.key().is_some_and(|key| named.contains(&key)));
    findings
}
