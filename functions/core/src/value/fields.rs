//! What Keywheel's own fields are called in a value of `format: json`.

/// The fields' own names, in the order in which they are written.
pub(crate) const OWN: [&str; 5] =
    ["tenant_id", "client_id", "client_secret", "key_id", "expires_on"];

/// Other names for them. No two are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldNames([String; 5]);

impl FieldNames {
    /// The names in the order of [`OWN`], each where it differs from it; `None`: two fields would share one.
    pub(crate) fn new(given: [Option<String>; 5]) -> Option<Self> {
        let mut own = OWN.iter();
        let names = given.map(|name| {
            let own = own.next().copied().unwrap_or_default();
            name.unwrap_or_else(|| own.to_owned())
        });
        let shared = names
            .iter()
            .enumerate()
            .any(|(index, name)| names.iter().skip(index + 1).any(|other| other == name));
        (!shared).then_some(Self(names))
    }

    /// The names, in the order of [`OWN`].
    pub(super) fn names(&self) -> [&str; 5] {
        self.0.each_ref().map(String::as_str)
    }

    /// What the client secret is called.
    pub(super) fn client_secret(&self) -> &str {
        let [_, _, client_secret, _, _] = self.names();
        client_secret
    }
}
