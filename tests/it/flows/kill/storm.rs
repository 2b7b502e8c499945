//! Fifty kills at random instants under load. Nothing that was acknowledged is lost, nothing is
//! done twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use onhook::{
    ambient::{Entropy, OsEntropy, SeededEntropy},
    cli::terminal,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::MissedTickBehavior};

use super::process::NodeProcess;
use crate::{
    flows::books,
    support::{
        app::TestApp,
        client::{Reply, TestClient},
        wait::wait_at_most,
    },
};

const KILLS: u32 = 50;
const CLIENTS: u64 = 12;

/// Calls that each client placed before.
const STOCK: usize = 10;

/// How long a client asks for an end before it turns to another call, in the storm.
const PATIENCE: Duration = Duration::from_secs(2);

/// A dial whose node died before it was sent is looked for during a minute; then its events are
/// delivered, perhaps after the lease of a dead node.
const QUIET_WITHIN: Duration = Duration::from_secs(110);

/// A call whose end was acknowledged, and the moment of its end if the answer named it.
#[derive(Debug)]
struct Acknowledged {
    call_id: String,
    ended_at: Option<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_under_load_lose_nothing_and_do_nothing_twice() {
    let seed = seed();
    terminal::complain(&format!(
        "the storm's seed: ONHOOK_STORM_SEED={seed} repeats it"
    ));
    let app = TestApp::looking_on().await;
    books::script(&app, &json!({"ring_after_ms": 20, "answer_after_ms": 60})).await;
    disturb_callbacks(&app).await;
    shorten_endpoint_timeout(&app).await;
    let mut node = NodeProcess::start(&app).await;

    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for client in stocked_clients(&app, &node, seed).await {
        clients.spawn(client.place_and_end_calls(Arc::clone(&stop)));
    }
    let chance = SeededEntropy::new(seed);
    for _ in 0..KILLS {
        // Some die while they start.
        if unit(&chance) < 0.8 {
            node.wait_until_listening().await;
        }
        pause(50.0 + 250.0 * unit(&chance)).await;
        node.kill().await;
        node.spawn();
    }
    node.wait_until_ready().await;
    stop.store(true, Ordering::Relaxed);
    let acknowledged: Vec<Acknowledged> = clients.join_all().await.into_iter().flatten().collect();
    assert!(acknowledged.len() >= 100, "{acknowledged:?}");

    wait_until_quiet(&app).await;
    assert_acknowledged_ends(&app, &acknowledged).await;
    assert_nothing_twice(&app).await;
    assert_every_fact_was_received(&app).await;
    let (code, text) = node.run("audit").await;
    assert_eq!(code, Some(0), "{text}");
    app.stop().await;
}

fn seed() -> u64 {
    let chance: &dyn Entropy = &OsEntropy;
    option_env!("ONHOOK_STORM_SEED")
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| u64::from_le_bytes(chance.bytes()))
}

fn unit(chance: &dyn Entropy) -> f64 {
    chance.unit()
}

/// Lets time pass: when a node dies and how fast people act is what varies here.
async fn pause(millis: f64) {
    tokio::time::sleep(Duration::from_secs_f64(millis / 1000.0)).await;
}

/// The clients, each with calls that it placed in the calm before the storm.
async fn stocked_clients(app: &TestApp, node: &NodeProcess, seed: u64) -> Vec<Client> {
    let mut clients = JoinSet::new();
    for number in 1..=CLIENTS {
        let mut client = Client {
            http: node.client.clone(),
            agent_id: app.tenant.agent_id.to_string(),
            chance: SeededEntropy::new(seed.wrapping_add(number)),
            stock: Vec::new(),
        };
        clients.spawn(async move {
            for _ in 0..STOCK {
                let call_id = client.place().await;
                client.stock.push(call_id);
            }
            client
        });
    }
    clients.join_all().await
}

/// Some callbacks come twice or in the wrong order.
async fn disturb_callbacks(app: &TestApp) {
    for how in ["duplicate", "reorder"] {
        let mut fault = json!({});
        fault[how] = json!(true);
        app.fault("callback", 40, &fault).await;
    }
}

/// The lease of a delivery follows its endpoint's timeout.
async fn shorten_endpoint_timeout(app: &TestApp) {
    let statement = "UPDATE webhook_endpoints SET timeout_seconds = 5 WHERE id = $1 RETURNING 1";
    let changed: i32 = sqlx::query_scalar(statement)
        .bind(app.tenant.endpoint_id.0)
        .fetch_one(&mut app.database.as_owner().await)
        .await
        .unwrap();
    assert_eq!(changed, 1);
}

