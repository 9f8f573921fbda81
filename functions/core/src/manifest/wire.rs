//! The manifest as it is written: the source of both the decoder and the published schema.

use schemars::JsonSchema;

use crate::ids::{AppId, KeyId, KeyOn, SubscriptionId, TenantId};
use crate::request::permission::Approval;

use super::decode::{Decode, Named, parsed, parsed_like, text, text_schema, wire};
use super::lasting::Lasting;
use super::names::{self, NameError, SecretName, SecretPattern};
use super::notifications::WireNotification;
use super::problem::Problems;
use super::tree::Node;
use crate::rotation::RetireWhen;
use crate::rotation::plan::Trigger;
use crate::unknown::{list, stranger, suggest};
use crate::value::{Template, TemplateError};

wire! {
    /// A Keywheel manifest: which Entra client secrets are rotated, where they are kept, and how.
    #[schemars(rename = "Manifest")]
    Wire {
        /// The Entra tenant (a UUID) that all applications are in.
        required tenant: TenantId,
        /// Settings of every credential and rule that does not say otherwise.
        optional defaults: WireOptions,
        /// The credentials, by name. A name has 1 to 64 letters, digits, `.`, `_` and `-`.
        optional credentials: Named<WireCredential>,
        /// Rules that make a credential of every application with a tag.
        optional rules: Vec<super::decode::At<WireRule>>,
        /// Who is told of failures, findings, rotations, and of what expires.
        optional notifications: Vec<super::decode::At<WireNotification>>,
    }
}

wire! {
    /// One principal's client secret, and the Secrets Manager secret that holds it.
    #[schemars(rename = "Credential")]
    WireCredential {
        /// The application's client id (a UUID).
        required application: AppId,
        /// The name of the Secrets Manager secret. No two credentials share one.
        required secret: SecretName,
        ..only: WireDecisions,
    }
}

wire! {
    /// A credential for every application with a tag.
    #[schemars(rename = "Rule")]
    WireRule {
        /// Which applications.
        required r#match: WireMatch,
        /// The names of the Secrets Manager secrets, with `{appId}` for the client id.
        required secret: SecretPattern,
        ..only: WireDecisions,
    }
}

wire! {
    /// Which applications a rule is for.
    #[schemars(rename = "Match")]
    WireMatch {
        /// A tag of the application in Graph.
        required tag: MatchTag,
    }
}

wire! {
    /// What is decided for one credential or rule, and for no other by default.
    WireDecisions {
        /// Whether a current version whose key is unknown may be replaced (default: false).
        optional adopt: bool,
        /// Keys that Keywheel did not mint and is to remove, by their `keyId`.
        optional retire_keys: Vec<super::decode::At<KeyId>>,
        ..options: WireOptions,
    }
}

wire! {
    /// Settings that have a default.
    WireOptions {
        /// The Azure subscription (a UUID) that is written into the secret, where its format has one.
        optional subscription: SubscriptionId,
        /// Where the key is put: on the application, or on its service principal (default: application).
        optional key_on: KeyOn,
        /// What the secret's value looks like (default: json).
        optional format: FormatName,
        /// Other names for Keywheel's own fields of `format: json` (default: their own). All other fields of the value stay as they are.
        optional fields: WireFields,
        /// The value's text for `format: template`, with `{client_secret}` once, and `{tenant_id}`, `{client_id}`, `{key_id}`, `{expires_on}` and `{subscription_id}` where wanted; `{{` and `}}` are braces.
        optional template: Template,
        /// Who starts a rotation: Keywheel's sweep, or Secrets Manager's own rotation (default: sweep).
        optional trigger: Trigger,
        /// Whether a second person must approve, in Slack, what somebody asks for (default: none).
        optional approval: Approval,
        /// Who may ask for a rotation, in Slack or by a signed webhook (default: nobody). It takes the place of the defaults' as a whole.
        optional allow: WireAllow,
        /// A key with less than this left is replaced (default: 30d).
        optional rotate_before: Lasting<TWO_YEARS>,
        /// How long a new key lives (default: 180d; at most two years).
        optional lifetime: Lasting<TWO_YEARS>,
        /// The shortest life to accept where the tenant's policy refuses `lifetime` (default: lifetime itself).
        optional shortest_lifetime: Lasting<TWO_YEARS>,
        /// How long the old key lives on after the new one is current (default: 24h).
        optional overlap: Lasting<TWO_YEARS>,
        /// When the old key goes: once the overlap is over, or only once it is also seen unused (default: after-overlap).
        optional retire: RetireWhen,
        /// How long sign-ins with a new secret must succeed before it counts as proved (default: 60s; at most 4m).
        optional settle: Lasting<FOUR_MINUTES>,
        /// Whether a sign-in that only Conditional Access blocked counts as a success (default: false).
        optional promote_when_blocked: bool,
        /// The KMS key (id, alias or ARN) of a secret that the first rotation creates.
        optional kms_key: KmsKey,
        /// Tags of a secret that the first rotation creates; a credential's own are added to the defaults'.
        optional tags: Named<String>,
    }
}

