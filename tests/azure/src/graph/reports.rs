//! `auditLogs/directoryAudits` and, of beta, `reports/appCredentialSignInActivities`.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock::{parse_rfc3339, rfc3339};
use crate::graph::error::GraphError;
use crate::graph::filter::{Comparison, Filter, Literal, Match};
use crate::graph::query::{after, top};
use crate::graph::{Answer, Call, filter_syntax};
use crate::model::Kind;
use crate::reports::{DirectoryAudit, Initiator};

impl Call<'_> {
    /// Newest first, or oldest first where `$orderby` says so; only what is not too young to be shown.
    pub(super) fn list_directory_audits(&self) -> Answer {
        let filter = self.report_filter()?;
        let ascending = match self.request.query("$orderby").map(str::trim) {
            None | Some("activityDateTime desc") => false,
            Some("activityDateTime" | "activityDateTime asc") => true,
            Some(other) => {
                return Err(GraphError::bad_request(format!("Invalid $orderby clause: {other}")));
            }
        };
        let mut entries = Vec::new();
        for entry in self.world.directory_audits.shown(self.view.now) {
            if wanted(filter.as_ref(), |filter| of_audit(filter, entry))? {
                entries.push(entry);
            }
        }
        entries.sort_by_key(|entry| (entry.at, entry.number));
        if !ascending {
            entries.reverse();
        }
        let rows: Vec<_> = entries.into_iter().map(|entry| (entry.number, entry.show())).collect();
        self.report_page("auditLogs/directoryAudits", &rows)
    }

    /// The last successful sign-in with each key, as far as it is known by now.
    pub(super) fn sign_in_activity(&self) -> Answer {
        let filter = self.report_filter()?;
        let mut rows = Vec::new();
        for (number, (key, last)) in (1..).zip(self.world.uses.shown(self.view.now)) {
            let (app, kinds) = (last.app_id, [Kind::Application, Kind::ServicePrincipal]);
            let holder = kinds
                .into_iter()
                .filter_map(|kind| self.world.directory.table(kind).by_app(app))
                .find(|entity| {
                    entity.passwords.iter().any(|p| p.key_id == key)
                        || entity.federated.iter().any(|c| c.id == key)
                });
            let (origin, object) =
                holder.map_or(("unknown", None), |e| (e.kind.type_name(), Some(e.id)));
            let fields = [("keyId", key.to_string()), ("appId", app.to_string())];
            if wanted(filter.as_ref(), |filter| of_texts(filter, &fields))? {
                let shown = json!({
                    "id": key,
                    "keyId": key,
                    "keyType": if last.secret { "clientSecret" } else { "unknownFutureValue" },
                    "keyUsage": "sign",
                    "appId": app,
                    "appObjectId": object.filter(|_| origin == "application"),
                    "servicePrincipalObjectId": object.filter(|_| origin == "servicePrincipal"),
                    "credentialOrigin": origin,
                    "signInActivity": {
                        "lastSignInDateTime": rfc3339(last.at),
                        "lastSignInRequestId": last.request_id,
                    },
                });
                rows.push((number, shown));
            }
        }
        self.report_page("reports/appCredentialSignInActivities", &rows)
    }

    fn report_filter(&self) -> Result<Option<Filter>, GraphError> {
        let malformed =
            |reason: String| GraphError::malformed(format!("Invalid filter clause: {reason}"));
        self.request
            .query("$filter")
            .map(|text| filter_syntax::parse(text).map_err(malformed))
            .transpose()
    }

    /// A page of rows, which goes on after the one whose number the link holds.
    fn report_page(&self, what: &str, rows: &[(u64, Value)]) -> Answer {
        let (top, after) = (top(self.request)?, after(self.request)?);
        let begin = match rows.iter().position(|(number, _)| *number == after) {
            Some(at) => at + 1,
            None => 0,
        };
        let rest = rows.get(begin..).unwrap_or_default();
        let page = rest.iter().take(top).map(|(_, row)| row.clone()).collect();
        let last = rest.get(top.saturating_sub(1)).map(|(number, _)| *number);
        let next = last.filter(|_| rest.len() > top);
        Ok(self.collection(what, page, next, None))
    }
}

/// A condition that may be missing, and may be one that Graph refuses.
fn wanted(
    filter: Option<&Filter>,
    holds: impl FnOnce(&Filter) -> Result<bool, GraphError>,
) -> Result<bool, GraphError> {
    filter.map_or(Ok(true), holds)
}

fn unsupported(what: &str) -> GraphError {
    GraphError::bad_request(format!("Invalid filter clause: {what} is not supported here"))
}

fn of_texts(filter: &Filter, fields: &[(&str, String)]) -> Result<bool, GraphError> {
    match filter {
        Filter::And(one, other) => Ok(of_texts(one, fields)? && of_texts(other, fields)?),
        Filter::Compare(name, Comparison::Equal, Literal::Text(text)) => {
            let field = fields.iter().find(|(field, _)| field == name);
            let (_, value) = field.ok_or_else(|| unsupported(name))?;
            Ok(value.eq_ignore_ascii_case(text))
        }
        Filter::Text(name, Match::Start, text) => {
            let field = fields.iter().find(|(field, _)| field == name);
            let (_, value) = field.ok_or_else(|| unsupported(name))?;
            Ok(value.to_lowercase().starts_with(&text.to_lowercase()))
        }
        _ => Err(unsupported("this operator")),
    }
}

/// `eq`, `ge`, `le` (and `gt`, `lt` of times) and `startswith`, joined by `and`.
fn of_audit(filter: &Filter, entry: &DirectoryAudit) -> Result<bool, GraphError> {
    match filter {
        Filter::And(one, other) => Ok(of_audit(one, entry)? && of_audit(other, entry)?),
        Filter::Compare(name, comparison, literal) if name == "activityDateTime" => {
            let wanted = match literal {
                Literal::Time(at) => Some(*at),
                Literal::Text(text) => parse_rfc3339(text),
                _ => None,
            };
            let wanted = wanted.ok_or_else(|| unsupported("this literal"))?;
            Ok(match comparison {
                Comparison::Equal => entry.at == wanted,
                Comparison::AtLeast => entry.at >= wanted,
                Comparison::AtMost => entry.at <= wanted,
                Comparison::More => entry.at > wanted,
                Comparison::Less => entry.at < wanted,
                Comparison::NotEqual => return Err(unsupported("ne")),
            })
        }
        Filter::Any(collection, Match::Whole, text) if collection == "targetResources" => {
            Ok(Uuid::parse_str(text).is_ok_and(|id| id == entry.target.id))
        }
        _ => {
            let (user, name, app) = match &entry.by {
                Initiator::User(person) => {
                    (person.id.to_string(), person.principal_name.clone(), String::new())
                }
                Initiator::App { display_name, .. } => {
                    (String::new(), String::new(), display_name.clone().unwrap_or_default())
                }
            };
            let fields = [
                ("activityDisplayName", entry.activity.clone()),
                ("category", "ApplicationManagement".to_owned()),
                ("correlationId", entry.correlation.to_string()),
                ("id", entry.id.clone()),
                ("loggedByService", "Core Directory".to_owned()),
                ("operationType", entry.operation_type().to_owned()),
                ("initiatedBy/user/id", user),
                ("initiatedBy/user/userPrincipalName", name),
                ("initiatedBy/app/displayName", app),
            ];
            of_texts(filter, &fields)
        }
    }
}
