//! `$filter`, as much of it as Graph understands for applications and service principals.

use uuid::Uuid;

use crate::clock::{Millis, parse_rfc3339};
use crate::graph::error::GraphError;
use crate::model::{Entity, Kind};

/// A condition on an object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Compare(String, Comparison, Literal),
    In(String, Vec<Literal>),
    Text(String, Match, String),
    /// A collection has a member that matches.
    Any(String, Match, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    AtLeast,
    AtMost,
    More,
    Less,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Match {
    Whole,
    Start,
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Text(String),
    Time(Millis),
}

/// A property as filters see it.
enum Field<'a> {
    Null,
    Bool(bool),
    Id(Uuid),
    Text(&'a str),
    Time(Millis),
}

impl Filter {
    /// Reads a filter and refuses what Graph refuses: unknown properties, and advanced operators without `eventual`.
    pub(crate) fn parse(text: &str, kind: Kind, eventual: bool) -> Result<Self, GraphError> {
        let filter = super::filter_syntax::parse(text)
            .map_err(|reason| GraphError::malformed(format!("Invalid filter clause: {reason}")))?;
        filter.check(kind, eventual)?;
        Ok(filter)
    }

    /// The one object that can match, where the filter says so: spares the walk through all of them.
    pub(crate) fn single(&self) -> Option<(&'static str, Uuid)> {
        match self {
            Self::Compare(property, Comparison::Equal, Literal::Text(text)) => {
                let name = ["appId", "id"].into_iter().find(|name| name == property)?;
                Some((name, Uuid::parse_str(text).ok()?))
            }
            _ => None,
        }
    }

    fn check(&self, kind: Kind, eventual: bool) -> Result<(), GraphError> {
        let advanced = |operator: &str| {
            if eventual { Ok(()) } else { Err(needs_eventual(operator)) }
        };
        match self {
            Self::And(a, b) | Self::Or(a, b) => {
                a.check(kind, eventual).and_then(|()| b.check(kind, eventual))
            }
            Self::Not(inner) => advanced("Not").and_then(|()| inner.check(kind, eventual)),
            Self::Compare(property, comparison, _) => {
                scalar(property, kind)?;
                match comparison {
                    Comparison::NotEqual => advanced("NotEqualsMatch"),
                    Comparison::More | Comparison::Less => Err(unsupported(property, kind)),
                    _ => Ok(()),
                }
            }
            Self::In(property, _) => scalar(property, kind),
            Self::Text(property, matching, _) => {
                scalar(property, kind)?;
                if *matching == Match::End { advanced("EndsWith") } else { Ok(()) }
            }
            Self::Any(property, _, _)
                if ["tags", "identifierUris", "servicePrincipalNames"]
                    .contains(&property.as_str()) =>
            {
                Ok(())
            }
            Self::Any(property, _, _) => Err(unsupported(property, kind)),
        }
    }

    pub(crate) fn holds(&self, entity: &Entity) -> bool {
        match self {
            Self::And(a, b) => a.holds(entity) && b.holds(entity),
            Self::Or(a, b) => a.holds(entity) || b.holds(entity),
            Self::Not(inner) => !inner.holds(entity),
            Self::Compare(property, comparison, literal) => {
                compare(&field(entity, property), *comparison, literal)
            }
            Self::In(property, literals) => {
                let field = field(entity, property);
                literals.iter().any(|literal| compare(&field, Comparison::Equal, literal))
            }
            Self::Text(property, matching, wanted) => match field(entity, property) {
                Field::Text(text) => text_matches(text, *matching, wanted),
                Field::Id(id) => text_matches(
                    id.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()),
                    *matching,
                    wanted,
                ),
                _ => false,
            },
            Self::Any(property, matching, wanted) => match property.as_str() {
                "tags" => entity.tags.iter().any(|tag| text_matches(tag, *matching, wanted)),
                "servicePrincipalNames" => text_matches(
                    entity.app_id.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()),
                    *matching,
                    wanted,
                ),
                other => entity.extra.get(other).and_then(|value| value.as_array()).is_some_and(
                    |values| {
                        values
                            .iter()
                            .filter_map(|v| v.as_str())
                            .any(|v| text_matches(v, *matching, wanted))
                    },
                ),
            },
        }
    }
}

