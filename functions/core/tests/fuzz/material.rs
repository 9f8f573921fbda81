//! Texts that a parser may meet: valid ones gone wrong, and noise.

// Each test program uses some of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Debug;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

/// Stands where a secret does; whatever of a secret is told holds at least one `PLANTED`.
pub const SECRET: &str = "~PLANTED-s3cr3t.PLANTED-s3cr3t.PLANTED_~";
/// What is looked for.
pub const PLANTED: &str = "PLANTED";
/// More than any parser needs for a text of these sizes, on a machine with other things to do.
const LONGEST: Duration = Duration::from_secs(20);

/// Values in JSON's spelling that programs trip over.
const ODD: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-1",
    "-0.0",
    "1e308",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "123456789012345678901234567890123456789012345678901234567890",
    "0.1",
    "4294967295",
    "65536",
    "\"\"",
    "\" \"",
    "\"\\u0000\"",
    "\"\\ud83d\\ude00\"",
    "\"\u{feff}\"",
    "\"\u{202e}abc\"",
    "\"\\n\\r\\t\"",
    "\"e\u{301}\"",
    "\"\u{10ffff}\"",
    "[]",
    "{}",
    "[[]]",
    "[null]",
    "{\"\":{}}",
    "\"00000000-0000-0000-0000-000000000000\"",
    "\"{A1B2C3D4-0000-0000-0000-000000000000}\"",
    "\"urn:uuid:a1b2c3d4-0000-0000-0000-000000000000\"",
    "\"9999-12-31T23:59:59Z\"",
    "\"+262142-12-31T23:59:59Z\"",
    "\"-262143-01-01T00:00:00Z\"",
    "\"2016-12-31T23:59:60Z\"",
    "\"0001-01-01T00:00:00Z\"",
    "\"2026-01-01T00:00:00.123456789123+23:59\"",
    "\"2026-13-01T00:00:00Z\"",
    "\"https://graph.microsoft.com.example.com/v1.0\"",
    "\"arn:aws:secretsmanager:::secret:-\"",
    "99999999999999999999s",
];
/// Pieces of text that are more to one parser or another than to the rest.
const PIECES: &[&str] = &[
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\n",
    "\r\n",
    "\t",
    "\0",
    "\u{feff}",
    "\u{2028}",
    "{{",
    "}}",
    "- ",
    "? ",
    "&a ",
    "*a",
    "<<: ",
    "!!binary ",
    "---\n",
    "...\n",
    "'",
    "$",
    "`",
    "#",
    "%",
    "|\n",
    ">\n",
    "=",
    "é",
    "😀",
    "\\ud800",
    "\\u0000",
    "client_secret",
    "1e999",
    "null",
    "~",
];

/// One thing that happens to a text.
#[derive(Clone, Debug)]
enum Change {
    Cut(Index),
    Drop(Index, u8),
    Stutter(Index, u8, u8),
    Insert(Index, &'static str),
    Flip(Index, u8),
    Nest(Index, u16),
    Value(Index, &'static str),
    Long(Index, usize),
    Remove(Index),
    TwiceKeyed(Index, &'static str),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        1 => at().prop_map(Change::Cut),
        1 => (at(), 1..9_u8).prop_map(|(at, count)| Change::Drop(at, count)),
        1 => (at(), 1..40_u8, 1..9_u8).prop_map(|(at, length, times)| Change::Stutter(at, length, times)),
        3 => (at(), select(PIECES)).prop_map(|(at, piece)| Change::Insert(at, piece)),
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Flip(at, byte)),
        1 => (at(), 1..600_u16).prop_map(|(at, depth)| Change::Nest(at, depth)),
        6 => (at(), select(ODD)).prop_map(|(at, odd)| Change::Value(at, odd)),
        1 => (at(), 100..70_000_usize).prop_map(|(at, length)| Change::Long(at, length)),
        2 => at().prop_map(Change::Remove),
        2 => (at(), select(ODD)).prop_map(|(at, odd)| Change::TwiceKeyed(at, odd)),
    ]
}

/// Bytes that were once one of these texts, or never were any.
pub fn bytes(samples: Vec<String>) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        12 => (select(samples), vec(change(), 0..5)).prop_map(|(sample, changes)| {
            changes.iter().fold(sample.into_bytes(), changed)
        }),
        1 => vec(any::<u8>(), 0..400),
        1 => vec(select(PIECES), 0..80).prop_map(|pieces| pieces.concat().into_bytes()),
        1 => (select(&["[", "{\"a\":", "[{\"a\":", "a: [", "- "][..]), 1..3_000_usize)
            .prop_map(|(opening, depth)| opening.repeat(depth).into_bytes()),
    ]
}

