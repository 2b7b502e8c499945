//! An agents' gateway that can be away, and break off where a test says.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::{SinkExt as _, StreamExt as _};
use onhook::ambient::Tasks;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

/// A frame as it arrived.
#[derive(Clone, Debug)]
pub struct Frame {
    pub frame: Value,
    /// It was answered.
    pub answered: bool,
}

#[derive(Clone, Default)]
pub struct Gateway {
    frames: Arc<Mutex<Vec<Frame>>>,
    heads: Arc<Mutex<Vec<String>>>,
    /// Messages that are read and then cut off, without an answer.
    cuts: Arc<AtomicUsize>,
}

impl Gateway {
    /// Listens from now on. Before, connecting is refused.
    pub async fn listen(&self, tasks: &Tasks, address: SocketAddr) {
        let listener = TcpListener::bind(address).await.expect("the port");
        let (gateway, of_tasks) = (self.clone(), tasks.clone());
        drop(tasks.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = of_tasks.stopping() => return,
                    accepted = listener.accept() => accepted,
                };
                if let Ok((stream, _)) = accepted {
                    let gateway = gateway.clone();
                    drop(of_tasks.spawn(async move { gateway.talk(stream).await }));
                }
            }
        }));
    }

    /// The next so many messages about calls are read and cut off.
    pub fn cut(&self, count: usize) {
        self.cuts.store(count, Ordering::SeqCst);
    }

    pub fn frames(&self) -> Vec<Frame> {
        self.frames.lock().expect("frames").clone()
    }

    /// The heads of the requests that opened a connection.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("heads").clone()
    }

    /// The messages about calls that were answered.
    pub fn taken(&self) -> Vec<Value> {
        let frames = self.frames().into_iter().filter(|frame| frame.answered);
        let messages = frames.map(|frame| frame.frame["params"]["message"].clone());
        messages
            .filter(|message| message["message_type"] != "heartbeat")
            .collect()
    }

    async fn talk(&self, mut stream: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(head).expect("text");
        let key = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("sec-websocket-key")
                .then_some(value)
        });
        let salted = format!(
            "{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
            key.expect("a key")
        );
        let accept = BASE64_STANDARD.encode(Sha1::digest(salted));
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n"
        );
        self.heads.lock().expect("heads").push(head);
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else {
                continue;
            };
            let frame: Value = serde_json::from_str(text.as_str()).expect("JSON");
            let beat = frame["params"]["message"]["message_type"] == "heartbeat";
            let cut = !beat
                && self
                    .cuts
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                        left.checked_sub(1)
                    })
                    .is_ok();
            let id = frame["id"].clone();
            let answered = !cut;
            self.frames
                .lock()
                .expect("frames")
                .push(Frame { frame, answered });
            if cut {
                return;
            }
            let answer = json!({"jsonrpc": "2.0", "id": id, "result": {"ok": true}});
            if socket
                .send(Message::text(answer.to_string()))
                .await
                .is_err()
            {
                return;
            }
        }
    }
}
