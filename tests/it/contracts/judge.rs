//! Prism between an adapter and a simulated provider: it holds what goes either way against the
//! provider's own document.
//!
//! Adapter → [`relay`] → `prism proxy` → simulator. The relay is there because servers' base paths
//! are no part of a document's paths, and because it sees by itself what Prism made of each answer:
//! Prism names what is wrong in a header, and answers for itself when that is an error.

use std::{
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::{Method, Response},
};
use onhook::ambient::Tasks;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::support::{
    client::{Reply, TestClient},
    wait::wait_at_most,
};

/// Reading a document of some 10,000 lines takes Prism 5 to 8 s of a processor.
const START: Duration = Duration::from_mins(2);

/// A running Prism and what it found.
pub struct Judge {
    /// Where the adapter goes.
    pub api: String,
    base_path: String,
    prism: Child,
    log: Arc<Mutex<Vec<String>>>,
    record: Arc<Mutex<Record>>,
    tasks: Tasks,
}

#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Each request that went through: method, path, status.
    pub judged: Vec<String>,
    pub violations: Vec<String>,
    first: Option<Question>,
}

#[derive(Clone, Debug)]
struct Question {
    method: Method,
    /// As the document has it, with the query.
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// Headers that are not to be passed on.
const OF_ONE_CONNECTION: [&str; 4] = ["host", "connection", "content-length", "transfer-encoding"];

impl Judge {
    /// Judges by `document` what goes to and comes from `upstream`. `base_path` is the path of the
    /// document's servers: requests begin with it, and the document's paths do not.
    pub async fn start(prism: &Path, document: &Path, base_path: &str, upstream: &str) -> Self {
        let tasks = Tasks::default();
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut prism = Command::new(prism)
            .args(["proxy", "--errors", "--host", "127.0.0.1", "--port", "0"])
            .arg(document)
            .arg(format!("{upstream}{base_path}"))
            .env("NO_COLOR", "1")
            // It forks when that says production.
            .env_remove("NODE_ENV")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("prism runs");
        let stdout = prism.stdout.take().expect("a pipe");
        let stderr = prism.stderr.take().expect("a pipe");
        drop(tasks.spawn(keep(BufReader::new(stdout), Arc::clone(&log))));
        drop(tasks.spawn(keep(BufReader::new(stderr), Arc::clone(&log))));
        let lines = || async { log.lock().unwrap().clone() };
        let started = |lines: &Vec<String>| listening(lines).is_some();
        let lines = wait_at_most(START, "prism to listen", lines, started).await;
        let address = listening(&lines).expect("listening");
        let record = Arc::new(Mutex::new(Record::default()));
        let prism_client = TestClient::new(&address, None);
        let api = relay(&tasks, prism_client, base_path, Arc::clone(&record)).await;
        Self {
            api,
            base_path: base_path.to_owned(),
            prism,
            log,
            record,
            tasks,
        }
    }

    /// What went through so far, and what was wrong with it.
    pub fn so_far(&self) -> Record {
        self.record.lock().unwrap().clone()
    }

    /// Asks the first question again, with a body of which no document knows anything.
    pub async fn ask_for_nonsense(&self) {
        let mut nonsense = self.so_far().first.expect("a question");
        let is_json = nonsense.body.starts_with('{');
        let body = if is_json {
            r#"{"nonsense":true}"#
        } else {
            "nonsense=true"
        };
        body.clone_into(&mut nonsense.body);
        let api = TestClient::new(&self.api, None);
        nonsense.path = format!("{}{}", self.base_path, nonsense.path);
        nonsense.ask(&api).await;
    }

    /// The errors in Prism's log so far. What it only warns of is what the document is silent on.
    pub fn logged_errors(&self) -> Vec<String> {
        let log = self.log.lock().unwrap();
        let is_error = |line: &&String| {
            line.contains("terminated with error")
                || (line.contains("Violation:") && !line.contains("warning"))
        };
        log.iter().filter(is_error).cloned().collect()
    }

    pub async fn stop(mut self) {
        self.prism.kill().await.expect("prism ends");
        self.tasks.stop();
        self.tasks.ended().await;
    }
}

async fn keep<R: tokio::io::AsyncRead + Unpin>(output: BufReader<R>, log: Arc<Mutex<Vec<String>>>) {
    let mut lines = output.lines();
    while let Ok(Some(line)) = lines.next_line().await {
        log.lock().unwrap().push(line);
    }
}

fn listening(log: &[String]) -> Option<String> {
    log.iter().find_map(|line| {
        let (_, address) = line.split_once("Prism is listening on ")?;
        Some(address.trim().to_owned())
    })
}

/// Serves below `base_path` what `prism` answers, and keeps the record.
async fn relay(
    tasks: &Tasks,
    prism: TestClient,
    base_path: &str,
    record: Arc<Mutex<Record>>,
) -> String {
    let base_path = base_path.to_owned();
    let router = Router::new().fallback(move |request: Request| {
        let (prism, base_path, record) = (prism.clone(), base_path.clone(), Arc::clone(&record));
        async move { pass_on(request, &prism, &base_path, &record).await }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stopping = tasks.clone();
    drop(tasks.spawn(async move {
        axum::serve(listener, router)
            .with_graceful_shutdown(async move { stopping.stopping().await })
            .await
            .unwrap();
    }));
    format!("http://{address}")
}

async fn pass_on(
    request: Request,
    prism: &TestClient,
    base_path: &str,
    record: &Mutex<Record>,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let target = head.uri.to_string();
    let below = target.strip_prefix(base_path);
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .filter(|(name, _)| !OF_ONE_CONNECTION.contains(&name.as_str()))
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect();
    let question = Question {
        method: head.method,
        path: below.unwrap_or(&target).to_owned(),
        headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let reply = question.ask(prism).await;
    record
        .lock()
        .unwrap()
        .enter(question, below.is_some(), &reply);
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        if !OF_ONE_CONNECTION.contains(&name.as_str()) {
            response = response.header(name, value);
        }
    }
    response.body(Body::from(reply.text)).unwrap()
}

impl Question {
    async fn ask(&self, prism: &TestClient) -> Reply {
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let method = self.method.clone();
        prism.send(method, &self.path, &headers, &self.body).await
    }
}

impl Record {
    /// `below`: the question began with the path of the document's servers.
    fn enter(&mut self, question: Question, below: bool, reply: &Reply) {
        let Question {
            method, path, body, ..
        } = &question;
        let said = format!("{method} {path}: {}", reply.status);
        let told = reply.header("sl-violations");
        let elsewhere = || (!below).then(|| "not below the servers' path".to_owned());
        if let Some(wrong) = wrong_in(told, &reply.text).or_else(elsewhere) {
            self.violations.push(format!("{said}: {wrong}\n  {body}"));
        }
        self.judged.push(said);
        self.first.get_or_insert(question);
    }
}

/// What Prism calls an error: told beside the provider's answer, or instead of it.
fn wrong_in(told: Option<&str>, body: &str) -> Option<String> {
    let is_error = |violation: &Value| violation["severity"] == "Error";
    if let Some(told) = told {
        // Too many of them are cut off, and are no JSON.
        let wrong = match serde_json::from_str::<Vec<Value>>(told) {
            Ok(violations) => violations.iter().any(is_error),
            Err(_cut_off) => true,
        };
        if wrong {
            return Some(told.to_owned());
        }
    }
    let problem: Value = serde_json::from_str(body).ok()?;
    let kind = problem["type"].as_str()?;
    kind.contains("prism/errors#").then(|| problem.to_string())
}
