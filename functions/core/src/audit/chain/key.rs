//! The keys of records, intents, markers and heads in their buckets.

use std::fmt;

use uuid::Uuid;

use super::{Hash, Head, Sequence};
use crate::ids::CredentialName;

/// The beginning of the keys of records.
pub const RECORDS: &str = "audit/";
/// The beginning of the keys of heads.
pub const HEADS: &str = "heads/";
const INTENTS: &str = "intents/";
/// Stands before two hexadecimal digits. S3 calls this character safe in keys.
const ESCAPE: char = '!';
/// Stands before the hash of a name. No escaped name begins like this, because its digits are in upper case.
const HASHED: &str = "!sha256-";
/// The longest folder that is an escaped name, in bytes. A key has at most 1,024 bytes.
const LONGEST: usize = 512;
const DIGITS: usize = 12;
const SUFFIX: &str = ".json";

/// A credential's folder: the escaped name. Two names never have the same folder.
///
/// All but letters, digits, `-`, `_` and `.` is escaped as `!` and two hexadecimal digits, and so is a `.` at the
/// beginning. A name that would be too long goes by [`Hash::beginning`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Folder(String);

impl Folder {
    /// Makes the folder of a credential.
    pub fn of(credential: &CredentialName) -> Self {
        let bytes = credential.0.bytes().enumerate();
        let escaped: String = bytes.map(|(at, byte)| escaped(at == 0, byte)).collect();
        if escaped.len() <= LONGEST {
            return Self(escaped);
        }
        Self(format!("{HASHED}{}", Hash::beginning(credential)))
    }

    /// Reads the folder of a record's key; `None`: the key is in no folder.
    pub fn in_key(key: &str) -> Option<Self> {
        let (folder, _) = key.strip_prefix(RECORDS)?.split_once('/')?;
        Some(Self(folder.to_owned()))
    }

    /// Reads the folder that a head's key names.
    pub fn in_head_key(key: &str) -> Option<Self> {
        let folder = key.strip_prefix(HEADS)?.strip_suffix(SUFFIX)?;
        Some(Self(folder.to_owned()))
    }

    /// Reads the name of the credential; `None`: the folder is a hash, or not one that [`Folder::of`] makes.
    pub fn credential(&self) -> Option<CredentialName> {
        let mut bytes = Vec::with_capacity(self.0.len());
        let mut rest = self.0.as_bytes();
        while let [first, after @ ..] = rest {
            rest = after;
            if *first != ESCAPE as u8 {
                bytes.push(*first);
                continue;
            }
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = rest.get(2..)?;
        }
        let name = CredentialName(String::from_utf8(bytes).ok()?);
        (!name.0.is_empty() && Self::of(&name) == *self).then_some(name)
    }

    /// Gives the beginning of the keys of the chain's records.
    pub fn prefix(&self) -> String {
        format!("{RECORDS}{self}/")
    }

    /// Gives the key of the chain's head.
    pub fn head_key(&self) -> String {
        format!("{HEADS}{self}{SUFFIX}")
    }

    /// Gives the beginning of the keys of the chain's intents.
    pub fn intents(&self) -> String {
        format!("{INTENTS}{self}/")
    }
}

