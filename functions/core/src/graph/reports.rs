//! Entra's reports of changes and of sign-ins. Both come late, and both need `AuditLog.Read.All`.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use uuid::Uuid;

use super::wire::read_time;
use super::{CallOptions, Graph, GraphError, Page, PageLink, Unreadable};
use crate::azure::Call;
use crate::ids::{AppId, KeyId, ObjectId};
use crate::null::or_default;
use crate::rotation::LastUses;
use crate::rotation::foreign_change::{Actor, Change, ChangedKey};

/// The least permission that a report needs.
const PERMISSION: &str =
    "AuditLog.Read.All (and Directory.Read.All, which Microsoft names beside it)";
/// The most entries of a page. Graph rations the requests.
const PAGE: &str = "999";
const KEYS: &str = "KeyDescription";

/// An entry of Entra's directory audit that changed the keys of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryAudit {
    /// `id`, the same whenever the entry is read.
    pub id: String,
    /// `correlationId`.
    pub correlation_id: Option<String>,
    /// `activityDateTime`.
    pub at: DateTime<Utc>,
    /// The change.
    pub change: Change,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Activity {
    key_id: Option<KeyId>,
    sign_in_activity: Option<SignInActivity>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignInActivity {
    #[serde(default, deserialize_with = "read_time")]
    last_sign_in_date_time: Option<DateTime<Utc>>,
}

/// `microsoft.graph.directoryAudit`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuditEntry {
    id: String,
    correlation_id: Option<String>,
    #[serde(deserialize_with = "read_time")]
    activity_date_time: Option<DateTime<Utc>>,
    result: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    initiated_by: InitiatedBy,
    #[serde(default, deserialize_with = "or_default")]
    target_resources: Vec<Target>,
}

