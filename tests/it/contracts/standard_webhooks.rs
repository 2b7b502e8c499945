//! The reference libraries of Standard Webhooks, for Python and for Node.js, verify what is really
//! sent, and refuse what was changed, is old, or was signed by another.
//!
//! Where a language or the library is missing, a test says that it was skipped ([`tools`]).

use std::{collections::BTreeMap, path::Path, process::Stdio};

use onhook::{domain::webhook::signature::SigningSecret, simulator::Delivery};
use serde::Serialize;
use serde_json::json;
use tokio::{io::AsyncWriteExt as _, process::Command};

use super::tools;
use crate::support::{app::TestApp, wait::wait_for};

/// What a library is asked about.
#[derive(Serialize)]
struct Case {
    #[serde(skip)]
    what: &'static str,
    #[serde(skip)]
    verified: bool,
    secret: String,
    headers: BTreeMap<String, String>,
    body: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_library_verifies_what_is_sent_and_nothing_else() {
    let packages = match tools::python_package("standardwebhooks").await {
        Ok(packages) => packages,
        Err(missing) => return missing.skips("the Python library of Standard Webhooks"),
    };
    let mut python = Command::new("python3");
    python.arg(script("standard_webhooks.py"));
    python.env("PYTHONPATH", packages);
    judge(python).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_library_for_node_verifies_what_is_sent_and_nothing_else() {
    let packages = match tools::node_package("standardwebhooks").await {
        Ok(packages) => packages,
        Err(missing) => return missing.skips("the library of Standard Webhooks for Node.js"),
    };
    let mut node = Command::new("node");
    node.arg(script("standard_webhooks.js"));
    node.env("PACKAGES", packages);
    judge(node).await;
}

fn script(name: &str) -> std::path::PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.join("tests/it/contracts").join(name)
}

/// Has the program judge deliveries of a node: real ones, and what can be made of them.
async fn judge(mut program: Command) {
    let app = TestApp::running().await;
    let (old, new, delivery) = delivered_during_rotation(&app).await;
    let cases = cases(&app, &old, &new, &delivery);
    let mut child = program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program runs");
    let mut stdin = child.stdin.take().expect("its input");
    let asked = serde_json::to_vec(&cases).expect("JSON");
    stdin.write_all(&asked).await.expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().await.expect("it ends");
    let said: Vec<String> = serde_json::from_slice(&output.stdout).expect("its verdicts");
    assert_eq!(said.len(), cases.len());
    for (case, said) in cases.iter().zip(said) {
        assert_eq!(
            said.starts_with("verified evt_"),
            case.verified,
            "{}: {said}",
            case.what
        );
        assert!(
            case.verified || said.starts_with("refused"),
            "{}: {said}",
            case.what
        );
    }
    app.stop().await;
}

/// An event that both secrets of an endpoint sign, and the secrets.
async fn delivered_during_rotation(app: &TestApp) -> (String, String, Delivery) {
    let old = app.tenant.webhook_secret.clone();
    let at = format!("/api/v1/webhook-endpoints/{}", app.tenant.endpoint_id);
    let rotated = app
        .client
        .post(&format!("{at}/rotate-secret"), &json!({}))
        .await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    let new = rotated.json()["secret"]
        .as_str()
        .expect("a secret")
        .to_owned();
    app.place_answered().await;
    let arrived = || async { app.receiver.received() };
    let arrived = wait_for("an event", arrived, |events| !events.is_empty()).await;
    (old, new, arrived[0].clone())
}

fn cases(app: &TestApp, old: &str, new: &str, delivery: &Delivery) -> Vec<Case> {
    let real = |what, verified, secret: &str| Case {
        what,
        verified,
        secret: secret.to_owned(),
        headers: delivery.headers.clone(),
        body: delivery.raw_body.clone(),
    };
    let foreign = SigningSecret::new(vec![7; 32]).reveal();
    let mut changed_body = real("a changed byte of the body", false, new);
    changed_body.body = changed_body.body.replacen("event_phone", "event_Phone", 1);
    assert_ne!(changed_body.body, delivery.raw_body);
    let mut changed_id = real("another id", false, new);
    let id = delivery.headers["webhook-id"].clone();
    changed_id
        .headers
        .insert("webhook-id".to_owned(), format!("{id}0"));
    let mut changed_signature = real("a changed byte of each signature", false, new);
    let signature = delivery.headers["webhook-signature"].clone();
    let other = |c: char| if c == 'A' { 'B' } else { 'A' };
    let broken: Vec<String> = signature
        .split(' ')
        .map(|one| {
            let (head, tail) = one.split_at("v1,".len());
            let first = tail.chars().next().expect("a signature");
            format!("{head}{}{}", other(first), tail.get(1..).expect("more"))
        })
        .collect();
    let broken = broken.join(" ");
    changed_signature
        .headers
        .insert("webhook-signature".to_owned(), broken);
    let now = app.ambient.now().unix_seconds();
    let at = |what, verified, seconds: i64| {
        let mut case = real(what, verified, new);
        let secret = SigningSecret::parse(new).expect("a secret");
        let signature = secret.sign(&id, seconds, case.body.as_bytes());
        case.headers
            .insert("webhook-timestamp".to_owned(), seconds.to_string());
        case.headers
            .insert("webhook-signature".to_owned(), signature);
        case
    };
    vec![
        real("as it was sent, by the new secret", true, new),
        real("as it was sent, by the previous secret", true, old),
        real("by a foreign secret", false, &foreign),
        changed_body,
        changed_id,
        changed_signature,
        at("signed anew just now", true, now),
        at("signed an hour ago", false, now - 3600),
        at("signed in an hour", false, now + 3600),
    ]
}
