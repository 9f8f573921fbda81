//! What a sweep only reports: about the credentials it manages, and about what nobody manages.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::Scope;
use super::last_use::Untold;
use super::names::is_minted;
use super::observed::Key;
use super::stop::Stop;
use crate::events::FindingKind;
use crate::ids::{AppId, KeyId};

/// Something a sweep saw and only reports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finding {
    /// A rotation would stop for this reason.
    Stopped(Stop),
    /// A key on a managed application that Keywheel did not mint.
    ForeignKey(KeyId),
    /// A key that a Keywheel minted for another secret than those that the manifest lists here.
    UnlistedKey(KeyId),
    /// A key that a credential names for removal, and that another one of the manifest minted.
    NamedKeyOfAnother(KeyId),
    /// A key that a credential names for removal, and that is on the application's other object: this one.
    NamedKeyElsewhere(KeyId, Holder),
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
    /// `retire: when-unused`: whether an old key is still used cannot be told.
    LastUseUnknown(KeyId, Untold),
    /// An old key that was to be removed is not there, and was not removed by us.
    KeyNotFound(KeyId),
    /// The application may hold two keys, and those that stay leave no room for the next rotation's.
    TwoKeysOnly,
    /// The application's instance property lock forbids keys where the credential keeps its own.
    ServicePrincipalLocked,
    /// `application` is the object id of this object, whose client id is another.
    ObjectIdGiven(Holder, AppId),
    /// No application has the tag of a rule.
    RuleMatchesNobody(String),
    /// Somebody went back to this version by hand: it is not replaced as early as the policy says.
    RolledBack,
    /// A replaced secret was to be revoked, and which key it belongs to was never known.
    ReplacedKeyUnknown,
    /// A change of the keys of a managed application that was not ours.
    ForeignChange(ForeignChange),
    /// Entra's directory audit may not be read, so that foreign changes go unseen.
    AuditNotPermitted,
    /// Entra's directory audit is not to be had without a licence that the tenant lacks.
    AuditNotLicensed,
    /// This cloud has no directory audit in Graph.
    AuditNotInCloud,
    /// Entra's directory audit could not be read since this time.
    AuditUnread(DateTime<Utc>),
    /// An object of Graph's is not as Graph documents it, and is left out.
    UnreadableObject {
        /// Its listing, id and name.
        object: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Which of an application's two objects holds a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// The application.
    Application,
    /// Its service principal.
    ServicePrincipal,
}

impl Holder {
    /// What an instance property lock on the application means for a credential that keeps its keys here.
    pub fn locked(self, lock: bool) -> Option<Finding> {
        (lock && self == Self::ServicePrincipal).then_some(Finding::ServicePrincipalLocked)
    }

    fn words(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::ServicePrincipal => "service principal",
        }
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Application => Self::ServicePrincipal,
            Self::ServicePrincipal => Self::Application,
        }
    }
}

/// Keys that are named for removal and are not where the credential keeps its own: no try ever finds them.
///
/// `here` is the object that holds the credential's keys, `elsewhere` what the other one holds.
pub fn named_in_vain(
    named: &BTreeSet<KeyId>,
    here: (Holder, &[Key]),
    elsewhere: &[Key],
) -> Vec<Finding> {
    let (holder, here) = here;
    let holds = |keys: &[Key], id: KeyId| keys.iter().any(|key| key.key_id == id);
    let absent = named.iter().filter(|id| !holds(here, **id));
    let found = absent.map(|id| {
        if holds(elsewhere, *id) {
            Finding::NamedKeyElsewhere(*id, holder.other())
        } else {
            Finding::NamedKeyNowhere(*id)
        }
    });
    found.collect()
}

/// A key that somebody else added or removed, as Entra's directory audit tells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForeignChange {
    /// The key.
    pub key: KeyId,
    /// Whether it was added; else it was removed.
    pub added: bool,
    /// Who did it.
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
            Self::ServicePrincipalLocked => FindingKind::ServicePrincipalLocked,
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

    /// The key or certificate that it is about.
    pub fn key(&self) -> Option<KeyId> {
        match self {
            Self::Stopped(_)
            | Self::TwoKeysOnly
            | Self::ServicePrincipalLocked
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
    /// What it means and what to do about it, in a sentence for people.
    pub fn explanation(&self) -> String {
        match self {
            Self::NamedKeyElsewhere(_, holder) => elsewhere(*holder),
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
                "its overlap is over, but somebody signed in with it on {last}, so it is not removed; \
                 have its users read the secret anew, or rotate with `revoke_old: now`"
            ),
            Self::LastUseUnknown(_, why) => {
                format!("its overlap is over, but {}", why.explanation())
            }
            Self::ObjectIdGiven(holder, client) => object_id(*holder, *client),
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
                "Graph lists {object} otherwise than it documents ({why}), so it is left out, and what it tells is not watched; \
                 look at the object in Entra, and ask Microsoft's support if nothing is wrong with it there"
            ),
            _ => self.kind().explanation().to_owned(),
        }
    }
}

fn elsewhere(there: Holder) -> String {
    let (there, here) = (there.words(), there.other().words());
    format!(
        "`retire_keys` names this key, and it is on the {there}, where Keywheel removes none: this credential \
         keeps its keys on the {here}; remove it there in Entra and take it out of `retire_keys`"
    )
}

fn object_id(holder: Holder, client: AppId) -> String {
    format!(
        "`application` is the object id of the {} whose client id is {client}, and no client id; \
         write `application: {client}`",
        holder.words()
    )
}

/// A certificate (Graph `keyCredential`): Keywheel only watches them.
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
    /// The scopes of the credentials that keep their keys there; empty: nobody manages them.
    pub scopes: Vec<Scope>,
    /// Keys that one of the credentials names for removal: they go when the overlap is over, and are no finding.
    pub named: BTreeSet<KeyId>,
    /// How long before it an end is near.
    pub soon: TimeDelta,
    /// How long a key may live.
    pub lifetime: TimeDelta,
}

/// Reports what an object's keys and certificates tell, whoever manages them.
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
                if !ours && end <= soon {
                    findings.push(Finding::ExpiringKey(key.key_id, end));
                }
                // A day's grace: Graph rounds, and people count months.
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
