//! The clouds' addresses in a value, in the spelling of the Azure CLI.

use crate::identity::Cloud;

/// A cloud's addresses and its name, as Azure's own clients read them.
pub(super) struct CloudFacts {
    pub(super) active_directory: &'static str,
    pub(super) resource_manager: &'static str,
    pub(super) graph_resource: &'static str,
    pub(super) sql_management: &'static str,
    pub(super) gallery: &'static str,
    pub(super) management: &'static str,
    /// `ARM_ENVIRONMENT`; `None`: the default.
    pub(super) arm_environment: Option<&'static str>,
}

impl From<Cloud> for CloudFacts {
    fn from(cloud: Cloud) -> Self {
        match cloud {
            Cloud::Public => Self {
                active_directory: "https://login.microsoftonline.com",
                resource_manager: "https://management.azure.com/",
                graph_resource: "https://graph.windows.net/",
                sql_management: "https://management.core.windows.net:8443/",
                gallery: "https://gallery.azure.com/",
                management: "https://management.core.windows.net/",
                arm_environment: None,
            },
            Cloud::UsGovernment => Self {
                active_directory: "https://login.microsoftonline.us",
                resource_manager: "https://management.usgovcloudapi.net/",
                graph_resource: "https://graph.microsoftazure.us/",
                sql_management: "https://management.core.usgovcloudapi.net:8443/",
                gallery: "https://gallery.usgovcloudapi.net/",
                management: "https://management.core.usgovcloudapi.net/",
                arm_environment: Some("usgovernment"),
            },
            Cloud::China => Self {
                active_directory: "https://login.chinacloudapi.cn",
                resource_manager: "https://management.chinacloudapi.cn",
                graph_resource: "https://graph.chinacloudapi.cn/",
                sql_management: "https://management.core.chinacloudapi.cn:8443/",
                gallery: "https://gallery.chinacloudapi.cn/",
                management: "https://management.core.chinacloudapi.cn/",
                arm_environment: Some("china"),
            },
        }
    }
}
