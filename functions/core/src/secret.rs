//! A type that keeps the text of a secret out of logs, errors and events.

use std::fmt;

use zeroize::Zeroizing;

/// The text of a secret. The text cannot be displayed, cloned or serialised, and is wiped when dropped.
///
/// [`SecretText::expose`] is the only way to the text. Only code that publishes the text (Secrets Manager, a consumer) or
/// presents the text (the token endpoint) calls it.
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes over a text. The caller keeps no copy.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Gives the text itself. Every caller is a place where a secret leaves Keywheel.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}
