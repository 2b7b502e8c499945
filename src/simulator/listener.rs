//! Plain HTTP/1.1 on loopback, and the one thing that ordinary servers cannot do: break a
//! connection instead of answering.
//!
//! What is asked and answered is the caller's business. The invariant: no address but loopback is
//! ever bound, for whoever reaches this port commands the simulation.

use std::{future::Future, io, net::SocketAddr, pin::pin, time::Duration};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, Response,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};

use super::{
    pace,
    websocket::{self, Session, Socket},
};
use crate::ambient::{Ambient, Tasks};

/// The longest request body that is read, in bytes.
const MAX_BODY: usize = 1 << 20;

/// The wait after a connection could not be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// A request, whole.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    /// Without the question mark; empty when there is none.
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Asked {
    /// The value of a header, when it is there and is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(super) fn json(status: u16, value: &impl Serialize) -> Self {
        let text = serde_json::to_vec(value).unwrap_or_default();
        Self::empty(status).with_body("application/json", text.into())
    }

    pub(super) fn with_body(mut self, media_type: &'static str, body: Bytes) -> Self {
        self.body = body;
        self.with_header(CONTENT_TYPE, HeaderValue::from_static(media_type))
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        if let Ok(status) = self.status.try_into() {
            *response.status_mut() = status;
        }
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// What becomes of a request.
pub(super) enum Handled {
    Answer(Reply),
    /// The connection is closed without a byte of answer.
    Abort,
    /// The connection becomes a websocket.
    Socket(Session),
}

impl Handled {
    /// An answer of 101 becomes the websocket of `session`; all else stays as it is.
    pub(super) fn with_socket(self, session: Session) -> Self {
        match self {
            Self::Answer(reply) if reply.status == 101 => Self::Socket(session),
            other => other,
        }
    }
}

/// Told to hyper so that it drops the connection.
#[derive(Debug, thiserror::Error)]
#[error("the connection is broken on purpose")]
struct Aborted;

/// Binds `listen` and serves every request with `handle`, in the background, until the ambient
/// tasks stop.
///
/// # Errors
/// When the address is not loopback or cannot be bound.
pub(super) async fn serve<H, F>(
    listen: SocketAddr,
    ambient: &Ambient,
    handle: H,
) -> io::Result<SocketAddr>
where
    H: Fn(Asked) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Handled> + Send + 'static,
{
    if !listen.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{listen} is not a loopback address; simulations listen on loopback only"),
        ));
    }
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let tasks = ambient.tasks.clone();
    let accepting = tasks.clone();
    drop(tasks.spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = accepting.stopping() => return,
            };
            match accepted {
                Ok((stream, _peer)) => {
                    let connection = converse(stream, accepting.clone(), handle.clone());
                    drop(accepting.spawn(connection));
                }
                // A peer that is gone before it was accepted; or descriptors ran out, which the
                // end of other connections heals.
                Err(error) => {
                    tracing::warn!(%error, "simulation: a connection was not accepted");
                    pace::pause(&accepting, ACCEPT_AGAIN).await;
                }
            }
        }
    }));
    Ok(address)
}

/// Serves one connection to its end.
async fn converse<H, F>(stream: TcpStream, tasks: Tasks, handle: H)
where
    H: Fn(Asked) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Handled> + Send + 'static,
{
    // Refused on a connection that is gone already; reading from it will tell.
    drop(stream.set_nodelay(true));
    let spawning = tasks.clone();
    let service = service_fn(move |request| respond(request, handle.clone(), spawning.clone()));
    let connection = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = tasks.stopping() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // Broken on purpose, or by the peer: neither is an event.
    drop(ended);
}

async fn respond<H, F>(
    mut request: Request<Incoming>,
    handle: H,
    tasks: Tasks,
) -> Result<Response<Full<Bytes>>, Aborted>
where
    H: Fn(Asked) -> F,
    F: Future<Output = Handled>,
{
    let upgrade = hyper::upgrade::on(&mut request);
    let accepted = websocket::accept(request.headers());
    let asked = match read(request).await {
        Ok(asked) => asked,
        Err(reply) => return Ok(reply.into_response()),
    };
    match (handle(asked).await, accepted) {
        (Handled::Answer(reply), _) => Ok(reply.into_response()),
        (Handled::Abort, _) => Err(Aborted),
        (Handled::Socket(_), None) => Ok(Reply::empty(426).into_response()),
        (Handled::Socket(session), Some(accepted)) => {
            let stopping = tasks.clone();
            drop(tasks.spawn(async move {
                let work = async {
                    if let Ok(upgraded) = upgrade.await {
                        session(Socket::over(upgraded).await).await;
                    }
                };
                tokio::select! {
                    () = work => {}
                    () = stopping.stopping() => {}
                }
            }));
            Ok(accepted.into_response())
        }
    }
}

async fn read(request: Request<Incoming>) -> Result<Asked, Reply> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY)
        .collect()
        .await
        .map_err(|_too_long_or_gone| Reply::empty(413))?
        .to_bytes();
    Ok(Asked {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body,
    })
}
