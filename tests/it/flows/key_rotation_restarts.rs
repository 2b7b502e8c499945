//! The key that seals is rotated as docs/operations.md says, step by step, by restarting two nodes one
//! after the other, while programs and people work. What stands before the nodes sends nothing to one that
//! is about to stop.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use onhook::{
    ambient::{Ambient, Tasks},
    app::resealing,
    boot::Node,
    domain::{OrgScope, role::Role},
    jobs::Loops,
};
use serde_json::json;
use tokio::{sync::RwLock, task::JoinSet};

use crate::people;
use crate::support::{
    app::{self, SECRET_KEY, TestApp},
    client::TestClient,
    wait::wait_for,
};

const NEW_KEY: &str = "new:BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ=";

/// The nodes that requests are sent to; whoever holds it for reading has a request under way.
type Rotation = Arc<RwLock<Vec<TestClient>>>;

/// What the workers have in common.
#[derive(Clone)]
struct Work {
    nodes: Rotation,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
}

impl Work {
    /// Places and ends calls with this token until it is told to stop.
    async fn go_on(self, agent: String, token: String) {
        let body = json!({"agent_id": agent, "to": "+15550101"});
        for turn in 0.. {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            let nodes = self.nodes.read().await;
            let node = nodes[turn % nodes.len()].with_token(Some(&token));
            let placed = node.post("/api/v1/calls", &body).await;
            assert_eq!(placed.status, 201, "{}", placed.text);
            let path = format!(
                "/api/v1/calls/{}",
                placed.json()["id"].as_str().expect("an id")
            );
            let ended = node.post_nothing(&format!("{path}/end")).await;
            assert!(ended.status < 300, "{}", ended.text);
            let over = node.get(&format!("{path}?wait_for=ended&timeout=30")).await;
            assert!(over.json()["ended_at"].is_string(), "{}", over.text);
            self.done.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Waits for work that began and ended from now on.
    async fn more(&self) {
        let count = || async { self.done.load(Ordering::SeqCst) };
        let so_far = count().await;
        wait_for("calls", count, |count| *count >= so_far + 8).await;
    }
}

/// A node that is stopped by itself, and whoever asks it.
struct Running {
    node: Node,
    client: TestClient,
}

impl Running {
    async fn start(app: &TestApp, keys: &str) -> Self {
        let mut variables = app::variables(&app.database.url);
        variables.insert("ONHOOK_SECRET_KEY".to_owned(), keys.to_owned());
        let ambient = Ambient {
            tasks: Tasks::default(),
            ..Ambient::system()
        };
        let node = app::node(variables, ambient, Loops::Intentions).await;
        let client = TestClient::new(&format!("http://{}", node.address), None);
        Self { node, client }
    }

    /// Takes the node out of the rotation, gives it another ring of keys and puts it back.
    async fn restart(self, app: &TestApp, other: &Self, keys: &str, work: &Work) -> Self {
        // Returns when what is under way is done.
        *work.nodes.write().await = vec![other.client.clone()];
        self.node.stop().await;
        let anew = Self::start(app, keys).await;
        *work.nodes.write().await = vec![anew.client.clone(), other.client.clone()];
        anew
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_restarted_through_a_rotation_of_the_key_without_a_failed_request() {
    let app = TestApp::looking_on().await;
    let (_, person) = people::signed_in(&app, &app.tenant, "person@example.com", Role::Owner).await;
    let mut one = Running::start(&app, SECRET_KEY).await;
    let mut two = Running::start(&app, SECRET_KEY).await;
    let work = Work {
        nodes: Arc::new(RwLock::new(vec![one.client.clone(), two.client.clone()])),
        stop: Arc::default(),
        done: Arc::default(),
    };
    let mut workers = JoinSet::new();
    for token in [&app.tenant.token, &app.tenant.token, &person] {
        let agent = app.tenant.agent_id.to_string();
        workers.spawn(work.clone().go_on(agent, token.clone()));
    }
    work.more().await;

    // Both open both; the new one seals; nothing is left that the old one sealed; it is gone.
    let steps = [
        (format!("{SECRET_KEY},{NEW_KEY}"), false),
        (format!("{NEW_KEY},{SECRET_KEY}"), true),
        (NEW_KEY.to_owned(), false),
    ];
    for (keys, reseal) in steps {
        one = one.restart(&app, &two, &keys, &work).await;
        work.more().await;
        two = two.restart(&app, &one, &keys, &work).await;
        work.more().await;
        if reseal {
            let resealed = resealing::reseal(&one.node.app, OrgScope::assume)
                .await
                .expect("resealed");
            assert_eq!((resealed.anew, resealed.unopened), (5, 0));
            work.more().await;
        }
    }

    work.stop.store(true, Ordering::SeqCst);
    while let Some(worker) = workers.join_next().await {
        worker.expect("no request failed");
    }
    let login = json!({"email": "person@example.com", "password": people::PASSWORD});
    let login = one.client.post("/api/v1/auth/login", &login).await;
    assert_eq!(login.status, 200, "{}", login.text);
    one.node.stop().await;
    two.node.stop().await;
    app.stop().await;
}
