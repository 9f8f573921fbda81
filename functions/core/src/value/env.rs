//! The format `env`: lines that shells and dotenv parsers read alike.
//!
//! They differ in what they do inside quotes, and `docker --env-file` keeps quotes as part of the value. So each value
//! takes the first of these that fits: nothing at all, single quotes, double quotes without an escape in them. A text
//! that fits none of the three is written as a POSIX shell reads it, in double quotes with backslashes; most dotenv
//! parsers agree.
//!
//! What Graph mints (letters, digits and `~._-`) never has quotes. A `~` at its beginning is a home directory to a
//! shell only where the name of a login follows, and none is as long: POSIX leaves the rest open, and dash and bash keep
//! the text as it is.

use super::text::Buffer;
use super::{CloudFacts, SECRET_TEXT, ValueFacts};

const SECRET_LINE: &str = "AZURE_CLIENT_SECRET=";
const ROOM: usize = 1024;

/// How a minted secret that begins with `~` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tilde {
    /// As it is.
    Bare,
    /// In quotes, as it once was: such versions may still be stored.
    Quoted,
}

/// The lines, each ended.
pub(super) fn render(facts: &ValueFacts, cloud: &CloudFacts, secret: &str, tilde: Tilde) -> Buffer {
    // The secret is written twice, and no character takes more than two bytes for one.
    let mut buffer = Buffer::with_room(ROOM + secret.len() * 4);
    let (tenant, client) = (facts.tenant.to_string(), facts.application.to_string());
    let subscription = facts.subscription.map(|id| id.to_string());
    let secret_delimiter =
        if tilde == Tilde::Bare && is_minted(secret) { "" } else { delimiter(secret) };
    for prefix in ["AZURE", "ARM"] {
        line(&mut buffer, prefix, "TENANT_ID", &tenant);
        line(&mut buffer, prefix, "CLIENT_ID", &client);
        begin(&mut buffer, prefix, "CLIENT_SECRET");
        quote(&mut buffer, secret, secret_delimiter);
        buffer.push("\n");
        if let Some(subscription) = &subscription {
            line(&mut buffer, prefix, "SUBSCRIPTION_ID", subscription);
        }
    }
    // Outside the public cloud the ids mean nothing to a client that asks the public one.
    if let Some(environment) = cloud.arm_environment {
        line(&mut buffer, "AZURE", "AUTHORITY_HOST", cloud.active_directory);
        line(&mut buffer, "ARM", "ENVIRONMENT", environment);
    }
    buffer
}

fn begin(buffer: &mut Buffer, prefix: &str, name: &str) {
    for part in [prefix, "_", name, "="] {
        buffer.push(part);
    }
}

fn line(buffer: &mut Buffer, prefix: &str, name: &str, value: &str) {
    begin(buffer, prefix, name);
    quote(buffer, value, delimiter(value));
    buffer.push("\n");
}

/// The least that keeps a value whole.
fn delimiter(value: &str) -> &'static str {
    if is_plain(value) {
        ""
    } else if is_single_quotable(value) {
        "'"
    } else {
        "\""
    }
}

fn quote(buffer: &mut Buffer, value: &str, delimiter: &str) {
    buffer.push(delimiter);
    for c in value.chars() {
        if delimiter == "\"" && matches!(c, '"' | '\\' | '$' | '`') {
            buffer.push("\\");
        }
        buffer.push_char(c);
    }
    buffer.push(delimiter);
}

/// What Graph mints, and too long for the name of a login that a shell would look for behind a `~`.
fn is_minted(value: &str) -> bool {
    let of_graph = |c: char| c.is_ascii_alphanumeric() || "~._-".contains(c);
    SECRET_TEXT.contains(&value.len()) && value.chars().all(of_graph)
}

/// Nothing that any reader expands, splits or strips. A leading `~` is a home directory to a shell.
fn is_plain(value: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "~._-/:@%+,".contains(c);
    !value.is_empty()
        && value.chars().all(plain)
        && !value.starts_with('~')
        && !value.contains(":~")
}

/// python-dotenv unescapes `\\` and `\'` in single quotes and expands `${…}`; shells do neither.
fn is_single_quotable(value: &str) -> bool {
    !value.contains(['\'', '\n', '\r'])
        && !value.contains("\\\\")
        && !value.ends_with('\\')
        && !value.contains("${")
}

/// The secret of the lines that [`render`] writes.
pub(super) fn client_secret(value: &str) -> Result<Buffer, &'static str> {
    const MISSING: &str = "there is no line `AZURE_CLIENT_SECRET=…`";
    let at_start = value.starts_with(SECRET_LINE).then_some(0);
    let start = at_start.or_else(|| value.find("\nAZURE_CLIENT_SECRET=").map(|index| index + 1));
    let rest = start.and_then(|start| value.get(start + SECRET_LINE.len()..)).ok_or(MISSING)?;
    unquote(rest)
}

fn unquote(rest: &str) -> Result<Buffer, &'static str> {
    if let Some(quoted) = rest.strip_prefix('\'') {
        return quoted
            .split_once('\'')
            .map(|(text, _)| Buffer::of(text))
            .ok_or("a quote is not closed");
    }
    if let Some(quoted) = rest.strip_prefix('"') {
        return unescape(quoted);
    }
    Ok(Buffer::of(rest.lines().next().unwrap_or_default()))
}

/// A double-quoted text, as a POSIX shell reads it.
fn unescape(quoted: &str) -> Result<Buffer, &'static str> {
    let mut buffer = Buffer::with_room(quoted.len());
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok(buffer),
            '\\' => match chars.next() {
                Some(escaped @ ('"' | '\\' | '$' | '`')) => buffer.push_char(escaped),
                Some(other) => {
                    buffer.push("\\");
                    buffer.push_char(other);
                }
                None => break,
            },
            c => buffer.push_char(c),
        }
    }
    Err("a quote is not closed")
}
