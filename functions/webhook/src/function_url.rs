//! Reads a function URL's event.

use http::Request;
use lambda_http::request::RequestContext;
use lambda_http::{Body, RequestExt};

/// Gives the request as it was sent, and the address that the request came from. AWS names the address, not a header.
pub fn received(request: lambda_http::Request) -> (Request<Vec<u8>>, String) {
    let caller = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => {
            context.http.source_ip.clone().unwrap_or_default()
        }
        _ => String::new(),
    };
    let path = request.raw_http_path().to_owned();
    let (mut parts, body) = request.into_parts();
    // A query means nothing here and is not signed. A path that is not valid leads nowhere.
    parts.uri = path.parse().unwrap_or_default();
    let body = match body {
        Body::Text(text) => text.into_bytes(),
        Body::Binary(bytes) => bytes,
        _ => Vec::new(),
    };
    (Request::from_parts(parts, body), caller)
}
