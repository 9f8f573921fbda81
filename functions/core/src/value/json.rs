//! The formats that are JSON: `json`, `sdk-auth` and `dstack`.

use std::borrow::Cow;

use serde::Deserialize;

use crate::ids::SubscriptionId;

use super::foreign::{self, Foreign};
use super::text::Buffer;
use super::{CloudFacts, ValueFacts};

/// Room for everything but the client secret: ids, field names and URLs.
const ROOM: usize = 1024;

/// `json`: Keywheel's own fields by these names, and after them those of others.
pub(super) fn plain(
    names: [&str; 5],
    facts: &ValueFacts,
    secret: &str,
    foreign: &Foreign,
) -> Buffer {
    let (tenant, client) = (facts.tenant.to_string(), facts.application.to_string());
    let (key, expiry) = (facts.key_id.to_string(), facts.expiry());
    let [tenant_name, client_name, secret_name, key_name, expiry_name] = names;
    let fields = [
        (tenant_name, tenant.as_str()),
        (client_name, client.as_str()),
        (secret_name, secret),
        (key_name, key.as_str()),
        (expiry_name, expiry.as_str()),
    ];
    object(&fields, Layout::Line, foreign.text())
}

/// `dstack`: one line of JSON, which is YAML too, so that it can be pasted under `creds:`.
pub(super) fn dstack(facts: &ValueFacts, secret: &str) -> Buffer {
    let (client, tenant) = (facts.application.to_string(), facts.tenant.to_string());
    let fields = [
        ("type", "client"),
        ("client_id", client.as_str()),
        ("client_secret", secret),
        ("tenant_id", tenant.as_str()),
    ];
    object(&fields, Layout::Line, None)
}

/// `sdk-auth`: the fields in the order and the layout of the Azure CLI.
pub(super) fn sdk_auth(
    facts: &ValueFacts,
    subscription: SubscriptionId,
    cloud: &CloudFacts,
    secret: &str,
) -> Buffer {
    let (client, tenant) = (facts.application.to_string(), facts.tenant.to_string());
    let subscription = subscription.to_string();
    let fields = [
        ("clientId", client.as_str()),
        ("clientSecret", secret),
        ("subscriptionId", subscription.as_str()),
        ("tenantId", tenant.as_str()),
        ("activeDirectoryEndpointUrl", cloud.active_directory),
        ("resourceManagerEndpointUrl", cloud.resource_manager),
        ("activeDirectoryGraphResourceId", cloud.graph_resource),
        ("sqlManagementEndpointUrl", cloud.sql_management),
        ("galleryEndpointUrl", cloud.gallery),
        ("managementEndpointUrl", cloud.management),
    ];
    object(&fields, Layout::Indented, None)
}

#[derive(Clone, Copy)]
enum Layout {
    Line,
    Indented,
}

/// Writes an object of texts. By hand, since a serialiser's buffer grows and leaves copies behind.
fn object(fields: &[(&str, &str)], layout: Layout, foreign: Option<&str>) -> Buffer {
    // No character takes more than six times its bytes: `\u0000` for one of one byte.
    let texts: usize = fields.iter().map(|(name, text)| name.len() + text.len()).sum();
    let mut buffer = Buffer::with_room(ROOM + texts * 6 + foreign.map_or(0, str::len));
    let (begin, between, end) = match layout {
        Layout::Line => ("{", ",", "}"),
        Layout::Indented => ("{\n  ", ",\n  ", "\n}"),
    };
    let colon = match layout {
        Layout::Line => ":",
        Layout::Indented => ": ",
    };
    for (index, (name, text)) in fields.iter().enumerate() {
        buffer.push(if index == 0 { begin } else { between });
        string(&mut buffer, name);
        buffer.push(colon);
        string(&mut buffer, text);
    }
    if let Some(foreign) = foreign {
        buffer.push(between);
        buffer.push(foreign);
    }
    buffer.push(end);
    buffer
}

/// Writes a string that JSON and YAML parsers read alike.
fn string(buffer: &mut Buffer, text: &str) {
    buffer.push("\"");
    for c in text.chars() {
        match c {
            '"' => buffer.push("\\\""),
            '\\' => buffer.push("\\\\"),
            c if troubles_yaml(c) => {
                // All of these are below U+10000: one escape each, no surrogates.
                let code = u32::from(c);
                buffer.push("\\u");
                for shift in [12, 8, 4, 0] {
                    buffer.push_char(char::from_digit((code >> shift) & 0xf, 16).unwrap_or('0'));
                }
            }
            c => buffer.push_char(c),
        }
    }
    buffer.push("\"");
}

/// Characters that YAML folds, refuses or strips where JSON allows them.
fn troubles_yaml(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

#[derive(Deserialize)]
struct SnakeCase<'a> {
    #[serde(borrow)]
    client_secret: Cow<'a, str>,
}

#[derive(Deserialize)]
struct CamelCase<'a> {
    #[serde(borrow, rename = "clientSecret")]
    client_secret: Cow<'a, str>,
}

/// The secret in a value of `json` or `dstack`.
pub(super) fn snake_case_secret(value: &str) -> Result<Buffer, &'static str> {
    // serde_json's own error is dropped: it can quote the value.
    serde_json::from_str::<SnakeCase<'_>>(value)
        .map(|object| buffer_of(object.client_secret))
        .map_err(|_| "it is not a JSON object with a text `client_secret`")
}

/// The secret in a value of `json` whose fields have other names.
pub(super) fn named_secret(value: &str, name: &str) -> Result<Buffer, &'static str> {
    foreign::text_of(value, name).ok_or(
        "it is not a JSON object with a text by the name that `fields` gives `client_secret`",
    )
}

/// The secret in a value of `sdk-auth`.
pub(super) fn camel_case_secret(value: &str) -> Result<Buffer, &'static str> {
    serde_json::from_str::<CamelCase<'_>>(value)
        .map(|object| buffer_of(object.client_secret))
        .map_err(|_| "it is not a JSON object with a text `clientSecret`")
}

/// Entra's secrets need no escapes, and are borrowed; one that was unescaped is taken over, to be wiped.
fn buffer_of(text: Cow<'_, str>) -> Buffer {
    match text {
        Cow::Borrowed(text) => Buffer::of(text),
        Cow::Owned(text) => Buffer::from(text),
    }
}
