//! Objects as Graph shows them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::clock::rfc3339;
use crate::graph::error::GraphError;
use crate::graph::query::Query;
use crate::model::{Certificate, Entity, FederatedCredential, Kind, Password, View};
use crate::well_known::{GRAPH_APP_ID, Permission};
use crate::world::Site;

/// Properties of an application, in the order that Graph gives them.
pub(crate) const APPLICATION: &[&str] = &[
    "id",
    "deletedDateTime",
    "appId",
    "applicationTemplateId",
    "disabledByMicrosoftStatus",
    "isDisabled",
    "createdByAppId",
    "createdDateTime",
    "displayName",
    "description",
    "groupMembershipClaims",
    "identifierUris",
    "isDeviceOnlyAuthSupported",
    "isFallbackPublicClient",
    "nativeAuthenticationApisEnabled",
    "notes",
    "publisherDomain",
    "serviceManagementReference",
    "signInAudience",
    "tags",
    "tokenEncryptionKeyId",
    "samlMetadataUrl",
    "defaultRedirectUri",
    "certification",
    "optionalClaims",
    "servicePrincipalLockConfiguration",
    "requestSignatureVerification",
    "addIns",
    "api",
    "appRoles",
    "info",
    "keyCredentials",
    "parentalControlSettings",
    "passwordCredentials",
    "publicClient",
    "requiredResourceAccess",
    "verifiedPublisher",
    "web",
    "spa",
    "uniqueName",
    "authenticationBehaviors",
    "managerApplications",
    "oauth2RequirePostResponse",
    "logo",
];

/// Properties of a service principal.
pub(crate) const SERVICE_PRINCIPAL: &[&str] = &[
    "id",
    "deletedDateTime",
    "accountEnabled",
    "alternativeNames",
    "appDisplayName",
    "appDescription",
    "appId",
    "applicationTemplateId",
    "appOwnerOrganizationId",
    "appRoleAssignmentRequired",
    "createdByAppId",
    "createdDateTime",
    "description",
    "disabledByMicrosoftStatus",
    "isDisabled",
    "displayName",
    "homepage",
    "loginUrl",
    "logoutUrl",
    "notes",
    "notificationEmailAddresses",
    "preferredSingleSignOnMode",
    "preferredTokenSigningKeyThumbprint",
    "replyUrls",
    "servicePrincipalNames",
    "servicePrincipalType",
    "signInAudience",
    "tags",
    "tokenEncryptionKeyId",
    "samlSingleSignOnSettings",
    "addIns",
    "appRoles",
    "info",
    "keyCredentials",
    "oauth2PermissionScopes",
    "passwordCredentials",
    "resourceSpecificApplicationPermissions",
    "verifiedPublisher",
    "customSecurityAttributes",
];

/// Shown only when selected.
const ON_REQUEST: &[&str] = &[
    "uniqueName",
    "authenticationBehaviors",
    "managerApplications",
    "oauth2RequirePostResponse",
    "logo",
    "customSecurityAttributes",
];

/// Collections that are never null.
const COLLECTIONS: &[&str] = &[
    "identifierUris",
    "addIns",
    "appRoles",
    "requiredResourceAccess",
    "alternativeNames",
    "notificationEmailAddresses",
    "replyUrls",
    "oauth2PermissionScopes",
    "resourceSpecificApplicationPermissions",
    "managerApplications",
];

pub(crate) fn properties(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Application => APPLICATION,
        Kind::ServicePrincipal => SERVICE_PRINCIPAL,
    }
}

pub(crate) fn check_select(select: &[String], kind: Kind) -> Result<(), GraphError> {
    match select.iter().find(|name| !properties(kind).contains(&name.as_str())) {
        Some(name) => Err(GraphError::malformed(format!(
            "Parsing OData Select and Expand failed: Could not find a property named '{name}' on type 'microsoft.graph.{}'.",
            kind.type_name()
        ))),
        None => Ok(()),
    }
}

