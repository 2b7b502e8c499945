//! The accept loop: silent, slow and too many clients cannot hold it.
//!
//! A connection must show its first byte and each whole request head within [`HEAD_TIMEOUT`]; at
//! most a fixed number are open at once, and the next ones wait in the kernel's backlog. A body has
//! a deadline of its own (`http/extract/body.rs`), and so has a client that takes nothing of its
//! answer. A head of more than 100 headers or too many bytes is refused by hyper (400, 431).

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request},
    response::Response,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tower::ServiceExt as _;

use super::write_deadline::WriteDeadline;
use crate::{ambient::Ambient, domain::Timestamp, http::Arrival};

/// How long a client may take for the head of a request, its first byte included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client may take nothing of its answer.
const TAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest request head, in bytes.
const HEAD_BYTES: usize = 32 * 1024;

/// What answers requests.
pub(super) type Service = tower::util::BoxCloneSyncService<Request, Response, Infallible>;

/// Accepts connections until the tasks are told to stop; open requests are then finished.
pub(super) async fn serve(
    listener: TcpListener,
    service: Service,
    ambient: Ambient,
    max_connections: usize,
) {
    let slots = Arc::new(Semaphore::new(max_connections));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            () = ambient.tasks.stopping() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, or the client is gone already.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        let accepted_at = ambient.now();
        let (service, of_connection) = (service.clone(), ambient.clone());
        drop(ambient.tasks.spawn(async move {
            connection(stream, address, accepted_at, service, of_connection).await;
            drop(slot);
        }));
    }
}

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    accepted_at: Timestamp,
    service: Service,
    ambient: Ambient,
) {
    // Who has said nothing yet does not keep the node from stopping.
    let awake = tokio::select! {
        awake = is_awake(&stream) => awake,
        () = ambient.tasks.stopping() => false,
    };
    if !awake {
        return;
    }
    let first = AtomicBool::new(true);
    let of_requests = ambient.clone();
    let handler = service_fn(move |request: hyper::Request<Incoming>| {
        let is_first = first.swap(false, Ordering::Relaxed);
        let arrival = if is_first {
            accepted_at
        } else {
            of_requests.now()
        };
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Arrival(arrival));
        request.extensions_mut().insert(ConnectInfo(address));
        service.clone().oneshot(request)
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(
            TokioIo::new(WriteDeadline::new(stream, TAKE_TIMEOUT)),
            handler,
        );
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = ambient.tasks.stopping() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    log_end(ended);
}

fn log_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Whether the client shows its first byte in time and the connection can be used.
async fn is_awake(stream: &TcpStream) -> bool {
    let first_byte = tokio::time::timeout(HEAD_TIMEOUT, stream.peek(&mut [0])).await;
    // Without it, small answers wait for the client's delayed acknowledgement.
    matches!(first_byte, Ok(Ok(1))) && stream.set_nodelay(true).is_ok()
}
