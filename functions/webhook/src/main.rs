//! Answers "rotate now": Slack, signed webhooks and GitHub, behind a Lambda function URL.

use chrono::Utc;
use keywheel_core::lambda;
use keywheel_webhook::{Settings, Webhook};
use lambda_http::request::RequestContext;
use lambda_http::{Body, Error, Request, RequestExt, Response, run, service_fn};
use tracing::error;

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda::begin();
    let connected = Webhook::connect(Settings::from_env()).await;
    let webhook = &connected.inspect_err(|failure| error!(%failure, "cannot begin"))?;
    // While Lambda starts the function nobody's three seconds run yet.
    webhook.warm().await;
    run(service_fn(async |request: Request| -> Result<Response<Body>, Error> {
        let caller = caller(&request);
        let path = request.raw_http_path().to_owned();
        let (mut parts, body) = request.into_parts();
        // The path as it came: the query and the stage are not part of what is signed.
        parts.uri = path.parse().unwrap_or_default();
        let body = match body {
            Body::Text(text) => text.into_bytes(),
            Body::Binary(bytes) => bytes,
            _ => Vec::new(),
        };
        let request = Request::from_parts(parts, Body::Empty).map(|_| body);
        let answer = webhook.answer(&request, &caller, Utc::now()).await;
        Ok(answer.map(Body::Text))
    }))
    .await
}

/// The address that the request came from, by AWS's word; no header says so.
fn caller(request: &Request) -> String {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => {
            context.http.source_ip.clone().unwrap_or_default()
        }
        _ => String::new(),
    }
}
