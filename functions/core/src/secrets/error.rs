//! The errors of Secrets Manager.

use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::RequestId;

use crate::http::Retry;
use crate::http::aws::AwsFailure;
use crate::secret::SecretText;

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The secret does not exist.
    Missing,
    /// The secret's state forbids the call: the secret is scheduled for deletion, or belongs to another service.
    State,
    /// The secret is a replica of a secret of another region.
    Replica,
    /// Keywheel lacks a permission on the secret or on its KMS key.
    AccessDenied,
    /// The KMS key cannot be used.
    Encryption,
    /// A quota is reached: versions of a secret, labels of a version, or secrets of an account.
    LimitExceeded,
    /// The value is not a text.
    Binary,
    /// The value is larger than Secrets Manager takes.
    TooLarge,
    /// A page of a listing names itself as the next.
    Endless,
    /// No usable answer came.
    Unavailable,
    /// Any other failure.
    Other,
}

/// A failed call. The error holds nothing of a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Secrets Manager: {operation} {secret}: {}", words(.failure.as_ref(), *.kind))]
pub struct SecretsError {
    /// The operation.
    pub operation: &'static str,
    /// The secret's name. For a listing, the prefixes.
    pub secret: String,
    /// The kind of the failure.
    pub kind: Kind,
    /// The service's answer; `None`: the service was not called.
    pub failure: Option<AwsFailure>,
}

impl SecretsError {
    pub(super) fn new<E>(operation: &'static str, secret: &str, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + RequestId,
    {
        let failure = AwsFailure::new(error);
        let secret = secret.to_owned();
        Self { operation, secret, kind: kind(&failure), failure: Some(failure) }
    }

    /// Makes the error of a call that has a secret's value.
    ///
    /// The service's words about the caller and about the secret's state are kept. Words about a validation may quote
    /// the value, and are left out.
    pub(super) fn of_value<E>(
        operation: &'static str,
        (secret, value): (&str, &SecretText),
        error: &SdkError<E>,
    ) -> Self
    where
        E: ProvideErrorMetadata + RequestId,
    {
        let mut own = Self::new(operation, secret, error);
        let may_quote = own.kind == Kind::Other;
        if let Some(failure) = &mut own.failure
            && failure.code.is_some()
            && (may_quote || failure.message.contains(value.expose()))
        {
            "refused".clone_into(&mut failure.message);
        }
        own
    }

    /// Makes the error of a failure on this side.
    pub(super) fn local(operation: &'static str, secret: &str, kind: Kind) -> Self {
        Self { operation, secret: secret.to_owned(), kind, failure: None }
    }

    /// Says whether, and when, to try again.
    pub fn retry(&self) -> Retry {
        self.failure.as_ref().map_or(Retry::Never, |failure| failure.retry)
    }

    /// Says whether the service answered with this code.
    pub(super) fn is(&self, code: &str) -> bool {
        self.failure.as_ref().is_some_and(|failure| failure.is(code))
    }
}

fn words(failure: Option<&AwsFailure>, kind: Kind) -> String {
    match (failure, kind) {
        (Some(failure), Kind::Encryption) => format!(
            "{failure}; the KMS key cannot be used: enable it, and let Keywheel's roles use it (the parameter KmsKeyArn, and \
             the key policy)"
        ),
        (Some(failure), Kind::AccessDenied) => format!(
            "{failure}; the role may touch only secrets below the parameter SecretPrefix, and use only a KMS key that \
             KmsKeyArn names and whose key policy lets it"
        ),
        (Some(failure), _) => failure.to_string(),
        (None, Kind::Replica) => "it is a replica of another region's secret: rotate it there, or, if that region is lost, promote it to \
             a secret of its own (StopReplicationToReplica)"
            .to_owned(),
        (None, Kind::Binary) => "the value is not a text".to_owned(),
        (None, Kind::TooLarge) => "the value exceeds 65,536 bytes".to_owned(),
        (None, Kind::Endless) => "a page of the listing leads to itself".to_owned(),
        (None, kind) => format!("{kind:?}"),
    }
}

fn kind(failure: &AwsFailure) -> Kind {
    match failure.code.as_deref() {
        Some("ResourceNotFoundException") => Kind::Missing,
        Some("InvalidRequestException") => Kind::State,
        Some(code) if code.starts_with("AccessDenied") => Kind::AccessDenied,
        Some("EncryptionFailure" | "DecryptionFailure") => Kind::Encryption,
        Some("LimitExceededException") => Kind::LimitExceeded,
        _ if failure.retry != Retry::Never => Kind::Unavailable,
        _ => Kind::Other,
    }
}
