//! The names of a value's format and of its fields, and the [`Format`] that they make.

use schemars::JsonSchema;

use super::declare::{text, text_schema, wire, words};
use super::decode::{At, Text};
use super::names::check;
use super::problem::{Position, Problems};
use super::settings::WireOptions;
use crate::value::{FieldNames, Format, Template, TemplateError};

/// Describes a secret's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[schemars(rename = "Format")]
pub(super) enum FormatName {
    /// An object of `tenant_id`, `client_id`, `client_secret`, `key_id` and `expires_on`.
    Json,
    /// The SDK auth file that `az ad sp create-for-rbac --sdk-auth` writes; needs a subscription.
    SdkAuth,
    /// Lines of `AZURE_*` and `ARM_*` variables.
    Env,
    /// The `creds` of a dstack Azure backend.
    Dstack,
    /// The client secret's text alone.
    Raw,
    /// A text of one's own: see `template`.
    Template,
}

words!(FormatName, "format",
    "json" => Self::Json, "sdk-auth" => Self::SdkAuth, "env" => Self::Env,
    "dstack" => Self::Dstack, "raw" => Self::Raw, "template" => Self::Template,
);

wire! {
    /// The names of Keywheel's own fields in a value of `format: json`.
    #[schemars(rename = "Fields")]
    WireFields {
        /// The name for the tenant's id.
        optional tenant_id: FieldName,
        /// The name for the application's client id.
        optional client_id: FieldName,
        /// The name for the client secret.
        optional client_secret: FieldName,
        /// The name for the key's id.
        optional key_id: FieldName,
        /// The name for the time at which the key expires.
        optional expires_on: FieldName,
    }
}

text! {
    /// The name of a field of a JSON value.
    FieldName: |text| check(text, 128, |c| !c.is_control()),
    cure "give the name of a key of the JSON value: 1 to 128 characters on one line",
    { "type": "string", "minLength": 1, "maxLength": 128 }
}

impl Text for Template {
    fn read(text: &str) -> Result<Self, (String, String)> {
        text.parse().map_err(|error: TemplateError| (error.to_string(), error.cure().to_owned()))
    }
}

text_schema!(Template, { "type": "string", "pattern": "\\{client_secret\\}" });

/// Puts the format of a credential at this position together.
pub(super) fn resolve(
    options: &WireOptions,
    position: Position,
    problems: &mut Problems,
) -> Option<Format> {
    let WireOptions { format, template, fields, subscription, .. } = options;
    let chosen = At::given(format.clone(), FormatName::Json)?;
    if let Some(at) = template.as_ref().filter(|at| at.own && chosen != FormatName::Template) {
        let what = "`template` is given, but the format is not `template`";
        problems.add(at.position, what, "write `format: template`, or remove the template");
    }
    if let Some(at) = fields.as_ref().filter(|at| at.own && chosen != FormatName::Json) {
        let what = "`fields` is given, but the format is not `json`";
        problems.add(at.position, what, "write `format: json`, or remove `fields`");
    }
    let resolved = match chosen {
        FormatName::Json => Format::Json(names(fields.as_ref(), problems)?),
        FormatName::SdkAuth => Format::SdkAuth,
        FormatName::Env => Format::Env,
        FormatName::Dstack => Format::Dstack,
        FormatName::Raw => Format::Raw,
        FormatName::Template => {
            if template.is_none() {
                let at = format.as_ref().map_or(position, |at| at.position);
                let cure = "add `template:` with a text that has {client_secret} in it";
                problems.add(at, "`format: template` has no template", cure);
            }
            Format::Template(template.clone()?.value?)
        }
    };
    if resolved.needs_subscription() && subscription.is_none() {
        // The position is the credential's, because the format may be a default and the cure is here.
        let position = format.as_ref().filter(|at| at.own).map_or(position, |at| at.position);
        let what = format!("format `{resolved}` names a subscription, and there is none");
        problems.add(position, what, "add `subscription:`");
    }
    Some(resolved)
}

fn names(fields: Option<&At<WireFields>>, problems: &mut Problems) -> Option<FieldNames> {
    let Some(At { position, value, .. }) = fields else { return Some(FieldNames::default()) };
    let wire = value.clone()?;
    let given = [wire.tenant_id, wire.client_id, wire.client_secret, wire.key_id, wire.expires_on];
    let mut names = [const { None }; 5];
    for (name, at) in names.iter_mut().zip(given) {
        *name = At::given(at.map(At::some), None)?.map(|name| name.0);
    }
    let names = FieldNames::new(names);
    if names.is_none() {
        let cure = "give each field a name of its own; one that is left out keeps its name";
        problems.add(*position, "two of the fields have the same name", cure);
    }
    names
}

/// Notes a template in the defaults that none of these options uses, because somebody meant the template to be used.
pub(super) fn check_default<'a>(
    defaults: &WireOptions,
    mut options: impl Iterator<Item = &'a WireOptions>,
    problems: &mut Problems,
) {
    let Some(template) = &defaults.template else { return };
    let uses = |own: &WireOptions| {
        let chosen = own.format.as_ref().or(defaults.format.as_ref());
        // A wrong format may have been meant as this one.
        chosen.is_some_and(|at| at.value.is_none_or(|name| name == FormatName::Template))
            && own.template.is_none()
    };
    if !options.any(uses) {
        let what = "no credential uses the template of the defaults";
        let cure = "write `format: template` where it is wanted, or remove it";
        problems.add(template.position, what, cure);
    }
}
