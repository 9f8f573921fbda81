//! The format `env`: lines that shells and dotenv parsers read alike.
//!
//! They differ in what they do inside quotes, so each value takes the first of these that fits:
//! nothing at all (Entra's secrets are letters, digits and `~._-`; `docker --env-file` keeps quotes),
//! single quotes, double quotes without an escape in them. A text that fits none of the three is
//! written as a POSIX shell reads it, in double quotes with backslashes; most dotenv parsers agree.

use super::text::Buffer;
use super::{CloudFacts, ValueFacts};

const SECRET_LINE: &str = "AZURE_CLIENT_SECRET=";
const ROOM: usize = 1024;

/// The lines, each ended.
pub(super) fn render(facts: &ValueFacts, cloud: &CloudFacts, secret: &str) -> Buffer {
    // The secret is written twice, and no character takes more than two bytes for one.
    let mut buffer = Buffer::with_room(ROOM + secret.len() * 4);
    let (tenant, client) = (facts.tenant.to_string(), facts.application.to_string());
    let subscription = facts.subscription.map(|id| id.to_string());
    for prefix in ["AZURE", "ARM"] {
        line(&mut buffer, prefix, "TENANT_ID", &tenant);
        line(&mut buffer, prefix, "CLIENT_ID", &client);
        line(&mut buffer, prefix, "CLIENT_SECRET", secret);
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

fn line(buffer: &mut Buffer, prefix: &str, name: &str, value: &str) {
    for part in [prefix, "_", name, "="] {
        buffer.push(part);
    }
    quote(buffer, value);
    buffer.push("\n");
}

fn quote(buffer: &mut Buffer, value: &str) {
    let delimiter = if is_plain(value) {
        ""
    } else if is_single_quotable(value) {
        "'"
    } else {
        "\""
    };
    buffer.push(delimiter);
    for c in value.chars() {
        if delimiter == "\"" && matches!(c, '"' | '\\' | '$' | '`') {
            buffer.push("\\");
        }
        buffer.push_char(c);
    }
    buffer.push(delimiter);
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
