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

use super::cloud::CloudFacts;
use super::text::Buffer;
use super::{Facts, SECRET_TEXT};

const ROOM: usize = 1024;

/// How a minted secret that begins with `~` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tilde {
    /// As it is.
    Bare,
    /// In quotes, as it once was: such versions may still be stored.
    Quoted,
}

/// Writes the lines, each ended.
pub(super) fn render(facts: &Facts, secret: &str, tilde: Tilde) -> Buffer {
    // The secret is written twice, and no character takes more than two bytes for one.
    let mut buffer = Buffer::with_room(ROOM + secret.len() * 4);
    let mut line = |prefix: &str, name: &str, value: &str, quote: &str| {
        for part in [prefix, "_", name, "=", quote] {
            buffer.push(part);
        }
        for c in value.chars() {
            if quote == "\"" && matches!(c, '"' | '\\' | '$' | '`') {
                buffer.push("\\");
            }
            buffer.push_char(c);
        }
        buffer.push(quote);
        buffer.push("\n");
    };
    let bare = tilde == Tilde::Bare && is_minted(secret);
    for prefix in ["AZURE", "ARM"] {
        line(prefix, "TENANT_ID", &facts.tenant.to_string(), "");
        line(prefix, "CLIENT_ID", &facts.application.to_string(), "");
        line(prefix, "CLIENT_SECRET", secret, if bare { "" } else { quote(secret) });
        if facts.subscription.is_some() {
            line(prefix, "SUBSCRIPTION_ID", &facts.subscription(), "");
        }
    }
    // Outside the public cloud the ids mean nothing to a client that asks the public one.
    let cloud = CloudFacts::from(facts.cloud);
    if let Some(environment) = cloud.arm_environment {
        line("AZURE", "AUTHORITY_HOST", cloud.active_directory, "");
        line("ARM", "ENVIRONMENT", environment, "");
    }
    buffer
}

/// Returns the least that keeps a value whole: no quotes, single or double ones.
fn quote(value: &str) -> &'static str {
    if is_plain(value) {
        ""
    } else if is_single_quotable(value) {
        "'"
    } else {
        "\""
    }
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

/// Reads the secret of the lines that [`render`] writes.
pub(super) fn client_secret(value: &str) -> Result<Buffer, &'static str> {
    let first = value.strip_prefix("AZURE_CLIENT_SECRET=");
    let later = || Some(value.split_once("\nAZURE_CLIENT_SECRET=")?.1);
    let rest = first.or_else(later).ok_or("there is no line `AZURE_CLIENT_SECRET=…`")?;
    if let Some(quoted) = rest.strip_prefix('\'') {
        let text = quoted.split_once('\'').map(|(text, _)| Buffer::of(text));
        return text.ok_or("a quote is not closed");
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