/// Someone who places calls and ends them, and asks again until there is an answer.
struct Client {
    http: TestClient,
    agent_id: String,
    chance: SeededEntropy,
    stock: Vec<String>,
}

impl Client {
    /// Until told to stop; what it could not end by then it ends in the calm.
    async fn place_and_end_calls(mut self, stop: Arc<AtomicBool>) -> Vec<Acknowledged> {
        let (mut acknowledged, mut unanswered) = (Vec::new(), Vec::new());
        while !stop.load(Ordering::Relaxed) {
            let call_id = match self.stock.pop() {
                Some(call_id) if unit(&self.chance) < 0.7 => call_id,
                kept => {
                    self.stock.extend(kept);
                    self.place().await
                }
            };
            pause(200.0 * unit(&self.chance)).await;
            let end = self.end(call_id);
            match self.ask(&end, PATIENCE).await {
                Some(reply) => acknowledged.extend(end.acknowledged(&reply)),
                None => unanswered.push(end),
            }
        }
        let rest = std::mem::take(&mut self.stock);
        unanswered.extend(rest.into_iter().map(|call_id| self.end(call_id)));
        for end in unanswered {
            let reply = self.ask(&end, QUIET_WITHIN).await.expect("an answer");
            acknowledged.extend(end.acknowledged(&reply));
        }
        acknowledged
    }

    async fn place(&self) -> String {
        let place = Asked {
            path: "/api/v1/calls".to_owned(),
            body: json!({"agent_id": self.agent_id, "to": self.number()}),
            key: self.key(),
            wait: "wait=0",
            enough: &[201],
            call_id: String::new(),
        };
        let reply = self.ask(&place, QUIET_WITHIN).await.expect("an answer");
        reply.json()["id"].as_str().expect("an id").to_owned()
    }

    /// A request to end the call by one of the routes, the canonical one with and without waiting.
    fn end(&self, call_id: String) -> Asked {
        let route = unit(&self.chance);
        let (path, enough): (_, &[u16]) = if route < 0.2 {
            let path = format!("/api/v1/agents/{}/end-call", self.agent_id);
            (path, &[200])
        } else if route < 0.4 {
            (format!("/api/v1/calls/{call_id}/terminate"), &[200, 400])
        } else {
            (format!("/api/v1/calls/{call_id}/end"), &[200, 202])
        };
        let body = if route < 0.2 {
            json!({"call_sid": call_id})
        } else {
            json!({})
        };
        Asked {
            path,
            body,
            key: self.key(),
            wait: if route < 0.8 { "wait=0" } else { "wait=5" },
            enough,
            call_id,
        }
    }

    /// Few of the calls have the same: a lost dial is looked for by its number.
    fn number(&self) -> String {
        format!("+1555{:07.0}", 9_999_999.0 * unit(&self.chance))
    }

    fn key(&self) -> String {
        let chance: &dyn Entropy = &self.chance;
        chance.uuid().to_string()
    }

    /// Asks until the answer is one of those that are enough; `None`: not within `patience`.
    async fn ask(&self, asked: &Asked, patience: Duration) -> Option<Reply> {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", asked.key.as_str()),
            ("prefer", asked.wait),
        ];
        let body = asked.body.to_string();
        let mut again = tokio::time::interval(Duration::from_millis(10));
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let since = Instant::now();
        while since.elapsed() < patience {
            again.tick().await;
            let path = &asked.path;
            let answer = self
                .http
                .try_send(Method::POST, path, &headers, &body)
                .await;
            match answer {
                Ok(reply) if asked.is_enough(&reply) => return Some(reply),
                Ok(reply) => {
                    let may_pass = reply.status >= 500 || reply.status == 409;
                    assert!(may_pass, "{path}: {} {}", reply.status, reply.text);
                }
                Err(_killed) => {}
            }
        }
        None
    }
}

/// A request that is repeated until it is answered.
struct Asked {
    path: String,
    body: Value,
    key: String,
    wait: &'static str,
    enough: &'static [u16],
    call_id: String,
}

impl Asked {
    fn is_enough(&self, reply: &Reply) -> bool {
        let over = reply.status == 409 && reply.json()["code"] == "CALL_NOT_ACTIVE";
        over || self.enough.contains(&reply.status)
    }

