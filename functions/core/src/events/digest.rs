//! The daily digest: all keys and certificates of the directory that expire soon, whoever manages them.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{EventType, SOURCE, event_id};
use crate::ids::{AppId, CredentialName, KeyId};

/// The most entries of a digest.
const MOST: usize = 500;
/// The most bytes of a digest's entries. An event has at most 256 KB, and a sweep that continues adds a link.
const MOST_BYTES: usize = 230_000;
/// The most characters of a display name.
const NAME: usize = 48;

/// A key or certificate that expires soon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Expiring {
    /// The manifest's credential for this application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialName>,
    /// The application's client id.
    pub application: AppId,
    /// The application's display name, at most 48 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The password credential's `keyId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// The certificate's `keyId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<KeyId>,
    /// The time at which the key or certificate expires.
    pub expires_on: DateTime<Utc>,
    /// Whether Keywheel minted the key, and so replaces the key in time.
    pub managed: bool,
}

/// The keys and certificates that expire soon, the soonest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Digest {
    /// The entries, at most 500.
    pub expiring: Vec<Expiring>,
    /// The number of all keys and certificates that expire soon.
    pub total: usize,
}

impl Digest {
    /// Adds an entry. If the digest is full, the entry that expires last is left out.
    pub fn add(&mut self, mut one: Expiring) {
        self.total = self.total.saturating_add(1);
        one.display_name = one.display_name.map(|name| {
            let printable = name.chars().filter(|character| !character.is_control());
            printable.take(NAME).collect()
        });
        let at = self.expiring.partition_point(|other| other.expires_on <= one.expires_on);
        if at < MOST {
            self.expiring.insert(at, one);
            let mut bytes = 0;
            let fits = self.expiring.iter().take(MOST).take_while(|one| {
                bytes += one.most_bytes();
                bytes <= MOST_BYTES
            });
            let fits = fits.count();
            self.expiring.truncate(fits);
        }
    }
}

impl Expiring {
    /// Gives an upper bound of the entry's length as JSON: names of fields, ids and times, and texts with every
    /// character escaped.
    fn most_bytes(&self) -> usize {
        let credential = self.credential.as_ref().map_or(0, |name| name.0.len());
        let display_name = self.display_name.as_ref().map_or(0, String::len);
        320 + credential + 2 * display_name
    }
}

/// `keywheel.digest.expiring`: a CloudEvent that is not recorded in the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DigestEvent {
    /// `1.0`.
    pub specversion: String,
    /// The event's id, the same for all digests of a day, so that a digest sent twice counts once.
    pub id: Uuid,
    /// `keywheel`.
    pub source: String,
    /// `keywheel.digest.expiring`.
    #[serde(rename = "type")]
    #[schemars(with = "String")]
    pub kind: EventType,
    /// The time at which Keywheel sent the event.
    pub time: DateTime<Utc>,
    /// `application/json`.
    pub datacontenttype: String,
    /// The digest.
    pub data: Digest,
}

impl DigestEvent {
    /// Makes the digest of a tenant and a day.
    pub fn new(tenant: &str, data: Digest, now: DateTime<Utc>) -> Self {
        let kind = EventType::DigestExpiring;
        Self {
            specversion: "1.0".to_owned(),
            id: event_id(&format!("{tenant} {}", now.date_naive()), &kind.name(), None),
            source: SOURCE.to_owned(),
            kind,
            time: now,
            datacontenttype: "application/json".to_owned(),
            data,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(days: i64, name: &str) -> Expiring {
        Expiring {
            credential: Some(CredentialName("c".repeat(name.len().min(512)))),
            application: AppId(Uuid::nil()),
            display_name: Some(name.to_owned()),
            key: Some(KeyId(Uuid::nil())),
            certificate: None,
            expires_on: DateTime::from_timestamp(1_800_000_000 + days * 86_400, 0).unwrap(),
            managed: false,
        }
    }

    #[test]
    fn of_very_many_the_soonest_are_told_and_all_are_counted() {
        let mut digest = Digest::default();
        for days in (0..700).rev() {
            digest.add(one(days, "app"));
        }
        assert_eq!((digest.expiring.len(), digest.total), (MOST, 700));
        let days: Vec<_> = digest.expiring.iter().map(|one| one.expires_on).collect();
        assert!(days.is_sorted());
        assert_eq!(days[MOST - 1], one(499, "").expires_on);
    }

    #[test]
    fn the_largest_digest_fits_into_an_event() {
        let mut digest = Digest::default();
        for days in 0..700 {
            digest.add(one(days, &"\u{1f512}\u{7}\"".repeat(100)));
        }
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let event = DigestEvent::new("72f988bf-86f1-41af-91ab-2d7cd011db48", digest, now);
        let bytes = serde_json::to_string(&event).unwrap().len();
        assert!((50_000..240_000).contains(&bytes), "{bytes}");
        assert_eq!(
            event.id,
            DigestEvent::new("72f988bf-86f1-41af-91ab-2d7cd011db48", Digest::default(), now).id
        );
    }
}
