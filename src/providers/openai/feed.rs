//! The websocket beside a call: what it tells, and its closing. What that means is in `map.rs`.
//!
//! Much is said over it about the conversation, which is nobody's business here: only that there is
//! a session, and the last error, are heard. One thing is said: a model that has just taken a call
//! waits for the caller to speak, so the first websocket of a call has it speak first.

use serde_json::{Value, json};

use super::{map, wire};
use crate::{
    outbound::ws::{self, Socket},
    providers::{BoxFuture, Callback, Feed, Heard, Told},
};

/// The open websocket of the call `id`.
pub(super) struct SideBand {
    id: String,
    socket: Socket,
    /// Nothing was known of a session before.
    greets: bool,
    has_session: bool,
    /// The code of the last error that they told.
    error: Option<String>,
}

impl SideBand {
    pub(super) fn new(id: &str, socket: Socket, greets: bool) -> Self {
        Self {
            id: id.to_owned(),
            socket,
            greets,
            has_session: false,
            error: None,
        }
    }

    async fn hear(&mut self) -> Heard {
        loop {
            let text = match self.socket.next().await {
                ws::Heard::Text(text) => text,
                ws::Heard::Closed { code, reason } => {
                    let error = self.error.as_deref();
                    let ended = map::closed(&self.id, code, &reason, error);
                    return Heard::Closed(ended.filter(|_| self.has_session));
                }
                ws::Heard::Broken(why) => return Heard::Broken(why),
            };
            let Some(event) = wire::parse::<wire::ServerEvent>(text.as_bytes()) else {
                continue;
            };
            match event.kind.as_str() {
                "session.created" => return self.session_created().await,
                "error" => {
                    self.error = event.error.and_then(|error| error.code);
                    tracing::info!(code = self.error, "an error was told beside a call");
                }
                _ => {}
            }
        }
    }

    async fn session_created(&mut self) -> Heard {
        self.has_session = true;
        if std::mem::take(&mut self.greets) {
            let speak = json!({ "type": "response.create" });
            if let Err(why) = self.socket.send(speak.to_string()).await {
                return Heard::Broken(why);
            }
        }
        Heard::Told(Callback {
            // Each websocket of a call begins with one.
            receipt_key: format!("session:{}", self.id),
            told: Told::Progress(map::session_created(&self.id)),
            asks: false,
            sequence: None,
            // The session repeats the agent's instructions: nothing that an inbox needs.
            raw: json!({ "type": "session.created", "session": Value::Null }),
        })
    }
}

impl Feed for SideBand {
    fn next(&mut self) -> BoxFuture<'_, Heard> {
        Box::pin(self.hear())
    }
}
