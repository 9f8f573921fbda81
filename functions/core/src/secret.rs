//! The text of a secret, in a type that keeps it out of logs, errors and events.

use std::fmt;

use zeroize::Zeroizing;

/// A secret's text. It cannot be displayed, cloned or serialised, and is wiped when dropped.
///
/// The only way to the text is [`SecretText::expose`], which is called where the text is published
/// (Secrets Manager, a consumer) or presented (the token endpoint), and nowhere else.
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes the text over; the caller keeps no copy.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Every caller is a place where a secret leaves Keywheel.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}
