//! The simulator's tests: the exchange by itself, and the whole over loopback HTTP.
//!
//! [`Rig`] is a running simulator with one account, a client, and a customer that keeps the
//! callbacks it gets. Nothing here sleeps: tests wait for what they expect, within [`PATIENCE`].

mod exchange;
mod faults;
mod openai;
mod receiver;
mod twilio;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use hyper::{HeaderMap, Method, body::Bytes};
use serde_json::Value;
use sha1::Sha1;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{
    SimulatedAccount, Simulator,
    listener::{self, Asked, Handled, Reply},
};
use crate::{
    ambient::Ambient,
    domain::provider::ProviderKind,
    outbound::{Answer, Client, Failure, Options, Reach, Request},
};

const PATIENCE: Duration = Duration::from_secs(10);
const ACCOUNT: &str = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const TOKEN: &str = "12345";
const ANYWHERE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

struct Rig {
    ambient: Ambient,
    client: Client,
    base: String,
    customer: String,
    callbacks: UnboundedReceiver<Asked>,
    /// What the customer answers next; 204 when there is nothing.
    answers: Arc<Mutex<VecDeque<u16>>>,
}

fn client() -> Client {
    Client::new(Options {
        reach: Reach::PublicAndLoopback,
        connect_timeout: PATIENCE,
        idle_per_host: 8,
        https_only: false,
    })
    .unwrap()
}

impl Rig {
    async fn start() -> Self {
        let ambient = Ambient::system();
        let account = SimulatedAccount {
            provider: ProviderKind::Twilio,
            external_id: ACCOUNT.to_owned(),
            secret: TOKEN.to_owned(),
            incoming_url: None,
        };
        let simulator = Simulator::start(ANYWHERE, ambient.clone(), vec![account])
            .await
            .unwrap();
        let (sender, callbacks) = unbounded_channel();
        let answers: Arc<Mutex<VecDeque<u16>>> = Arc::default();
        let queue = Arc::clone(&answers);
        let customer = listener::serve(ANYWHERE, &ambient, move |asked| {
            sender.send(asked).unwrap();
            let status = queue.lock().unwrap().pop_front().unwrap_or(204);
            async move { Handled::Answer(Reply::empty(status)) }
        })
        .await
        .unwrap();
        Self {
            ambient,
            client: client(),
            base: simulator.base_url(),
            customer: format!("http://{customer}"),
            callbacks,
            answers,
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: &str,
    ) -> Result<Answer, Failure> {
        let request = Request {
            method,
            url: format!("{}{path}", self.base).parse().unwrap(),
            headers,
            body: Bytes::from(body.to_owned()),
        };
        self.client.send(request, PATIENCE, 1 << 20).await
    }

    /// A request to Twilio's face with good credentials and a form.
    async fn twilio(&self, method: Method, path: &str, form: &str) -> Result<Answer, Failure> {
        let mut headers = credentials(ACCOUNT, TOKEN);
        let media_type = "application/x-www-form-urlencoded".parse().unwrap();
        headers.insert("content-type", media_type);
        let path = format!("/twilio/2010-04-01/Accounts/{ACCOUNT}{path}");
        self.send(method, &path, headers, form).await
    }

    fn order(&self, more: &str) -> String {
        let callback: String =
            url::form_urlencoded::byte_serialize(format!("{}/cb?call=1", self.customer).as_bytes())
                .collect();
        format!(
            "To=%2B15550100101&From=%2B15550100102&Twiml=%3CResponse%3E%3CPause/%3E%3C/Response%3E\
             &StatusCallback={callback}{more}"
        )
    }

    /// Places a call that reports everything; the name that it got.
    async fn place(&self) -> String {
        let events = "&StatusCallbackEvent=initiated&StatusCallbackEvent=ringing\
                      &StatusCallbackEvent=answered&StatusCallbackEvent=completed";
        let order = self.order(events);
        let answer = self.twilio(Method::POST, "/Calls.json", &order).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status, 201, "{:?}", answer.body);
        json(&answer)["sid"].as_str().unwrap().to_owned()
    }

    async fn hang_up(&self, id: &str) -> Result<Answer, Failure> {
        let path = format!("/Calls/{id}.json");
        self.twilio(Method::POST, &path, "Status=completed").await
    }

    /// A request to the control API: its status and JSON.
    async fn control(&self, method: Method, path: &str, body: &str) -> (u16, Value) {
        let path = format!("/_sim{path}");
        let answer = self.send(method, &path, HeaderMap::new(), body).await;
        let answer = answer.unwrap();
        (answer.status, json(&answer))
    }

    /// Orders a fault, which must be taken.
    async fn fault(&self, members: &str) {
        let body = format!(r#"{{"provider":"twilio",{members}}}"#);
        let (status, answer) = self.control(Method::POST, "/faults", &body).await;
        assert_eq!(status, 201, "{answer}");
    }

    /// Calls do nothing by themselves from now on.
    async fn stand_still(&self) {
        let still = r#"{"ring_after_ms":null,"answer_after_ms":null}"#;
        assert_eq!(self.control(Method::POST, "/script", still).await.0, 200);
    }

    async fn seen(&self, id: &str) -> Value {
        self.control(Method::GET, &format!("/calls/{id}"), "")
            .await
            .1
    }

    async fn callback(&mut self) -> Callback {
        let next = tokio::time::timeout(PATIENCE, self.callbacks.recv()).await;
        let asked = next.expect("no callback came").unwrap();
        Callback {
            form: serde_urlencoded::from_bytes(&asked.body).unwrap(),
            signed: is_signed(&self.customer, &asked),
            token: asked
                .header("i-twilio-idempotency-token")
                .unwrap()
                .to_owned(),
        }
    }

    /// The statuses of the next callbacks, all truly signed.
    async fn statuses(&mut self, count: usize) -> Vec<String> {
        let mut statuses = Vec::new();
        for _ in 0..count {
            let callback = self.callback().await;
            assert!(callback.signed);
            statuses.push(callback.get("CallStatus").to_owned());
        }
        statuses
    }
}

struct Callback {
    form: Vec<(String, String)>,
    signed: bool,
    token: String,
}

impl Callback {
    fn get(&self, name: &str) -> &str {
        let found = self.form.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }
}

/// The signature as the receiving side reckons it: from the address it serves and the form it got.
fn is_signed(customer: &str, asked: &Asked) -> bool {
    let mut form: Vec<(String, String)> = serde_urlencoded::from_bytes(&asked.body).unwrap();
    form.sort();
    let mut text = format!("{customer}{}?{}", asked.path, asked.query);
    for (name, value) in form {
        text += &name;
        text += &value;
    }
    let mut mac = Hmac::<Sha1>::new_from_slice(TOKEN.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    let expected = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    asked.header("x-twilio-signature") == Some(expected.as_str())
}

fn credentials(user: &str, password: &str) -> HeaderMap {
    let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
    let mut headers = HeaderMap::new();
    headers.insert("authorization", format!("Basic {encoded}").parse().unwrap());
    headers
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
}
