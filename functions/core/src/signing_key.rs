//! The keys of signatures of requests and of webhooks.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The length of a symmetric key of Standard Webhooks, in bytes.
const WEBHOOK: std::ops::RangeInclusive<usize> = 24..=64;
/// The beginning of every key of Standard Webhooks.
const PREFIX: &str = "whsec_";

/// A key that makes or verifies signatures. A key cannot be displayed, and is wiped when dropped.
pub struct SigningKey(Zeroizing<Vec<u8>>);

impl SigningKey {
    /// Takes the bytes of a text, as Slack and GitHub use their keys.
    pub fn of_text(text: &str) -> Self {
        Self(Zeroizing::new(text.as_bytes().to_vec()))
    }

    /// Reads `whsec_` and base64 of 24 to 64 bytes (standardwebhooks.com); `None` where the text is not that.
    pub fn of_webhook(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim().strip_prefix(PREFIX)?).ok()?);
        WEBHOOK.contains(&bytes.len()).then_some(Self(bytes))
    }

    /// Computes the code (HMAC-SHA256) of a message that these parts form.
    pub(crate) fn code(&self, parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
        let code = Hmac::new_from_slice(&self.0).ok()?;
        Some(parts.iter().fold(code, |code: Hmac<Sha256>, part| code.chain_update(part)))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[signing key]")
    }
}

/// Gives a name of a secret of settings as a finding may show the name. A key in the place of a name becomes `…`.
pub(crate) fn shown(name: &str) -> &str {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let is_name = name.len() <= 64 && !name.starts_with(PREFIX) && name.bytes().all(plain);
    if is_name { name } else { "…" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_webhooks_have_24_to_64_bytes() {
        let of = |bytes: usize| {
            SigningKey::of_webhook(&format!("whsec_{}", STANDARD.encode(vec![7; bytes])))
        };
        for (bytes, is_key) in [(0, false), (23, false), (24, true), (64, true), (65, false)] {
            assert_eq!(of(bytes).is_some(), is_key, "{bytes}");
        }
        let key = "C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        assert!(SigningKey::of_webhook(&format!(" whsec_{key}\n")).is_some());
        for bad in ["", "whsec_", "whsec_no base64", key, &format!("v1,whsec_{key}")] {
            assert!(SigningKey::of_webhook(bad).is_none(), "{bad}");
        }
        assert_eq!(format!("{:?}", of(24)), "Some([signing key])");
    }

    #[test]
    fn a_key_in_place_of_a_name_is_not_shown() {
        for (name, as_shown) in
            [("ci", "ci"), ("a.b-c_1", "a.b-c_1"), ("whsec_x", "…"), ("a b", "…"), ("é", "…")]
        {
            assert_eq!(shown(name), as_shown);
        }
        assert_eq!(shown(&"a".repeat(65)), "…");
    }
}
