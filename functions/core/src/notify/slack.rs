//! What Slack is told of an event, or of several.

use chrono::{DateTime, Utc};

use super::words::{left_out, line, second, told};
use super::{Notice, What};
use crate::events::{Digest, Topic};
use crate::slack::blocks::{Message, Mrkdwn, TEXTS};

/// The longest line of a list.
const LINE: usize = 500;
/// The longest section of a list: Slack folds long ones away.
const SECTION: usize = 1000;
/// All lines of a list, so that titles and small print have room beside them.
const LINES: usize = TEXTS - 1000;

/// An event for one target.
#[derive(Clone, Debug)]
pub struct Telling {
    /// The event, as far as it concerns the target.
    pub notice: Notice,
    /// When a replaced key may be removed, where that is known.
    pub old_key_goes: Option<DateTime<Utc>>,
}

/// Writes out an event as Block Kit.
pub fn render(notice: &Notice, old_key_goes: Option<DateTime<Utc>>) -> Message {
    let told = told(notice, old_key_goes);
    let mut message = Message::new(&told.headline).section(&Mrkdwn::section().plain(&told.text));
    message = match &notice.what {
        What::Credential(_) => {
            let facts: Vec<Mrkdwn> =
                told.facts.iter().map(|(name, value)| Mrkdwn::field(name, value)).collect();
            message.fields(&facts)
        }
        What::Expiring { digest, .. } => expiring(message, digest),
    };
    let small = format!("{} · {} · {}", second(notice.time), notice.kind, notice.id);
    message.context(&Mrkdwn::section().plain(&small))
}

/// Puts together what fits into one message each, whatever the texts are like.
pub fn letters(tellings: Vec<Telling>) -> Vec<Vec<Telling>> {
    let mut letters: Vec<Vec<Telling>> = Vec::new();
    let mut room = 0;
    for telling in tellings {
        let length = item(&telling).length() + 1;
        if let Some(letter) = letters.last_mut().filter(|_| length <= room) {
            letter.push(telling);
        } else {
            letters.push(vec![telling]);
            room = LINES;
        }
        room -= length;
    }
    letters
}

/// Writes out the events of a letter in one message, a line each.
pub fn list(tellings: &[Telling]) -> Message {
    let of = |topic| tellings.iter().filter(move |one| one.notice.topic() == Some(topic));
    let topics = [
        (Topic::Failures, "Failures"),
        (Topic::Findings, "Findings"),
        (Topic::Rotations, "Rotations"),
    ];
    let counts = topics.map(|(topic, title)| (title, of(topic).count()));
    let counts = counts.iter().filter(|(_, count)| *count > 0);
    let counts: Vec<String> = counts.map(|(title, count)| format!("{title}: {count}")).collect();
    let mut message = Message::new(&counts.join(", "));
    for (topic, title) in topics {
        for (section, _) in sections(title, of(topic).map(item)) {
            message = message.section(&section);
        }
    }
    let small = "`keywheel audit show NAME` has the particulars of each";
    message.context(&Mrkdwn::section().plain(small))
}

fn item(Telling { notice, old_key_goes }: &Telling) -> Mrkdwn {
    let told = told(notice, *old_key_goes);
    Mrkdwn::new(LINE).plain("• ").bold(&told.headline).plain(" ").plain(&told.text)
}

/// Lines under a title, as many to a section as fit, and how many those are.
fn sections(title: &str, lines: impl Iterator<Item = Mrkdwn>) -> Vec<(Mrkdwn, usize)> {
    let mut sections: Vec<(Mrkdwn, usize)> = Vec::new();
    for line in lines {
        if let Some((section, count)) = sections.last_mut()
            && section.add_line(&line)
        {
            *count += 1;
            continue;
        }
        let mut section = Mrkdwn::new(SECTION);
        if sections.is_empty() {
            section = section.bold(title).line();
        }
        section.add_line(&line);
        sections.push((section, 1));
    }
    sections
}

/// What nobody replaces first: somebody has to do something about it.
fn expiring(mut message: Message, digest: &Digest) -> Message {
    let mut shown = 0;
    for (title, managed) in [("Nobody replaces", false), ("Keywheel replaces in time", true)] {
        let some = digest.expiring.iter().filter(|one| one.managed == managed);
        let lines = some.map(|one| Mrkdwn::new(LINE).plain("• ").plain(&line(one)));
        for (section, count) in sections(title, lines) {
            if !message.fits(&section) {
                break;
            }
            message = message.section(&section);
            shown += count;
        }
    }
    let left = digest.total.saturating_sub(shown);
    if left > 0 {
        message = message.section(&Mrkdwn::section().plain(&left_out(left)));
    }
    message
}
