//! The keys of those whose tokens are trusted.
//!
//! Only loopback is ever contacted, whatever an application trusts: tests must not leave the machine. A seed can give an issuer's
//! keys, or a loopback address that stands for it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use reqwest::{Client, Url};
use serde_json::Value;

use crate::error::Error;
use crate::seed::SeedIssuer;

const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_DOCUMENT: usize = 256 * 1024;

/// Why an issuer gave no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoKey {
    /// It is not on loopback, or did not answer well.
    Unreachable(String),
    /// It has no such key.
    Unknown,
}

pub(crate) struct Issuers {
    client: Client,
    places: BTreeMap<String, SeedIssuer>,
    fetched: Mutex<HashMap<String, Vec<Jwk>>>,
}

impl Issuers {
    pub(crate) fn new(places: BTreeMap<String, SeedIssuer>) -> Result<Self, Error> {
        for (issuer, place) in &places {
            if let SeedIssuer::Jwks(keys) = place {
                serde_json::from_value::<JwkSet>(keys.clone())
                    .map_err(|e| Error::seed(format!("keys of {issuer}: {e}")))?;
            }
        }
        let client = Client::builder()
            .timeout(TIMEOUT)
            .no_proxy()
            // A redirect could lead off the machine.
            .redirect(reqwest::redirect::Policy::none())
            // Issuers on loopback have certificates of their own making, as this emulator does.
            .tls_danger_accept_invalid_certs(true)
            .build()
            .map_err(|e| Error::Keys(e.to_string()))?;
        Ok(Self { client, places, fetched: Mutex::new(HashMap::new()) })
    }

    /// The issuer's key of that id; asks again when it is not among those known.
    pub(crate) async fn key(&self, issuer: &str, kid: Option<&str>) -> Result<DecodingKey, NoKey> {
        if let Some(SeedIssuer::Jwks(keys)) = self.places.get(issuer) {
            let keys = serde_json::from_value::<JwkSet>(keys.clone())
                .map_err(|e| NoKey::Unreachable(e.to_string()))?;
            return pick(&keys.keys, kid).ok_or(NoKey::Unknown);
        }
        if let Some(key) = self.cached(issuer, kid) {
            return Ok(key);
        }
        let keys = self.fetch(issuer).await.map_err(NoKey::Unreachable)?;
        let key = pick(&keys, kid).ok_or(NoKey::Unknown);
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner).insert(issuer.to_owned(), keys);
        key
    }

    fn cached(&self, issuer: &str, kid: Option<&str>) -> Option<DecodingKey> {
        let fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        pick(fetched.get(issuer)?, kid)
    }

    async fn fetch(&self, issuer: &str) -> Result<Vec<Jwk>, String> {
        let base = match self.places.get(issuer) {
            Some(SeedIssuer::Url(url)) => url,
            _ => issuer,
        };
        let configuration =
            format!("{}/.well-known/openid-configuration", base.trim_end_matches('/'));
        let document = self.document(&configuration).await?;
        let keys =
            document.get("jwks_uri").and_then(Value::as_str).ok_or("no jwks_uri")?.to_owned();
        let keys: JwkSet =
            serde_json::from_value(self.document(&keys).await?).map_err(|e| e.to_string())?;
        Ok(keys.keys)
    }

    async fn document(&self, url: &str) -> Result<Value, String> {
        let url = loopback(url)?;
        let mut answer = self.client.get(url).send().await.map_err(|e| e.to_string())?;
        if !answer.status().is_success() {
            return Err(format!("status {}", answer.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| e.to_string())? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_DOCUMENT {
                return Err("the document is too large".to_owned());
            }
        }
        serde_json::from_slice(&body).map_err(|e| e.to_string())
    }
}

fn pick(keys: &[Jwk], kid: Option<&str>) -> Option<DecodingKey> {
    let key = match kid {
        Some(kid) => keys.iter().find(|key| key.common.key_id.as_deref() == Some(kid))?,
        None => keys.first()?,
    };
    DecodingKey::from_jwk(key).ok()
}

fn loopback(url: &str) -> Result<Url, String> {
    let url = Url::parse(url).map_err(|e| e.to_string())?;
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let local = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    if local && matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err("not on loopback".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_on_loopback() {
        for good in ["http://127.0.0.1:1/a", "https://localhost/a", "http://[::1]:8/a"] {
            assert!(loopback(good).is_ok(), "{good}");
        }
        for bad in [
            "https://example.com",
            "http://127.0.0.1.example.com/",
            "file:///etc/passwd",
            "http://10.0.0.1",
            "x",
        ] {
            assert!(loopback(bad).is_err(), "{bad}");
        }
    }
}