    /// What a success promises; `None`: the call was over before anybody could be told.
    fn acknowledged(&self, reply: &Reply) -> Option<Acknowledged> {
        let answer = reply.json();
        let named = [&answer["data"]["ended_at"], &answer["ended_at"]];
        let mut named = named.into_iter().chain([&answer["end"]["requested_at"]]);
        (reply.status < 300).then(|| Acknowledged {
            call_id: self.call_id.clone(),
            ended_at: named.find_map(Value::as_str).map(str::to_owned),
        })
    }
}

/// What is still to be done, by kind.
async fn left(app: &TestApp) -> Vec<(String, i64)> {
    let statement = "SELECT 'jobs', count(*) FROM jobs
        UNION ALL SELECT 'live calls', count(*) FROM calls WHERE ended_at IS NULL
        UNION ALL SELECT 'deliveries', count(*) FROM webhook_deliveries WHERE state = 'pending'";
    sqlx::query_as(statement)
        .fetch_all(&mut app.database.as_owner().await)
        .await
        .unwrap()
}

async fn wait_until_quiet(app: &TestApp) {
    let nothing = |left: &Vec<(String, i64)>| left.iter().all(|(_, count)| *count == 0);
    wait_at_most(QUIET_WITHIN, "nothing to be left", || left(app), nothing).await;
}

/// The simulated calls by our id, which their callback address ends with.
async fn by_our_id(app: &TestApp) -> BTreeMap<String, Vec<Value>> {
    let mut calls: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for call in books::provider_calls(app).await {
        let address = call["status_callback"].as_str().expect("an address");
        let id = address.rsplit('/').next().expect("a last segment");
        calls.entry(id.to_owned()).or_default().push(call);
    }
    calls
}

async fn assert_acknowledged_ends(app: &TestApp, acknowledged: &[Acknowledged]) {
    let there = by_our_id(app).await;
    for end in acknowledged {
        let call = app.call(&end.call_id).await;
        assert!(!call["ended_at"].is_null(), "{call:#}");
        if let Some(ended_at) = &end.ended_at {
            assert_eq!(call["ended_at"], ended_at.as_str(), "{call:#}");
        }
        for call in there.get(&end.call_id).into_iter().flatten() {
            assert!(!call["ended_at"].is_null(), "{call:#}");
        }
        books::assert_ended_once(app, &end.call_id).await;
    }
}

async fn assert_nothing_twice(app: &TestApp) {
    let statement = "SELECT c.id::text,
            (SELECT count(*) FROM ledger_entries l WHERE l.call_id = c.id),
            (SELECT count(*) FROM call_facts f
                WHERE f.call_id = c.id AND f.type = 'event_phone_call_ended')
        FROM calls c";
    let calls: Vec<(String, i64, i64)> = sqlx::query_as(statement)
        .fetch_all(&mut app.database.as_owner().await)
        .await
        .unwrap();
    let ours: BTreeSet<String> = calls.iter().map(|(id, ..)| id.clone()).collect();
    for (id, entries, ends) in calls {
        assert_eq!((entries, ends), (1, 1), "{id}");
    }
    for (id, there) in by_our_id(app).await {
        assert!(ours.contains(&id), "nobody knows of {there:#?}");
        assert_eq!(there.len(), 1, "dialled twice: {there:#?}");
        assert_eq!(there[0]["create_requests"], 1, "{there:#?}");
        assert!(!there[0]["ended_at"].is_null(), "rings on: {there:#?}");
    }
}

async fn assert_every_fact_was_received(app: &TestApp) {
    let statement =
        "SELECT 'evt_' || replace(call_id::text, '-', '') || '_' || sequence FROM call_facts";
    let facts: Vec<String> = sqlx::query_scalar(statement)
        .fetch_all(&mut app.database.as_owner().await)
        .await
        .unwrap();
    let facts: BTreeSet<String> = facts.into_iter().collect();
    let arrived = app.receiver.received();
    assert!(arrived.iter().all(|event| event.signature_valid));
    let mut bodies: BTreeMap<String, String> = BTreeMap::new();
    for event in arrived {
        let id = event.id.expect("an id");
        let first = bodies.entry(id).or_insert_with(|| event.raw_body.clone());
        assert_eq!(*first, event.raw_body, "one id, one event");
    }
    let received: BTreeSet<String> = bodies.into_keys().collect();
    assert_eq!(received, facts);
}
