//! A reader of server-sent events that can be cut anywhere, even within a character.
//!
//! As the standard has it: what an unfinished message said counts for nothing, and an `id` is kept
//! when its message is whole.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// How long a message may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A whole message.
#[derive(Clone, Debug)]
pub struct Message {
    pub kind: String,
    pub data: Value,
}

/// What a client keeps from one connection to the next.
#[derive(Clone, Debug)]
pub struct EventSource {
    pub token: String,
    /// Path and query.
    pub target: String,
    pub last_id: Option<String>,
}

/// One connection. Dropping it cuts it.
pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
    /// How many bytes were read in all, those of the head apart.
    pub bytes: usize,
}

impl EventSource {
    pub fn new(token: &str, target: &str) -> Self {
        Self {
            token: token.to_owned(),
            target: target.to_owned(),
            last_id: None,
        }
    }

    /// Connects and reads the head; panics unless it is 200.
    pub async fn connect(&self, address: SocketAddr) -> Connection {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        // In this version the body ends with the connection and is not in chunks.
        let mut request = format!(
            "GET {} HTTP/1.0\r\nhost: localhost\r\naccept: text/event-stream\r\nauthorization: Bearer {}\r\n",
            self.target, self.token
        );
        if let Some(id) = &self.last_id {
            request.push_str("last-event-id: ");
            request.push_str(id);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut connection = Connection {
            stream,
            read: Vec::new(),
            bytes: 0,
        };
        let head = loop {
            let end = connection
                .read
                .windows(4)
                .position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                break connection.read.drain(..end + 4).collect::<Vec<u8>>();
            }
            assert!(connection.more(1024).await, "no head");
        };
        let head = String::from_utf8_lossy(&head).to_lowercase();
        assert!(head.contains(" 200 ok\r\n"), "{head}");
        assert!(
            head.contains("content-type: text/event-stream\r\n"),
            "{head}"
        );
        connection.bytes = connection.read.len();
        connection
    }
}

impl Connection {
    /// Reads at most `most` bytes more. False: the server ended the stream.
    pub async fn more(&mut self, most: usize) -> bool {
        let mut buffer = vec![0; most];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await;
        let read = read.expect("the server says something").unwrap_or(0);
        self.read.extend(buffer.iter().take(read));
        self.bytes += read;
        read > 0
    }

    /// The next whole message of what was read. Comments and bare ids are passed over.
    pub fn take(&mut self, source: &mut EventSource) -> Option<Message> {
        loop {
            let end = self.read.windows(2).position(|two| two == b"\n\n")?;
            let block: Vec<u8> = self.read.drain(..end + 2).collect();
            let block = String::from_utf8(block).expect("UTF-8");
            let (mut kind, mut data) = (String::new(), String::new());
            for line in block.lines() {
                match line.split_once(": ") {
                    Some(("id", id)) => source.last_id = Some(id.to_owned()),
                    Some(("event", name)) => name.clone_into(&mut kind),
                    Some(("data", text)) => data.push_str(text),
                    _ => {}
                }
            }
            if !data.is_empty() {
                let data = serde_json::from_str(&data).expect("JSON");
                return Some(Message { kind, data });
            }
        }
    }

    /// The next message, waited for; `None`: the server ended the stream.
    pub async fn next(&mut self, source: &mut EventSource) -> Option<Message> {
        loop {
            if let Some(message) = self.take(source) {
                return Some(message);
            }
            if !self.more(16 * 1024).await {
                return None;
            }
        }
    }

    /// The next so many messages; panics when the stream ends before.
    pub async fn several(&mut self, source: &mut EventSource, count: usize) -> Vec<Message> {
        let mut messages = Vec::new();
        while messages.len() < count {
            messages.push(self.next(source).await.expect("another message"));
        }
        messages
    }
}
