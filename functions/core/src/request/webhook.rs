//! Requests of systems: the JSON of `POST /rotate`, and the path `GET /rotations/…`.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::slack::{LONGEST_NAME, LONGEST_REASON, plain};
use crate::ids::{CredentialName, RotationId};
use crate::queue::RevokeOld;

/// The mark that some systems write before UTF-8. RFC 8259 lets a reader ignore the mark.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The body of `POST /rotate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// The credential, by its name in the manifest.
    #[schemars(length(min = 1, max = 512))]
    pub credential: CredentialName,
    /// The reason, for the audit trail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub reason: Option<String>,
    /// When the old key goes.
    #[serde(default, deserialize_with = "null_is_default")]
    #[schemars(with = "Option<RevokeOld>")]
    pub revoke_old: RevokeOld,
}

/// Reads a field that some systems send as null in place of leaving the field out.
fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// A body is not the JSON of a request to rotate. The error quotes nothing of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRotate {
    /// The body is not JSON, or has another shape.
    #[error(
        "the body is not {{\"credential\": …, \"reason\": …, \"revoke_old\": \"after-overlap\" or \"now\"}}"
    )]
    Shape,
    /// A text is too long, or empty.
    #[error("`credential` has 1 to 512 characters, `reason` at most 500")]
    Length,
}

impl Rotate {
    /// Reads the body.
    pub fn parse(body: &[u8]) -> Result<Self, NotRotate> {
        // serde reads a list too, by the order of the fields.
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        let value: serde_json::Value =
            serde_json::from_slice(body).map_err(|_| NotRotate::Shape)?;
        if !value.is_object() {
            return Err(NotRotate::Shape);
        }
        let mut read: Self = serde_json::from_value(value).map_err(|_| NotRotate::Shape)?;
        let name = read.credential.0.chars().count();
        let reason = read.reason.as_ref().map_or(0, |reason| reason.chars().count());
        if name == 0 || name > LONGEST_NAME || reason > LONGEST_REASON {
            return Err(NotRotate::Length);
        }
        let reason = read.reason.take().map(|reason| plain(&reason, LONGEST_REASON));
        read.reason = reason.filter(|reason| !reason.is_empty());
        Ok(read)
    }
}

/// The path of a rotation, `/rotations/{credential}/{id}`. Slashes in the name may stand as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationPath {
    /// The credential.
    pub credential: CredentialName,
    /// The rotation.
    pub rotation: RotationId,
}

impl RotationPath {
    /// Reads what follows `/rotations/`, percent-decoded.
    pub fn parse(rest: &str) -> Option<Self> {
        let (name, id) = rest.rsplit_once('/')?;
        // An id has one spelling, because the path is signed.
        let rotation: RotationId = id.parse().ok()?;
        let length = name.chars().count();
        ((1..=LONGEST_NAME).contains(&length) && rotation.to_string() == id)
            .then(|| Self { credential: CredentialName(name.to_owned()), rotation })
    }

    /// Gives the text that is signed in place of a body: the path, without any encoding.
    pub fn signed(&self) -> String {
        format!("/rotations/{}/{}", self.credential, self.rotation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_or_refused_as_a_whole() {
        let read =
            Rotate::parse(br#"{"credential":"monk","reason":" it leaked\n","revoke_old":"now"}"#);
        let read = read.unwrap();
        assert_eq!((read.credential.0.as_str(), read.revoke_old), ("monk", RevokeOld::Now));
        assert_eq!(read.reason.as_deref(), Some(" it leaked"));
        let least = Rotate::parse(br#"{"credential":"monk"}"#).unwrap();
        assert_eq!((least.reason, least.revoke_old), (None, RevokeOld::AfterOverlap));
        let nulls = "\u{feff}{\"credential\":\"monk\",\"reason\":null,\"revoke_old\":null}";
        let nulls = Rotate::parse(nulls.as_bytes()).unwrap();
        assert_eq!((nulls.reason, nulls.revoke_old), (None, RevokeOld::AfterOverlap));
        for (body, error) in [
            ("", NotRotate::Shape),
            ("[\"monk\"]", NotRotate::Shape),
            ("{}", NotRotate::Shape),
            (r#"{"credential":1}"#, NotRotate::Shape),
            (r#"{"credential":"a","revoke_old":"later"}"#, NotRotate::Shape),
            (r#"{"credential":"a","surprise":1}"#, NotRotate::Shape),
            (r#"{"credential":""}"#, NotRotate::Length),
        ] {
            assert_eq!(Rotate::parse(body.as_bytes()), Err(error), "{body}");
        }
        for (name, reason, fits) in [
            (1, 500, true),
            (1, 501, false),
            (1, 502, false),
            (512, 0, true),
            (513, 0, false),
            (514, 0, false),
        ] {
            let (name, reason) = ("é".repeat(name), "é".repeat(reason));
            let body = serde_json::json!({ "credential": name, "reason": reason }).to_string();
            let read = Rotate::parse(body.as_bytes());
            assert_eq!(
                read.map(drop),
                if fits { Ok(()) } else { Err(NotRotate::Length) },
                "{body}"
            );
        }
        assert_eq!(Rotate::parse(b"{\"credential\":\"\xff\"}"), Err(NotRotate::Shape));
    }

    #[test]
    fn a_path_names_a_credential_and_a_rotation() {
        let id = "00000000-0000-0000-0000-0000000000ab";
        let path = RotationPath::parse(&format!("entra/x/{id}")).unwrap();
        assert_eq!(path.credential.0, "entra/x");
        assert_eq!(path.signed(), format!("/rotations/entra/x/{id}"));
        for bad in [
            id.to_owned(),
            format!("/{id}"),
            "monk/7".to_owned(),
            format!("monk/{}", id.to_uppercase()),
        ] {
            assert_eq!(RotationPath::parse(&bad), None, "{bad}");
        }
    }
}
