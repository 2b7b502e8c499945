//! The server's side of a websocket (RFC 6455): what is said over it is its face's business.
//!
//! The invariant: whoever opens one gets the handshake that the standard asks for, and a socket
//! that ends otherwise than by [`Socket::close`] breaks without a word.

use std::{future::Future, pin::Pin};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::{
    HeaderMap,
    header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE},
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use sha1::{Digest as _, Sha1};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{CloseFrame, Role, frame::coding::CloseCode},
    },
};

use super::listener::Reply;

/// What happens over a socket once it is open.
pub(super) type Session =
    Box<dyn FnOnce(Socket) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// An open websocket. Dropping it breaks the connection.
pub(super) struct Socket(WebSocketStream<TokioIo<Upgraded>>);

impl Socket {
    pub(super) async fn over(upgraded: Upgraded) -> Self {
        let connection = TokioIo::new(upgraded);
        Self(WebSocketStream::from_raw_socket(connection, Role::Server, None).await)
    }

    /// Says a text. `false`: the peer is gone.
    pub(super) async fn say(&mut self, text: String) -> bool {
        self.0.send(Message::text(text)).await.is_ok()
    }

    /// The next text that the peer says; `None`: it is gone.
    pub(super) async fn hear(&mut self) -> Option<String> {
        loop {
            match self.0.next().await? {
                Ok(Message::Text(text)) => return Some(text.as_str().to_owned()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Closes in order.
    pub(super) async fn close(mut self, code: u16, reason: &str) {
        let frame = CloseFrame {
            code: CloseCode::from(code),
            reason: reason.to_owned().into(),
        };
        // A peer that is gone needs no closing.
        if self.0.close(Some(frame)).await.is_ok() {
            while self.hear().await.is_some() {}
        }
    }
}

/// The answer that turns the connection into a websocket; `None`: the request asks for none.
pub(super) fn accept(headers: &HeaderMap) -> Option<Reply> {
    let asks = headers
        .get(UPGRADE)?
        .as_bytes()
        .eq_ignore_ascii_case(b"websocket");
    let key = headers.get(SEC_WEBSOCKET_KEY)?.as_bytes();
    let salted = [key, b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    let proof = BASE64_STANDARD.encode(Sha1::digest(salted));
    let reply = Reply::empty(101)
        .with_header(CONNECTION, HeaderValue::from_static("Upgrade"))
        .with_header(UPGRADE, HeaderValue::from_static("websocket"))
        .with_header(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&proof).ok()?);
    asks.then_some(reply)
}
