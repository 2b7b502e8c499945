//! The built-in webhook receiver: takes what a customer's endpoint would take, checks it as a
//! careful customer would, keeps it to be looked at, and misbehaves when told to.
//!
//! Routes of its own: `GET /received`, `DELETE /received`, `POST /behave`. A POST to any other path
//! is a delivery. Signatures are Standard Webhooks 1.0, timestamps within five minutes either way.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::{
    Method,
    header::{HeaderValue, RETRY_AFTER},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{mpsc::UnboundedSender, watch};

use super::{
    listener::{self, Asked, Handled, Reply},
    pace,
};
use crate::{
    ambient::Ambient,
    domain::{Timestamp, webhook::signature::SigningSecret},
};

/// How many deliveries are kept; the oldest goes first.
const MAX_KEPT: usize = 10_000;

/// How far a delivery's timestamp may lie from now, in seconds (Standard Webhooks, "Verifying").
const TOLERANCE_SECONDS: i64 = 300;

/// A running receiver. It serves until the ambient tasks are told to stop, not until dropped.
pub struct Receiver {
    address: SocketAddr,
    desk: Arc<Desk>,
}

/// A webhook that arrived.
#[derive(Clone, Debug, Serialize)]
pub struct Delivery {
    /// The `webhook-id` header: the same for each attempt at one event.
    pub id: Option<String>,
    /// The `type` member of the body.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub path: String,
    /// By lower-case name; a repeated header shows its first value.
    pub headers: BTreeMap<String, String>,
    /// The body as JSON; as text when it is none.
    pub body: Value,
    /// The body as it came, for checking the signature again.
    pub raw_body: String,
    /// Whether a trusted secret signed it, lately.
    pub signature_valid: bool,
    pub received_at: Timestamp,
    /// The status that it was answered with.
    pub answered: u16,
}

struct Desk {
    ambient: Ambient,
    on_delivery: Option<UnboundedSender<Delivery>>,
    state: Mutex<State>,
    /// Marked when the behaviour is replaced.
    replaced: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    trusted: Vec<SigningSecret>,
    received: VecDeque<Delivery>,
    behaviour: Option<Behaviour>,
}

/// How deliveries are answered for a while.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Behaviour {
    status: u16,
    /// For how many deliveries; default 1, 0 means for ever.
    #[serde(default = "once")]
    times: u32,
    /// The answer comes that much later, in milliseconds, or when this behaviour is replaced.
    #[serde(default)]
    delay_ms: u64,
    /// The `Retry-After` of the answer, in seconds.
    retry_after: Option<u32>,
}

fn once() -> u32 {
    1
}

impl Receiver {
    /// Listens on `listen` (port 0: any free port) and serves in the background. Each delivery is
    /// also sent to `on_delivery`, before it is answered.
    ///
    /// # Errors
    /// When `listen` is not a loopback address or cannot be bound.
    pub async fn start(
        listen: SocketAddr,
        ambient: Ambient,
        on_delivery: Option<UnboundedSender<Delivery>>,
    ) -> io::Result<Self> {
        let desk = Arc::new(Desk {
            ambient: ambient.clone(),
            on_delivery,
            state: Mutex::default(),
            replaced: watch::Sender::default(),
        });
        let serving = Arc::clone(&desk);
        let address = listener::serve(listen, &ambient, move |asked| {
            let desk = Arc::clone(&serving);
            async move { Handled::Answer(desk.answer(asked).await) }
        })
        .await?;
        Ok(Self { address, desk })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Accepts signatures by `secret` from now on, beside those of the secrets trusted before.
    pub fn trust(&self, secret: SigningSecret) {
        self.desk.state().trusted.push(secret);
    }

    /// What arrived, oldest first.
    pub fn received(&self) -> Vec<Delivery> {
        self.desk.state().received.iter().cloned().collect()
    }
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, asked: Asked) -> Reply {
        match (&asked.method, asked.path.as_str()) {
            (&Method::GET, "/received") => {
                let state = self.state();
                Reply::json(200, &json!({ "received": state.received }))
            }
            (&Method::DELETE, "/received") => {
                self.state().received.clear();
                Reply::empty(204)
            }
            (&Method::POST, "/behave") => self.behave(&asked),
            (_, "/received" | "/behave") => Reply::empty(405),
            (&Method::POST, _) => self.take(&asked).await,
            _ => Reply::empty(405),
        }
    }

