//! The HTTP client that reaches every service.
//!
//! A single `reqwest` client (rustls over *ring*) serves Graph, the token endpoint, `azure_identity` and the AWS SDK,
//! because a client with the platform's roots costs milliseconds of a cold start. The client fixes what all of them
//! share: https only, no redirects, time-outs on every wait, bounded bodies, and no retry that the caller did not
//! decide on.

pub mod aws;
mod retry;
pub(crate) mod signed;

use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{DATE, HeaderMap};
use reqwest::{StatusCode, Url};
use zeroize::Zeroizing;

use crate::settings;
pub use retry::{Backoff, Retry, retry_after};

/// The longest wait for a connection. reqwest has a single time-out for all connections, and the AWS SDK's own is 3.1
/// s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest body. A page of 999 applications with their keys has a few megabytes.
const MAX_BODY: usize = 16 * 1024 * 1024;
/// The largest difference between two clocks that counts. Keys' lives can still be computed with this difference.
const MOST_AHEAD: TimeDelta = TimeDelta::days(3650);
const CA_FILE: &str = "KEYWHEEL_CA_FILE";

/// The client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The file of further roots cannot be read.
    #[error("{CA_FILE} ({path}) cannot be read")]
    Read {
        /// The file's path.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The roots are not PEM, or TLS cannot be set up with them.
    #[error("TLS cannot be set up")]
    Tls(#[source] reqwest::Error),
}

/// The shared client. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Http {
    client: reqwest::Client,
    roots: Vec<reqwest::Certificate>,
}

/// A client that opens a connection for each request and closes it after the answer.
///
/// Proofs use this client, because a connection that is kept leads to the same replica, which already knows the new
/// secret.
#[derive(Clone, Debug)]
pub struct Unpooled(reqwest::Client);

impl Http {
    /// Makes a client that trusts the platform's roots, and the roots in the PEM file that `KEYWHEEL_CA_FILE` names.
    pub fn from_env() -> Result<Self, SetupError> {
        let pem = settings::optional(CA_FILE).map_or(Ok(Vec::new()), |path| {
            std::fs::read(&path).map_err(|source| SetupError::Read { path, source })
        });
        Self::with_roots(&pem?)
    }

    /// Makes a client that trusts the platform's roots and the certificates of a PEM bundle, which may be empty.
    pub fn with_roots(pem: &[u8]) -> Result<Self, SetupError> {
        // The call fails if a provider is installed already, and that provider serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let roots = reqwest::Certificate::from_pem_bundle(pem).map_err(SetupError::Tls)?;
        let client = builder(&roots).build().map_err(SetupError::Tls)?;
        Ok(Self { client, roots })
    }

    /// Makes a client for proofs. The call costs as much as a shared client, so a process makes the client once, when
    /// it is needed.
    pub fn unpooled(&self) -> Result<Unpooled, SetupError> {
        let client = builder(&self.roots).pool_max_idle_per_host(0).http1_only();
        Ok(Unpooled(client.build().map_err(SetupError::Tls)?))
    }

    /// Begins a request, to be sent by [`Http::send`].
    pub fn request(&self, method: reqwest::Method, url: Url) -> reqwest::RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends a request once, and reads the whole answer, whatever its status.
    pub async fn send(&self, request: reqwest::Request) -> Result<Answer, SendError> {
        send(&self.client, request).await
    }

    /// Sends a request once, and reads no more than the beginning of the answer. For receivers that may be anybody, and
    /// whose status says enough.
    pub async fn tell(&self, request: reqwest::Request, most: usize) -> Result<Answer, SendError> {
        check(&request)?;
        let mut response = self.client.execute(request).await?;
        let mut body = Zeroizing::new(Vec::new());
        // A status is an answer, even if the body is cut off.
        while let Ok(Some(chunk)) = response.chunk().await {
            let left = most.saturating_sub(body.len());
            body.extend(chunk.iter().take(left));
            if chunk.len() >= left {
                break;
            }
        }
        let headers = std::mem::take(response.headers_mut());
        Ok(Answer { status: response.status(), headers, body })
    }
}

impl Unpooled {
    /// Begins a POST, to be sent by [`Unpooled::send`].
    pub fn post(&self, url: Url) -> reqwest::RequestBuilder {
        self.0.post(url)
    }

    /// Sends a request once over a connection of its own, and reads the whole answer.
    pub async fn send(&self, request: reqwest::Request) -> Result<Answer, SendError> {
        send(&self.0, request).await
    }
}

