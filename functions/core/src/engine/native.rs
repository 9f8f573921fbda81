//! Secrets Manager's own rotation: its four steps, by the same tries as queued jobs.

use chrono::TimeDelta;
use tokio::time::Instant;

use super::executor::Attempt;
use super::{Engine, EngineError};
use crate::ids::{Token, VersionId};
use crate::manifest::Credential;
use crate::rotation::{Replaces, Rotate, SecretState, SecretView, Stop, Until, rotate};

/// The `requested_by` of these rotations in the audit trail.
const REQUESTED_BY: &str = "secretsmanager.amazonaws.com";

/// A step of Secrets Manager's rotation contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `createSecret`: mint and store.
    Create,
    /// `setSecret`: prove (and deliver).
    Set,
    /// `testSecret`: one more proof.
    Test,
    /// `finishSecret`: prove and promote.
    Finish,
}

impl Step {
    /// Reads the event's `Step`.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "createSecret" => Self::Create,
            "setSecret" => Self::Set,
            "testSecret" => Self::Test,
            "finishSecret" => Self::Finish,
            _ => return None,
        })
    }

    fn until(self) -> Until {
        match self {
            Self::Create => Until::Stored,
            Self::Set | Self::Test => Until::Proved,
            Self::Finish => Until::Promoted,
        }
    }
}

