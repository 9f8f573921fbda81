//! Appends each event of the bus to its credential's chain in S3.

use aws_lambda_events::event::sqs::SqsBatchResponse;
use keywheel_core::audit::ledger::Ledger;
use keywheel_core::http::{self, Http};
use keywheel_core::settings::required;
use keywheel_lambda::{Failure, batch, one_by_one, serve};
use lambda_runtime::Error;
use serde_json::Value;
use tokio::time::Instant;

mod queue;

#[tokio::main]
async fn main() -> Result<(), Error> {
    serve(connect(), handle).await
}

async fn connect() -> Result<Ledger, Failure> {
    let http = Http::from_env().map_err(Failure::setup)?;
    let aws = http::aws::config(&http).await;
    let (records, heads) =
        (required("KEYWHEEL_AUDIT_BUCKET")?, required("KEYWHEEL_AUDIT_HEAD_BUCKET")?);
    Ok(Ledger::new(&aws, records, heads))
}

async fn handle(
    ledger: &Ledger,
    event: Value,
    deadline: Instant,
) -> Result<SqsBatchResponse, Failure> {
    let messages = batch(event)?;
    Ok(one_by_one(&messages, async |message| queue::record(ledger, message, deadline).await).await)
}
