//! Websockets that we open (RFC 6455), as text and closings.
//!
//! The handshake leaves through the same [`Client`] as every request: the same guard, the same
//! resolver, the same TLS. What is said over a socket is the caller's business. The invariant: a
//! peer that is gone is noticed within 2 × [`QUIET`], for silence is answered with a ping.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::{
    Upgraded,
    header::{
        CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
        UPGRADE,
    },
};
use sha1::{Digest as _, Sha1};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Bytes, Message,
        protocol::{Role, WebSocketConfig},
    },
};

use super::{Answer, Client, Failure, Request, failure, guard};
use crate::ambient::{Entropy, OsEntropy};

/// How long a peer may be silent before it is asked whether it is there, and then to answer.
const QUIET: Duration = Duration::from_secs(20);

/// The longest message that is read, in bytes.
const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// What the accept header is the hash of, beside our key (RFC 6455 section 1.3).
const ACCEPT_SALT: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// An open websocket. Dropping it breaks the connection.
#[derive(Debug)]
pub struct Socket {
    frames: WebSocketStream<Upgraded>,
    /// A ping is under way and nothing was heard since.
    pinged: bool,
}

/// What is heard over a websocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A text message, whole. Binary ones, which nobody sends us, are passed over.
    Text(String),
    /// The peer closed it in order, with its code (RFC 6455 section 7.4) and its words. The last.
    Closed { code: Option<u16>, reason: String },
    /// The connection broke or the peer is gone. The last.
    Broken(String),
}

/// Why there is no websocket.
#[derive(Debug)]
pub enum NotOpened {
    /// The server answered, and not by opening one.
    Answered(Answer),
    Failed(Failure),
}

impl Client {
    /// Opens a websocket by `request`, whose URL is `http` or `https` and whose body is not sent,
    /// within `deadline`. At most `max_body` bytes of an answer that refuses are read.
    ///
    /// # Errors
    /// [`NotOpened`]; its texts name no URL.
    pub async fn open_websocket(
        &self,
        request: Request,
        deadline: Duration,
        max_body: usize,
    ) -> Result<Socket, NotOpened> {
        guard::check_url(&request.url, self.reach)
            .map_err(|problem| NotOpened::Failed(Failure::Forbidden(problem)))?;
        let opening = self.open(request, max_body);
        match tokio::time::timeout(deadline, opening).await {
            Ok(result) => result,
            Err(_elapsed) => {
                let text = format!("timed out after {deadline:?}");
                Err(NotOpened::Failed(Failure::Unknown(text)))
            }
        }
    }

    async fn open(&self, request: Request, max_body: usize) -> Result<Socket, NotOpened> {
        // Proves that the answer is to this handshake; nothing else hangs on it.
        let entropy: &dyn Entropy = &OsEntropy;
        let key = BASE64_STANDARD.encode(entropy.bytes::<16>());
        let mut headers = request.headers;
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        let value = HeaderValue::from_str(&key).map_err(|error| broken(error.to_string()))?;
        headers.insert(SEC_WEBSOCKET_KEY, value);
        let asked = self.http.get(request.url).headers(headers);
        #[expect(
            clippy::disallowed_methods,
            reason = "outbound is the one place that sends"
        )]
        let response = asked
            .send()
            .await
            .map_err(|error| NotOpened::Failed(failure(error)))?;
        if response.status().as_u16() != 101 {
            let answer = Answer::read(response, max_body).await;
            return Err(answer.map_or_else(NotOpened::Failed, NotOpened::Answered));
        }
        let accepted = response.headers().get(SEC_WEBSOCKET_ACCEPT);
        if accepted.is_none_or(|accept| accept.as_bytes() != accept_of(&key).as_bytes()) {
            return Err(broken("the answer is to another handshake".to_owned()));
        }
        let connection = response
            .upgrade()
            .await
            .map_err(|error| NotOpened::Failed(failure(error)))?;
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let frames = WebSocketStream::from_raw_socket(connection, Role::Client, Some(limits)).await;
        Ok(Socket {
            frames,
            pinged: false,
        })
    }
}

impl Socket {
    /// What is heard next. Safe to drop and ask again.
    pub async fn next(&mut self) -> Heard {
        loop {
            let Ok(next) = tokio::time::timeout(QUIET, self.frames.next()).await else {
                if self.pinged {
                    return Heard::Broken("the peer is silent".to_owned());
                }
                self.pinged = true;
                let ping = self.frames.send(Message::Ping(Bytes::new()));
                match tokio::time::timeout(QUIET, ping).await {
                    Ok(Ok(())) => continue,
                    Ok(Err(error)) => return Heard::Broken(error.to_string()),
                    Err(_elapsed) => return Heard::Broken("the peer takes nothing".to_owned()),
                }
            };
            self.pinged = false;
            match next {
                Some(Ok(Message::Text(text))) => return Heard::Text(text.as_str().to_owned()),
                Some(Ok(Message::Close(frame))) => {
                    return Heard::Closed {
                        code: frame.as_ref().map(|frame| frame.code.into()),
                        reason: frame.map_or_else(String::new, |frame| frame.reason.to_string()),
                    };
                }
                Some(Ok(
                    Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_),
                )) => {}
                Some(Err(error)) => return Heard::Broken(error.to_string()),
                None => return Heard::Broken("the connection is gone".to_owned()),
            }
        }
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// That the connection broke.
    pub async fn send(&mut self, text: String) -> Result<(), String> {
        let sent = self.frames.send(Message::text(text)).await;
        sent.map_err(|error| error.to_string())
    }
}

/// The value of `Sec-WebSocket-Accept` that answers `key` (RFC 6455 section 4.2.2).
fn accept_of(key: &str) -> String {
    BASE64_STANDARD.encode(Sha1::digest(format!("{key}{ACCEPT_SALT}")))
}

fn broken(text: String) -> NotOpened {
    NotOpened::Failed(Failure::Unknown(text))
}

#[cfg(test)]
mod tests {
    use reqwest::{Method, header::HeaderMap};

    use super::*;
    use crate::outbound::{Options, Reach};

    #[tokio::test]
    async fn an_address_that_is_forbidden_is_not_asked_for_a_websocket_either() {
        let client = Client::new(Options {
            reach: Reach::Public,
            connect_timeout: QUIET,
            idle_per_host: 1,
            https_only: false,
        })
        .unwrap();
        for url in [
            "http://127.0.0.1:9/?key=hunter2",
            "ws://8.8.8.8/",
            "https://10.0.0.1/",
        ] {
            let request = Request {
                method: Method::GET,
                url: url.parse().unwrap(),
                headers: HeaderMap::new(),
                body: Bytes::new(),
            };
            let opened = client.open_websocket(request, QUIET, 1024).await;
            let Err(NotOpened::Failed(Failure::Forbidden(text))) = opened else {
                panic!("{url}: {opened:?}");
            };
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    /// The example of RFC 6455 section 1.3.
    #[test]
    fn the_accept_header_is_the_rfcs() {
        assert_eq!(
            accept_of("dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }
}
