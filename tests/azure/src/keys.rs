//! The tokens that the emulator signs, and the check of them.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::traits::PublicKeyParts;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::clock::{Millis, SECOND};
use crate::error::Error;

/// How long an access token lives, in seconds: what Entra says for client credentials.
pub(crate) const TOKEN_LIFE: i64 = 3599;

/// The claims of an access token for an application.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) aud: String,
    pub(crate) iss: String,
    pub(crate) iat: i64,
    pub(crate) nbf: i64,
    pub(crate) exp: i64,
    pub(crate) appid: String,
    pub(crate) appidacr: String,
    pub(crate) idp: String,
    pub(crate) idtyp: String,
    pub(crate) oid: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) roles: Vec<String>,
    pub(crate) sub: String,
    pub(crate) tid: String,
    /// Of a person only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) upn: Option<String>,
    pub(crate) uti: String,
    pub(crate) ver: String,
}

/// Why a token is not good, in the order that it is found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    Malformed,
    Signature,
    Expired,
    NotYetValid,
}

pub(crate) struct Keys {
    kid: String,
    modulus: String,
    exponent: String,
    signing: EncodingKey,
    checking: DecodingKey,
}

impl Keys {
    /// The keys of this process: making an RSA key takes long in a debug build, and one will do for every emulator.
    pub(crate) fn shared() -> Result<&'static Self, Error> {
        static SHARED: OnceLock<Result<Keys, String>> = OnceLock::new();
        SHARED.get_or_init(Self::generate).as_ref().map_err(|reason| Error::Keys(reason.clone()))
    }

    fn generate() -> Result<Self, String> {
        let private =
            rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).map_err(|e| e.to_string())?;
        let der = private.to_pkcs1_der().map_err(|e| e.to_string())?;
        let modulus = URL_SAFE_NO_PAD.encode(private.n().to_bytes_be());
        let exponent = URL_SAFE_NO_PAD.encode(private.e().to_bytes_be());
        let kid = URL_SAFE_NO_PAD.encode(&Sha256::digest(modulus.as_bytes())[..20]);
        let checking =
            DecodingKey::from_rsa_components(&modulus, &exponent).map_err(|e| e.to_string())?;
        Ok(Self {
            kid,
            modulus,
            exponent,
            signing: EncodingKey::from_rsa_der(der.as_bytes()),
            checking,
        })
    }

    pub(crate) fn jwks(&self) -> Value {
        json!({"keys": [{
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid, "x5t": self.kid, "n": self.modulus, "e": self.exponent,
        }]})
    }

    pub(crate) fn sign(&self, claims: &Claims) -> Result<String, Error> {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.kid.clone());
        header.x5t = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.signing).map_err(|e| Error::Keys(e.to_string()))
    }

    /// Checks what the emulator itself signed; whom it is for is left to the caller.
    pub(crate) fn verify(&self, token: &str, now: Millis) -> Result<Claims, Unfit> {
        let claims = decode::<Claims>(token, &self.checking)?;
        let now = now / SECOND;
        if now >= claims.exp {
            return Err(Unfit::Expired);
        }
        if now < claims.nbf {
            return Err(Unfit::NotYetValid);
        }
        Ok(claims)
    }
}

/// Decodes an RS256 token and checks its signature only: times are judged by the emulator's clock, not the machine's.
pub(crate) fn decode<C: serde::de::DeserializeOwned + Clone>(
    token: &str,
    key: &DecodingKey,
) -> Result<C, Unfit> {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    jsonwebtoken::decode::<C>(token, key, &validation).map(|data| data.claims).map_err(|e| match e
        .kind()
    {
        jsonwebtoken::errors::ErrorKind::InvalidSignature => Unfit::Signature,
        _ => Unfit::Malformed,
    })
}
