//! The shared client as the transport of `azure_identity`, which signs Keywheel in.

use std::borrow::Cow;

use async_trait::async_trait;
use azure_core::error::ErrorKind;
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Request};
use azure_core::{Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::{Http, SendError};

/// [`Http`] as an `azure_core` transport.
///
/// `reqwest::Client` is such a transport too. This type also keeps the rules of [`Http::send`], and mends the error
/// documents of the token endpoint: `azure_identity` cannot read a text that has an escape (Entra's have `\r\n`), and
/// then loses the AADSTS code.
#[derive(Clone, Debug)]
pub struct AzureTransport(pub Http);

#[async_trait]
impl HttpClient for AzureTransport {
    async fn execute_request(&self, request: &Request) -> Result<AsyncRawResponse> {
        let answer = self.0.send(to_reqwest(request)?).await.map_err(|error| {
            let kind = match error {
                SendError::NotConnected(_) => ErrorKind::Connection,
                _ if error.is_transient() => ErrorKind::Io,
                _ => ErrorKind::Other,
            };
            Error::new(kind, error)
        })?;
        let status = answer.status.as_u16();
        if answer.status.is_success() && !is_grant(&answer.body) {
            let what = "the answer is not that of a token endpoint, or its `expires_in` is no life of a token";
            return Err(Error::with_message(ErrorKind::DataConversion, what));
        }
        let body = if status < 400 { answer.body.to_vec() } else { without_escapes(&answer.body) };
        let headers = answer.headers.iter().filter_map(|(name, value)| {
            let value = value.to_str().ok()?.to_owned();
            Some((name.as_str().to_owned().into(), value.into()))
        });
        let headers = headers.collect::<std::collections::HashMap<_, _>>().into();
        Ok(AsyncRawResponse::from_bytes(status.into(), headers, body))
    }
}

fn to_reqwest(request: &Request) -> Result<reqwest::Request> {
    let malformed = |message| Error::with_message(ErrorKind::DataConversion, message);
    let method = reqwest::Method::from_bytes(request.method().as_ref().as_bytes())
        .map_err(|_| malformed("the method is not one of HTTP"))?;
    let mut converted = reqwest::Request::new(method, request.url().clone());
    for (name, value) in request.headers().iter() {
        let name = reqwest::header::HeaderName::from_bytes(name.as_str().as_bytes());
        let value = reqwest::header::HeaderValue::from_str(value.as_str());
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(malformed("a header is not one of HTTP"));
        };
        converted.headers_mut().insert(name, value);
    }
    let Body::Bytes(body) = request.body() else {
        return Err(malformed("requests with a streamed body are not sent"));
    };
    if !body.is_empty() {
        *converted.body_mut() = Some(body.clone().into());
    }
    Ok(converted)
}

/// Says whether `azure_identity` can read a token in an answer.
///
/// `azure_identity` quotes an answer that it cannot read in its error, and panics if the time plus `expires_in` is no
/// date.
fn is_grant(body: &[u8]) -> bool {
    /// A year. Entra's tokens live a day at most.
    const LONGEST: u64 = 366 * 86_400;
    /// The answers to managed identities have texts.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds<'a> {
        Number(u64),
        Text(&'a str),
    }
    #[derive(Deserialize)]
    struct Grant<'a> {
        #[serde(borrow, rename = "access_token")]
        _token: Cow<'a, str>,
        #[serde(borrow, default, rename = "token_type")]
        _kind: Option<Cow<'a, str>>,
        #[serde(borrow)]
        expires_in: Option<Seconds<'a>>,
        #[serde(borrow)]
        ext_expires_in: Option<Seconds<'a>>,
    }
    let lasts = |seconds: &Seconds<'_>| match seconds {
        Seconds::Number(seconds) => *seconds <= LONGEST,
        Seconds::Text(text) => text.chars().all(|c| c.is_ascii_digit()),
    };
    serde_json::from_slice::<Grant<'_>>(body)
        .is_ok_and(|grant| [grant.expires_in, grant.ext_expires_in].iter().flatten().all(lasts))
}

/// Gives the parts of an error document that `azure_identity` reads, in texts without escapes.
fn without_escapes(body: &[u8]) -> Vec<u8> {
    let Ok(Value::Object(document)) = serde_json::from_slice(body) else {
        return body.to_vec();
    };
    let Some(description) = document.get("error_description").and_then(Value::as_str) else {
        return body.to_vec();
    };
    let plain: String = description
        .chars()
        .map(|c| if c.is_control() || c == '"' || c == '\\' { ' ' } else { c })
        .collect();
    let codes = document.get("error_codes").cloned().unwrap_or_else(|| json!([]));
    json!({ "error": document.get("error"), "error_codes": codes, "error_description": plain })
        .to_string()
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_grant_is_told_from_one() {
        for (rest, granted) in [
            (r#""access_token":"x","expires_in":3599"#, true),
            (r#""access_token":"x","expires_in":"85770","ext_expires_in":86399"#, true),
            (r#""access_token":"x","expires_on":"1790000000""#, true),
            (r#""access_token":"x","expires_in":-1"#, false),
            (r#""access_token":"x","expires_in":9223372036854775807"#, false),
            (r#""access_token":"x","expires_in":"eyJ0""#, false),
            (r#""access_token":"x","access_token":"y""#, false),
            (r#""access_token":["x"]"#, false),
            (r#""token_type":"Bearer""#, false),
        ] {
            assert_eq!(is_grant(format!("{{{rest}}}").as_bytes()), granted, "{rest}");
        }
    }

    /// What a listener that says this, or closes the connection, comes to.
    async fn answered(says: &'static str) -> Result<String> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(says.as_bytes()).await;
            }
        });
        sent(&url).await
    }

    async fn sent(url: &str) -> Result<String> {
        let transport = AzureTransport(Http::with_roots(b"").unwrap());
        let request = Request::new(url.parse().unwrap(), azure_core::http::Method::Post);
        let answer = transport.execute_request(&request).await?;
        let body = answer.into_body().collect().await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn failures_have_the_kinds_that_azure_identity_knows() {
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = format!("http://{}/", closed.local_addr().unwrap());
        drop(closed);
        assert_eq!(*sent(&nobody).await.unwrap_err().kind(), ErrorKind::Connection);
        assert_eq!(*answered("").await.unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(*sent("http://example.com/").await.unwrap_err().kind(), ErrorKind::Other);
        let odd = answered("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.unwrap_err();
        assert_eq!(*odd.kind(), ErrorKind::DataConversion);
        let refused = "HTTP/1.1 400 Bad Request\r\nContent-Length: 34\r\n\r\n{\"error_description\":\"one\\r\\ntwo\"}";
        let mended = answered(refused).await.unwrap();
        assert!(mended.contains("one  two"), "{mended}");
    }

    #[test]
    fn an_error_document_keeps_its_codes_and_loses_its_escapes() {
        let body = br#"{"error":"invalid_client","error_description":"AADSTS700213: No \"match\".\r\nTrace ID: 1","error_codes":[700213],"trace_id":"x"}"#;
        let mended = String::from_utf8(without_escapes(body)).unwrap();
        assert!(!mended.contains('\\'), "{mended}");
        assert!(mended.contains("700213"));
        assert_eq!(without_escapes(b"<html>"), b"<html>");
        assert_eq!(without_escapes(b"{\"a\":1}"), b"{\"a\":1}");
    }
}
