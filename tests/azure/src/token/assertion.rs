//! Client assertions: tokens of another issuer that an application trusts.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use uuid::Uuid;

use crate::clock::{Millis, SECOND};
use crate::keys::{Unfit, decode};
use crate::model::{Entity, View};
use crate::token::aadsts::Aadsts;
use crate::token::issuers::{Issuers, NoKey};

const BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

#[derive(Debug, Clone, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Assertion {
    iss: String,
    sub: String,
    #[serde(default)]
    aud: Audiences,
    exp: i64,
    nbf: Option<i64>,
    #[serde(skip)]
    kid: Option<String>,
    #[serde(skip)]
    text: String,
}

/// `aud` may be one string or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    Many(Vec<String>),
}

impl Default for Audiences {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Audiences {
    fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl Assertion {
    /// Reads one without believing it yet.
    pub(crate) fn read(text: &str, kind: Option<&str>) -> Result<Self, Aadsts> {
        if kind != Some(BEARER) {
            return Err(Aadsts::assertion_type());
        }
        let mut parts = text.split('.');
        let (Some(header), Some(claims), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Aadsts::malformed_assertion());
        };
        let header: Header = part(header)?;
        if header.alg != "RS256" {
            return Err(Aadsts::algorithm(&header.alg));
        }
        let mut assertion: Self = part(claims)?;
        assertion.kid = header.kid;
        text.clone_into(&mut assertion.text);
        Ok(assertion)
    }

    /// Whether the application trusts it, on the replica that looks: the id of the credential that says so.
    pub(crate) fn trusted_by(
        &self,
        application: Option<&Entity>,
        app: &str,
        view: View,
    ) -> Result<Uuid, Aadsts> {
        if self.iss == app {
            return Err(Aadsts::signature("The key was not found."));
        }
        let visible = || {
            application
                .iter()
                .flat_map(|entity| &entity.federated)
                .filter(|credential| credential.sight.visible(view))
        };
        if visible().next().is_none() {
            return Err(Aadsts::no_federation(
                app,
                application.map_or("", |entity| &entity.display_name),
            ));
        }
        let of_audience = |audiences: &[String]| {
            self.aud.all().iter().any(|audience| audiences.contains(audience))
        };
        let exact = visible()
            .find(|c| c.issuer == self.iss && c.subject == self.sub && of_audience(&c.audiences));
        if let Some(credential) = exact {
            return Ok(credential.id);
        }
        let audience = self.aud.all().join(" ");
        Err(if visible().any(|c| c.issuer == self.iss && c.subject == self.sub) {
            Aadsts::federation(700_212, "audience", &audience)
        } else if visible()
            .any(|c| c.issuer == self.iss && c.subject.eq_ignore_ascii_case(&self.sub))
        {
            Aadsts::federation_case(&self.sub)
        } else if visible().any(|c| c.issuer == self.iss) {
            Aadsts::federation(700_213, "subject", &self.sub)
        } else if visible().any(|c| c.subject == self.sub) {
            Aadsts::federation(700_211, "issuer", &self.iss)
        } else {
            Aadsts::federation_at_all(&self.iss, &self.sub, &audience)
        })
    }

    /// Checks the time and the issuer's signature.
    pub(crate) async fn verify(&self, issuers: &Issuers, now: Millis) -> Result<(), Aadsts> {
        let seconds = now / SECOND;
        if seconds >= self.exp || self.nbf.is_some_and(|from| seconds < from) {
            return Err(Aadsts::outside_valid_time(now, self.nbf, self.exp));
        }
        let key = issuers.key(&self.iss, self.kid.as_deref()).await.map_err(|e| match e {
            NoKey::Unreachable(reason) => {
                tracing::info!(issuer = self.iss, reason, "no keys");
                Aadsts::issuer_unreachable(&self.iss)
            }
            NoKey::Unknown => Aadsts::signature("The key was not found."),
        })?;
        match decode::<serde_json::Value>(&self.text, &key) {
            Ok(_) => Ok(()),
            Err(Unfit::Signature) => Err(Aadsts::signature("The signature is not valid.")),
            Err(_) => Err(Aadsts::malformed_assertion()),
        }
    }

    pub(crate) fn subject(&self) -> &str {
        &self.sub
    }
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Aadsts> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Aadsts::malformed_assertion())?;
    serde_json::from_slice(&bytes).map_err(|_| Aadsts::malformed_assertion())
}
