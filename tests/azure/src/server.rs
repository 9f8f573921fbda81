//! Connections: TLS, HTTP/1.1 and HTTP/2, and breaking them off when told to.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::http::{Fate, Reply, ReplyBody, Request, read_body};
use crate::service;
use crate::world::Shared;

const HANDSHAKE: Duration = Duration::from_secs(10);

/// Takes connections until told to stop.
pub(crate) async fn run(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => { connections.spawn(connection(stream, acceptor.clone(), Arc::clone(&shared))); }
                // Out of file handles, say: others will be given back.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    // Small answers in many segments wait for acknowledgements otherwise.
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await else {
        return;
    };
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { answer(&shared, request).await }
    });
    if let Err(error) = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await
    {
        tracing::debug!(%error, "connection ended");
    }
}

/// The connection ends where this fails.
#[derive(Debug, thiserror::Error)]
#[error("the answer was lost")]
struct Lost;

async fn answer(
    shared: &Shared,
    request: hyper::Request<Incoming>,
) -> Result<Response<ReplyBody>, Lost> {
    let reply = reply(shared, request).await.unwrap_or_else(|never| match never {});
    if reply.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(reply.delay_ms)).await;
    }
    if reply.fate == Fate::Lost {
        return Err(Lost);
    }
    let mut response = Response::new(ReplyBody::new(reply.body, reply.fate == Fate::Cut));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    Ok(response)
}

async fn reply(shared: &Shared, request: hyper::Request<Incoming>) -> Result<Reply, Infallible> {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    Ok(match read_body(body).await {
        Ok(body) => {
            service::serve(shared, Request::new(parts.method, &target, parts.headers, body)).await
        }
        Err(status) => {
            Reply::empty(if status.is_success() { StatusCode::BAD_REQUEST } else { status })
        }
    })
}