/// A step is refused or failed. Secrets Manager shows the error in the function's log, and tries again later.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NativeError {
    /// The manifest does not manage the secret whose rotation calls this function.
    #[error(
        "no credential of the manifest keeps its secret in {0}, or its rule's tag is not on the application; \
         add one, tag it, or point the rotation elsewhere"
    )]
    NotManaged(String),
    /// The token is not a UUID.
    #[error("ClientRequestToken {0:?} is not a UUID")]
    Token(String),
    /// Somebody turned the rotation off meanwhile.
    #[error(
        "rotation of {0} is not enabled (aws secretsmanager rotate-secret --rotation-lambda-arn …)"
    )]
    NotEnabled(String),
    /// No version has the token.
    #[error("{0} has no version {1}")]
    UnknownVersion(String, Token),
    /// The version is neither pending nor current.
    #[error("version {1} of {0} is not AWSPENDING; start again with RotateSecret")]
    NotPending(String, Token),
    /// The secret is missing or scheduled for deletion.
    #[error("{0}")]
    NoSecret(&'static str),
    /// The rules stopped the rotation.
    #[error("{}: {}", .0.name(), .0.explanation())]
    Stopped(Stop),
    /// The rotation will not end.
    #[error("the rotation was {0}; start again with RotateSecret")]
    Void(&'static str),
    /// A call failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Engine {
    /// Carries out a step of the rotation contract. Each step may be called again.
    pub async fn native_step(
        &self,
        step: Step,
        secret_id: &str,
        token: &str,
        deadline: Instant,
    ) -> Result<(), NativeError> {
        let name = secret_name(secret_id);
        let managed = self
            .manifest
            .by_secret(name)
            .ok_or_else(|| NativeError::NotManaged(name.to_owned()))?;
        if !self.is_managed(&managed, deadline).await? {
            return Err(NativeError::NotManaged(name.to_owned()));
        }
        let mut credential = managed.credential;
        let token: Token = token.parse().map_err(|_| NativeError::Token(token.to_owned()))?;
        let described = self.secrets.describe_own(name).await.map_err(EngineError::from)?;
        let view = present(described.state)?;
        if is_current(&view, name, &token)? && step != Step::Finish {
            return Ok(());
        }
        if step == Step::Test && view.key_of(&token.clone().into()).is_none() {
            // Secrets Manager calls this step on its own as a trial (`RotateImmediately: false`), on a version that it
            // makes and removes again. Nothing was minted for that version. In a real rotation `finishSecret` still
            // promotes nothing unproved.
            return Ok(());
        }
        if step == Step::Test {
            // The settle time passed in `setSecret`, and passes again before the promotion.
            credential.settings.policy.settle = TimeDelta::zero();
        }
        self.run_step(step, &credential, token, deadline).await
    }

    async fn run_step(
        &self,
        step: Step,
        credential: &Credential,
        token: Token,
        deadline: Instant,
    ) -> Result<(), NativeError> {
        let terms = self.terms(credential, None);
        let this = Rotate::new(terms.clone(), token, Replaces::Current, step.until());
        let (by, request) = (REQUESTED_BY, None);
        let attempt = Attempt { engine: self, credential, by, request, deadline };
        match attempt.carry_out(&terms, this).await? {
            rotate::Outcome::Stored(_)
            | rotate::Outcome::Proved(_)
            | rotate::Outcome::Promoted(_) => Ok(()),
            rotate::Outcome::Superseded => Err(NativeError::Void("superseded")),
            rotate::Outcome::Abandoned(_) => Err(NativeError::Void("abandoned: its key is dead")),
            rotate::Outcome::Stopped(why) => Err(NativeError::Stopped(why)),
        }
    }
}

fn present(state: SecretState) -> Result<SecretView, NativeError> {
    match state {
        SecretState::Present(view) => Ok(view),
        SecretState::Missing => Err(NativeError::NoSecret(Stop::SecretMissing.explanation())),
        SecretState::ScheduledForDeletion => {
            Err(NativeError::NoSecret(Stop::SecretScheduledForDeletion.explanation()))
        }
    }
}

/// Makes the checks that the contract asks of every step. Says whether the version is current already.
fn is_current(view: &SecretView, secret: &str, token: &Token) -> Result<bool, NativeError> {
    let version = VersionId::from(token.clone());
    if !view.rotation_enabled {
        return Err(NativeError::NotEnabled(secret.to_owned()));
    }
    if view.current() == Some(&version) {
        return Ok(true);
    }
    if !view.versions.contains_key(&version) {
        return Err(NativeError::UnknownVersion(secret.to_owned(), token.clone()));
    }
    if view.pending() != Some(&version) {
        return Err(NativeError::NotPending(secret.to_owned(), token.clone()));
    }
    Ok(false)
}

/// Gives the name in a secret's ARN, to which Secrets Manager appends a hyphen and six characters.
pub(super) fn secret_name(secret_id: &str) -> &str {
    let Some((_, resource)) =
        secret_id.strip_prefix("arn:").and_then(|arn| arn.split_once(":secret:"))
    else {
        return secret_id;
    };
    match resource.rsplit_once('-') {
        Some((name, suffix)) if suffix.len() == 6 => name,
        _ => resource,
    }
}

/// Says whether an id (a name, an ARN or the beginning of an ARN) is that of the secret of this name.
///
/// A name may itself end in a hyphen and six characters, so the name is not cut out of the id alone.
pub(super) fn is_of_secret(secret_id: &str, name: &str) -> bool {
    let arn = secret_id.strip_prefix("arn:").and_then(|arn| arn.split_once(":secret:"));
    arn.map_or(secret_id, |(_, resource)| resource) == name || secret_name(secret_id) == name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_end_as_an_arn_does() {
        let arn = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:prod/client-secret";
        let full = format!("{arn}-a1B2c3");
        assert_eq!(secret_name(&full), "prod/client-secret");
        for id in [arn, &full, "prod/client-secret"] {
            assert!(is_of_secret(id, "prod/client-secret"), "{id}");
            assert!(!is_of_secret(id, "prod/other-secret"), "{id}");
        }
        assert!(!is_of_secret("prod/client-secret", "prod/client"), "a name is no ARN");
    }

    #[test]
    fn a_secrets_name_is_read_from_its_arn() {
        let arn =
            "arn:aws:secretsmanager:eu-central-1:000000000000:secret:prod/azure/monk-main-a1B2c3";
        assert_eq!(secret_name(arn), "prod/azure/monk-main");
        assert_eq!(secret_name("prod/azure/monk-abcdef"), "prod/azure/monk-abcdef");
        let short = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:prod/azure-monk";
        assert_eq!(
            secret_name(short),
            "prod/azure-monk",
            "the beginning of an ARN, without a suffix"
        );
    }

    proptest::proptest! {
        #[test]
        fn fuzz_secret_name(id in ".{0,80}", name in "[A-Za-z0-9/_+=.@-]{1,200}", suffix in "[A-Za-z0-9]{6}") {
            proptest::prop_assert!(id.contains(secret_name(&id)));
            let odd = format!("arn:{id}:secret:{id}");
            proptest::prop_assert!(odd.contains(secret_name(&odd)));
            let arn = format!("arn:aws-cn:secretsmanager:cn-north-1:000000000000:secret:{name}-{suffix}");
            proptest::prop_assert_eq!(secret_name(&arn), name);
        }
    }

    #[test]
    fn steps_are_known_by_their_exact_names() {
        assert_eq!(Step::parse("createSecret"), Some(Step::Create));
        assert_eq!(Step::parse("setSecret"), Some(Step::Set));
        assert_eq!(Step::parse("testSecret"), Some(Step::Test));
        assert_eq!(Step::parse("finishSecret"), Some(Step::Finish));
        assert_eq!(Step::parse("FinishSecret"), None);
    }
}
