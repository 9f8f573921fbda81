//! The message that a Slack channel gets of an event, or of several.

use chrono::{DateTime, Utc};

use super::words::{digest_lines, left_out, second, wording};
use super::{Content, Notice};
use crate::events::{Digest, Topic};
use crate::slack::blocks::{Message, Mrkdwn, TEXTS};

/// The longest line of a list.
const LINE: usize = 500;
/// The longest section of a list. Slack folds longer sections away.
const SECTION: usize = 1000;
/// The length of all lines of a list together, so that titles and small print have room beside them.
const LINES: usize = TEXTS - 1000;

/// An event for one target.
#[derive(Clone, Debug)]
pub struct Addressed {
    /// The event, as far as it concerns the target.
    pub notice: Notice,
    /// The time at which a replaced key may be removed, if known.
    pub old_key_goes: Option<DateTime<Utc>>,
}

/// Writes an event as Block Kit.
pub fn render(notice: &Notice, old_key_goes: Option<DateTime<Utc>>) -> Message {
    let wording = wording(notice, old_key_goes);
    let mut message =
        Message::new(&wording.headline).section(&Mrkdwn::section().plain(&wording.text));
    message = match &notice.content {
        Content::Credential(_) => {
            let facts: Vec<Mrkdwn> =
                wording.facts.iter().map(|(name, value)| Mrkdwn::field(name, value)).collect();
            message.fields(&facts)
        }
        Content::Digest { digest, .. } => expiring(message, digest),
    };
    let small = format!("{} · {} · {}", second(notice.time), notice.kind, notice.id);
    message.context(&Mrkdwn::section().plain(&small))
}

/// Divides events into groups that fit into one message each.
pub fn groups(events: Vec<Addressed>) -> Vec<Vec<Addressed>> {
    let mut groups: Vec<Vec<Addressed>> = Vec::new();
    let mut room = 0;
    for event in events {
        let length = item(&event).length() + 1;
        if let Some(group) = groups.last_mut().filter(|_| length <= room) {
            group.push(event);
        } else {
            groups.push(vec![event]);
            room = LINES;
        }
        room -= length;
    }
    groups
}

/// Writes the events of a group as one message, a line for each.
pub fn list(group: &[Addressed]) -> Message {
    let of = |topic| group.iter().filter(move |one| one.notice.kind.topic() == Some(topic));
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

fn item(Addressed { notice, old_key_goes }: &Addressed) -> Mrkdwn {
    let wording = wording(notice, *old_key_goes);
    Mrkdwn::new(LINE).plain("• ").bold(&wording.headline).plain(" ").plain(&wording.text)
}

/// Puts lines under a title into as few sections as hold them. Gives each section with the number of its lines.
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

/// Adds a digest to a message, as far as there is room.
fn expiring(mut message: Message, digest: &Digest) -> Message {
    let mut shown = 0;
    for (title, lines) in digest_lines(digest) {
        let lines = lines.iter().map(|line| Mrkdwn::new(LINE).plain("• ").plain(line));
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