fn builder(roots: &[reqwest::Certificate]) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("keywheel/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TOTAL_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        // reqwest repeats requests that HTTP/2 says were not processed. Keywheel decides about all repeats.
        .retry(reqwest::retry::never())
        .referer(false)
        .tls_certs_merge(roots.iter().cloned())
}

/// An answer that was read to its end.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body. The bytes are wiped when dropped, because they may hold a secret.
    pub body: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// A request without a whole answer. A retry depends on whether the service may have acted on the request.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The address is neither https nor a loopback or metadata address.
    #[error("refused to send to {0}: https is required")]
    Insecure(String),
    /// The request is malformed. Nothing was sent.
    #[error("the request cannot be built: {}", cause(.0))]
    Malformed(#[source] reqwest::Error),
    /// No connection was made. Nothing was sent.
    #[error("no connection: {}", cause(.0))]
    NotConnected(#[source] reqwest::Error),
    /// The time ran out before the whole answer came.
    #[error("no answer in time")]
    TimedOut,
    /// The connection was cut before the whole answer came.
    #[error("the connection was cut before the answer was complete: {}", cause(.0))]
    Cut(#[source] reqwest::Error),
    /// The answer is larger than this client takes.
    #[error("the answer exceeds {MAX_BODY} bytes")]
    TooLarge,
}

/// Gives the innermost cause of an error, such as a certificate that is not trusted.
fn cause(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.last().map(ToString::to_string).unwrap_or_default()
}

impl SendError {
    /// Says whether the service cannot have seen the request.
    pub fn nothing_sent(&self) -> bool {
        matches!(self, Self::Insecure(_) | Self::Malformed(_) | Self::NotConnected(_))
    }

    /// Says whether sending the request again may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::NotConnected(_) | Self::TimedOut | Self::Cut(_))
    }
}

impl From<reqwest::Error> for SendError {
    fn from(error: reqwest::Error) -> Self {
        // Addresses may hold ids and filters. The caller's error names the operation.
        let error = error.without_url();
        if error.is_connect() {
            Self::NotConnected(error)
        } else if error.is_timeout() {
            Self::TimedOut
        } else if error.is_builder() {
            Self::Malformed(error)
        } else {
            Self::Cut(error)
        }
    }
}

fn check(request: &reqwest::Request) -> Result<(), SendError> {
    if is_permitted(request.url()) {
        return Ok(());
    }
    Err(SendError::Insecure(request.url().origin().ascii_serialization()))
}

async fn send(client: &reqwest::Client, request: reqwest::Request) -> Result<Answer, SendError> {
    check(&request)?;
    let mut response = client.execute(request).await?;
    let expected = response.content_length().and_then(|length| usize::try_from(length).ok());
    let mut body = Zeroizing::new(Vec::with_capacity(expected.unwrap_or(0).min(MAX_BODY)));
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(SendError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status: response.status(), headers: std::mem::take(response.headers_mut()), body })
}

/// Reads from an answer's `Date` (RFC 9110, section 6.6.1) how far the service's clock is ahead of this machine's.
/// `None`: no clock is that wrong.
pub(crate) fn ahead(headers: &HeaderMap) -> Option<TimeDelta> {
    let date = DateTime::parse_from_rfc2822(headers.get(DATE)?.to_str().ok()?).ok()?;
    Some(date.with_timezone(&Utc) - Utc::now()).filter(|ahead| ahead.abs() <= MOST_AHEAD)
}

/// Says whether an address is plain HTTP to this machine, as for the stand-ins of services in tests.
pub fn is_loopback(url: &Url) -> bool {
    let ip = host(url).parse::<IpAddr>();
    url.scheme() == "http"
        && (ip.is_ok_and(|ip| ip.is_loopback()) || url.host_str() == Some("localhost"))
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
}

/// Says whether a request may be sent to an address: over TLS, or to an address that never leaves the machine.
///
/// The link-local addresses are the metadata services of AWS and Azure, which speak plain HTTP only.
pub fn is_permitted(url: &Url) -> bool {
    let host = host(url);
    let local = match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_link_local(),
        // AWS has its metadata services on IPv6 in fd00:ec2::/32.
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.segments()[..2] == [0xfd00, 0x0ec2],
        Err(_) => host == "localhost",
    };
    url.scheme() == "https" || (url.scheme() == "http" && local)
}

#[cfg(test)]
mod tests;
