//! The Secrets Manager rotation contract: one step an event.

use keywheel_core::engine::Clients;
use keywheel_lambda::Failure;
use tokio::time::Instant;
use tracing::info;

use crate::event::Rotation;

/// Carries out the step. An error fails the rotation; Secrets Manager tries it again later.
pub(crate) async fn handle(
    clients: &Clients,
    Rotation { step, secret_id, token }: Rotation,
    deadline: Instant,
) -> Result<(), Failure> {
    let engine = clients.engine().await?;
    engine.native_step(step, &secret_id, &token, deadline).await?;
    info!(secret = secret_id, ?step, "done");
    Ok(())
}
