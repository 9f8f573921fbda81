//! The Secrets Manager rotation contract: one step an event.

use aws_lambda_events::event::secretsmanager::SecretsManagerSecretRotationEvent;
use keywheel_core::engine::Clients;
use keywheel_core::engine::native::Step;
use lambda_runtime::Error;
use tokio::time::Instant;
use tracing::info;

/// Carries out the step. An error fails the rotation; Secrets Manager tries it again later.
pub(crate) async fn handle(
    clients: &Clients,
    event: SecretsManagerSecretRotationEvent,
    deadline: Instant,
) -> Result<(), Error> {
    let step = Step::parse(&event.step).ok_or_else(|| format!("unknown Step {:?}", event.step))?;
    let engine = clients.engine().await?;
    engine.native_step(step, &event.secret_id, &event.client_request_token, deadline).await?;
    info!(secret = event.secret_id, step = event.step, "done");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_event_is_a_step() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/rotate-secretsmanager.json");
        let text = std::fs::read_to_string(path).unwrap();
        let event: SecretsManagerSecretRotationEvent = serde_json::from_str(&text).unwrap();
        assert_eq!(Step::parse(&event.step), Some(Step::Create));
        assert!(event.client_request_token.len() >= 32);
    }
}
