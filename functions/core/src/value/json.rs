//! The formats that are JSON: `json`, `sdk-auth` and `dstack`.

use std::collections::BTreeSet;

use super::Facts;
use super::cloud::CloudFacts;
use super::foreign::Foreign;
use super::text::Buffer;

/// Room for everything but the client secret: ids, field names and URLs.
const ROOM: usize = 1024;

/// The own names of Keywheel's fields, in the order in which they are written.
const OWN: [&str; 5] = ["tenant_id", "client_id", "client_secret", "key_id", "expires_on"];

/// The names of Keywheel's own fields in a value of `format: json`. No two names are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldNames([String; 5]);

impl Default for FieldNames {
    fn default() -> Self {
        Self(OWN.map(ToOwned::to_owned))
    }
}

impl FieldNames {
    /// Takes names in the order of [`OWN`], each if it differs from the field's own; `None`: two fields would have the
    /// same name.
    pub(crate) fn new(given: [Option<String>; 5]) -> Option<Self> {
        let Self(mut names) = Self::default();
        for (name, given) in names.iter_mut().zip(given) {
            *name = given.unwrap_or_else(|| std::mem::take(name));
        }
        let distinct: BTreeSet<&String> = names.iter().collect();
        (distinct.len() == names.len()).then_some(Self(names))
    }

    /// Returns the names, in the order of [`OWN`].
    pub(super) fn names(&self) -> [&str; 5] {
        self.0.each_ref().map(String::as_str)
    }

    /// Returns the name of the client secret's field.
    pub(super) fn client_secret(&self) -> &str {
        let [_, _, client_secret, _, _] = self.names();
        client_secret
    }
}

/// Writes `json`: Keywheel's own fields by these names, and then the fields of others.
pub(super) fn plain(names: &FieldNames, facts: &Facts, secret: &str, foreign: &Foreign) -> Buffer {
    let [tenant, client, client_secret, key, expiry] = names.names();
    object(
        LINE,
        foreign.text(),
        &[
            (tenant, &facts.tenant.to_string()),
            (client, &facts.application.to_string()),
            (client_secret, secret),
            (key, &facts.key_id.to_string()),
            (expiry, &facts.expiry()),
        ],
    )
}

/// Writes `dstack`: one line of JSON, which is YAML too, so that users can paste the line under `creds:`.
pub(super) fn dstack(facts: &Facts, secret: &str) -> Buffer {
    object(
        LINE,
        None,
        &[
            ("type", "client"),
            ("client_id", &facts.application.to_string()),
            ("client_secret", secret),
            ("tenant_id", &facts.tenant.to_string()),
        ],
    )
}

/// Writes `sdk-auth`: the fields in the order and the layout of the Azure CLI.
pub(super) fn sdk_auth(facts: &Facts, secret: &str) -> Buffer {
    let cloud = CloudFacts::from(facts.cloud);
    object(
        ["{\n  ", ": ", ",\n  ", "\n}"],
        None,
        &[
            ("clientId", &facts.application.to_string()),
            ("clientSecret", secret),
            ("subscriptionId", &facts.subscription()),
            ("tenantId", &facts.tenant.to_string()),
            ("activeDirectoryEndpointUrl", cloud.active_directory),
            ("resourceManagerEndpointUrl", cloud.resource_manager),
            ("activeDirectoryGraphResourceId", cloud.graph_resource),
            ("sqlManagementEndpointUrl", cloud.sql_management),
            ("galleryEndpointUrl", cloud.gallery),
            ("managementEndpointUrl", cloud.management),
        ],
    )
}

/// The texts that begin an object, separate a name from its text, separate two fields, and end the object.
type Layout = [&'static str; 4];

const LINE: Layout = ["{", ":", ",", "}"];

/// Writes an object of texts. No serialiser is used, because its buffer would grow and leave copies behind.
fn object(
    [begin, colon, between, end]: Layout,
    foreign: Option<&str>,
    fields: &[(&str, &str)],
) -> Buffer {
    // A character takes at most six times its bytes: `\u0000` for one byte.
    let texts: usize = fields.iter().map(|(name, text)| name.len() + text.len()).sum();
    let mut buffer = Buffer::with_room(ROOM + texts * 6 + foreign.map_or(0, str::len));
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
                // These characters are below U+10000, so each is one escape without surrogates.
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

/// Says whether YAML folds, refuses or strips a character where JSON allows it.
fn troubles_yaml(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}