/// The same as text.
pub fn text(samples: Vec<String>) -> impl Strategy<Value = String> {
    bytes(samples).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The same where only JSON can come; what is none is `null`.
pub fn json(samples: Vec<String>) -> impl Strategy<Value = Value> {
    bytes(samples).prop_map(|bytes| serde_json::from_slice(&bytes).unwrap_or_default())
}

fn changed(mut bytes: Vec<u8>, change: &Change) -> Vec<u8> {
    if bytes.is_empty() {
        return bytes;
    }
    let length = bytes.len();
    match change {
        Change::Cut(at) => bytes.truncate(at.index(length)),
        Change::Drop(at, count) => {
            let at = at.index(length);
            bytes.drain(at..(at + usize::from(*count)).min(length));
        }
        Change::Stutter(at, part, times) => {
            let at = at.index(length);
            let end = (at + usize::from(*part)).min(length);
            let again = bytes[at..end].repeat(usize::from(*times));
            bytes.splice(end..end, again);
        }
        Change::Insert(at, piece) => {
            let at = at.index(length);
            bytes.splice(at..at, piece.bytes());
        }
        Change::Flip(at, byte) => bytes[at.index(length)] = *byte,
        Change::Nest(at, depth) => {
            let depth = usize::from(*depth);
            let nested = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
            return replaced(bytes, *at, Some(&nested));
        }
        Change::Value(at, odd) => return replaced(bytes, *at, Some(odd)),
        Change::Long(at, length) => {
            return replaced(bytes, *at, Some(&format!("\"{}\"", "x".repeat(*length))));
        }
        Change::Remove(at) => return replaced(bytes, *at, None),
        Change::TwiceKeyed(at, odd) => return twice_keyed(bytes, *at, odd),
    }
    bytes
}

/// What follows a colon, or stands between commas, up to the next: a value in JSON, and in YAML's lines.
fn replaced(bytes: Vec<u8>, at: Index, with: Option<&str>) -> Vec<u8> {
    let Ok(text) = String::from_utf8(bytes.clone()) else { return bytes };
    let starts: Vec<usize> =
        text.match_indices([':', ',', '[']).map(|(start, _)| start + 1).collect();
    let Some(start) = (!starts.is_empty()).then(|| starts[at.index(starts.len())]) else {
        return bytes;
    };
    let end = end_of_value(&text, start);
    format!("{} {}{}", &text[..start], with.unwrap_or_default(), &text[end..]).into_bytes()
}

fn end_of_value(text: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    let mut quoted = false;
    let mut escaped = false;
    for (offset, c) in text[start..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '{' | '[' => depth += 1,
            '}' | ']' | ',' | '\n' if depth == 0 => return start + offset,
            '}' | ']' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// Gives one of a text's keys a second time, in front of the first.
fn twice_keyed(bytes: Vec<u8>, at: Index, odd: &str) -> Vec<u8> {
    let Ok(text) = String::from_utf8(bytes.clone()) else { return bytes };
    let ends: Vec<usize> = text.match_indices("\":").map(|(end, _)| end).collect();
    let Some(end) = (!ends.is_empty()).then(|| ends[at.index(ends.len())]) else { return bytes };
    let Some(start) = text[..end].rfind('"') else { return bytes };
    format!("{}{}\":{odd},{}", &text[..start], &text[start..end], &text[start..]).into_bytes()
}

/// Fails where a parser took unreasonably long.
pub fn in_time<T>(parse: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let parsed = parse();
    assert!(begun.elapsed() < LONGEST, "took {:?}", begun.elapsed());
    parsed
}

/// Fails where a secret is told, by a value, an error, or what lies beneath it.
pub fn tells_nothing(told: &impl Debug) {
    let told = format!("{told:?}");
    assert!(!told.contains(PLANTED), "{told}");
}

/// The same for an error, in all its words.
pub fn error_tells_nothing(error: &(impl std::error::Error + 'static)) {
    tells_nothing(error);
    let first = error as &dyn std::error::Error;
    for error in std::iter::successors(Some(first), |error| error.source()) {
        assert!(!error.to_string().contains(PLANTED), "{error}");
    }
}

/// How many cases, by `PROPTEST_CASES`; what is found is written down as a small case by hand.
pub fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..ProptestConfig::default()
    }
}

/// A sample of `events`.
pub fn event(name: &str) -> String {
    std::fs::read_to_string(format!("{}/../../events/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}
