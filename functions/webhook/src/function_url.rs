//! A function URL's event as a request.

use http::Request;
use lambda_http::request::RequestContext;
use lambda_http::{Body, RequestExt};

/// The request as it was sent, and the address that it came from: by AWS's word, no header says so.
pub fn received(request: lambda_http::Request) -> (Request<Vec<u8>>, String) {
    let caller = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => {
            context.http.source_ip.clone().unwrap_or_default()
        }
        _ => String::new(),
    };
    let path = request.raw_http_path().to_owned();
    let (mut parts, body) = request.into_parts();
    // The path alone: a query means nothing here, and is no part of what is signed. One that is no path is none.
    parts.uri = path.parse().unwrap_or_default();
    let body = match body {
        Body::Text(text) => text.into_bytes(),
        Body::Binary(bytes) => bytes,
        _ => Vec::new(),
    };
    (Request::from_parts(parts, body), caller)
}
