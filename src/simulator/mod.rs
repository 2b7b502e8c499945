//! A provider to talk to when there is none: for development, tests and test-mode tokens.
//!
//! Imitated: each provider's requests, answers, error bodies and signed callbacks on the wire, the
//! life of a call (placed, ringing, answered, over), and every way in which a provider fails its
//! customer: refusals, slow answers, answers that never come although the provider acted, callbacks
//! that come twice, late, in the wrong order, forged or never. Failures happen when told to, through
//! the control API under `/_sim` (`server`).
//!
//! Not imitated: media, the carrying out of call scripts (they are checked for form only), prices,
//! rate limits and concurrency limits of their own accord, other regions.
//!
//! The invariant: nothing here is shared with the adapters in `providers`, signatures included. An
//! imitation that shared their code would agree with their mistakes. It speaks plain HTTP and
//! listens on loopback only.
//!
//! The instants that a simulated call shows come from the ambient clock; the pace at which it
//! moves comes from the runtime's timers, in one place (`pace`).

mod call;
mod callbacks;
mod exchange;
mod fault;
mod listener;
mod openai;
mod pace;
mod receiver;
mod report;
mod script;
mod server;
mod switchboard;
mod telnyx;
#[cfg(test)]
mod tests;
mod twilio;
mod vonage;
mod websocket;

use std::{io, net::SocketAddr, sync::Arc};

pub use receiver::{Delivery, Receiver};

use serde_json::{Value, json};

use crate::{ambient::Ambient, domain::provider::ProviderKind};
use switchboard::Switchboard;

/// An account that the simulator lets in.
#[derive(Clone)]
pub struct SimulatedAccount {
    pub provider: ProviderKind,
    /// The provider's name for the account: `AC` and 32 hexadecimal digits at Twilio, the digits of
    /// a connection at Telnyx, the application's UUID at Vonage, `proj_` and more of a project at
    /// OpenAI.
    pub external_id: String,
    /// Any text that nobody guesses. What requests authenticate with and callbacks are signed with
    /// comes from it: at Twilio it is the auth token itself.
    pub secret: String,
    /// Where it tells of calls that come in, and of what becomes of them until it is told another
    /// address; `None`: no call can come in.
    pub incoming_url: Option<String>,
}

impl SimulatedAccount {
    /// What a customer of this account connects it with, in the provider's own form.
    pub fn credentials(&self) -> Value {
        match self.provider {
            ProviderKind::Twilio => json!({ "auth_token": self.secret }),
            ProviderKind::Telnyx => telnyx::credentials(&self.external_id, &self.secret),
            ProviderKind::Vonage => vonage::credentials(&self.external_id, &self.secret),
            ProviderKind::Openai => openai::credentials(&self.secret),
        }
    }
}

/// A running simulator. It serves until the ambient tasks are told to stop, not until dropped.
pub struct Simulator {
    address: SocketAddr,
    board: Arc<Switchboard>,
}

impl Simulator {
    /// Listens on `listen` (port 0: any free port) and serves in the background.
    ///
    /// # Errors
    /// When `listen` is not a loopback address or cannot be bound.
    pub async fn start(
        listen: SocketAddr,
        ambient: Ambient,
        accounts: Vec<SimulatedAccount>,
    ) -> io::Result<Self> {
        let (address, board) = server::start(listen, ambient, accounts).await?;
        Ok(Self { address, board })
    }

    /// Lets an account in, or replaces what is known of it.
    pub fn admit(&self, account: SimulatedAccount) {
        self.board.with(|exchange| exchange.admit(account));
    }

    /// `http://127.0.0.1:PORT`. Below it each provider has its face under its name, and an
    /// account's API base address is that: `{base_url}/twilio`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}