/// An object as the view shows it. A certificate's data comes only with a single object whose `keyCredentials` are selected.
pub(crate) fn entity(
    site: &Site,
    entity: &Entity,
    view: View,
    query: Option<&Query>,
    single: bool,
) -> Map<String, Value> {
    let mut shown = Map::new();
    let select = query.and_then(|query| query.select.as_ref());
    let with_key = single && query.is_some_and(|query| query.selects("keyCredentials"));
    let mut show = |name: &str| {
        shown.insert(name.to_owned(), property(site, entity, view, name, with_key));
    };
    match select {
        // The id comes with every selection.
        Some(names) => {
            std::iter::once("id").chain(names.iter().map(String::as_str)).for_each(&mut show);
        }
        None => properties(entity.kind)
            .iter()
            .filter(|name| !ON_REQUEST.contains(name))
            .for_each(|name| show(name)),
    }
    shown
}

fn property(site: &Site, entity: &Entity, view: View, name: &str, with_key: bool) -> Value {
    // What a seed says of a property holds: real tenants have objects that are not as documented.
    if let Some(value) = entity.extra.get(name) {
        return value.clone();
    }
    match name {
        "id" => json!(entity.id),
        "appId" => json!(entity.app_id),
        "displayName" | "appDisplayName" => json!(entity.display_name),
        "createdDateTime" => json!(rfc3339(entity.created)),
        "deletedDateTime" => entity.deleted.map_or(Value::Null, |at| json!(rfc3339(at))),
        "signInAudience" => json!(entity.audience.name()),
        "tags" => json!(entity.tags),
        "accountEnabled" => json!(entity.enabled),
        "isDisabled" if entity.kind == Kind::Application && !entity.enabled => Value::Bool(true),
        "passwordCredentials" => entity.visible_passwords(view).map(password).collect(),
        "keyCredentials" => entity
            .certificates
            .iter()
            .map(|certificate| key_credential(certificate, with_key))
            .collect(),
        "publisherDomain" => json!(site.domain),
        "appOwnerOrganizationId" => json!(site.tenant),
        "appRoleAssignmentRequired" => Value::Bool(false),
        "servicePrincipalType" => json!("Application"),
        "servicePrincipalNames" => json!([entity.app_id]),
        "appRoles" if entity.app_id == GRAPH_APP_ID => {
            Permission::ALL.into_iter().map(app_role).collect()
        }
        other => match entity.extra.get(other) {
            Some(value) => value.clone(),
            None if COLLECTIONS.contains(&other) => json!([]),
            None => Value::Null,
        },
    }
}

/// A password without its secret.
pub(crate) fn password(password: &Password) -> Value {
    json!({
        "customKeyIdentifier": null,
        "displayName": password.name,
        "endDateTime": password.end.map(rfc3339),
        "hint": password.hint(),
        "keyId": password.key_id,
        "secretText": null,
        "startDateTime": rfc3339(password.start),
    })
}

fn key_credential(certificate: &Certificate, with_key: bool) -> Value {
    let digest = Sha256::digest(certificate.key_id.as_bytes());
    json!({
        "customKeyIdentifier": STANDARD.encode(&digest[..20]),
        "displayName": certificate.name,
        "endDateTime": certificate.end.map(rfc3339),
        // Not a certificate: nobody can sign in with it here.
        "key": with_key.then(|| STANDARD.encode(digest)),
        "keyId": certificate.key_id,
        "startDateTime": rfc3339(certificate.start),
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
    })
}

fn app_role(permission: Permission) -> Value {
    json!({
        "allowedMemberTypes": ["Application"],
        "description": permission.name(),
        "displayName": permission.name(),
        "id": permission.app_role(),
        "isEnabled": true,
        "origin": "Application",
        "value": permission.name(),
    })
}

pub(crate) fn federated(credential: &FederatedCredential) -> Value {
    json!({
        "id": credential.id,
        "name": credential.name,
        "issuer": credential.issuer,
        "subject": credential.subject,
        "description": credential.description,
        "audiences": credential.audiences,
    })
}

/// A member of a mixed collection, such as owners; what is not in the directory is taken for a user.
pub(crate) fn directory_object(site: &Site, found: Option<&Entity>, id: Uuid, view: View) -> Value {
    match found {
        Some(found) => {
            let mut shown = Map::new();
            shown.insert(
                "@odata.type".to_owned(),
                json!(format!("#microsoft.graph.{}", found.kind.type_name())),
            );
            shown.extend(entity(site, found, view, None, false));
            Value::Object(shown)
        }
        None => json!({"@odata.type": "#microsoft.graph.user", "id": id}),
    }
}
