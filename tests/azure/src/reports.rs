//! What Entra writes down of changes and of sign-ins, and when it lets it be read: late.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock::{Millis, rfc3339};
use crate::model::{Entity, Kind};

/// Entries kept; the oldest go first.
const KEPT: usize = 20_000;

/// Who made a change.
#[derive(Debug, Clone)]
pub(crate) enum Initiator {
    /// An application. As in real tenants it is told by its service principal; `appId` stays null.
    App { service_principal: Uuid, display_name: Option<String> },
    /// A person.
    User(Person),
}

/// A person who acts by a token of the admin API's.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: Uuid,
    pub(crate) principal_name: String,
}

/// What an entry says of the object that was changed.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) kind: Kind,
    pub(crate) id: Uuid,
    pub(crate) app_id: Uuid,
    name: String,
    /// As `KeyDescription` lists them.
    pub(crate) keys: Vec<String>,
}

impl Subject {
    pub(crate) fn of(entity: &Entity) -> Self {
        let described = |id: Uuid, kind: &str, name: Option<&str>| {
            let name = name.unwrap_or_default();
            format!("[KeyIdentifier={id},KeyType={kind},KeyUsage=Verify,DisplayName={name}]")
        };
        let certificates = entity
            .certificates
            .iter()
            .map(|one| described(one.key_id, "AsymmetricX509Cert", one.name.as_deref()));
        let passwords = entity
            .passwords
            .iter()
            .filter(|password| password.sight.exists())
            .map(|one| described(one.key_id, "Password", one.name.as_deref()));
        Self {
            kind: entity.kind,
            id: entity.id,
            app_id: entity.app_id,
            name: entity.display_name.clone(),
            keys: certificates.chain(passwords).collect(),
        }
    }
}

/// `microsoft.graph.directoryAudit`.
#[derive(Debug, Clone)]
pub(crate) struct DirectoryAudit {
    /// Counts up; never reused.
    pub(crate) number: u64,
    pub(crate) id: String,
    pub(crate) correlation: Uuid,
    pub(crate) at: Millis,
    pub(crate) shown_from: Millis,
    pub(crate) activity: String,
    pub(crate) by: Initiator,
    pub(crate) target: Subject,
    /// The target's keys before, where this tells of keys.
    pub(crate) keys_before: Option<Vec<String>>,
}

impl DirectoryAudit {
    pub(crate) fn operation_type(&self) -> &'static str {
        match self.activity.split(' ').next() {
            Some("Add" | "Create") => "Add",
            Some("Delete" | "Remove" | "Hard") => "Delete",
            _ => "Update",
        }
    }

    pub(crate) fn show(&self) -> Value {
        let (app, user) = match &self.by {
            Initiator::App { service_principal, display_name } => (
                json!({
                    "appId": null,
                    "displayName": display_name,
                    "servicePrincipalId": service_principal,
                    "servicePrincipalName": null,
                }),
                Value::Null,
            ),
            Initiator::User(person) => (
                Value::Null,
                json!({
                    "id": person.id,
                    "displayName": null,
                    "userPrincipalName": person.principal_name,
                    "ipAddress": "127.0.0.1",
                    "userType": null,
                    "homeTenantId": null,
                    "homeTenantName": null,
                }),
            ),
        };
        let text = |keys: &[String]| json!(json!(keys).to_string());
        let modified = self.keys_before.as_ref().map_or_else(Vec::new, |before| {
            let property = |name: &str, old: Value, new: Value| json!({"displayName": name, "oldValue": old, "newValue": new});
            vec![
                property("KeyDescription", text(before), text(&self.target.keys)),
                property("Included Updated Properties", Value::Null, json!("\"KeyDescription\"")),
            ]
        });
        let kind = match self.target.kind {
            Kind::Application => "Application",
            Kind::ServicePrincipal => "ServicePrincipal",
        };
        json!({
            "id": self.id,
            "category": "ApplicationManagement",
            "correlationId": self.correlation,
            "result": "success",
            "resultReason": "",
            "activityDisplayName": self.activity,
            "activityDateTime": rfc3339(self.at),
            "loggedByService": "Core Directory",
            "operationType": self.operation_type(),
            "initiatedBy": {"user": user, "app": app},
            "targetResources": [{
                "id": self.target.id,
                "displayName": self.target.name,
                "type": kind,
                "userPrincipalName": null,
                "groupType": null,
                "modifiedProperties": modified,
            }],
            "additionalDetails": [{"key": "AppId", "value": self.target.app_id}],
        })
    }
}

/// The directory audit, oldest entry first.
#[derive(Debug, Default)]
pub(crate) struct DirectoryAudits {
    entries: VecDeque<DirectoryAudit>,
    count: u64,
}

impl DirectoryAudits {
    /// Takes an entry in and gives it its number and id.
    pub(crate) fn push(&mut self, mut entry: DirectoryAudit) {
        self.count += 1;
        entry.number = self.count;
        entry.id = format!("Directory_{}_{:08}", entry.correlation, self.count);
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// What may be read by now.
    pub(crate) fn shown(&self, now: Millis) -> impl Iterator<Item = &DirectoryAudit> {
        self.entries.iter().filter(move |entry| entry.shown_from <= now)
    }
}

/// A successful sign-in with a key.
#[derive(Debug, Clone)]
pub(crate) struct Use {
    pub(crate) at: Millis,
    pub(crate) shown_from: Millis,
    pub(crate) app_id: Uuid,
    pub(crate) secret: bool,
    pub(crate) request_id: Uuid,
}

/// The uses of each key, as far as the report may still need them.
#[derive(Debug, Default)]
pub(crate) struct Uses(BTreeMap<Uuid, VecDeque<Use>>);

impl Uses {
    pub(crate) fn push(&mut self, key: Uuid, new: Use) {
        let now = new.at;
        let uses = self.0.entry(key).or_default();
        uses.push_back(new);
        // Of what is shown already only the newest matters.
        while uses.len() > KEPT || uses.get(1).is_some_and(|next| next.shown_from <= now) {
            uses.pop_front();
        }
    }

    /// The last use of each key that may be read by now.
    pub(crate) fn shown(&self, now: Millis) -> impl Iterator<Item = (Uuid, &Use)> {
        self.0.iter().filter_map(move |(key, uses)| {
            let shown = uses.iter().filter(|one| one.shown_from <= now);
            Some((*key, shown.max_by_key(|one| one.at)?))
        })
    }
}
