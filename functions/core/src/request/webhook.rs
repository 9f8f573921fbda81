//! Requests of systems: the JSON of `POST /rotate`, and the path `GET /rotations/…`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::slack::{LONGEST_NAME, LONGEST_REASON, plain};
use crate::ids::{CredentialName, RotationId};
use crate::null::or_default;
use crate::queue::RevokeOld;

/// The mark that some systems write before UTF-8. RFC 8259 lets a reader ignore the mark.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The fields of [`Rotate`].
const FIELDS: [&str; 3] = ["credential", "reason", "revoke_old"];

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
    /// The time at which the old key is removed.
    // Some systems send null in place of leaving the field out.
    #[serde(default, deserialize_with = "or_default")]
    #[schemars(with = "Option<RevokeOld>")]
    pub revoke_old: RevokeOld,
}

/// A body is not the JSON of a request to rotate. The error quotes nothing of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRotate {
    /// The body is no object.
    #[error("the body must be a JSON object")]
    Object,
    /// The body has a field that no request has.
    #[error("the body must have no field but `credential`, `reason` and `revoke_old`")]
    Surplus,
    /// `credential` is missing, too long, or no text.
    #[error("`credential` must be a credential's name: a text of 1 to 512 characters")]
    Credential,
    /// `reason` is too long, or no text.
    #[error("`reason` must be a text of at most 500 characters")]
    Reason,
    /// `revoke_old` is another word.
    #[error("`revoke_old` must be \"after-overlap\" or \"now\"")]
    RevokeOld,
}

impl NotRotate {
    /// Says what is wrong with an object that is no request.
    fn of(body: &Map<String, Value>) -> Self {
        let text = |name| body.get(name).is_some_and(Value::is_string);
        let absent = |name| body.get(name).is_none_or(Value::is_null);
        if body.keys().any(|name| !FIELDS.contains(&name.as_str())) {
            Self::Surplus
        } else if !text("credential") {
            Self::Credential
        } else if !(text("reason") || absent("reason")) {
            Self::Reason
        } else {
            Self::RevokeOld
        }
    }
}

impl Rotate {
    /// Reads the body.
    pub fn parse(body: &[u8]) -> Result<Self, NotRotate> {
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        // serde would read a list as well, by the order of the fields.
        let object: Map<String, Value> =
            serde_json::from_slice(body).map_err(|_| NotRotate::Object)?;
        let mut read = Self::deserialize(&object).map_err(|_| NotRotate::of(&object))?;
        if !(1..=LONGEST_NAME).contains(&read.credential.0.chars().count()) {
            return Err(NotRotate::Credential);
        }
        if read.reason.as_ref().is_some_and(|reason| reason.chars().count() > LONGEST_REASON) {
            return Err(NotRotate::Reason);
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
            ("", NotRotate::Object),
            ("[\"monk\"]", NotRotate::Object),
            ("{}", NotRotate::Credential),
            (r#"{"credential":1}"#, NotRotate::Credential),
            (r#"{"credential":"a","reason":7}"#, NotRotate::Reason),
            (r#"{"credential":"a","revoke_old":"later"}"#, NotRotate::RevokeOld),
            (r#"{"credential":"a","revoke_old":7}"#, NotRotate::RevokeOld),
            (r#"{"credential":"a","surprise":1}"#, NotRotate::Surplus),
            (r#"{"credential":""}"#, NotRotate::Credential),
        ] {
            assert_eq!(Rotate::parse(body.as_bytes()), Err(error), "{body}");
        }
        for (name, reason, fits) in [
            (1, 500, Ok(())),
            (1, 501, Err(NotRotate::Reason)),
            (1, 502, Err(NotRotate::Reason)),
            (512, 0, Ok(())),
            (513, 0, Err(NotRotate::Credential)),
            (514, 0, Err(NotRotate::Credential)),
        ] {
            let (name, reason) = ("é".repeat(name), "é".repeat(reason));
            let body = serde_json::json!({ "credential": name, "reason": reason }).to_string();
            assert_eq!(Rotate::parse(body.as_bytes()).map(drop), fits, "{body}");
        }
        assert_eq!(Rotate::parse(b"{\"credential\":\"\xff\"}"), Err(NotRotate::Object));
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
