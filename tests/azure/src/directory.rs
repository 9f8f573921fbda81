//! The directory: applications and service principals in the order they were made, found by id and by appId.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use crate::clock::{DAY, Millis};
use crate::model::{Entity, Kind, View};

/// How long a soft-deleted object can be restored.
const KEPT: Millis = 30 * DAY;

/// Objects of one kind. Rows keep their number for life, so a page can resume after one in logarithmic time.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: BTreeMap<u64, Entity>,
    by_id: HashMap<Uuid, u64>,
    /// Live objects only: a deleted one gives its appId free.
    by_app: HashMap<Uuid, u64>,
    next: u64,
}

impl Table {
    pub(crate) fn insert(&mut self, entity: Entity) {
        self.next += 1;
        self.by_id.insert(entity.id, self.next);
        if entity.deleted.is_none() {
            self.by_app.insert(entity.app_id, self.next);
        }
        self.rows.insert(self.next, entity);
    }

    pub(crate) fn by_id(&self, id: Uuid) -> Option<&Entity> {
        self.rows.get(self.by_id.get(&id)?)
    }

    pub(crate) fn by_id_mut(&mut self, id: Uuid) -> Option<&mut Entity> {
        self.rows.get_mut(self.by_id.get(&id)?)
    }

    /// The live object with that appId, in truth.
    pub(crate) fn by_app(&self, app_id: Uuid) -> Option<&Entity> {
        self.rows.get(self.by_app.get(&app_id)?)
    }

    /// The object with that appId as the viewing replica shows it, which may be one that is deleted already.
    pub(crate) fn seen_by_app(&self, app_id: Uuid, view: View) -> Option<&Entity> {
        match self.by_app(app_id) {
            Some(entity) => Some(entity),
            // Only a replica that lags still finds a deleted object by its appId; there are few of those.
            None => self
                .rows
                .values()
                .find(|entity| entity.app_id == app_id && entity.sight.visible(view)),
        }
        .filter(|entity| entity.sight.visible(view))
    }

    pub(crate) fn seen_by_id(&self, id: Uuid, view: View) -> Option<&Entity> {
        self.by_id(id).filter(|entity| entity.sight.visible(view))
    }

    /// Rows after a number, oldest first, with their numbers.
    pub(crate) fn after(&self, number: u64) -> impl Iterator<Item = (u64, &Entity)> {
        self.rows.range(number.saturating_add(1)..).map(|(number, entity)| (*number, entity))
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Entity> {
        self.rows.values()
    }

    /// Marks an object deleted, for replicas to learn of.
    pub(crate) fn soft_delete(&mut self, id: Uuid, now: Millis, until: Option<Box<[Millis]>>) {
        let Some(entity) = self.by_id.get(&id).and_then(|number| self.rows.get_mut(number)) else {
            return;
        };
        entity.deleted = Some(now);
        entity.sight.end(now, until);
        self.by_app.remove(&entity.app_id);
    }

    /// Brings a soft-deleted object back.
    pub(crate) fn restore(&mut self, id: Uuid, from: Option<Box<[Millis]>>) {
        let Some(&number) = self.by_id.get(&id) else {
            return;
        };
        let Some(entity) = self.rows.get_mut(&number) else {
            return;
        };
        entity.deleted = None;
        entity.sight = crate::model::Sight::since(from);
        self.by_app.insert(entity.app_id, number);
    }

    /// Removes an object for good.
    pub(crate) fn purge(&mut self, id: Uuid) {
        let Some(number) = self.by_id.remove(&id) else {
            return;
        };
        if let Some(entity) = self.rows.remove(&number)
            && self.by_app.get(&entity.app_id) == Some(&number)
        {
            self.by_app.remove(&entity.app_id);
        }
    }

    fn purge_expired(&mut self, now: Millis) {
        let over: Vec<Uuid> = self
            .rows
            .values()
            .filter(|e| e.deleted.is_some_and(|at| now >= at + KEPT))
            .map(|e| e.id)
            .collect();
        for id in over {
            self.purge(id);
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Directory {
    applications: Table,
    service_principals: Table,
    oldest_deletion: Option<Millis>,
}

impl Directory {
    pub(crate) fn table(&self, kind: Kind) -> &Table {
        match kind {
            Kind::Application => &self.applications,
            Kind::ServicePrincipal => &self.service_principals,
        }
    }

    pub(crate) fn table_mut(&mut self, kind: Kind) -> &mut Table {
        match kind {
            Kind::Application => &mut self.applications,
            Kind::ServicePrincipal => &mut self.service_principals,
        }
    }

    /// An object of either kind, in truth.
    pub(crate) fn any(&self, id: Uuid) -> Option<&Entity> {
        self.applications.by_id(id).or_else(|| self.service_principals.by_id(id))
    }

    pub(crate) fn soft_delete(
        &mut self,
        kind: Kind,
        id: Uuid,
        now: Millis,
        until: Option<Box<[Millis]>>,
    ) {
        self.oldest_deletion = Some(self.oldest_deletion.map_or(now, |oldest| oldest.min(now)));
        self.table_mut(kind).soft_delete(id, now, until);
    }

    /// Drops what has been in deletedItems for 30 days. Cheap when there is nothing to do, so every request may call it.
    pub(crate) fn expire(&mut self, now: Millis) {
        if self.oldest_deletion.is_none_or(|oldest| now < oldest + KEPT) {
            return;
        }
        self.applications.purge_expired(now);
        self.service_principals.purge_expired(now);
        self.oldest_deletion = self
            .applications
            .iter()
            .chain(self.service_principals.iter())
            .filter_map(|entity| entity.deleted)
            .min();
    }
}
