//! Requests from outside: who asks, for what, and whether they may. Pure.
//!
//! A request is believed by its signature alone ([`signature`]), then read ([`slack`], [`webhook`], [`github`]) and checked
//! against the manifest ([`permission`]). [`delivery`] answers a request that was sent before.

pub mod delivery;
pub mod github;
pub mod keys;
pub mod permission;
pub mod signature;
pub mod slack;
pub mod webhook;

use uuid::Uuid;

use crate::ids::{RotationId, VersionId};
use crate::manifest::Managed;
use crate::rotation::{SecretState, Stop};

/// The namespace of the ids of requests. A change would make a request that is sent again count as another one.
const NAMESPACE: Uuid = Uuid::from_u128(0x6b65_7977_6865_5c6c_a0d1_7265_7175_6573);

/// Makes the id of a request, which is its rotation's id too. A request that is sent again has the same id.
pub fn request_id(source: &str, delivery: &str) -> RotationId {
    RotationId(Uuid::new_v5(&NAMESPACE, format!("{source}\n{delivery}").as_bytes()))
}

/// Reads the first field of this name in a form.
fn field(body: &[u8], name: &str) -> Option<String> {
    let mut fields = form_urlencoded::parse(body);
    fields.find_map(|(found, value)| (found == name).then(|| value.into_owned()))
}

/// Gives the version that a requested rotation replaces, by a fresh look at the secret, or the reason why no rotation is
/// possible.
///
/// A reason that only Graph knows, such as a missing service principal, stops the rotation later.
pub fn replaces(managed: &Managed, state: &SecretState) -> Result<Option<VersionId>, Stop> {
    let ruled = !managed.is_listed();
    let view = match state {
        // Only Graph knows whether an application has the rule's tag, and the sweep asks Graph. So the first rotation is
        // left to the sweep. A pattern alone would let a caller have keys minted on any application.
        SecretState::Missing if ruled => return Err(Stop::SecretMissing),
        SecretState::Missing => return Ok(None),
        SecretState::ScheduledForDeletion => return Err(Stop::SecretScheduledForDeletion),
        SecretState::Present(view) => view,
    };
    if ruled && view.named_keys().is_empty() {
        return Err(Stop::SecretMissing);
    }
    let Some(current) = view.current() else { return Ok(None) };
    if view.key_of(current).is_none() && !managed.credential.settings.policy.adopt {
        return Err(Stop::UnknownKey);
    }
    Ok(Some(current.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{CredentialName, KeyId};
    use crate::manifest::Manifest;
    use crate::rotation::{Label, SecretView};

    const MANIFEST: &str = "tenant: 72f988bf-86f1-41af-91ab-2d7cd011db48
credentials:
  monk: { application: 408bf248-dd4e-4be5-919a-7f6207a307ab, secret: prod/monk }
  kept: { application: 559513bd-0c19-4c1a-87cd-851a26afd5fc, secret: prod/kept, adopt: true }
rules:
  - { match: { tag: keywheel }, secret: \"entra/{appId}\" }
";
    const RULED: &str = "entra/8a1f6a6e-44d5-4d4e-9f57-0d9a4a6a7b10";

    fn secret(labels: &[Label]) -> SecretState {
        let mut view = SecretView::default();
        view.versions.insert(VersionId("v".to_owned()), labels.iter().cloned().collect());
        SecretState::Present(view)
    }

    #[test]
    fn what_is_replaced_is_what_is_current() {
        let manifest = Manifest::parse(MANIFEST, "m.yaml").unwrap();
        let key = Label::Key(KeyId(Uuid::nil()));
        let current = secret(&[key.clone(), Label::Current]);
        let by_hand = secret(&[Label::Current]);
        let version = Some(VersionId("v".to_owned()));
        let gone = SecretState::ScheduledForDeletion;
        for (name, state, expected) in [
            ("monk", &current, Ok(version.clone())),
            ("monk", &SecretState::Missing, Ok(None)),
            ("monk", &gone, Err(Stop::SecretScheduledForDeletion)),
            ("monk", &by_hand, Err(Stop::UnknownKey)),
            ("monk", &secret(&[key.clone(), Label::Pending]), Ok(None)),
            ("kept", &by_hand, Ok(version.clone())),
            (RULED, &current, Ok(version)),
            (RULED, &SecretState::Missing, Err(Stop::SecretMissing)),
            (RULED, &by_hand, Err(Stop::SecretMissing)),
            (RULED, &SecretState::Present(SecretView::default()), Err(Stop::SecretMissing)),
        ] {
            let managed = manifest.by_name(&CredentialName(name.to_owned())).unwrap();
            assert_eq!(replaces(&managed, state), expected, "{name} {state:?}");
        }
    }

    #[test]
    fn ids_follow_from_the_sender_and_its_delivery() {
        assert_eq!(request_id("ci", "msg_1"), request_id("ci", "msg_1"));
        assert_ne!(request_id("ci", "msg_1"), request_id("ci", "msg_2"));
        assert_ne!(request_id("ci", "msg_1"), request_id("cd", "msg_1"));
        // Pinned: see NAMESPACE.
        assert_eq!(request_id("ci", "msg_1").to_string(), "6bcd55bb-8006-5c19-902f-5192c47a919e");
    }
}
