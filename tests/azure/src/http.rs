//! Requests and answers as plain values, and the one body type that can break off.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// Graph's own limit on a request body is of this order.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// A whole request, read before any work begins.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Decoded path segments, none of them empty.
    pub(crate) segments: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Path and query as sent, for the log.
    pub(crate) target: String,
}

impl Request {
    pub(crate) fn new(method: Method, target: &str, headers: HeaderMap, body: Bytes) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        Self {
            method,
            segments: segments
                .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
                .collect(),
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            headers,
            body,
            target: target.to_owned(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn path(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }
}

/// An answer, with what becomes of it on its way.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) fate: Fate,
    pub(crate) delay_ms: u64,
}

/// What becomes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Delivered,
    /// The connection closes without a byte of it.
    Lost,
    /// The connection closes amid the body.
    Cut,
}

impl Reply {
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            fate: Fate::Delivered,
            delay_ms: 0,
        }
    }

    pub(crate) fn json(status: StatusCode, value: &Value) -> Self {
        Self::typed(status, "application/json; charset=utf-8", value.to_string())
    }

    /// JSON as Graph labels it.
    pub(crate) fn odata(status: StatusCode, value: &Value) -> Self {
        const TYPE: &str = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";
        Self::typed(status, TYPE, value.to_string())
    }

    pub(crate) fn typed(
        status: StatusCode,
        content_type: &'static str,
        body: impl Into<Bytes>,
    ) -> Self {
        let mut reply = Self::empty(status);
        reply.body = body.into();
        reply.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        reply
    }

    /// Sets a header; a value that no header can hold is left out.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// Reads a request body, or says that it is too large or broke off.
pub(crate) async fn read_body(mut incoming: Incoming) -> Result<Bytes, StatusCode> {
    let mut body = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut incoming).poll_frame(context)).await {
        if let Some(data) = frame.map_err(|_| StatusCode::BAD_REQUEST)?.data_ref() {
            if body.len() + data.len() > MAX_BODY {
                return Err(StatusCode::PAYLOAD_TOO_LARGE);
            }
            body.extend_from_slice(data);
        }
    }
    Ok(body.into())
}

/// A response body: whole, or announced whole and broken off halfway.
#[derive(Debug)]
pub(crate) struct ReplyBody {
    rest: Bytes,
    announced: u64,
    cut: bool,
}

impl ReplyBody {
    pub(crate) fn new(body: Bytes, cut: bool) -> Self {
        let announced = body.len() as u64;
        let rest = if cut { body.slice(..body.len() / 2) } else { body };
        Self { rest, announced, cut }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            // Being polled again lets the first half reach the wire before the break.
            context.waker().wake_by_ref();
            return Poll::Ready(Some(Ok(Frame::data(rest))));
        }
        if self.cut {
            self.cut = false;
            return Poll::Ready(Some(Err(std::io::Error::other("the answer was cut"))));
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && !self.cut
    }

    fn size_hint(&self) -> SizeHint {
        if self.cut {
            SizeHint::with_exact(self.announced)
        } else {
            SizeHint::with_exact(self.rest.len() as u64)
        }
    }
}
