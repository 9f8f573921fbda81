//! Block Kit (docs.slack.dev/reference/block-kit): blocks that are valid by construction.
//!
//! A text is shown exactly as the text. `&`, `<` and `>` are escaped, so that no event can mention a channel or make a
//! link. Line breaks, and characters that change the direction of writing, become spaces, so that no text can pretend to be
//! a line of Keywheel's. A text that is too long ends in `…`, never within an escape.

use serde_json::{Value, json};

/// The longest `plain_text` of a `header`.
pub const HEADER: usize = 150;
/// The longest `text` of a `section`.
pub const TEXT: usize = 3000;
/// The longest of the `fields` of a `section`. Slack takes 2000, but ten fields must leave room for the rest.
pub const FIELD: usize = 500;
/// The most `fields` of a `section`.
pub const FIELDS: usize = 10;
/// The most blocks of a message.
pub const BLOCKS: usize = 50;
/// The longest texts of all blocks of a message together.
///
/// Slack does not publish this limit (`msg_blocks_too_long`). Slack took 9,597 characters and refused 11,341
/// (github.com/slackapi/bolt-js/issues/2867).
pub const TEXTS: usize = 9000;
/// The room that [`Message::fits`] leaves free: a last line, and the small print.
const SPARE_BLOCKS: usize = 2;
const SPARE_TEXTS: usize = 500;

/// A text with Slack's markup, of at most `limit` characters.
///
/// Lengths are counted in UTF-16 code units. Slack does not define its characters, and no other count is higher.
#[derive(Clone, Debug)]
pub struct Mrkdwn {
    text: String,
    length: usize,
    limit: usize,
}

impl Mrkdwn {
    /// Begins an empty text that never grows beyond `limit`.
    pub fn new(limit: usize) -> Self {
        Self { text: String::new(), length: 0, limit }
    }

    /// Begins the text of a section.
    pub fn section() -> Self {
        Self::new(TEXT)
    }

    /// Writes one of a section's fields: a name in bold, and its value.
    pub fn field(name: &str, value: &str) -> Self {
        Self::new(FIELD).bold(name).line().plain(value)
    }

    /// Adds a text as it is.
    #[must_use]
    pub fn plain(self, text: &str) -> Self {
        self.within("", text, "")
    }

    /// Adds a text in bold.
    #[must_use]
    pub fn bold(self, text: &str) -> Self {
        self.within("*", &text.replace('*', "∗"), "*")
    }

    /// Adds a text as code.
    #[must_use]
    pub fn code(self, text: &str) -> Self {
        self.within("`", &text.replace('`', "'"), "`")
    }

    /// Adds a line break.
    #[must_use]
    pub fn line(mut self) -> Self {
        if self.length < self.limit {
            self.text.push('\n');
            self.length += 1;
        }
        self
    }

    /// Adds a text and a line break, if both fit. Says whether they did.
    pub fn add_line(&mut self, line: &Self) -> bool {
        let length = self.length + line.length + 1;
        let fits = length <= self.limit;
        if fits {
            self.text.push_str(&line.text);
            self.text.push('\n');
            self.length = length;
        }
        fits
    }

    /// Gives the length.
    pub fn length(&self) -> usize {
        self.length
    }

    fn within(mut self, before: &str, text: &str, after: &str) -> Self {
        let marks = before.len() + after.len();
        let room = self.limit.saturating_sub(self.length);
        // The room must hold an ellipsis and a character before it.
        if text.is_empty() || room < marks + 2 {
            return self;
        }
        let inner = escaped(text, room - marks);
        self.length += marks + units(&inner);
        self.text.push_str(before);
        self.text.push_str(&inner);
        self.text.push_str(after);
        self
    }

    fn value(&self) -> Value {
        // Verbatim, so that Slack does not look for names and links in the text.
        json!({ "type": "mrkdwn", "text": self.text, "verbatim": true })
    }
}

fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Escapes a text with Slack's three escapes, and cuts the text to `room`.
fn escaped(text: &str, room: usize) -> String {
    cut(text, room, |c| match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    })
}

