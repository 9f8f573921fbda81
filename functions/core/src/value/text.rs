//! A text under construction that holds a secret.

use zeroize::Zeroizing;

use crate::secret::SecretText;

/// A text that is wiped when dropped, and that never moves while it grows.
///
/// A `String` that outgrows its capacity leaves its old bytes behind in freed memory. So a buffer gets the capacity of
/// its final text at once.
pub(super) struct Buffer(Zeroizing<String>);

impl Buffer {
    /// Makes a buffer with room for so many bytes.
    pub(super) fn with_room(bytes: usize) -> Self {
        Self(Zeroizing::new(String::with_capacity(bytes)))
    }

    /// Makes a copy of a text.
    pub(super) fn of(text: &str) -> Self {
        let mut buffer = Self::with_room(text.len());
        buffer.push(text);
        buffer
    }

    pub(super) fn push(&mut self, text: &str) {
        let needed = self.0.len() + text.len();
        if needed > self.0.capacity() {
            self.grow(needed);
        }
        self.0.push_str(text);
    }

    pub(super) fn push_char(&mut self, c: char) {
        self.push(c.encode_utf8(&mut [0; 4]));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Gives the finished text without copying it.
    pub(super) fn into_secret(mut self) -> SecretText {
        SecretText::new(std::mem::take(&mut *self.0))
    }

    /// Moves the text to a larger place, and wipes the old one. This is a safety net, because callers make enough room.
    fn grow(&mut self, needed: usize) {
        let mut larger = Zeroizing::new(String::with_capacity(needed * 2));
        larger.push_str(&self.0);
        self.0 = larger;
    }
}

impl From<String> for Buffer {
    /// Takes the text over.
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_may_outgrow_its_room() {
        let mut buffer = Buffer::with_room(1);
        buffer.push("ab");
        buffer.push_char('ü');
        assert_eq!(buffer.len(), 4);
        assert_eq!(buffer.into_secret().expose(), "abü");
    }
}
