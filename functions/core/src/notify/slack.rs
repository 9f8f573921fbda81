//! What Slack is told of an event.

use chrono::{DateTime, Utc};

use super::words::{line, second, told};
use super::{Digest, Expiring, Notice, What};
use crate::slack::blocks::{Message, Mrkdwn};

/// So many lines of a digest stand in one section: as many as fit whatever their names are like.
const LINES: usize = 20;

/// Writes out an event as Block Kit.
pub fn render(notice: &Notice, old_key_goes: Option<DateTime<Utc>>) -> Message {
    let told = told(notice, old_key_goes);
    let mut message = Message::new(&told.headline);
    message = match &notice.what {
        What::Credential(_) => {
            let facts: Vec<Mrkdwn> =
                told.facts.iter().map(|(name, value)| Mrkdwn::field(name, value)).collect();
            message.section(&Mrkdwn::section().plain(&told.text)).fields(&facts)
        }
        What::Expiring(digest) => expiring(message, digest),
    };
    let small = format!("{} · {} · {}", second(notice.time), notice.kind, notice.id);
    message.context(&Mrkdwn::section().plain(&small))
}

/// What nobody replaces first: somebody has to do something about it.
fn expiring(mut message: Message, digest: &Digest) -> Message {
    let (managed, unmanaged): (Vec<&Expiring>, Vec<&Expiring>) =
        digest.expiring.iter().partition(|one| one.managed);
    let mut shown = 0;
    for (title, some) in [("Nobody replaces", unmanaged), ("Keywheel replaces in time", managed)] {
        for (index, lines) in some.chunks(LINES).enumerate() {
            // One for what is left out, one for the small print.
            if message.room() <= 2 {
                break;
            }
            let mut text = Mrkdwn::section();
            if index == 0 {
                text = text.bold(title).line();
            }
            for one in lines {
                let line: String = line(one).chars().take(120).collect();
                // A character takes five when it is escaped.
                if text.fits(2 + 5 * line.chars().map(char::len_utf16).sum::<usize>()) {
                    text = text.plain("• ").plain(&line).line();
                    shown += 1;
                }
            }
            message = message.section(&text);
        }
    }
    let left = digest.total.saturating_sub(shown);
    if left > 0 {
        let more = format!("and {left} more: `keywheel plan` and the record have them all");
        message = message.section(&Mrkdwn::section().plain(&more));
    }
    message
}
