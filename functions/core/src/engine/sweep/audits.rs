//! Changes by others, from Entra's directory audit, read from the place where the last sweep ended.
//!
//! Entries come late, so each reading begins some hours before the last one ended. An entry that was reported before is
//! not reported again, and its event would have the same id.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tracing::warn;

use super::{Cursor, Listing, Sweep, SweepFinding, read_by};
use crate::cursors::Cursors;
use crate::engine::{Engine, EngineError};
use crate::graph::{CallOptions, Detail, DirectoryAudit, Kind, ObjectSummary, PageLink, Refusal};
use crate::ids::{AppId, KeyId, KeyOn, ObjectId};
use crate::manifest::Credential;
use crate::rotation::Scope;
use crate::rotation::finding::{Finding, ForeignChange};
use crate::rotation::foreign_change::{Ourselves, foreign};
use crate::store::StoreError;

const CURSOR: &str = "directory-audits";
/// The longest time until an entry can be read. Entra promises no time, and most entries can be read within minutes.
const LATEST: TimeDelta = TimeDelta::hours(6);
/// An audit that was not read for longer than this is a finding.
const UNREAD: TimeDelta = TimeDelta::hours(24);
/// The longest time of a page, throttling included. The next sweep reads the rest.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most reported entries that a cursor lists. The oldest are left out first.
const MOST_TOLD: usize = 2_000;

/// The cursor of the directory audit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct AuditCursor {
    /// The version of this shape.
    schema: u8,
    /// All entries up to this time were read.
    read_to: Option<DateTime<Utc>>,
    /// The ids of the entries that were reported, with the times of their changes.
    told: BTreeMap<String, DateTime<Utc>>,
}

impl AuditCursor {
    /// Removes the entries that the next reading cannot meet again.
    fn forget(&mut self) {
        if let Some(read_to) = self.read_to {
            self.told.retain(|_, at| *at >= read_to - LATEST);
        }
        let mut oldest: Vec<_> = self.told.iter().map(|(id, at)| (*at, id.clone())).collect();
        oldest.sort();
        for (_, id) in oldest.iter().take(self.told.len().saturating_sub(MOST_TOLD)) {
            self.told.remove(id);
        }
    }
}

/// Reads up to which time sweeps have read the directory audit; `None`: no sweep has read all of it yet.
pub async fn read_to(cursors: &Cursors) -> Result<Option<DateTime<Utc>>, StoreError> {
    let cursor: Option<AuditCursor> = cursors.read(CURSOR).await?;
    Ok(cursor.and_then(|cursor| cursor.read_to))
}

impl Engine {
    pub(super) async fn leave_mark(&self, cursor: Option<AuditCursor>) -> Result<(), EngineError> {
        if let (Some(cursors), Some(cursor)) = (&self.cursors, cursor) {
            cursors.write(CURSOR, &cursor).await?;
        }
        Ok(())
    }
}