/// Says whether a character changes how the text after it is shown: line breaks, and characters that override or isolate
/// the direction of writing.
fn breaks_out(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn cut(text: &str, room: usize, escape: impl Fn(char) -> Option<&'static str>) -> String {
    let mut whole = String::new();
    // `safe` is the length of the text that fits before an ellipsis.
    let (mut length, mut safe) = (0, 0);
    for c in text.chars() {
        let c = if breaks_out(c) { ' ' } else { c };
        let piece = escape(c);
        length += piece.map_or(c.len_utf16(), str::len);
        if length > room {
            whole.truncate(safe);
            if room > 0 {
                whole.push('…');
            }
            return whole;
        }
        match piece {
            Some(piece) => whole.push_str(piece),
            None => whole.push(c),
        }
        if length < room {
            safe = whole.len();
        }
    }
    whole
}

/// A message: a text for notifications and screen readers, and the blocks that are shown.
#[derive(Clone, Debug)]
pub struct Message {
    text: String,
    blocks: Vec<Value>,
    /// The sum of the blocks' texts.
    length: usize,
}

impl Message {
    /// Begins a message with a headline.
    pub fn new(headline: &str) -> Self {
        let text = plain(headline, HEADER);
        let header = json!({
            "type": "header",
            "text": { "type": "plain_text", "text": &text, "emoji": false },
        });
        Self { text: escaped(headline, TEXT), blocks: vec![header], length: units(&text) }
    }

    /// Adds a text. An empty text is left out, because Slack refuses an empty text.
    #[must_use]
    pub fn section(self, text: &Mrkdwn) -> Self {
        if text.text.trim().is_empty() {
            return self;
        }
        self.block(json!({ "type": "section", "text": text.value() }), text.length)
    }

    /// Adds names and values in two columns, in as many sections as needed.
    #[must_use]
    pub fn fields(mut self, fields: &[Mrkdwn]) -> Self {
        for some in fields.chunks(FIELDS) {
            let length = some.iter().map(Mrkdwn::length).sum();
            let some: Vec<Value> = some.iter().map(Mrkdwn::value).collect();
            self = self.block(json!({ "type": "section", "fields": some }), length);
        }
        self
    }

    /// Adds a line in small print.
    #[must_use]
    pub fn context(self, text: &Mrkdwn) -> Self {
        if text.text.trim().is_empty() {
            return self;
        }
        self.block(json!({ "type": "context", "elements": [text.value()] }), text.length)
    }

    /// Says whether there is room for a text, a last line and the small print.
    pub fn fits(&self, text: &Mrkdwn) -> bool {
        self.blocks.len() + 1 + SPARE_BLOCKS <= BLOCKS
            && self.length + text.length + SPARE_TEXTS <= TEXTS
    }

    /// Adds a block, if Slack takes one more.
    fn block(mut self, block: Value, length: usize) -> Self {
        if self.blocks.len() < BLOCKS && self.length + length <= TEXTS {
            self.blocks.push(block);
            self.length += length;
        }
        self
    }

    /// Writes the JSON for an incoming webhook or a `response_url`.
    pub fn to_json(&self) -> Value {
        json!({ "text": self.text, "blocks": self.blocks })
    }
}

/// Cuts a text without markup to 1 to `limit` characters.
fn plain(text: &str, limit: usize) -> String {
    let text = cut(text, limit, |_| None);
    if text.trim().is_empty() { "Keywheel".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_as_it_is() {
        let text = Mrkdwn::section().plain("<!channel> a & b\n<https://x|y>").code("a`b").bold("*");
        assert_eq!(text.text, "&lt;!channel&gt; a &amp; b &lt;https://x|y&gt;`a'b`*∗*");
        assert_eq!(text.length, units(&text.text));
    }

    #[test]
    fn nothing_turns_the_direction_of_what_comes_after_it() {
        for turn in ('\u{2028}'..='\u{202e}').chain('\u{2066}'..='\u{2069}').chain(['\n', '\0']) {
            assert_eq!(Mrkdwn::section().plain(&format!("a{turn}b")).text, "a b", "{turn:?}");
            assert_eq!(plain(&format!("a{turn}b"), HEADER), "a b", "{turn:?}");
        }
        assert_eq!(escaped("שלום é 𝒳", 100), "שלום é 𝒳");
    }

    #[test]
    fn what_is_too_long_ends_before_an_escape() {
        assert_eq!(escaped("abc", 3), "abc");
        assert_eq!(escaped("abcd", 3), "ab…");
        assert_eq!(escaped("a&b", 4), "a…");
        assert_eq!(escaped("a&b", 6), "a…");
        assert_eq!(escaped("a&b", 7), "a&amp;b");
        assert_eq!(escaped("&&", 9), "&amp;…");
        assert_eq!(escaped("𝒳𝒳", 3), "𝒳…");
    }

    #[test]
    fn the_texts_of_a_message_are_not_too_long_in_sum() {
        let (long, last) =
            (Mrkdwn::new(1000).plain(&"x".repeat(1000)), Mrkdwn::section().plain("y"));
        let mut message = Message::new("a");
        let mut shown = 0;
        while message.fits(&long) {
            message = message.section(&long);
            shown += 1;
        }
        assert_eq!(shown, 8);
        message = message.section(&last).section(&long).context(&last);
        let json = message.to_json();
        let blocks = json["blocks"].as_array().unwrap();
        assert_eq!(
            blocks.len(),
            1 + shown + 2,
            "the last line and the small print have room, no more has"
        );
    }

    #[test]
    fn no_message_has_more_than_fifty_blocks_nor_an_empty_one() {
        let mut message = Message::new(" ");
        for _ in 0..99 {
            message = message.section(&Mrkdwn::section()).section(&Mrkdwn::section().plain("x"));
        }
        let json = message.to_json();
        assert_eq!(json["blocks"].as_array().unwrap().len(), BLOCKS);
        assert_eq!(json["blocks"][0]["text"]["text"], "Keywheel");
    }
}