/// Graph compares without regard to case.
fn text_matches(text: &str, matching: Match, wanted: &str) -> bool {
    match matching {
        Match::Whole => text.eq_ignore_ascii_case(wanted),
        Match::Start => {
            text.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted))
        }
        Match::End => text
            .len()
            .checked_sub(wanted.len())
            .and_then(|at| text.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case(wanted)),
    }
}

fn compare(field: &Field<'_>, comparison: Comparison, literal: &Literal) -> bool {
    let equal = match (field, literal) {
        (Field::Null, Literal::Null) => true,
        (Field::Bool(a), Literal::Bool(b)) => a == b,
        (Field::Text(a), Literal::Text(b)) => a.eq_ignore_ascii_case(b),
        (Field::Id(a), Literal::Text(b)) => Uuid::parse_str(b).is_ok_and(|b| *a == b),
        (Field::Time(a), literal) => return compare_times(*a, comparison, literal),
        _ => false,
    };
    match comparison {
        Comparison::Equal => equal,
        Comparison::NotEqual => !equal,
        _ => match (field, literal) {
            (Field::Text(a), Literal::Text(b)) => {
                let order = a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase());
                if comparison == Comparison::AtLeast { order.is_ge() } else { order.is_le() }
            }
            _ => false,
        },
    }
}

fn compare_times(time: Millis, comparison: Comparison, literal: &Literal) -> bool {
    let wanted = match literal {
        Literal::Time(at) => *at,
        Literal::Text(text) => match parse_rfc3339(text) {
            Some(at) => at,
            None => return false,
        },
        _ => return comparison == Comparison::NotEqual,
    };
    match comparison {
        Comparison::Equal => time == wanted,
        Comparison::NotEqual => time != wanted,
        Comparison::AtLeast => time >= wanted,
        Comparison::AtMost => time <= wanted,
        Comparison::More => time > wanted,
        Comparison::Less => time < wanted,
    }
}

fn field<'a>(entity: &'a Entity, property: &str) -> Field<'a> {
    match property {
        "id" => Field::Id(entity.id),
        "appId" => Field::Id(entity.app_id),
        "displayName" | "appDisplayName" => Field::Text(&entity.display_name),
        "signInAudience" => Field::Text(entity.audience.name()),
        "createdDateTime" => Field::Time(entity.created),
        "deletedDateTime" => entity.deleted.map_or(Field::Null, Field::Time),
        "accountEnabled" => Field::Bool(entity.enabled),
        "isDisabled" => {
            if entity.enabled {
                Field::Null
            } else {
                Field::Bool(true)
            }
        }
        "servicePrincipalType" => Field::Text("Application"),
        other => match entity.extra.get(other) {
            Some(serde_json::Value::String(text)) => Field::Text(text),
            Some(serde_json::Value::Bool(value)) => Field::Bool(*value),
            _ => Field::Null,
        },
    }
}

/// Refuses a property that cannot be compared.
fn scalar(property: &str, kind: Kind) -> Result<(), GraphError> {
    const BOTH: &[&str] = &[
        "id",
        "appId",
        "displayName",
        "createdDateTime",
        "deletedDateTime",
        "signInAudience",
        "applicationTemplateId",
        "isDisabled",
    ];
    const APPLICATION: &[&str] =
        &["publisherDomain", "serviceManagementReference", "createdByAppId", "uniqueName"];
    const PRINCIPAL: &[&str] =
        &["accountEnabled", "servicePrincipalType", "homepage", "preferredSingleSignOnMode"];
    let of_kind = match kind {
        Kind::Application => APPLICATION,
        Kind::ServicePrincipal => PRINCIPAL,
    };
    if BOTH.contains(&property) || of_kind.contains(&property) {
        Ok(())
    } else {
        Err(unsupported(property, kind))
    }
}

fn unsupported(property: &str, kind: Kind) -> GraphError {
    GraphError::unsupported_query(format!(
        "Unsupported or invalid query filter clause specified for property '{property}' of resource '{}'.",
        kind.resource_name()
    ))
}

fn needs_eventual(operator: &str) -> GraphError {
    GraphError::unsupported_query(format!(
        "Operator '{operator}' is not supported because the required parameters might be missing. Try adding $count=true query \
         parameter and ConsistencyLevel:eventual header. Refer to https://aka.ms/graph-docs/advanced-queries for more information"
    ))
}