#[derive(Default, Deserialize)]
struct InitiatedBy {
    app: Option<InitiatingApp>,
    user: Option<InitiatingUser>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InitiatingApp {
    app_id: Option<String>,
    display_name: Option<String>,
    service_principal_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InitiatingUser {
    id: Option<String>,
    user_principal_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    id: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    modified_properties: Vec<Modified>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Modified {
    display_name: Option<String>,
    old_value: Option<String>,
    new_value: Option<String>,
}

impl Graph {
    /// Reads the last sign-in with each key of an application, as far as Entra knows by now (`GET
    /// /beta/reports/appCredentialSignInActivities`).
    pub async fn last_uses(
        &self,
        app: AppId,
        options: &CallOptions,
    ) -> Result<LastUses, GraphError> {
        let path = "reports/appCredentialSignInActivities";
        let filter = format!("appId eq '{app}'");
        let url = self.azure.url(&format!("beta/{path}"), &[("$filter", &filter)]);
        let call = Call::get("list", path, url, options).needing(PERMISSION);
        let report: Page<Activity> = self.azure.pages(&call).await?;
        if let Some(odd) = report.unreadable.first() {
            tracing::warn!(odd.object, odd.why, "an entry of the report cannot be read");
            // The entry may be about the key that the caller asks for.
            return Err(self.azure.malformed(&call, "an entry of it cannot be read"));
        }
        let mut uses = LastUses::new();
        for activity in report.items {
            let last = activity.sign_in_activity.and_then(|used| used.last_sign_in_date_time);
            if let (Some(key), Some(last)) = (activity.key_id, last) {
                uses.entry(key).and_modify(|known| *known = last.max(*known)).or_insert(last);
            }
        }
        Ok(uses)
    }

    /// Reads a page of the changes of keys between two times, the oldest first (`GET /auditLogs/directoryAudits`). One
    /// entry may hold several changes.
    ///
    /// The filter is the category and not `activityDisplayName`, because that name ends in a blank, has an en dash, and
    /// differs for service principals.
    pub async fn directory_audits(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        link: Option<&PageLink>,
        options: &CallOptions,
    ) -> Result<Page<DirectoryAudit>, GraphError> {
        let path = "auditLogs/directoryAudits";
        let url = if let Some(link) = link {
            link.0.clone()
        } else {
            let [from, until] =
                [from, until].map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
            let filter = format!(
                "activityDateTime ge {from} and activityDateTime le {until} and category eq 'ApplicationManagement'"
            );
            let query =
                [("$filter", filter.as_str()), ("$orderby", "activityDateTime"), ("$top", PAGE)];
            self.url(path, &query)
        };
        let call = Call::get("list", path, url, options).needing(PERMISSION);
        let page: Page<AuditEntry> = self.azure.page(&call).await?;
        let (mut items, mut unreadable) = (Vec::new(), page.unreadable);
        for entry in page.items {
            let id = entry.id.clone();
            match changes(entry) {
                Ok(changes) => items.extend(changes),
                // Nobody would learn of the entry's change otherwise.
                Err(why) => unreadable.push(Unreadable::entry(path, &id, why)),
            }
        }
        Ok(Page { items, unreadable, next: page.next })
    }
}

/// Reads the changes of keys in an entry. Most entries have none. An error: the entry has a change of keys and lacks a
/// necessary part.
fn changes(entry: AuditEntry) -> Result<Vec<DirectoryAudit>, &'static str> {
    let AuditEntry {
        id,
        correlation_id,
        activity_date_time,
        result,
        initiated_by,
        target_resources,
    } = entry;
    // A refused try changed nothing.
    if result.is_some_and(|result| !result.eq_ignore_ascii_case("success")) {
        return Ok(Vec::new());
    }
    let actor = actor(initiated_by);
    let mut changes = Vec::new();
    for target in target_resources {
        let mut properties = target.modified_properties.into_iter();
        let keys = properties.find(|property| property.display_name.as_deref() == Some(KEYS));
        let Some(keys) = keys else { continue };
        let old = described(keys.old_value.as_deref())?;
        let new = described(keys.new_value.as_deref())?;
        let without = |all: &Keys, others: &Keys| -> Vec<ChangedKey> {
            let gone = all.iter().filter(|(id, _)| !others.contains_key(id));
            gone.map(|(id, name)| ChangedKey { id: *id, display_name: name.clone() }).collect()
        };
        let (added, removed) = (without(&new, &old), without(&old, &new));
        if added.is_empty() && removed.is_empty() {
            continue;
        }
        let object = target.id.and_then(|id| id.parse().ok());
        let object = object.ok_or("it tells of a change of keys, and not of which object")?;
        changes.push(DirectoryAudit {
            id: id.clone(),
            correlation_id: correlation_id.clone(),
            at: activity_date_time.ok_or("it tells of a change of keys, and not when it was")?,
            change: Change { object, actor: actor.clone(), added, removed },
        });
    }
    Ok(changes)
}

/// Reads who made a change. Entries of an app often lack its client id, but name its service principal.
fn actor(by: InitiatedBy) -> Actor {
    let uuid = |text: Option<String>| text.and_then(|text| Uuid::try_parse(&text).ok());
    match (by.app, by.user) {
        (Some(app), _) => Actor::App {
            app: uuid(app.app_id).map(AppId),
            service_principal: uuid(app.service_principal_id).map(ObjectId),
            display_name: app.display_name,
        },
        (None, Some(user)) => Actor::User { id: user.id, name: user.user_principal_name },
        (None, None) => Actor::Unknown,
    }
}

type Keys = BTreeMap<KeyId, Option<String>>;

/// Reads a list of texts within a text: `["[KeyIdentifier=…,KeyType=…,KeyUsage=…,DisplayName=…]"]`.
fn described(value: Option<&str>) -> Result<Keys, &'static str> {
    let listed = match value.map(str::trim).filter(|value| !value.is_empty()) {
        None => None,
        Some(value) => serde_json::from_str::<Option<Vec<String>>>(value)
            .map_err(|_| "it tells of a change of keys, and its list of them cannot be read")?,
    };
    let listed = listed.unwrap_or_default();
    let key = |text: &String| {
        let text = text.trim().strip_prefix('[')?.strip_suffix(']')?;
        let id = text.split(',').find_map(|part| part.trim().strip_prefix("KeyIdentifier="))?;
        // The name comes last, and may hold commas.
        let name = text.split_once("DisplayName=").map(|(_, name)| name.to_owned());
        Some((id.parse().ok()?, name))
    };
    Ok(listed.iter().filter_map(key).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_the_text_that_describes_them() {
        let one = KeyId(Uuid::from_u128(1));
        let text = format!(
            r#"["[KeyIdentifier={one},KeyType=Password,KeyUsage=Verify,DisplayName=a, b=[c]]","nonsense"]"#
        );
        assert_eq!(described(Some(&text)), Ok(Keys::from([(one, Some("a, b=[c]".to_owned()))])));
        for nothing in [None, Some("[]"), Some(""), Some("null"), Some(r#"["[KeyType=x]"]"#)] {
            assert_eq!(described(nothing), Ok(Keys::new()));
        }
        for cut in ["{", &text[..text.len() - 9]] {
            assert!(described(Some(cut)).is_err());
        }
    }

    #[test]
    fn only_what_changed_keys_and_succeeded_is_a_change() {
        let entry = |result: &str, old: &str, new: &str| -> Vec<DirectoryAudit> {
            let entry = serde_json::json!({
                "id": "Directory_1", "correlationId": "c", "activityDateTime": "2026-11-21T09:00:00Z",
                "result": result, "initiatedBy": {"user": null, "app": null},
                "targetResources": [{"id": Uuid::nil(), "modifiedProperties": [
                    {"displayName": "KeyDescription", "oldValue": old, "newValue": new}]}],
            });
            changes(serde_json::from_value(entry).unwrap()).unwrap()
        };
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let list = |ids: &[Uuid]| {
            let texts: Vec<String> =
                ids.iter().map(|id| format!("[KeyIdentifier={id},KeyType=Password]")).collect();
            serde_json::to_string(&texts).unwrap()
        };
        assert_eq!(entry("success", "[]", "[]"), []);
        assert_eq!(entry("failure", "[]", &list(&[one])), []);
        let changed = entry("success", &list(&[one]), &list(&[two]));
        let ids = |keys: &[ChangedKey]| keys.iter().map(|key| key.id.0).collect::<Vec<_>>();
        assert_eq!(ids(&changed[0].change.added), [two]);
        assert_eq!(ids(&changed[0].change.removed), [one]);
        assert_eq!(changed[0].change.actor, Actor::Unknown);
    }

    /// Nobody would hear of the change.
    #[test]
    fn a_change_of_keys_that_lacks_its_time_or_its_object_is_not_passed_over() {
        let key = format!("[\"[KeyIdentifier={},KeyType=Password]\"]", Uuid::from_u128(1));
        let entry = |at: Option<&str>, id: Option<Uuid>, new: &str| {
            let entry = serde_json::json!({
                "id": "Directory_1", "activityDateTime": at, "result": "success",
                "targetResources": [{"id": id, "modifiedProperties": [
                    {"displayName": "KeyDescription", "oldValue": "[]", "newValue": new}]}],
            });
            changes(serde_json::from_value(entry).unwrap())
        };
        let (at, id) = (Some("2026-11-21T09:00:00Z"), Some(Uuid::nil()));
        assert_eq!(entry(at, id, &key).map(|changes| changes.len()), Ok(1));
        assert!(entry(None, id, &key).is_err() && entry(at, None, &key).is_err());
        assert!(entry(at, id, "[\"[KeyIdent").is_err());
        assert_eq!(entry(None, None, "[]"), Ok(Vec::new()), "it changed no keys");
    }
}
