//! Compares texts that GitHub finds leaked with every secret that works, and has the secrets that match replaced.

use aws_lambda_events::event::sqs::SqsBatchResponse;
use keywheel_core::asking::leak::{Leaks, endpoint};
use keywheel_core::asking::{Deployment, Requests};
use keywheel_core::http::{self, Http};
use keywheel_core::queue::Queue;
use keywheel_core::settings::{optional, required};
use keywheel_lambda::{Failure, Message, Settled, batch, one_by_one, serve};
use lambda_runtime::Error;
use serde_json::Value;
use tokio::time::Instant;

mod queue;

/// The clients of the function.
struct Compare {
    leaks: Leaks,
    /// The queue of comparisons.
    queue: Queue,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    serve(connect(), handle).await
}

async fn connect() -> Result<Compare, Failure> {
    let deployment = Deployment::from_env()?;
    let http = Http::from_env().map_err(Failure::setup)?;
    let aws = http::aws::config(&http).await;
    let github = endpoint(optional("KEYWHEEL_GITHUB_ENDPOINT").as_deref()).ok_or_else(|| {
        Failure::setup(
            "KEYWHEEL_GITHUB_ENDPOINT is no address; give https://api.github.com or the address of your own server",
        )
    })?;
    let url = required("KEYWHEEL_COMPARE_QUEUE_URL")?;
    let queue = Queue::new(&aws, url, optional("KEYWHEEL_DEAD_LETTER_URL"));
    let requests = Requests::new(&aws, deployment);
    let leaks = Leaks::new(requests, http, github, optional("KEYWHEEL_WEBHOOK_SECRET"));
    Ok(Compare { leaks, queue })
}

async fn handle(
    compare: &Compare,
    event: Value,
    _deadline: Instant,
) -> Result<SqsBatchResponse, Failure> {
    let settle = async |message: &Message| Settled::or_stays(queue::settle(compare, message).await);
    Ok(one_by_one(&batch(event)?, settle).await)
}