impl Sweep<'_> {
    /// Sweeps a page of the directory audit. Gives the next page, and the cursor to write. If the audit cannot be read,
    /// the sweep goes on and the cursor stays as it is.
    pub(super) async fn audits(
        &mut self,
        at: &Cursor,
    ) -> Result<(Option<Cursor>, Option<AuditCursor>), EngineError> {
        let engine = self.engine;
        // A person who is signed in cannot be told apart from Keywheel.
        let (Some(cursors), Some(own)) = (&engine.cursors, engine.identity.app()) else {
            return Ok((None, None));
        };
        self.part.audit_pages += 1;
        if !engine.cloud.has_directory_audits() {
            self.part.findings.push(SweepFinding::of_setup(own, Finding::AuditNotInCloud));
            return Ok((None, None));
        }
        let mut cursor: AuditCursor = cursors.read(CURSOR).await?.unwrap_or_default();
        let until = at.until.unwrap_or_else(|| engine.graph.now());
        let read_to = cursor.read_to.map_or(until, |read_to| read_to.min(until));
        let link = engine.link(at);
        let patience = Instant::now() + PATIENCE;
        let options = CallOptions::until(patience.min(read_by(self.deadline)));
        let from = read_to - LATEST;
        let page = match engine.graph.directory_audits(from, until, link.as_ref(), &options).await {
            Ok(page) => page,
            Err(failure) => {
                warn!(%failure, "the directory audit was not read");
                let finding = match failure.kind() {
                    Kind::Forbidden { .. } => Some(Finding::AuditNotPermitted),
                    Kind::Known(Refusal::NotLicensed) => Some(Finding::AuditNotLicensed),
                    _ => (until - read_to > UNREAD).then_some(Finding::AuditUnread(read_to)),
                };
                let finding = finding.map(|finding| SweepFinding::of_setup(own, finding));
                self.part.findings.extend(finding);
                return Ok((None, None));
            }
        };
        self.report_unreadable(page.unreadable);
        let fresh: Vec<DirectoryAudit> =
            page.items.into_iter().filter(|audit| !cursor.told.contains_key(&audit.id)).collect();
        for (audit, seen) in self.foreign_changes(fresh).await? {
            cursor.told.insert(audit.id, audit.at);
            self.part.findings.extend(seen);
        }
        let next = page.next.as_ref().map(PageLink::to_string);
        if next.is_none() {
            cursor.read_to = Some(until);
        }
        cursor.schema = 1;
        cursor.forget();
        let next = next.map(|next| Cursor {
            until: Some(until),
            ..Cursor::at(Listing::DirectoryAudits, Some(next))
        });
        Ok((next, Some(cursor)))
    }

    /// Gives the changes of managed applications that others made, with their findings.
    async fn foreign_changes(
        &mut self,
        audits: Vec<DirectoryAudit>,
    ) -> Result<Vec<(DirectoryAudit, Vec<SweepFinding>)>, EngineError> {
        if audits.is_empty() {
            return Ok(Vec::new());
        }
        let engine = self.engine;
        let objects = self.belonging(&audits).await?;
        let ourselves = self.ourselves().await?;
        let mut found = Vec::new();
        for audit in audits {
            let Some((object, managed)) = objects.get(&audit.change.object) else { continue };
            let Some(first) = managed.first() else { continue };
            let scopes: Vec<Scope> =
                managed.iter().map(|credential| engine.terms(credential, None).scope).collect();
            let named: Vec<KeyId> = managed
                .iter()
                .flat_map(|credential| credential.settings.policy.retire_keys.iter().copied())
                .collect();
            let Some(change) = foreign(&audit.change, &ourselves, &scopes, &named) else {
                continue;
            };
            let actor = change.actor.to_string();
            let added = change.added.iter().map(|key| (key.id, true));
            let removed = change.removed.iter().map(|key| (key.id, false));
            let seen = added.chain(removed).map(|(key, added)| SweepFinding {
                credential: Some(first.name.clone()),
                application: object.app_id,
                display_name: object.display_name.clone(),
                finding: Finding::ForeignChange(ForeignChange {
                    key,
                    added,
                    actor: actor.clone(),
                    at: audit.at,
                    audit: audit.id.clone(),
                    correlation: audit.correlation_id.clone(),
                }),
            });
            let seen = seen.collect();
            found.push((audit, seen));
        }
        Ok(found)
    }

    /// Gives the changed objects, with the manifest's credentials for their applications.
    async fn belonging(
        &mut self,
        audits: &[DirectoryAudit],
    ) -> Result<HashMap<ObjectId, (ObjectSummary, Vec<Credential>)>, EngineError> {
        let ids: BTreeSet<ObjectId> = audits.iter().map(|audit| audit.change.object).collect();
        let ids: Vec<ObjectId> = ids.into_iter().collect();
        let mut objects = Vec::new();
        for on in [KeyOn::Application, KeyOn::ServicePrincipal] {
            let read = self.engine.graph.objects_by_id(on, &ids, &self.options()).await?;
            objects.extend(read.items);
            // The changes of an object that cannot be read are not reported.
            self.report_unreadable(read.unreadable);
        }
        let ruled = self.ruled_of(&objects).await?;
        let with_credentials = objects.into_iter().map(|object| {
            let listed = self.engine.manifest.listed(object.app_id);
            let managed = listed.chain(ruled.get(&object.app_id)).cloned().collect();
            (object.id, (object, managed))
        });
        Ok(with_credentials.collect())
    }

    /// Gives the credentials that rules make. The applications have the rules' tags, not the service principals.
    async fn ruled_of(
        &mut self,
        objects: &[ObjectSummary],
    ) -> Result<HashMap<AppId, Credential>, EngineError> {
        let Engine { manifest, graph, .. } = self.engine;
        if manifest.rules().is_empty() {
            return Ok(HashMap::new());
        }
        let apps: BTreeSet<AppId> = objects.iter().map(|object| object.app_id).collect();
        let apps: Vec<AppId> = apps.into_iter().collect();
        let (on, keys) = (KeyOn::Application, Detail::Keys);
        let read = graph.objects_by_app_id(on, &apps, keys, &self.options()).await?;
        self.report_unreadable(read.unreadable);
        let ruled = read.items.iter().filter_map(|application| {
            let managed = manifest.by_tags(application.app_id, &application.tags)?;
            Some((application.app_id, managed.credential))
        });
        Ok(ruled.collect())
    }

    async fn ourselves(&self) -> Result<Ourselves, EngineError> {
        let Engine { identity, graph, .. } = self.engine;
        let app = identity.app();
        let apps: Vec<AppId> = app.into_iter().collect();
        let (on, keys) = (KeyOn::ServicePrincipal, Detail::Keys);
        let own = graph.objects_by_app_id(on, &apps, keys, &self.options()).await?;
        Ok(Ourselves { app, service_principal: own.items.first().map(|own| own.id) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_forgets_what_cannot_be_read_again_and_has_a_bound() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let mut cursor = AuditCursor { schema: 1, read_to: Some(now), told: BTreeMap::new() };
        cursor.told.insert("old".to_owned(), now - LATEST - TimeDelta::seconds(1));
        for number in 0..MOST_TOLD + 5 {
            let seconds = i64::try_from(number).unwrap();
            cursor.told.insert(format!("{number:05}"), now - LATEST + TimeDelta::seconds(seconds));
        }
        cursor.forget();
        assert_eq!(cursor.told.len(), MOST_TOLD);
        assert!(!cursor.told.contains_key("old") && !cursor.told.contains_key("00004"));
        assert!(cursor.told.contains_key("00005"));
    }
}
