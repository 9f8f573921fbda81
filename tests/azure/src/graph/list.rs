//! Reading: lists, counts and single objects.

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::graph::error::GraphError;
use crate::graph::filter::Filter;
use crate::graph::query::{Query, skip_token};
use crate::graph::{Answer, Call, render};
use crate::http::Reply;
use crate::model::{Entity, Kind};

impl Call<'_> {
    pub(super) fn list(&self, kind: Kind) -> Answer {
        let query = Query::read(self.request, kind)?;
        let (page, next) = self.page(kind, &query, |entity| entity.sight.visible(self.view));
        let count = query.count.then(|| self.count_matching(kind, &query));
        Ok(self.collection(kind.collection(), page, next, count))
    }

    pub(super) fn count(&self, kind: Kind) -> Answer {
        let eventual = self
            .request
            .header("consistencylevel")
            .is_some_and(|level| level.eq_ignore_ascii_case("eventual"));
        if !eventual {
            return Err(GraphError::bad_request("$count is not currently supported."));
        }
        let query = Query::read(self.request, kind)?;
        Ok(Reply::typed(
            StatusCode::OK,
            "text/plain",
            self.count_matching(kind, &query).to_string(),
        ))
    }

    pub(super) fn get(&self, kind: Kind) -> Answer {
        let query = Query::read(self.request, kind)?;
        let entity = self.target()?;
        let mut shown = self.context(&format!("{}/$entity", kind.collection()));
        shown.extend(self.show(entity, &query, true));
        Ok(Reply::odata(StatusCode::OK, &Value::Object(shown)))
    }

    /// Applications and service principals; a real tenant's principal may own groups too.
    pub(super) fn list_owned(&self) -> Answer {
        let query = Query::read(self.request, Kind::Application)?;
        let principal = self.target()?.id;
        let tables = [Kind::Application, Kind::ServicePrincipal];
        let all = tables.into_iter().flat_map(|kind| self.world.directory.table(kind).iter());
        let owned: Vec<_> = all
            .filter(|entity| entity.owners.contains(&principal) && entity.sight.visible(self.view))
            .collect();
        let first = usize::try_from(query.after).unwrap_or(usize::MAX);
        let show = |entity: &&Entity| {
            let kind = format!("#microsoft.graph.{}", entity.kind.type_name());
            let mut shown = Map::from_iter([("@odata.type".to_owned(), json!(kind))]);
            shown.extend(self.show(entity, &query, false));
            Value::Object(shown)
        };
        let page: Vec<_> = owned.iter().skip(first).take(query.top).map(show).collect();
        let end = first.saturating_add(page.len());
        let next = (end < owned.len()).then(|| u64::try_from(end).unwrap_or(u64::MAX));
        Ok(self.collection("directoryObjects", page, next, None))
    }

    pub(super) fn list_deleted(&self, kind: Kind) -> Answer {
        let query = Query::read(self.request, kind)?;
        let (page, next) = self.page(kind, &query, |entity| {
            entity.deleted.is_some() && !entity.sight.visible(self.view)
        });
        Ok(self.collection(
            &format!("directory/deletedItems/microsoft.graph.{}", kind.type_name()),
            page,
            next,
            None,
        ))
    }

    /// Up to a page of matching objects, and where the next page starts.
    fn page(
        &self,
        kind: Kind,
        query: &Query,
        shown: impl Fn(&Entity) -> bool,
    ) -> (Vec<Value>, Option<u64>) {
        let table = self.world.directory.table(kind);
        let show = |entity: &Entity| Value::Object(self.show(entity, query, false));
        if let Some((name, id)) = query.filter.as_ref().and_then(Filter::single) {
            // The live object is not enough: a replica that lags may still show one that was deleted.
            let found =
                if name == "id" { table.by_id(id) } else { table.seen_by_app(id, self.view) };
            if found.is_some() || name == "id" {
                return (
                    found.filter(|entity| shown(entity)).map(show).into_iter().collect(),
                    None,
                );
            }
        }
        let mut page = Vec::new();
        let mut last = 0;
        let matches = |entity: &Entity| {
            shown(entity) && query.filter.as_ref().is_none_or(|filter| filter.holds(entity))
        };
        for (number, entity) in table.after(query.after).filter(|(_, entity)| matches(entity)) {
            if page.len() == query.top {
                return (page, Some(last));
            }
            page.push(show(entity));
            last = number;
        }
        (page, None)
    }

    fn count_matching(&self, kind: Kind, query: &Query) -> usize {
        let entities = self.world.directory.table(kind).iter();
        entities
            .filter(|entity| {
                entity.sight.visible(self.view)
                    && query.filter.as_ref().is_none_or(|filter| filter.holds(entity))
            })
            .count()
    }

    fn show(&self, entity: &Entity, query: &Query, single: bool) -> Map<String, Value> {
        let mut shown = render::entity(self.site, entity, self.view, Some(query), single);
        if query.expand.is_some() {
            // Graph expands at most 20 members.
            let owners = entity.owners.iter().take(20);
            let owners = owners.map(|id| {
                render::directory_object(self.site, self.world.directory.any(*id), *id, self.view)
            });
            shown.insert("owners".to_owned(), owners.collect());
        }
        shown
    }

    pub(super) fn context(&self, what: &str) -> Map<String, Value> {
        let mut shown = Map::new();
        shown.insert(
            "@odata.context".to_owned(),
            json!(format!("{}/v1.0/$metadata#{what}", self.site.graph())),
        );
        shown
    }

    /// A page with its context, count and link.
    pub(super) fn collection(
        &self,
        what: &str,
        page: Vec<Value>,
        next: Option<u64>,
        count: Option<usize>,
    ) -> Reply {
        let mut shown = self.context(what);
        if let Some(count) = count {
            shown.insert("@odata.count".to_owned(), json!(count));
        }
        if let Some(next) = next {
            shown.insert("@odata.nextLink".to_owned(), json!(self.next_link(next)));
        }
        shown.insert("value".to_owned(), Value::Array(page));
        Reply::odata(StatusCode::OK, &Value::Object(shown))
    }

    /// The same request from another row on.
    fn next_link(&self, after: u64) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in self.request.query.iter().filter(|(name, _)| name != "$skiptoken") {
            query.append_pair(name, value);
        }
        query.append_pair("$skiptoken", &skip_token(after));
        let path = self.request.segments.iter().skip(1).cloned().collect::<Vec<_>>().join("/");
        format!("{}/{path}?{}", self.site.graph(), query.finish().replace("%24", "$"))
    }
}
