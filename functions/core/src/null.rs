//! Reads a JSON `null` as if the field were left out.

use serde::{Deserialize, Deserializer};

/// Reads a field whose `null` counts as the default.
pub(crate) fn or_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}