wire! {
    /// What Keywheel's own fields are called in a value of `format: json`.
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

wire! {
    /// Who may ask for a rotation.
    #[schemars(rename = "Allow")]
    WireAllow {
        /// People, by workspace.
        optional slack: Vec<super::decode::At<WireSlack>>,
        /// Systems, by the names of their keys in the webhook secret.
        optional webhook: Vec<super::decode::At<KeyName>>,
    }
}

wire! {
    /// People of one Slack workspace.
    #[schemars(rename = "SlackUsers")]
    WireSlack {
        /// The workspace's id.
        required team: SlackTeam,
        /// The users' ids.
        required users: Vec<super::decode::At<SlackUser>>,
    }
}

/// Entra's own limit for a client secret, leap day included.
const TWO_YEARS: i64 = 731 * 24 * 3600;
/// A function runs five minutes; the proof is not all that it does.
const FOUR_MINUTES: i64 = 4 * 60;

/// What a secret's value looks like.
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

/// A KMS key's id, alias or ARN.
#[derive(Clone, Debug)]
pub(super) struct KmsKey(pub(super) String);

/// The name of a field of a JSON value.
#[derive(Clone, Debug)]
pub(super) struct FieldName(pub(super) String);

/// A tag of an application in Graph.
#[derive(Clone, Debug)]
pub(super) struct MatchTag(pub(super) String);

/// A Slack workspace's id.
#[derive(Clone, Debug)]
pub(super) struct SlackTeam(pub(super) String);

/// A Slack user's id.
#[derive(Clone, Debug)]
pub(super) struct SlackUser(pub(super) String);

/// The name of a system's keys in the webhook secret.
#[derive(Clone, Debug)]
pub(super) struct KeyName(pub(super) String);

/// Decodes a type that is one of a few words.
macro_rules! decode_words {
    ($type:ty, $what:literal, $($word:literal => $value:expr),* $(,)?) => {
        impl Decode for $type {
            fn decode(node: Node, problems: &mut Problems) -> Option<Self> {
                const WORDS: &[&str] = &[$($word),*];
                let like = format!("write one of {}", list(WORDS));
                parsed_like(node, problems, Some(&like), |text| match text {
                    $($word => Ok($value),)*
                    other => Err((format!("unknown {} {}", $what, stranger(other)), suggest(other, WORDS))),
                })
            }
        }
    };
}

decode_words!(KeyOn, "place for a key", "application" => Self::Application, "servicePrincipal" => Self::ServicePrincipal);
decode_words!(Trigger, "trigger", "sweep" => Self::Sweep, "native" => Self::Native);
decode_words!(Approval, "approval", "none" => Self::None, "required" => Self::Required);
decode_words!(RetireWhen, "time to retire a key", "after-overlap" => Self::AfterOverlap, "when-unused" => Self::WhenUnused);
decode_words!(FormatName, "format",
    "json" => Self::Json, "sdk-auth" => Self::SdkAuth, "env" => Self::Env,
    "dstack" => Self::Dstack, "raw" => Self::Raw, "template" => Self::Template,
);

/// Decodes a newtype of UUIDs.
macro_rules! decode_uuid {
    ($($type:ty),*) => {$(
        impl Decode for $type {
            fn decode(node: Node, problems: &mut Problems) -> Option<Self> {
                let like = Some("write it like `408bf248-dd4e-4be5-919a-7f6207a307ab`");
                parsed_like(node, problems, like, |text| {
                    // Only the form with hyphens: it is what Azure shows, and what can be searched for.
                    (text.len() == 36).then(|| text.parse().ok()).flatten().ok_or_else(|| (
                        "this is not a UUID".to_owned(),
                        "write it like `408bf248-dd4e-4be5-919a-7f6207a307ab`".to_owned(),
                    ))
                })
            }
        }
    )*};
}

decode_uuid!(TenantId, AppId, KeyId, SubscriptionId);

impl Decode for String {
    fn decode(node: Node, problems: &mut Problems) -> Option<Self> {
        text(node, problems)
    }
}

impl Decode for Template {
    fn decode(node: Node, problems: &mut Problems) -> Option<Self> {
        parsed(node, problems, |text| {
            text.parse()
                .map_err(|error: TemplateError| (error.to_string(), error.cure().to_owned()))
        })
    }
}

/// Decodes and describes a text that is checked by a function of [`names`].
macro_rules! checked_text {
    ($type:ty, $check:expr, $cure:expr, $schema:tt) => {
        checked_text!($type, $check, $cure, None, $schema);
    };
    // With how it is written, where no number in quotes would do.
    ($type:ty, $check:expr, $cure:expr, $like:expr, $schema:tt) => {
        impl Decode for $type {
            fn decode(node: Node, problems: &mut Problems) -> Option<Self> {
                parsed_like(node, problems, $like, |text| {
                    $check(text)
                        .map_err(|error: NameError| (error.to_string(), $cure(&error).to_owned()))
                })
            }
        }

        text_schema!($type, stringify!($type), $schema);
    };
}

checked_text!(SecretName, str::parse::<SecretName>, NameError::secret_cure, {
    "type": "string", "minLength": 1, "maxLength": 512, "pattern": "^[A-Za-z0-9/_+=.@-]+$"
});
checked_text!(SecretPattern, str::parse::<SecretPattern>, NameError::secret_cure, {
    "type": "string", "maxLength": 512, "pattern": "^[A-Za-z0-9/_+=.@-]*\\{appId\\}([A-Za-z0-9/_+=.@-]|\\{appId\\})*$"
});
checked_text!(
    KmsKey,
    |text: &str| names::check_kms_key(text).map(|()| KmsKey(text.to_owned())),
    |_: &NameError| "give the id, the alias (`alias/…`) or the ARN of a KMS key",
    { "type": "string", "minLength": 1, "maxLength": 2048, "pattern": "^[A-Za-z0-9:/_-]+$" }
);
checked_text!(
    FieldName,
    |text: &str| names::check_field(text).map(|()| FieldName(text.to_owned())),
    |_: &NameError| "give the name of a key of the JSON value: 1 to 128 characters on one line",
    { "type": "string", "minLength": 1, "maxLength": 128 }
);
checked_text!(
    MatchTag,
    |text: &str| names::check_match(text).map(|()| MatchTag(text.to_owned())),
    |_: &NameError| "give the tag as Graph shows it, at most 256 characters",
    { "type": "string", "minLength": 1, "maxLength": 256 }
);

checked_text!(
    SlackTeam,
    |text: &str| names::check_slack(text, &['T', 'E']).map(|()| SlackTeam(text.to_owned())),
    |_: &NameError| "give the workspace's id, such as `T0123ABCD` (not its name)",
    Some("give the workspace's id, such as `T0123ABCD` (not its name)"),
    { "type": "string", "pattern": "^[TE][A-Z0-9]{1,31}$" }
);
checked_text!(
    SlackUser,
    |text: &str| names::check_slack(text, &['U', 'W']).map(|()| SlackUser(text.to_owned())),
    |_: &NameError| "give the user's id, such as `U0123ABCD` (in Slack: profile, Copy member ID)",
    Some("give the user's id, such as `U0123ABCD` (in Slack: profile, Copy member ID)"),
    { "type": "string", "pattern": "^[UW][A-Z0-9]{1,31}$" }
);
checked_text!(
    KeyName,
    |text: &str| names::check_credential(text).map(|()| KeyName(text.to_owned())),
    |_: &NameError| "give the name of the keys in the webhook secret: 1 to 64 letters, digits and ._-",
    { "type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$" }
);

text_schema!(Template, "Template", { "type": "string", "pattern": "\\{client_secret\\}" });

/// The published schema.
pub(super) fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Wire).to_value();
    remove_null(&mut schema);
    schema
}

/// A field that may be left out is an `Option`, which schemars lets be null; a manifest's must not.
fn remove_null(schema: &mut serde_json::Value) {
    match schema {
        serde_json::Value::Array(list) => list.iter_mut().for_each(remove_null),
        serde_json::Value::Object(object) => {
            if let Some(serde_json::Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(serde_json::Value::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
                if let [serde_json::Value::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    object.remove("anyOf");
                    object.extend(only);
                }
            }
            object.values_mut().for_each(remove_null);
        }
        _ => {}
    }
}
