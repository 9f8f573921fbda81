//! The record: appends each event of the bus to its credential's chain in S3.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use keywheel_core::audit::ledger::Ledger;
use keywheel_core::http::{self, Http};
use keywheel_core::lambda::{self, Failure};
use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
use serde_json::Value;

mod queue;

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda::begin();
    let ledger = &connect().await.map_err(Failure::told)?;
    run(service_fn(async |event: LambdaEvent<Value>| {
        handle(ledger, event).await.map_err(|failure| {
            let Failure { kind, message } = failure.told();
            Diagnostic { error_type: kind.to_owned(), error_message: message }
        })
    }))
    .await
}

async fn connect() -> Result<Ledger, Failure> {
    let http = Http::from_env().map_err(Failure::setup)?;
    let aws = http::aws::config(&http).await;
    let bucket = |name| http::env(name).ok_or_else(|| Failure::setup(format!("{name} is not set")));
    Ok(Ledger::new(&aws, bucket("KEYWHEEL_AUDIT_BUCKET")?, bucket("KEYWHEEL_AUDIT_HEAD_BUCKET")?))
}

async fn handle(ledger: &Ledger, event: LambdaEvent<Value>) -> Result<SqsBatchResponse, Failure> {
    let deadline = lambda::deadline(event.context.deadline());
    let batch: SqsEvent = serde_json::from_value(event.payload)
        .map_err(|_| Failure::event("not a batch of SQS messages"))?;
    Ok(queue::handle(ledger, batch, deadline).await)
}
