//! Compares secrets that GitHub finds leaked with every secret that works, and has those that are the same replaced.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use keywheel_core::asking::leak::{Leaks, endpoint};
use keywheel_core::asking::{Deployment, Requests};
use keywheel_core::http::{self, Http};
use keywheel_core::lambda::{self, Failure};
use keywheel_core::manifest::ManifestSource;
use keywheel_core::queue::Queue;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
use serde_json::Value;

mod queue;

/// What the function works with.
struct Compare {
    leaks: Leaks,
    /// The queue of comparisons.
    queue: Queue,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda::begin();
    let compare = &connect().await.map_err(Failure::told)?;
    run(service_fn(async |event: LambdaEvent<Value>| {
        handle(compare, event).await.map_err(|failure| {
            let Failure { kind, message } = failure.told();
            Diagnostic { error_type: kind.to_owned(), error_message: message }
        })
    }))
    .await
}

async fn connect() -> Result<Compare, Failure> {
    let set = |name| http::env(name).ok_or_else(|| Failure::setup(format!("{name} is not set")));
    let http = Http::from_env().map_err(Failure::setup)?;
    let aws = http::aws::config(&http).await;
    let deployment = Deployment {
        manifest: ManifestSource::parse(&set("KEYWHEEL_MANIFEST")?).map_err(Failure::setup)?,
        queue_url: set("KEYWHEEL_QUEUE_URL")?,
        bus: set("KEYWHEEL_BUS")?,
        state_bucket: set("KEYWHEEL_STATE_BUCKET")?,
    };
    let github = endpoint(http::env("KEYWHEEL_GITHUB_ENDPOINT").as_deref()).ok_or_else(|| {
        Failure::setup(
            "KEYWHEEL_GITHUB_ENDPOINT is no address; give https://api.github.com or your own server's",
        )
    })?;
    let queue =
        Queue::new(&aws, set("KEYWHEEL_COMPARE_QUEUE_URL")?, http::env("KEYWHEEL_DEAD_LETTER_URL"));
    let requests = Requests::new(&aws, deployment);
    let leaks = Leaks::new(requests, http, github, http::env("KEYWHEEL_WEBHOOK_SECRET"));
    Ok(Compare { leaks, queue })
}

async fn handle(compare: &Compare, event: LambdaEvent<Value>) -> Result<SqsBatchResponse, Failure> {
    let batch: SqsEvent = serde_json::from_value(event.payload)
        .map_err(|_| Failure::event("not a batch of SQS messages"))?;
    Ok(queue::handle(compare, batch).await)
}
