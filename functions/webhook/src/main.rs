//! Answers "rotate now": Slack, signed webhooks and GitHub, behind a Lambda function URL.

use chrono::Utc;
use keywheel_webhook::{Webhook, received};
use lambda_http::{Body, Error, Request, Response, run, service_fn};
use tracing::error;

#[tokio::main]
async fn main() -> Result<(), Error> {
    keywheel_lambda::begin();
    let connected = Webhook::connect().await;
    let webhook = &connected.inspect_err(|failure| error!(%failure, "cannot begin"))?;
    // Slack's three seconds do not run yet while Lambda starts the function.
    webhook.warm().await;
    run(service_fn(async |request: Request| -> Result<Response<Body>, Error> {
        let (request, caller) = received(request);
        let answer = webhook.answer(&request, &caller, Utc::now()).await;
        Ok(answer.map(Body::Text))
    }))
    .await
}
