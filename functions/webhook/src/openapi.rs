//! The OpenAPI document, as it is checked in.

/// OpenAPI 3.1 of all that this function answers.
pub fn document() -> &'static str {
    include_str!("../../../events/openapi.json")
}
