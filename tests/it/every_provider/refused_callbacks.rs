//! At every provider: a report that is forged, changed, too old, too large or another account's is
//! refused and counted, and nothing becomes of it. The genuine one, which the provider itself signed,
//! is taken afterwards.

use std::sync::{Arc, Mutex};

use axum::{Router, body::to_bytes, extract::Request, http::StatusCode};
use onhook::{boot::Node, domain::provider::ProviderKind};
use reqwest::Method;

use super::EVERY;
use crate::support::{
    app::TestApp,
    client::TestClient,
    contents::contents,
    line::{Line, connect_to},
    wait::wait_for,
};

/// The most that is read of a report, in bytes.
const MOST_BYTES: usize = 64 * 1024;

/// Beyond every provider's tolerance, in seconds.
const TOO_OLD: i64 = 301;

/// What a provider sent.
#[derive(Clone, Debug)]
struct Report {
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Report {
    /// Sends it to the node.
    async fn send(&self, node: &TestClient) -> u16 {
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let reply = node
            .send(Method::POST, &self.path, &headers, &self.body)
            .await;
        if reply.status >= 400 {
            assert!(reply.json()["error"].is_string(), "{}", reply.text);
        }
        reply.status
    }

    /// Whatever is no part of plain HTTP proves something.
    fn without_proof(&self) -> Self {
        let mut report = self.clone();
        let plain = ["content-type", "user-agent", "accept"];
        report
            .headers
            .retain(|(name, _)| plain.contains(&name.as_str()));
        assert!(report.headers.len() < self.headers.len(), "{self:?}");
        report
    }

    fn with_body(&self, body: String) -> Self {
        assert_ne!(self.body, body);
        Self {
            body,
            ..self.clone()
        }
    }
}

/// Stands at the public URL, and passes nothing on.
struct Post {
    url: String,
    kept: Arc<Mutex<Vec<Report>>>,
}

impl Post {
    async fn open(app: &TestApp) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keeping = Arc::clone(&kept);
        let router = Router::new().fallback(move |request: Request| {
            let keeping = Arc::clone(&keeping);
            async move {
                let report = read(request).await;
                keeping.lock().unwrap().push(report);
                StatusCode::NOT_FOUND
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stopping = app.ambient.tasks.clone();
        drop(app.ambient.tasks.spawn(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(async move { stopping.stopping().await })
                .await
                .unwrap();
        }));
        Self { url, kept }
    }

    /// What the provider of `line` sends when somebody calls its number.
    async fn rung(&self, app: &TestApp, line: &Line) -> Report {
        self.kept.lock().unwrap().clear();
        line.ring(app, line.number).await;
        let path = format!("/callbacks/{}/{}", line.provider, line.id);
        let told = || async {
            let kept = self.kept.lock().unwrap();
            kept.iter().find(|report| report.path == path).cloned()
        };
        let report = wait_for("the report", told, Option::is_some).await;
        report.expect("a report")
    }
}

async fn read(request: Request) -> Report {
    let (head, body) = request.into_parts();
    let of_one_connection = ["host", "connection", "content-length", "transfer-encoding"];
    let headers = head
        .headers
        .iter()
        .filter(|(name, _)| !of_one_connection.contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    let body = to_bytes(body, MOST_BYTES).await.unwrap();
    Report {
        path: head.uri.to_string(),
        headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// The callbacks of `provider` with one outcome that the node has counted.
async fn counted(node: &Node, provider: &str, outcome: &str) -> u64 {
    let operators = TestClient::new(&format!("http://{}", node.operator_address), None);
    let text = operators.get("/metrics").await.text;
    let name = format!("onhook_callbacks_total{{provider=\"{provider}\",outcome=\"{outcome}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    line.map_or(0, |count| count.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_accounts_provider_did_not_sign_lately_is_refused_counted_and_changes_nothing() {
    for provider in EVERY {
        let app = TestApp::by_hand().await;
        let post = Post::open(&app).await;
        let node = app.node_with(&[("ONHOOK_PUBLIC_URL", &post.url)]).await;
        let client = TestClient::new(&format!("http://{}", node.address), None);
        let line = connect_to(&app, provider, false, &post.url).await;
        let another = connect_to(&app, provider, true, &post.url).await;
        let genuine = post.rung(&app, &line).await;
        let anothers = post.rung(&app, &another).await;
        let before = contents(&app.database).await;

        let mut refused = vec![genuine.without_proof()];
        refused.push(genuine.with_body(genuine.body.replace("15550177", "15550178")));
        refused.push(genuine.with_body(format!("{} ", genuine.body)));
        refused.push(Report {
            headers: anothers.headers.clone(),
            ..genuine.clone()
        });
        refused.push(Report {
            path: genuine.path.clone(),
            ..anothers.clone()
        });
        refused.push(Report {
            path: anothers.path.clone(),
            ..genuine.clone()
        });
        for report in &refused {
            assert_eq!(report.send(&client).await, 403, "{report:?}");
        }
        let large = format!("{}{}", genuine.body, " ".repeat(MOST_BYTES));
        assert_eq!(genuine.with_body(large).send(&client).await, 413);
        let mut forged = u64::try_from(refused.len()).unwrap();
        app.advance(TOO_OLD);
        // Twilio's signature does not age; a repetition of a report is known by its number.
        if provider != ProviderKind::Twilio {
            assert_eq!(genuine.send(&client).await, 403, "{genuine:?}");
            forged += 1;
        }
        assert_eq!(counted(&node, line.provider, "forged").await, forged);
        assert_eq!(counted(&node, line.provider, "oversized").await, 1);
        assert_eq!(contents(&app.database).await, before);

        let genuine = post.rung(&app, &line).await;
        assert_eq!(genuine.send(&client).await, 200, "{genuine:?}");
        assert_eq!(counted(&node, line.provider, "incoming").await, 1);
        let calls = app.client.get("/api/v1/calls").await.json();
        assert_eq!(calls["items"].as_array().expect("calls").len(), 1);
        app.stop().await;
    }
}
