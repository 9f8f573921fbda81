//! `$top`, `$select` and their kind.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::graph::error::GraphError;
use crate::graph::filter::Filter;
use crate::graph::render::check_select;
use crate::http::Request;
use crate::model::Kind;
use crate::throttle::Cost;

const DEFAULT_PAGE: usize = 100;
const LARGEST_PAGE: usize = 999;

/// The options of one request.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) top: usize,
    pub(crate) select: Option<Vec<String>>,
    pub(crate) filter: Option<Filter>,
    pub(crate) count: bool,
    /// The number of the row that the page before ended with.
    pub(crate) after: u64,
    pub(crate) expand: Option<String>,
}

impl Query {
    /// Reads and checks the options of a request for objects of a kind.
    pub(crate) fn read(request: &Request, kind: Kind) -> Result<Self, GraphError> {
        let eventual = request
            .header("consistencylevel")
            .is_some_and(|level| level.eq_ignore_ascii_case("eventual"));
        let count = flag(request, "$count")?;
        refuse_others(request)?;
        if count && !eventual {
            return Err(GraphError::bad_request("$count is not currently supported."));
        }
        if request.query("$orderby").is_some() {
            return Err(GraphError::unsupported_query("Sorting not supported for current query."));
        }
        let counts = count || request.segments.last().is_some_and(|segment| segment == "$count");
        let filter = request
            .query("$filter")
            .map(|text| Filter::parse(text, kind, eventual && counts))
            .transpose()?;
        let select = request.query("$select").map(names);
        if let Some(select) = &select {
            check_select(select, kind)?;
        }
        let expand = request.query("$expand").map(str::to_owned);
        if let Some(other) = expand.as_deref().filter(|name| *name != "owners") {
            return Err(GraphError::malformed(format!(
                "Parsing OData Select and Expand failed: Could not find a property named '{other}' on type 'microsoft.graph.{}'.",
                kind.type_name()
            )));
        }
        Ok(Self { top: top(request)?, select, filter, count, after: after(request)?, expand })
    }

    pub(crate) fn selects(&self, name: &str) -> bool {
        self.select.as_ref().is_some_and(|select| select.iter().any(|selected| selected == name))
    }
}

/// What a request costs, before it is known whether its options are good.
pub(crate) fn cost(request: &Request, reads: bool, lists: bool) -> Cost {
    let mut units: u32 = if lists { 2 } else { 1 };
    let select = request.query("$select");
    let small =
        request.query("$top").and_then(|top| top.parse::<u32>().ok()).is_some_and(|top| top < 20);
    if reads {
        units += u32::from(request.query("$expand").is_some());
        units =
            units.saturating_sub(u32::from(select.is_some()) + u32::from(small && lists)).max(1);
    }
    let selects_keys =
        select.is_some_and(|list| names(list).iter().any(|name| name == "keyCredentials"));
    Cost { units, write: !reads, selects_keys: reads && selects_keys, report: false }
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

fn refuse_others(request: &Request) -> Result<(), GraphError> {
    const KNOWN: &[&str] =
        &["$top", "$select", "$filter", "$count", "$orderby", "$expand", "$skiptoken"];
    match request
        .query
        .iter()
        .find(|(name, _)| name.starts_with('$') && !KNOWN.contains(&name.as_str()))
    {
        Some((name, _)) if name == "$search" => {
            Err(GraphError::bad_request("Request with $search query parameter is not supported."))
        }
        Some((name, _)) => {
            Err(GraphError::malformed(format!("'{name}' is not supported by the service.")))
        }
        None => Ok(()),
    }
}

fn flag(request: &Request, name: &str) -> Result<bool, GraphError> {
    match request.query(name) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(GraphError::malformed(format!(
            "Invalid value '{other}' for {name} query option found."
        ))),
    }
}

pub(super) fn top(request: &Request) -> Result<usize, GraphError> {
    let Some(text) = request.query("$top") else {
        return Ok(DEFAULT_PAGE);
    };
    let top: usize = text.parse().map_err(|_| {
        GraphError::malformed(format!("Invalid value '{text}' for $top query option found."))
    })?;
    if (1..=LARGEST_PAGE).contains(&top) {
        return Ok(top);
    }
    Err(GraphError::unsupported_query(format!(
        "Invalid page size specified: '{top}'. Must be between 1 and 999 inclusive."
    )))
}

/// Page tokens mean nothing to clients: a mark and a row number in base64url.
pub(crate) fn skip_token(after: u64) -> String {
    URL_SAFE_NO_PAD.encode([b"RFNwdAIAAQ".as_slice(), &after.to_be_bytes()].concat())
}

pub(super) fn after(request: &Request) -> Result<u64, GraphError> {
    let Some(token) = request.query("$skiptoken") else {
        return Ok(0);
    };
    let expired = || {
        GraphError::new(
            http::StatusCode::BAD_REQUEST,
            "Directory_ExpiredPageToken",
            "The specified page token value has expired and can no longer be included in your request.",
        )
    };
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| expired())?;
    let number = bytes.strip_prefix(b"RFNwdAIAAQ".as_slice()).and_then(|rest| rest.try_into().ok());
    number.map(u64::from_be_bytes).ok_or_else(expired)
}
