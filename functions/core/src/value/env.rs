//! The format `env`: lines that shells and dotenv parsers read alike.
//!
//! Readers differ inside quotes, and `docker --env-file` keeps quotes as part of the value. So each value takes the
//! first of these that fits: no quotes, single quotes, double quotes without an escape in them. A text that fits none
//! of the three is written in double quotes with backslashes, as a POSIX shell reads it. Most dotenv parsers agree.
//!
//! A secret that Graph minted (letters, digits and `~._-`) never has quotes. A shell takes a `~` at the beginning for a
//! home directory only before the name of a login, and no such name is as long. POSIX leaves the rest open, and dash
//! and bash keep the text as it is.

use super::cloud::CloudFacts;
use super::text::Buffer;
use super::{Facts, SECRET_TEXT};

const ROOM: usize = 1024;

/// The spelling of a minted secret that begins with `~`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tilde {
    /// Without quotes.
    Bare,
    /// In quotes, as earlier versions of Keywheel wrote it. Such values may still be stored.
    Quoted,
}

/// Writes the lines, each with a line break.
pub(super) fn render(facts: &Facts, secret: &str, tilde: Tilde) -> Buffer {
    // The secret is written twice, and no character takes more than twice its bytes.
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
    // In other clouds a client must know the cloud, because the ids do not exist in the public cloud.
    let cloud = CloudFacts::from(facts.cloud);
    if let Some(environment) = cloud.arm_environment {
        line("AZURE", "AUTHORITY_HOST", cloud.active_directory, "");
        line("ARM", "ENVIRONMENT", environment, "");
    }
    buffer
}

/// Returns the weakest quotes that keep a value whole: none, single or double quotes.
fn quote(value: &str) -> &'static str {
    if is_plain(value) {
        ""
    } else if is_single_quotable(value) {
        "'"
    } else {
        "\""
    }
}

/// Says whether Graph can have minted the text, and the text is too long for the name of a login after a `~`.
fn is_minted(value: &str) -> bool {
    let of_graph = |c: char| c.is_ascii_alphanumeric() || "~._-".contains(c);
    SECRET_TEXT.contains(&value.len()) && value.chars().all(of_graph)
}

/// Says whether no reader expands, splits or strips the text. A shell takes a `~` at the beginning for a home
/// directory.
fn is_plain(value: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "~._-/:@%+,".contains(c);
    !value.is_empty()
        && value.chars().all(plain)
        && !value.starts_with('~')
        && !value.contains(":~")
}

/// Says whether all readers read the text alike in single quotes. In single quotes python-dotenv unescapes `\\` and
/// `\'` and expands `${…}`, and shells do neither.
fn is_single_quotable(value: &str) -> bool {
    !value.contains(['\'', '\n', '\r'])
        && !value.contains("\\\\")
        && !value.ends_with('\\')
        && !value.contains("${")
}

/// Reads the secret in lines that [`render`] wrote.
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

/// Reads a text in double quotes, as a POSIX shell does.
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
