//! The format `template`: a text of the manifest's own, with placeholders.

use std::str::FromStr;

use crate::unknown::{list, stranger, suggest};

use super::Facts;
use super::text::Buffer;

/// A text with exactly one `{client_secret}`.
///
/// All other placeholders become texts of a fixed length, so that the secret can be found again without knowing those
/// texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    before: Vec<Piece>,
    after: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Secret,
    Tenant,
    Client,
    Key,
    Expiry,
    Subscription,
}

const NAMES: &[&str] =
    &["tenant_id", "client_id", "client_secret", "key_id", "expires_on", "subscription_id"];

/// A text is no template. The error does not quote the text, which may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The text has no placeholder for the secret.
    #[error("the template lacks {{client_secret}}")]
    NoSecret,
    /// The text has two placeholders for the secret, so that the secret could not be read back reliably.
    #[error("the template has {{client_secret}} more than once")]
    ManySecrets,
    /// The text has an unknown placeholder.
    #[error("the template has an unknown placeholder {name}; {hint}")]
    Unknown {
        /// The text between the braces, if that is safe to show.
        name: String,
        /// The name that the user may have meant, or all names.
        hint: String,
    },
    /// The text has a brace without its other half.
    #[error("the template has a lone `{brace}`")]
    LoneBrace {
        /// The brace.
        brace: char,
    },
}

impl TemplateError {
    /// Gives the cure.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::NoSecret => "write {client_secret} where the client secret's text goes",
            Self::ManySecrets => "keep one of them",
            Self::Unknown { .. } => "a literal brace is written twice: {{ or }}",
            Self::LoneBrace { .. } => "write a literal brace twice: {{ or }}",
        }
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let (mut before, mut rest) = (Vec::new(), text);
        while let Some((literal, braced)) = rest.find(['{', '}']).map(|at| rest.split_at(at)) {
            before.push(Piece::Literal(literal.to_owned()));
            let piece;
            (piece, rest) = Piece::read(braced)?;
            before.push(piece);
        }
        before.push(Piece::Literal(rest.to_owned()));
        let is_secret = |piece: &Piece| *piece == Piece::Secret;
        let at = before.iter().position(is_secret).ok_or(TemplateError::NoSecret)?;
        let after = before.split_off(at + 1);
        before.pop();
        if after.iter().any(is_secret) {
            return Err(TemplateError::ManySecrets);
        }
        Ok(Self { before, after })
    }
}

impl Template {
    fn pieces(&self) -> impl Iterator<Item = &Piece> {
        const SECRET: &Piece = &Piece::Secret;
        self.before.iter().chain([SECRET]).chain(&self.after)
    }

    /// Says whether the template has the subscription's placeholder.
    pub(super) fn needs_subscription(&self) -> bool {
        self.pieces().any(|piece| *piece == Piece::Subscription)
    }

    /// Fills in the placeholders.
    pub(super) fn render(&self, facts: &Facts, secret: &str) -> Buffer {
        let sizes: usize = self.pieces().map(Piece::size).sum();
        let mut buffer = Buffer::with_room(sizes + secret.len());
        for piece in self.pieces() {
            match piece {
                Piece::Literal(text) => buffer.push(text),
                Piece::Secret => buffer.push(secret),
                Piece::Tenant => buffer.push(&facts.tenant.to_string()),
                Piece::Client => buffer.push(&facts.application.to_string()),
                Piece::Key => buffer.push(&facts.key_id.to_string()),
                Piece::Expiry => buffer.push(&facts.expiry()),
                Piece::Subscription => buffer.push(&facts.subscription()),
            }
        }
        buffer
    }

    /// Finds the secret in a filled-in text.
    pub(super) fn client_secret<'a>(&self, value: &'a str) -> Option<&'a str> {
        let rest = behind(&self.before, value)?;
        let after: usize = self.after.iter().map(Piece::size).sum();
        let (secret, after) = rest.split_at_checked(rest.len().checked_sub(after)?)?;
        behind(&self.after, after)?.is_empty().then_some(secret)
    }
}

/// Returns what follows these pieces in a text that begins with them.
fn behind<'a>(pieces: &[Piece], text: &'a str) -> Option<&'a str> {
    pieces.iter().try_fold(text, |text, piece| {
        let (filled, rest) = text.split_at_checked(piece.size())?;
        piece.fits(filled).then_some(rest)
    })
}

impl Piece {
    /// Reads the piece at the beginning of a text that begins with a brace. Returns the rest of the text too.
    fn read(text: &str) -> Result<(Self, &str), TemplateError> {
        for doubled in ["{{", "}}"] {
            if let Some(rest) = text.strip_prefix(doubled) {
                return Ok((Self::Literal(doubled.chars().take(1).collect()), rest));
            }
        }
        let inner = text.strip_prefix('{').ok_or(TemplateError::LoneBrace { brace: '}' })?;
        let (name, rest) = inner.split_once('}').ok_or(TemplateError::LoneBrace { brace: '{' })?;
        let piece = match name {
            "client_secret" => Self::Secret,
            "tenant_id" => Self::Tenant,
            "client_id" => Self::Client,
            "key_id" => Self::Key,
            "expires_on" => Self::Expiry,
            "subscription_id" => Self::Subscription,
            _ => {
                let hint = if name.is_empty() { list(NAMES) } else { suggest(name, NAMES) };
                return Err(TemplateError::Unknown { name: stranger(name), hint });
            }
        };
        Ok((piece, rest))
    }

    /// Returns the size of the piece when filled in; 0 for the secret.
    fn size(&self) -> usize {
        match self {
            Self::Literal(text) => text.len(),
            Self::Secret => 0,
            Self::Expiry => "2026-01-02T03:04:05Z".len(),
            _ => 36,
        }
    }

    /// Says whether the piece can have become this text.
    fn fits(&self, text: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == text,
            Self::Expiry => chrono::DateTime::parse_from_rfc3339(text).is_ok(),
            _ => text.parse::<uuid::Uuid>().is_ok(),
        }
    }
}