    /// Replaces the behaviour; what is left of the one before is forgotten.
    fn behave(&self, asked: &Asked) -> Reply {
        let refuse = |text: &str| Reply::json(400, &json!({ "error": text }));
        match serde_json::from_slice::<Behaviour>(&asked.body) {
            Ok(behaviour) if (200..=599).contains(&behaviour.status) => {
                self.state().behaviour = Some(behaviour);
                self.replaced.send_replace(());
                Reply::empty(204)
            }
            Ok(_) => refuse("status is 200 to 599"),
            Err(error) => refuse(&error.to_string()),
        }
    }

    async fn take(&self, asked: &Asked) -> Reply {
        let received_at = self.ambient.now();
        let mut replaced = self.replaced.subscribe();
        let behaviour = {
            let mut state = self.state();
            let signature_valid = is_signed(&state.trusted, asked, received_at);
            let behaviour = state.next_behaviour();
            let answered = behaviour.as_ref().map_or(204, |behaviour| behaviour.status);
            let delivery = delivery(asked, signature_valid, received_at, answered);
            if let Some(listener) = &self.on_delivery
                && listener.send(delivery.clone()).is_err()
            {
                tracing::debug!("simulation: nobody listens for deliveries any more");
            }
            if state.received.len() == MAX_KEPT {
                state.received.pop_front();
            }
            state.received.push_back(delivery);
            behaviour
        };
        let Some(behaviour) = behaviour else {
            return Reply::empty(204);
        };
        let delay = Duration::from_millis(behaviour.delay_ms);
        tokio::select! {
            _ = pace::pause(&self.ambient.tasks, delay) => {}
            _ = replaced.changed() => {}
        }
        let reply = Reply::empty(behaviour.status);
        match behaviour.retry_after {
            Some(seconds) => reply.with_header(RETRY_AFTER, HeaderValue::from(seconds)),
            None => reply,
        }
    }
}

impl State {
    fn next_behaviour(&mut self) -> Option<Behaviour> {
        let behaviour = self.behaviour.as_mut()?;
        let now = behaviour.clone();
        match behaviour.times {
            0 => {}
            1 => self.behaviour = None,
            _ => behaviour.times -= 1,
        }
        Some(now)
    }
}

fn is_signed(trusted: &[SigningSecret], asked: &Asked, now: Timestamp) -> bool {
    let signed = asked
        .header("webhook-id")
        .zip(asked.header("webhook-timestamp"))
        .zip(asked.header("webhook-signature"));
    let Some(((id, at), signature)) = signed else {
        return false;
    };
    let Ok(at) = at.parse::<i64>() else {
        return false;
    };
    now.unix_seconds().abs_diff(at) <= TOLERANCE_SECONDS.unsigned_abs()
        && trusted
            .iter()
            .any(|secret| secret.verifies(id, at, &asked.body, signature))
}

fn delivery(asked: &Asked, signature_valid: bool, at: Timestamp, answered: u16) -> Delivery {
    let raw_body = String::from_utf8_lossy(&asked.body).into_owned();
    let body = serde_json::from_str(&raw_body).unwrap_or_else(|_| Value::from(raw_body.as_str()));
    let kind = body.get("type").and_then(Value::as_str);
    let mut headers = BTreeMap::new();
    for (name, value) in &asked.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.entry(name.as_str().to_owned()).or_insert(value);
    }
    Delivery {
        id: asked.header("webhook-id").map(str::to_owned),
        kind: kind.map(str::to_owned),
        path: asked.path.clone(),
        headers,
        body,
        raw_body,
        signature_valid,
        received_at: at,
        answered,
    }
}
