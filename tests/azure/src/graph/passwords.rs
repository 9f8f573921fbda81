//! `addPassword` and `removePassword`, of applications and service principals alike.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock::{DAY, Millis, parse_rfc3339, rfc3339};
use crate::graph::error::GraphError;
use crate::graph::{Answer, Call, render};
use crate::http::Reply;
use crate::model::{Entity, Kind, Password, Sight};

/// Shown by policy errors; which policy it was does not matter here.
const POLICY: Uuid = uuid::uuid!("538f1913-366a-440a-95a0-e195cb55b282");

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Wanted {
    display_name: Option<String>,
    start_date_time: Option<String>,
    end_date_time: Option<String>,
    pub(super) key_id: Option<String>,
    pub(super) secret_text: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AddPassword {
    password_credential: Option<Wanted>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RemovePassword {
    key_id: Option<String>,
}

impl Call<'_> {
    pub(super) fn add_password(&mut self) -> Answer {
        let body: AddPassword =
            if self.request.body.is_empty() { AddPassword::default() } else { self.body()? };
        let entity = self.writable()?;
        let (kind, id) = (entity.kind, entity.id);
        self.allow_principal(kind, id)?;
        let password =
            self.new_password(&body.password_credential.unwrap_or_default(), self.writable()?)?;
        let mut shown = self.context("microsoft.graph.passwordCredential");
        shown.insert("@odata.type".to_owned(), json!("#microsoft.graph.passwordCredential"));
        if let Value::Object(fields) = render::password(&password) {
            shown.extend(fields);
        }
        shown.insert("secretText".to_owned(), json!(password.secret));
        let password = self.publish(password);
        let now = self.view.now;
        let entity = self
            .world
            .directory
            .table_mut(kind)
            .by_id_mut(id)
            .ok_or_else(|| GraphError::not_found(&id.to_string()))?;
        entity.compact(now);
        entity.passwords.push(password);
        Ok(Reply::odata(StatusCode::OK, &Value::Object(shown)))
    }

    /// Records the secret and lets the replicas learn of the key, each in its time.
    pub(super) fn publish(&mut self, password: Password) -> Password {
        self.world.secrets.insert(&password.secret);
        let delay = self.world.faults.propagation.keys;
        let sight = Sight::since(self.world.spread(self.view.now, delay));
        Password { sight, ..password }
    }

    /// A password as asked for, once policy and limits allow it.
    pub(super) fn new_password(
        &mut self,
        wanted: &Wanted,
        target: Target,
    ) -> Result<Password, GraphError> {
        let now = self.view.now;
        let start = time(wanted.start_date_time.as_deref(), "startDateTime")?.unwrap_or(now);
        let end = time(wanted.end_date_time.as_deref(), "endDateTime")?
            .unwrap_or_else(|| two_years_after(start));
        if end <= start {
            return Err(GraphError::bad_request(
                "Credential end date must be later than its start date.",
            )
            .detail("InvalidKeyEndDate", "EndDate"));
        }
        if end <= now {
            return Err(GraphError::bad_request("Key credential end date is invalid.")
                .detail("InvalidKeyEndDate", "EndDate"));
        }
        self.allow_password(target, start, end)?;
        let name = wanted.display_name.clone();
        Ok(Password {
            key_id: self.world.dice.uuid(),
            name,
            secret: self.world.dice.secret_text(),
            start,
            end: Some(end),
            sight: Sight::default(),
        })
    }

    fn allow_password(&self, target: Target, start: Millis, end: Millis) -> Result<(), GraphError> {
        let limits = &self.world.faults.limits;
        let policy = |code, detail, target, message: String| {
            Err(GraphError::new(StatusCode::BAD_REQUEST, code, message).detail(detail, target))
        };
        if limits.forbid_passwords {
            let message = format!("Credential type not allowed as per assigned policy '{POLICY}'.");
            return policy(
                "CredentialTypeNotAllowedAsPerAppPolicy",
                "CredentialTypeNotAllowed",
                "PasswordCredentials",
                message,
            );
        }
        if limits.max_lifetime_days.is_some_and(|days| end - start > Millis::from(days) * DAY) {
            let message = format!(
                "Credential lifetime exceeds the max value allowed as per assigned policy '{POLICY}'."
            );
            return policy(
                "CredentialInvalidLifetimeAsPerAppPolicy",
                "InvalidKeyEndDate",
                "EndDate",
                message,
            );
        }
        if target.personal && target.passwords >= 2 {
            let message = format!(
                "Not allowed to add {} passwords. You can only add a maximum of 2 passwords.",
                target.passwords + 1
            );
            return policy(
                "TooManyAppPasswords",
                "TooManyAppPasswords",
                "passwordCredentials",
                message,
            );
        }
        if target.passwords >= limits.max_passwords {
            return Err(GraphError::new(
                StatusCode::FORBIDDEN,
                "Directory_ResourceSizeExceeded",
                "The size of the object has exceeded its limit. Please reduce the number of values and retry your request.",
            ));
        }
        Ok(())
    }

    /// An application may lock what its service principals hold (`servicePrincipalLockConfiguration`): the admin centre
    /// turns that on for new ones.
    fn allow_principal(&self, kind: Kind, id: Uuid) -> Result<(), GraphError> {
        let principal = self.world.directory.table(kind).by_id(id);
        let application = principal.and_then(|principal| {
            self.world.directory.table(Kind::Application).by_app(principal.app_id)
        });
        let lock = application
            .and_then(|application| application.extra.get("servicePrincipalLockConfiguration"));
        let on = |name: &str| lock.and_then(|lock| lock.get(name)) == Some(&Value::Bool(true));
        let locked = on("isEnabled") && (on("allProperties") || on("credentialsWithUsageVerify"));
        if kind == Kind::ServicePrincipal && locked {
            return Err(GraphError::new(
                StatusCode::BAD_REQUEST,
                "CannotUpdateLockedServicePrincipalProperty",
                "Property passwordCredentials on the service principal is locked.",
            ));
        }
        Ok(())
    }

    pub(super) fn remove_password(&mut self) -> Answer {
        let body: RemovePassword = self.body()?;
        let target = self.writable()?;
        self.allow_principal(target.kind, target.id)?;
        let text = body.key_id.ok_or_else(|| {
            GraphError::bad_request("One or more properties contains invalid values: keyId.")
        })?;
        let key_id = Uuid::parse_str(&text).map_err(|_| {
            GraphError::malformed("Cannot convert the value of 'keyId' to type 'Edm.Guid'.")
        })?;
        let absent = || {
            GraphError::bad_request(format!("No password credential found with keyId '{key_id}'."))
        };
        let until = self.deletion_spread();
        let view = self.view;
        let entity =
            self.world.directory.table_mut(target.kind).by_id_mut(target.id).ok_or_else(absent)?;
        // A replica that does not know the key yet cannot remove it, nor can a key be removed twice.
        let password = entity.passwords.iter_mut().find(|password| {
            password.key_id == key_id && password.sight.exists() && password.sight.visible(view)
        });
        password.ok_or_else(absent)?.sight.end(view.now, until);
        entity.compact(view.now);
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    }

    /// What a `PATCH` may do to the list: leave passwords out, which removes them. The rest is for the actions.
    pub(super) fn kept_passwords(entity: &Entity, list: &Value) -> Result<Vec<Uuid>, GraphError> {
        let wanted: Vec<Wanted> =
            serde_json::from_value(list.clone()).map_err(|_| GraphError::bad_request("Invalid value specified for property 'passwordCredentials' of resource 'Application'."))?;
        wanted.iter().map(|wanted| kept(entity, wanted)).collect()
    }
}

/// What the limits look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) kind: crate::model::Kind,
    pub(super) id: Uuid,
    passwords: usize,
    personal: bool,
}

