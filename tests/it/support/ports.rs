//! Ports for programs that are told where to listen before they run.

use std::net::TcpListener;

use onhook::ambient::{Entropy, OsEntropy};

/// A port that nobody listens on, below those that the system gives to outgoing connections: while
/// a program is down, one of these could otherwise take its port.
pub fn free_port() -> u16 {
    let chance: &dyn Entropy = &OsEntropy;
    loop {
        let port = 16_384 + u16::from_le_bytes(chance.bytes()) % 16_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
