//! What a handler leaves of a body is read and thrown away before the answer goes out.
//!
//! A connection that is closed with something unread is reset, and a reset takes the answer with
//! it: a client that sends a large body with a wrong token would see a broken connection, not 401.
//! Bounded in size and time; a client that asked for permission to send (`Expect`) and was given
//! none sends nothing.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{StatusCode, header},
    middleware::Next,
    response::Response,
};
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// The most that is thrown away, in bytes.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// How long the rest of a body may take.
const DEADLINE: Duration = Duration::from_secs(5);

pub(in crate::http) async fn read_unread_body(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let expects = request.headers().contains_key(header::EXPECT);
    let (parts, body) = request.into_parts();
    let mut shared = Shared(Arc::new(Mutex::new(Reading {
        body,
        asked_for: !expects,
    })));
    let request = Request::from_parts(parts, Body::new(shared.clone()));
    let response = next.run(request).await;
    let given_up = response.status() == StatusCode::REQUEST_TIMEOUT;
    if !given_up && shared.is_coming() {
        // Whether it ends in time or not, the answer goes out.
        drop(tokio::time::timeout(DEADLINE, shared.throw_away()).await);
    }
    response
}

/// A body that the handler reads from and that is still there when the handler is gone.
#[derive(Clone)]
struct Shared(Arc<Mutex<Reading>>);

struct Reading {
    body: Body,
    /// The client sends without being asked, or was asked.
    asked_for: bool,
}

impl Shared {
    fn with<T>(&self, work: impl FnOnce(&mut Reading) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_coming(&self) -> bool {
        self.with(|reading| reading.asked_for && !reading.body.is_end_stream())
    }

    async fn throw_away(&mut self) {
        let mut thrown_away = 0;
        while let Some(Ok(frame)) = self.frame().await {
            thrown_away += frame.data_ref().map_or(0, Bytes::len);
            if thrown_away > MOST_BYTES {
                return;
            }
        }
    }
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.with(|reading| {
            reading.asked_for = true;
            Pin::new(&mut reading.body).poll_frame(context)
        })
    }

    fn is_end_stream(&self) -> bool {
        self.with(|reading| reading.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|reading| reading.body.size_hint())
    }
}
