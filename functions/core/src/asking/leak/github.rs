//! The part of GitHub's REST API that a secret scanning alert needs.

use chrono::Utc;
use reqwest::header::HeaderValue;
use reqwest::{StatusCode, Url};
use tracing::warn;

use super::{Leaks, NotCompared};
use crate::http::{Answer, Retry, retry_after};
use crate::request::github::Alert;
use crate::request::keys::Keys;
use crate::secret::SecretText;

const GITHUB: &str = "https://api.github.com";

/// Reads the address of GitHub's REST API. Without a text the address is GitHub's own.
pub fn endpoint(text: Option<&str>) -> Option<Url> {
    let mut url: Url = text.unwrap_or(GITHUB).parse().ok()?;
    // Paths are joined to this address.
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    (!url.cannot_be_a_base() && url.query().is_none()).then_some(url)
}

/// Says whether, and when, to send the same request again. GitHub's rate limits are 403 too ("Rate limits for the REST
/// API").
fn retry(answer: &Answer) -> Retry {
    let none_left = answer.headers.get("x-ratelimit-remaining").map(HeaderValue::as_bytes)
        == Some(b"0".as_slice());
    let after = retry_after(&answer.headers, Utc::now());
    let limited = answer.status == StatusCode::FORBIDDEN && (none_left || after.is_some());
    let passing = answer.status == StatusCode::TOO_MANY_REQUESTS || answer.status.is_server_error();
    if limited || passing { after.map_or(Retry::Soon, Retry::After) } else { Retry::Never }
}

impl Leaks {
    /// Reads the leaked text (`GET /repos/{owner}/{repo}/secret-scanning/alerts/{number}`). `None`: no token is
    /// configured, or GitHub does not show the text. Trying again changes neither.
    pub(super) async fn read(&self, alert: &Alert) -> Result<Option<SecretText>, NotCompared> {
        let (Some(token), Ok(url)) = (self.token().await?, self.github.join(&alert.path())) else {
            return Ok(None);
        };
        let request = self
            .http
            .request(reqwest::Method::GET, url)
            .bearer_auth(token.expose())
            .header("accept", "application/vnd.github+json")
            .header("x-github-api-version", "2022-11-28")
            .build();
        let request =
            request.map_err(|_| NotCompared::because("GitHub's request cannot be built"))?;
        let answer = self.http.send(request).await.map_err(NotCompared::because)?;
        let retry = retry(&answer);
        if retry != Retry::Never {
            let why = format!("GitHub answered {}", answer.status.as_u16());
            return Err(NotCompared { retry, ..NotCompared::because(why) });
        }
        if answer.status == StatusCode::OK {
            return Ok(Alert::secret(&answer.body));
        }
        warn!(status = answer.status.as_u16(), "GitHub does not show the alert");
        Ok(None)
    }

    async fn token(&self) -> Result<Option<SecretText>, NotCompared> {
        let Some(name) = &self.keys else { return Ok(None) };
        let text = self.requests.secrets().current_value(name).await;
        let keys = Keys::parse(&text.map_err(NotCompared::because)?);
        Ok(keys.map_err(NotCompared::because)?.github_token)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_endpoint_is_joined_below_its_path() {
        let address = |text| endpoint(text).map(|url| url.join("repos/a").unwrap().to_string());
        assert_eq!(address(None).unwrap(), "https://api.github.com/repos/a");
        assert_eq!(address(Some("https://h/api/v3")).unwrap(), "https://h/api/v3/repos/a");
        assert_eq!(address(Some("https://h/api/v3/")).unwrap(), "https://h/api/v3/repos/a");
        for text in ["", "h", "mailto:a@b", "https://h/?q"] {
            assert_eq!(endpoint(Some(text)), None, "{text}");
        }
    }

    #[test]
    fn an_answer_that_will_change_by_itself_is_told_from_a_refusal() {
        let answer = |status: u16, headers: &[(&'static str, &'static str)]| Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
                .collect(),
            body: zeroize::Zeroizing::default(),
        };
        let minute = Retry::After(Duration::from_mins(1));
        for (status, headers, expected) in [
            (200, &[("x-ratelimit-remaining", "0")][..], Retry::Never),
            (403, &[], Retry::Never),
            (403, &[("x-ratelimit-remaining", "10")], Retry::Never),
            (403, &[("x-ratelimit-remaining", "0")], Retry::Soon),
            (403, &[("retry-after", "60")], minute),
            (404, &[("retry-after", "60")], Retry::Never),
            (429, &[("retry-after", "60")], minute),
            (429, &[], Retry::Soon),
            (500, &[], Retry::Soon),
            (503, &[("retry-after", "60")], minute),
        ] {
            assert_eq!(retry(&answer(status, headers)), expected, "{status} {headers:?}");
        }
    }
}