fn escaped(first: bool, byte: u8) -> String {
    let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if plain || (byte == b'.' && !first) {
        char::from(byte).to_string()
    } else {
        format!("{ESCAPE}{byte:02X}")
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes the key of a record.
pub fn record_key(credential: &CredentialName, sequence: Sequence) -> String {
    format!("{}{:0DIGITS$}{SUFFIX}", Folder::of(credential).prefix(), sequence.number())
}

/// Makes the key of the marker that an event is recorded.
pub fn marker_key(event: Uuid) -> String {
    format!("ids/{event}")
}

/// Makes the key of a chain's head.
pub fn head_key(credential: &CredentialName) -> String {
    Folder::of(credential).head_key()
}

/// Makes the key of the intent to write a record, from the record's place and hash.
pub fn intent_key(record: &Head) -> String {
    let folder = Folder::of(&record.credential).intents();
    format!("{folder}{:0DIGITS$}-{}", record.sequence.number(), record.hash)
}

/// Reads the hash of the record from the key of an intent.
pub fn intended(key: &str) -> Option<Hash> {
    key.rsplit_once('-').and_then(|(_, hash)| hash.parse().ok())
}

/// A part of a chain, or an object beside the chain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChainPart {
    /// The record of this number.
    Record(Sequence),
    /// An object under a key that no record has.
    Key(String),
    /// The head.
    Head,
}

impl ChainPart {
    /// Reads the part that a key names in this credential's chain.
    pub fn of_key(key: &str, credential: &CredentialName) -> Self {
        let sequence = key
            .strip_prefix(&Folder::of(credential).prefix())
            .and_then(|rest| rest.strip_suffix(SUFFIX))
            .and_then(|digits| digits.parse().ok())
            .and_then(Sequence::new)
            .filter(|sequence| record_key(credential, *sequence) == key);
        sequence.map_or_else(|| Self::Key(key.to_owned()), Self::Record)
    }
}

impl fmt::Display for ChainPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(sequence) => write!(f, "record {sequence}"),
            Self::Key(key) => write!(f, "object {key:?}"),
            Self::Head => f.write_str("the head"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> CredentialName {
        CredentialName(text.to_owned())
    }

    #[test]
    fn folders_are_names_in_safe_characters() {
        for (credential, folder) in [
            ("monk-deployment", "monk-deployment"),
            ("entra/a.b", "entra!2Fa.b"),
            ("..", "!2E."),
            ("a!2Fb", "a!212Fb"),
            ("é", "!C3!A9"),
        ] {
            assert_eq!(Folder::of(&name(credential)).to_string(), folder);
        }
        let long = Folder::of(&name(&"/".repeat(512)));
        assert!(long.to_string().starts_with(HASHED) && long.credential().is_none());
        let key = record_key(&name("entra/a"), Sequence::FIRST);
        assert_eq!(key, "audit/entra!2Fa/000000000001.json");
        assert_eq!(head_key(&name("entra/a")), "heads/entra!2Fa.json");
        let head = Head::of(name("entra/a"), Sequence::FIRST, Hash::of_record(b"record"));
        let intent = intent_key(&head);
        assert!(intent.starts_with("intents/entra!2Fa/000000000001-"), "{intent}");
        assert_eq!(intended(&intent), Some(head.hash));
        assert_eq!(intended("intents/a-b/record"), None);
    }

    #[test]
    fn only_a_records_own_key_is_a_place() {
        let monk = name("monk");
        let key = record_key(&monk, Sequence::FIRST);
        assert_eq!(ChainPart::of_key(&key, &monk), ChainPart::Record(Sequence::FIRST));
        for other in [
            "audit/monk/1.json",
            "audit/monk/+00000000001.json",
            "audit/monk/000000000000.json",
            "audit/monk/000000000001.json2",
            "audit/monk/0000000000001.json",
            "audit/other/000000000001.json",
        ] {
            assert_eq!(ChainPart::of_key(other, &monk), ChainPart::Key(other.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn every_name_is_read_back_from_its_folder(text in "\\PC{1,40}|[!./a2F-]{1,20}") {
            let folder = Folder::of(&name(&text));
            prop_assert_eq!(folder.credential(), Some(name(&text)));
            let key = record_key(&name(&text), Sequence::FIRST);
            prop_assert!(key.len() <= 1024);
            prop_assert_eq!(Folder::in_key(&key), Some(folder.clone()));
            prop_assert_eq!(Folder::in_head_key(&head_key(&name(&text))), Some(folder));
        }

        #[test]
        fn a_folder_that_no_name_has_is_no_name(text in "[!/a-f0-9A-F]{0,12}") {
            if let Some(credential) = Folder(text.clone()).credential() {
                prop_assert_eq!(Folder::of(&credential).0, text);
            }
        }
    }
}
