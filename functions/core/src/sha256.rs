//! SHA-256 (FIPS 180-4).

use sha2::{Digest, Sha256};

/// Gives the SHA-256 of bytes in lower-case hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
