//! The format `template`: a text of the manifest's own, with places for the facts.

use std::str::FromStr;

use crate::ids::SubscriptionId;
use crate::unknown::{list, stranger, suggest};

use super::ValueFacts;
use super::text::Buffer;

/// A text with `{client_secret}` in it exactly once.
///
/// All other places are filled with texts of a fixed length, so the secret is found again without
/// knowing what they were filled with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    before: Vec<Piece>,
    after: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Placeholder(Placeholder),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placeholder {
    Tenant,
    Client,
    Key,
    Expiry,
    Subscription,
}

const SECRET: &str = "client_secret";
const NAMES: &[&str] =
    &["tenant_id", "client_id", SECRET, "key_id", "expires_on", "subscription_id"];

/// Why a text is no template. The text itself is left out: it may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// No placeholder for the secret.
    #[error("the template lacks {{client_secret}}")]
    NoSecret,
    /// The secret could not be read back reliably.
    #[error("the template has {{client_secret}} more than once")]
    ManySecrets,
    /// A placeholder that cannot be filled.
    #[error("the template has an unknown placeholder {name}; {hint}")]
    Unknown {
        /// What stands between the braces, where it is safe to show.
        name: String,
        /// The name that it may be meant to be, or all of them.
        hint: String,
    },
    /// A brace without its other half.
    #[error("the template has a lone `{brace}`")]
    LoneBrace {
        /// The brace.
        brace: char,
    },
}

impl TemplateError {
    /// What to do about it.
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
        let mut parser = Parser::default();
        let mut rest = text;
        while let Some((literal, at)) = rest.find(['{', '}']).map(|index| rest.split_at(index)) {
            parser.literal(literal);
            rest = parser.brace(at)?;
        }
        parser.literal(rest);
        let after = parser.after.ok_or(TemplateError::NoSecret)?;
        Ok(Self { before: parser.before, after })
    }
}

#[derive(Default)]
struct Parser {
    before: Vec<Piece>,
    /// `None` until the secret's placeholder has been seen.
    after: Option<Vec<Piece>>,
}

impl Parser {
    /// Reads what begins with a brace, and returns the rest.
    fn brace<'a>(&mut self, text: &'a str) -> Result<&'a str, TemplateError> {
        for doubled in ["{{", "}}"] {
            if let Some(rest) = text.strip_prefix(doubled) {
                self.literal(doubled.get(1..).unwrap_or_default());
                return Ok(rest);
            }
        }
        let inner = text.strip_prefix('{').ok_or(TemplateError::LoneBrace { brace: '}' })?;
        let (name, rest) = inner.split_once('}').ok_or(TemplateError::LoneBrace { brace: '{' })?;
        if name == SECRET {
            match self.after {
                Some(_) => return Err(TemplateError::ManySecrets),
                None => self.after = Some(Vec::new()),
            }
        } else {
            self.pieces().push(Piece::Placeholder(placeholder(name)?));
        }
        Ok(rest)
    }

    fn literal(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.pieces().last_mut() {
            Some(Piece::Literal(last)) => last.push_str(text),
            _ => self.pieces().push(Piece::Literal(text.to_owned())),
        }
    }

    fn pieces(&mut self) -> &mut Vec<Piece> {
        self.after.as_mut().unwrap_or(&mut self.before)
    }
}

fn placeholder(name: &str) -> Result<Placeholder, TemplateError> {
    match name {
        "tenant_id" => Ok(Placeholder::Tenant),
        "client_id" => Ok(Placeholder::Client),
        "key_id" => Ok(Placeholder::Key),
        "expires_on" => Ok(Placeholder::Expiry),
        "subscription_id" => Ok(Placeholder::Subscription),
        _ => {
            let shown = stranger(name);
            let hint = if name.is_empty() { list(NAMES) } else { suggest(name, NAMES) };
            Err(TemplateError::Unknown { name: shown, hint })
        }
    }
}

impl Template {
    /// Whether the subscription stands in it.
    pub(super) fn needs_subscription(&self) -> bool {
        self.before
            .iter()
            .chain(&self.after)
            .any(|piece| *piece == Piece::Placeholder(Placeholder::Subscription))
    }

    /// The filled-in text. Without a subscription, its placeholder is filled with nothing.
    pub(super) fn render(
        &self,
        facts: &ValueFacts,
        subscription: Option<SubscriptionId>,
        secret: &str,
    ) -> Buffer {
        let sizes: usize = self.before.iter().chain(&self.after).map(Piece::size).sum();
        let mut buffer = Buffer::with_room(sizes + secret.len());
        let fill = |buffer: &mut Buffer, pieces: &[Piece]| {
            for piece in pieces {
                match piece {
                    Piece::Literal(text) => buffer.push(text),
                    Piece::Placeholder(placeholder) => {
                        buffer.push(&placeholder.text(facts, subscription));
                    }
                }
            }
        };
        fill(&mut buffer, &self.before);
        buffer.push(secret);
        fill(&mut buffer, &self.after);
        buffer
    }

    /// The secret in a filled-in text.
    pub(super) fn client_secret<'a>(&self, value: &'a str) -> Result<&'a str, &'static str> {
        const MISMATCH: &str = "it does not follow the manifest's template";
        let start: usize = self.before.iter().map(Piece::size).sum();
        let end = self.after.iter().map(Piece::size).sum::<usize>();
        let end = value.len().checked_sub(end).filter(|end| *end >= start).ok_or(MISMATCH)?;
        let around = value.get(..start).zip(value.get(end..)).ok_or(MISMATCH)?;
        if !(fits(&self.before, around.0) && fits(&self.after, around.1)) {
            return Err(MISMATCH);
        }
        value.get(start..end).ok_or(MISMATCH)
    }
}

impl Piece {
    /// The bytes it takes when filled in.
    fn size(&self) -> usize {
        match self {
            Self::Literal(text) => text.len(),
            Self::Placeholder(Placeholder::Expiry) => "2026-01-02T03:04:05Z".len(),
            Self::Placeholder(_) => 36,
        }
    }
}

impl Placeholder {
    fn text(self, facts: &ValueFacts, subscription: Option<SubscriptionId>) -> String {
        match self {
            Self::Tenant => facts.tenant.to_string(),
            Self::Client => facts.application.to_string(),
            Self::Key => facts.key_id.to_string(),
            Self::Expiry => facts.expiry(),
            Self::Subscription => subscription.map(|id| id.to_string()).unwrap_or_default(),
        }
    }

    /// Whether a text can be what this placeholder was filled with.
    fn fits(self, text: &str) -> bool {
        match self {
            Self::Expiry => chrono::DateTime::parse_from_rfc3339(text).is_ok(),
            _ => text.parse::<uuid::Uuid>().is_ok(),
        }
    }
}

fn fits(pieces: &[Piece], mut text: &str) -> bool {
    for piece in pieces {
        let Some((filled, rest)) = text.split_at_checked(piece.size()) else {
            return false;
        };
        let fits = match piece {
            Piece::Literal(literal) => literal == filled,
            Piece::Placeholder(placeholder) => placeholder.fits(filled),
        };
        if !fits {
            return false;
        }
        text = rest;
    }
    true
}
