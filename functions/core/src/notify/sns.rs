//! The mail that an SNS topic gets of an event.

use std::fmt::Write;

use chrono::{DateTime, Utc};

use super::words::{digest_lines, left_out, second, wording};
use super::{Content, Notice};

/// The longest subject that SNS takes.
pub const SUBJECT: usize = 100;
/// The largest message that Keywheel sends. SNS takes 256 KB, the attributes included.
pub const MESSAGE: usize = 255 * 1024;

/// A subject and a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// One line of ASCII that begins with a letter.
    pub subject: String,
    /// The text.
    pub message: String,
}

/// Writes an event as plain text.
pub fn render(notice: &Notice, old_key_goes: Option<DateTime<Utc>>) -> Mail {
    let wording = wording(notice, old_key_goes);
    let mut message = String::new();
    let mut add = |line: &str| {
        if message.len() + line.len() < MESSAGE {
            // Writing to a String never fails.
            let _ = writeln!(message, "{line}");
        }
    };
    add(&wording.headline);
    if !wording.text.is_empty() {
        add(&wording.text);
    }
    add("");
    for (name, value) in &wording.facts {
        add(&format!("{name}: {value}"));
    }
    if let Content::Digest { digest, .. } = &notice.content {
        for (title, lines) in digest_lines(digest) {
            if !lines.is_empty() {
                add(&format!("{title}:"));
            }
            for line in lines {
                add(&format!("  {line}"));
            }
        }
        let left = digest.total.saturating_sub(digest.expiring.len());
        if left > 0 {
            add(&left_out(left));
        }
    }
    add("");
    add(&format!("{} {} {}", second(notice.time), notice.kind, notice.id));
    Mail { subject: subject(&wording.headline), message }
}

/// Makes a subject of a headline. The prefix is there because a subject must begin with a letter, digit or mark.
fn subject(headline: &str) -> String {
    let printable = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    format!("Keywheel: {headline}").chars().map(printable).take(SUBJECT).collect()
}
