//! What an SNS topic is told of an event.

use std::fmt::Write;

use chrono::{DateTime, Utc};

use super::words::{left_out, line, second, told};
use super::{Notice, What};

/// The longest subject that SNS takes.
pub const SUBJECT: usize = 100;
/// The largest message that SNS takes is 256 KB, its attributes included.
pub const MESSAGE: usize = 255 * 1024;

/// A subject and a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// ASCII, in one line, and beginning with a letter, a digit or a punctuation mark.
    pub subject: String,
    /// The text.
    pub message: String,
}

/// Writes out an event as plain text.
pub fn render(notice: &Notice, old_key_goes: Option<DateTime<Utc>>) -> Mail {
    let told = told(notice, old_key_goes);
    let mut message = String::new();
    let mut add = |line: &str| {
        if message.len() + line.len() < MESSAGE {
            // A String takes whatever it is given.
            let _ = writeln!(message, "{line}");
        }
    };
    add(&told.headline);
    if !told.text.is_empty() {
        add(&told.text);
    }
    add("");
    for (name, value) in &told.facts {
        add(&format!("{name}: {value}"));
    }
    if let What::Expiring { digest, .. } = &notice.what {
        for (title, managed) in [("Nobody replaces:", false), ("Keywheel replaces in time:", true)]
        {
            let mut some = digest.expiring.iter().filter(|one| one.managed == managed).peekable();
            if some.peek().is_some() {
                add(title);
            }
            for one in some {
                add(&format!("  {}", line(one)));
            }
        }
        let left = digest.total.saturating_sub(digest.expiring.len());
        if left > 0 {
            add(&left_out(left));
        }
    }
    add("");
    add(&format!("{} {} {}", second(notice.time), notice.kind, notice.id));
    Mail { subject: subject(&told.headline), message }
}

/// A prefix makes sure of the first character.
fn subject(headline: &str) -> String {
    let printable = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    format!("Keywheel: {headline}").chars().map(printable).take(SUBJECT).collect()
}
