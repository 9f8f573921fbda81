//! The addresses of Entra, Graph and Azure Resource Manager in each of Microsoft's clouds.

use std::str::FromStr;

use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::IdentityError;
use crate::azure::scope;
use crate::{http, settings};

/// One of Microsoft's clouds. Each has a directory, a Graph and an ARM of its own.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Cloud {
    /// The global cloud.
    #[default]
    Public,
    /// Azure Government (GCC High). The military's Graph is reached with `KEYWHEEL_GRAPH_ENDPOINT`.
    UsGovernment,
    /// Azure in China, operated by 21Vianet.
    China,
}

impl Cloud {
    /// Reads the cloud that `KEYWHEEL_CLOUD` names. Without the variable the cloud is the global cloud.
    pub fn from_env() -> Result<Self, IdentityError> {
        settings::optional("KEYWHEEL_CLOUD").map_or(Ok(Self::default()), |text| text.parse())
    }

    /// Says whether the cloud's Graph has `auditLogs/directoryAudits`
    /// (learn.microsoft.com/graph/api/directoryaudit-list).
    pub fn has_directory_audits(self) -> bool {
        self != Self::China
    }

    /// Says whether the cloud's Graph has `reports/appCredentialSignInActivities`
    /// (learn.microsoft.com/graph/api/reportroot-list-appcredentialsigninactivities).
    pub fn has_sign_in_activities(self) -> bool {
        self == Self::Public
    }
}

impl FromStr for Cloud {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "public" => Ok(Self::Public),
            "usgovernment" => Ok(Self::UsGovernment),
            "china" => Ok(Self::China),
            _ => Err(IdentityError::Setting {
                name: "cloud",
                problem: format!("{text:?} is none of public, usgovernment, china"),
            }),
        }
    }
}

/// The addresses that a deployment sends requests to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The address of Entra. The token endpoints are below this address.
    pub authority: Url,
    /// The address of Microsoft Graph, without a version.
    pub graph: Url,
    /// The address of Azure Resource Manager.
    pub arm: Url,
    /// The audience that a workload's own token must name, so that Entra exchanges the token.
    pub federated_audience: String,
}

impl Endpoints {
    /// Gives the cloud's own addresses (learn.microsoft.com/graph/deployments, …/workload-identity-federation).
    pub fn of(cloud: Cloud) -> Result<Self, IdentityError> {
        let (authority, graph, arm, audience) = match cloud {
            Cloud::Public => (
                "https://login.microsoftonline.com",
                "https://graph.microsoft.com",
                "https://management.azure.com",
                "api://AzureADTokenExchange",
            ),
            Cloud::UsGovernment => (
                "https://login.microsoftonline.us",
                "https://graph.microsoft.us",
                "https://management.usgovcloudapi.net",
                "api://AzureADTokenExchangeUSGov",
            ),
            Cloud::China => (
                "https://login.chinacloudapi.cn",
                "https://microsoftgraph.chinacloudapi.cn",
                "https://management.chinacloudapi.cn",
                "api://AzureADTokenExchangeChina",
            ),
        };
        Ok(Self {
            authority: address("authority", authority)?,
            graph: address("Graph", graph)?,
            arm: address("ARM", arm)?,
            federated_audience: audience.to_owned(),
        })
    }

    /// Gives the cloud's addresses. `AZURE_AUTHORITY_HOST`, `KEYWHEEL_GRAPH_ENDPOINT` and `KEYWHEEL_ARM_ENDPOINT`
    /// replace single addresses.
    pub fn from_env(cloud: Cloud) -> Result<Self, IdentityError> {
        Self::of(cloud)?.replaced(settings::optional)
    }

    fn replaced(mut self, env: impl Fn(&str) -> Option<String>) -> Result<Self, IdentityError> {
        for (name, endpoint) in [
            ("AZURE_AUTHORITY_HOST", &mut self.authority),
            ("KEYWHEEL_GRAPH_ENDPOINT", &mut self.graph),
            ("KEYWHEEL_ARM_ENDPOINT", &mut self.arm),
        ] {
            if let Some(text) = env(name) {
                // Microsoft's own tools also take a host name without a scheme.
                let text = if text.contains("://") { text } else { format!("https://{text}") };
                *endpoint = address(name, &text)?;
            }
        }
        Ok(self)
    }

    /// Gives the scope of a token for Graph.
    pub fn graph_scope(&self) -> String {
        scope(&self.graph)
    }
}

fn address(name: &'static str, text: &str) -> Result<Url, IdentityError> {
    let wrong =
        |problem: &str| IdentityError::Setting { name, problem: format!("{text}: {problem}") };
    let url = Url::parse(text).map_err(|_| wrong("not an address"))?;
    if !http::is_permitted(&url) {
        return Err(wrong("https is required"));
    }
    if !url.username().is_empty() || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("only scheme, host and path are expected"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cloud_has_its_own_addresses() {
        for cloud in [Cloud::Public, Cloud::UsGovernment, Cloud::China] {
            let name = serde_json::to_value(cloud).unwrap();
            assert_eq!(name.as_str().unwrap().parse::<Cloud>().unwrap(), cloud);
            let endpoints = Endpoints::of(cloud).unwrap();
            assert!(endpoints.graph_scope().ends_with("/.default"));
            assert!(!endpoints.graph_scope().contains("//.default"));
        }
        assert!("azure".parse::<Cloud>().is_err());
    }

    #[test]
    fn addresses_are_replaced_and_checked() {
        let with = |name: &'static str, value: &'static str| {
            Endpoints::of(Cloud::Public)
                .unwrap()
                .replaced(move |asked| (asked == name).then(|| value.to_owned()))
        };
        let local = with("KEYWHEEL_GRAPH_ENDPOINT", "https://127.0.0.1:8443/").unwrap();
        assert_eq!(local.graph_scope(), "https://127.0.0.1:8443/.default");
        assert_eq!(local.arm.as_str(), "https://management.azure.com/");
        let bare = with("AZURE_AUTHORITY_HOST", "login.microsoftonline.us").unwrap();
        assert_eq!(bare.authority.as_str(), "https://login.microsoftonline.us/");
        for wrong in ["http://graph.example.com", "https://a@b/", "https://b/?q=1", "https://"] {
            assert!(with("KEYWHEEL_ARM_ENDPOINT", wrong).is_err(), "{wrong}");
        }
    }
}