impl Target {
    pub(super) fn of(entity: &Entity) -> Self {
        Self {
            kind: entity.kind,
            id: entity.id,
            passwords: entity.password_count(),
            personal: entity.audience.is_personal(),
        }
    }
}

fn kept(entity: &Entity, wanted: &Wanted) -> Result<Uuid, GraphError> {
    let id = wanted.key_id.as_deref().and_then(|id| Uuid::parse_str(id).ok());
    let known = entity
        .passwords
        .iter()
        .find(|password| Some(password.key_id) == id && password.sight.exists());
    let Some(known) = known.filter(|_| wanted.secret_text.is_none()) else {
        return Err(GraphError::bad_request(
            "New password credentials must be generated with service actions.",
        ));
    };
    let moved = wanted
        .end_date_time
        .as_deref()
        .is_some_and(|end| parse_rfc3339(end).is_none_or(|end| known.end != Some(end)));
    let renamed = wanted.display_name.is_some() && wanted.display_name != known.name;
    if moved || renamed {
        let message =
            format!("Update to existing credential with KeyId '{}' is not allowed.", known.key_id);
        return Err(
            GraphError::bad_request(message).detail("KeyNotUpdatable", "passwordCredentials")
        );
    }
    Ok(known.key_id)
}

fn time(text: Option<&str>, name: &str) -> Result<Option<Millis>, GraphError> {
    let invalid = || {
        GraphError::malformed(format!(
            "Cannot convert the literal of '{name}' to the expected type 'Edm.DateTimeOffset'."
        ))
    };
    text.map(|text| parse_rfc3339(text).ok_or_else(invalid)).transpose()
}

fn two_years_after(start: Millis) -> Millis {
    use chrono::Months;
    let start_at = crate::clock::moment(start);
    start_at.checked_add_months(Months::new(24)).map_or(start, |end| end.timestamp_millis())
}

impl Password {
    /// A password that its creation shows, secret and all.
    pub(super) fn revealed(&self) -> Value {
        let mut shown = render::password(self);
        shown["secretText"] = json!(self.secret);
        shown["startDateTime"] = json!(rfc3339(self.start));
        shown
    }
}
