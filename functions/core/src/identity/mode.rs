//! The settings that choose how Keywheel signs in.

use super::IdentityError;
use crate::ids::AppId;
use crate::settings;

const MODE: &str = "KEYWHEEL_SIGN_IN";
const CLIENT: &str = "KEYWHEEL_CLIENT_ID";
const SECRET_NAME: &str = "KEYWHEEL_SIGN_IN_SECRET";
const SECRET: &str = "AZURE_CLIENT_SECRET";

/// The way in which Keywheel itself signs in to Entra.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignInMode {
    /// By a token of AWS STS that a federated credential trusts. Keywheel stores no secret.
    Federated {
        /// Keywheel's application.
        client: AppId,
    },
    /// By a client secret in Secrets Manager, which is itself a credential that Keywheel rotates.
    StoredSecret {
        /// Keywheel's application.
        client: AppId,
        /// The secret's name. Its value has the format `json`.
        secret_name: String,
    },
    /// By the client secret in `AZURE_CLIENT_SECRET`, on a terminal.
    EnvironmentSecret {
        /// Keywheel's application.
        client: AppId,
    },
    /// As a managed identity, on a machine of Azure.
    ManagedIdentity {
        /// The client id of a user-assigned identity; `None`: the machine's own identity.
        client: Option<AppId>,
    },
    /// As the person who is signed in to `az`.
    AzureCli,
}

impl SignInMode {
    /// Reads `KEYWHEEL_SIGN_IN` and the variables that this way of signing in needs.
    ///
    /// The default is `federated` in a Lambda function and `azure_cli` elsewhere.
    pub fn from_env() -> Result<Self, IdentityError> {
        Self::read(settings::optional)
    }

    fn read(env: impl Fn(&str) -> Option<String>) -> Result<Self, IdentityError> {
        let on_lambda = env("AWS_LAMBDA_FUNCTION_NAME").is_some();
        let default = if on_lambda { "federated" } else { "azure_cli" };
        let mode = env(MODE).unwrap_or_else(|| default.to_owned());
        let client = env(CLIENT).or_else(|| env("AZURE_CLIENT_ID")).map(|text| {
            text.parse().map_err(|_| setting(CLIENT, format!("{text:?} is not a client id")))
        });
        let client = client.transpose()?;
        let required =
            || client.ok_or_else(|| setting(CLIENT, format!("required where {MODE} is {mode}")));
        match mode.as_str() {
            "federated" => Ok(Self::Federated { client: required()? }),
            "client_secret" => match (env(SECRET_NAME), env(SECRET)) {
                (Some(secret_name), _) => {
                    Ok(Self::StoredSecret { client: required()?, secret_name })
                }
                (None, Some(_)) => Ok(Self::EnvironmentSecret { client: required()? }),
                (None, None) => {
                    Err(setting(SECRET_NAME, format!("required where {MODE} is {mode}")))
                }
            },
            "managed_identity" => Ok(Self::ManagedIdentity { client }),
            "azure_cli" => Ok(Self::AzureCli),
            _ => Err(setting(
                MODE,
                format!(
                    "{mode:?} is none of federated, client_secret, managed_identity, azure_cli"
                ),
            )),
        }
    }
}

pub(super) fn setting(name: &'static str, problem: impl Into<String>) -> IdentityError {
    IdentityError::Setting { name, problem: problem.into() }
}

/// Reads the client secret that the user of a terminal put into the environment.
pub(super) fn environment_secret() -> Result<String, IdentityError> {
    settings::optional(SECRET).ok_or_else(|| setting(SECRET, "required"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "408bf248-dd4e-4be5-919a-7f6207a307ab";

    fn read(set: &[(&str, &str)]) -> Result<SignInMode, IdentityError> {
        SignInMode::read(|name| {
            set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn each_way_is_read_with_what_it_needs() {
        let client: AppId = ID.parse().unwrap();
        let lambda = ("AWS_LAMBDA_FUNCTION_NAME", "rotate");
        assert_eq!(read(&[]).unwrap(), SignInMode::AzureCli);
        assert_eq!(read(&[lambda, (CLIENT, ID)]).unwrap(), SignInMode::Federated { client });
        assert!(read(&[lambda]).is_err());
        let named =
            read(&[(MODE, "client_secret"), (CLIENT, ID), (SECRET_NAME, "own"), (SECRET, "x")]);
        assert_eq!(named.unwrap(), SignInMode::StoredSecret { client, secret_name: "own".into() });
        let terminal = read(&[(MODE, "client_secret"), ("AZURE_CLIENT_ID", ID), (SECRET, "x")]);
        assert_eq!(terminal.unwrap(), SignInMode::EnvironmentSecret { client });
        assert!(read(&[(MODE, "client_secret"), (CLIENT, ID)]).is_err());
        let machine = read(&[(MODE, "managed_identity")]).unwrap();
        assert_eq!(machine, SignInMode::ManagedIdentity { client: None });
        assert!(read(&[(MODE, "magic")]).is_err());
        assert!(read(&[(MODE, "managed_identity"), (CLIENT, "x")]).is_err());
    }
}
