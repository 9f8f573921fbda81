//! The grammar of `$filter`: words, literals and brackets, by recursive descent.

use crate::clock::parse_rfc3339;
use crate::graph::filter::{Comparison, Filter, Literal, Match};

/// Deeper nesting than anyone writes; stops a hostile filter from exhausting the stack.
const MAX_DEPTH: usize = 50;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Open,
    Close,
    Comma,
    Colon,
}

pub(crate) fn parse(text: &str) -> Result<Filter, String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    let filter = parser.either()?;
    match parser.tokens.get(parser.at) {
        None => Ok(filter),
        Some(token) => Err(format!("unexpected {token:?}")),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            ',' => (Token::Comma, 1),
            '\'' => quoted(rest)?,
            ':' => (Token::Colon, 1),
            _ => word(rest)?,
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// A string in quotes, in which a doubled quote stands for one; with its length.
fn quoted(text: &str) -> Result<(Token, usize), String> {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character != '\'' {
            value.push(character);
        } else if characters.peek().is_some_and(|(_, next)| *next == '\'') {
            value.push('\'');
            characters.next();
        } else {
            return Ok((Token::Text(value), at + 1));
        }
    }
    Err("there is an unterminated string literal".to_owned())
}

/// A name, path, number, GUID or time. A colon belongs to it only after a digit, as in `12:30`.
fn word(text: &str) -> Result<(Token, usize), String> {
    let mut end = 0;
    let mut last_digit = false;
    for (at, character) in text.char_indices() {
        let part = character.is_ascii_alphanumeric()
            || "/_$.-+".contains(character)
            || (character == ':' && last_digit);
        if !part {
            break;
        }
        last_digit = character.is_ascii_digit();
        end = at + character.len_utf8();
    }
    match end {
        0 => Err(format!(
            "syntax error: character '{}' is not valid",
            text.chars().next().unwrap_or_default()
        )),
        _ => Ok((Token::Word(text[..end].to_owned()), end)),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn either(&mut self) -> Result<Filter, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("the expression is too deep".to_owned());
        }
        let mut left = self.both()?;
        while self.accept_word("or") {
            left = Filter::Or(Box::new(left), Box::new(self.both()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn both(&mut self) -> Result<Filter, String> {
        let mut left = self.one()?;
        while self.accept_word("and") {
            left = Filter::And(Box::new(left), Box::new(self.one()?));
        }
        Ok(left)
    }

    fn one(&mut self) -> Result<Filter, String> {
        if self.accept_word("not") {
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return Err("the expression is too deep".to_owned());
            }
            let inner = self.one()?;
            self.depth -= 1;
            return Ok(Filter::Not(Box::new(inner)));
        }
        if self.accept(&Token::Open) {
            let inner = self.either()?;
            self.expect(&Token::Close)?;
            return Ok(inner);
        }
        let word = self.word()?;
        if let Some(collection) = word.strip_suffix("/any") {
            return self.any(collection);
        }
        match word.to_ascii_lowercase().as_str() {
            "startswith" => self.function(Match::Start),
            "endswith" => self.function(Match::End),
            _ => self.comparison(word),
        }
    }

    fn comparison(&mut self, property: String) -> Result<Filter, String> {
        let comparison = match self.word()?.as_str() {
            "eq" => Comparison::Equal,
            "ne" => Comparison::NotEqual,
            "ge" => Comparison::AtLeast,
            "le" => Comparison::AtMost,
            "gt" => Comparison::More,
            "lt" => Comparison::Less,
            "in" => return Ok(Filter::In(property, self.list()?)),
            other => return Err(format!("syntax error: '{other}' is no operator")),
        };
        Ok(Filter::Compare(property, comparison, self.literal()?))
    }

    fn list(&mut self) -> Result<Vec<Literal>, String> {
        self.expect(&Token::Open)?;
        let mut literals = vec![self.literal()?];
        while self.accept(&Token::Comma) {
            literals.push(self.literal()?);
        }
        self.expect(&Token::Close)?;
        Ok(literals)
    }

    /// The brackets of `startswith(displayName,'a')`.
    fn function(&mut self, matching: Match) -> Result<Filter, String> {
        self.expect(&Token::Open)?;
        let property = self.word()?;
        self.expect(&Token::Comma)?;
        let text = self.text()?;
        self.expect(&Token::Close)?;
        Ok(Filter::Text(property, matching, text))
    }

    /// The brackets of `tags/any(t:t eq 'a')` and of `tags/any(t:startswith(t,'a'))`.
    fn any(&mut self, collection: &str) -> Result<Filter, String> {
        self.expect(&Token::Open)?;
        let variable = self.word()?;
        self.expect(&Token::Colon)?;
        let (used, matching, text) = match self.one()? {
            Filter::Compare(used, Comparison::Equal, Literal::Text(text)) => {
                (used, Match::Whole, text)
            }
            Filter::Text(used, matching, text) => (used, matching, text),
            _ => return Err("only eq, startswith and endswith are supported in any".to_owned()),
        };
        self.expect(&Token::Close)?;
        if used != variable {
            return Err(format!("'{used}' is not the range variable"));
        }
        Ok(Filter::Any(collection.to_owned(), matching, text))
    }

    fn literal(&mut self) -> Result<Literal, String> {
        let token = self.next()?;
        Ok(match token {
            Token::Text(text) => Literal::Text(text),
            Token::Word(word) => match word.as_str() {
                "null" => Literal::Null,
                "true" => Literal::Bool(true),
                "false" => Literal::Bool(false),
                other => match parse_rfc3339(other) {
                    Some(at) => Literal::Time(at),
                    None if uuid::Uuid::parse_str(other).is_ok() => Literal::Text(other.to_owned()),
                    None => return Err(format!("syntax error: '{other}' is no literal")),
                },
            },
            other => return Err(format!("unexpected {other:?}")),
        })
    }

    fn next(&mut self) -> Result<Token, String> {
        let token = self.tokens.get(self.at).cloned().ok_or("the expression ends too early")?;
        self.at += 1;
        Ok(token)
    }

    fn word(&mut self) -> Result<String, String> {
        match self.next()? {
            Token::Word(word) => Ok(word),
            other => Err(format!("unexpected {other:?}")),
        }
    }

    fn text(&mut self) -> Result<String, String> {
        match self.next()? {
            Token::Text(text) => Ok(text),
            other => Err(format!("unexpected {other:?}")),
        }
    }

    fn accept(&mut self, token: &Token) -> bool {
        let found = self.tokens.get(self.at) == Some(token);
        self.at += usize::from(found);
        found
    }

    fn accept_word(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Word(other)) if other.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, token: &Token) -> Result<(), String> {
        if self.accept(token) { Ok(()) } else { Err(format!("expected {token:?}")) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn binds_and_before_or() {
        let filter =
            parse("displayName eq 'a' or displayName eq 'b' and not (appId eq 'c''d')").unwrap();
        let Filter::Or(_, right) = filter else { panic!("{filter:?}") };
        assert!(matches!(*right, Filter::And(_, _)));
    }

    #[test]
    fn reads_collections_times_and_lists() {
        assert_eq!(
            parse("tags/any(t:t eq 'x')").unwrap(),
            Filter::Any("tags".into(), Match::Whole, "x".into())
        );
        assert_eq!(
            parse("tags/any(t: startswith(t, 'x'))").unwrap(),
            Filter::Any("tags".into(), Match::Start, "x".into())
        );
        let time = parse("createdDateTime ge 2026-01-01T10:20:30Z").unwrap();
        assert!(matches!(time, Filter::Compare(_, Comparison::AtLeast, Literal::Time(_))));
        assert!(
            matches!(parse("appId in ('a', 'b')").unwrap(), Filter::In(_, list) if list.len() == 2)
        );
    }

    #[test]
    fn refuses_nonsense() {
        for wrong in [
            "",
            "a",
            "a eq",
            "a eq 'b",
            "a eq 'b' and",
            "(a eq 'b'",
            "a eq b",
            "tags/any(t:u eq 'x')",
            "a xx 'b'",
            "é",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse(&"(".repeat(100_000)).is_err());
        assert!(parse(&"not ".repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,80}") {
            let _ = parse(&text);
        }

        #[test]
        fn any_text_can_be_quoted(text in "[ -~é]{0,30}") {
            let filter = parse(&format!("displayName eq '{}'", text.replace('\'', "''"))).unwrap();
            prop_assert_eq!(filter, Filter::Compare("displayName".into(), Comparison::Equal, Literal::Text(text)));
        }
    }
}
