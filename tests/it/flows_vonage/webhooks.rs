//! Webhooks: what proves one, and those that come twice.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    Connected, assert_success, connect, fault, named, place, place_answered, stand_still, terminate,
};
use crate::{
    flows::books,
    support::{app::TestApp, wait::wait_for},
};

#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_twice_or_forged_change_nothing() {
    let app = TestApp::running().await;
    let account = connect(&app).await;
    fault(&app, "callback", 1, json!({"forge": true})).await;
    fault(&app, "callback", 4, json!({"duplicate": true})).await;
    let id = place_answered(&app, &account).await;
    let all = |expected: usize| {
        move |seen: &Value| seen["callbacks"].as_array().map_or(0, Vec::len) == expected
    };
    wait_for("the question", || app.at_provider(&id), all(8)).await;
    assert_success(&terminate(&app, &id).await);

    let seen = wait_for("every event", || app.at_provider(&id), all(10)).await;
    let answers: Vec<(&str, &str, u64)> = seen["callbacks"]
        .as_array()
        .expect("callbacks")
        .iter()
        .map(|sent| {
            let answer = sent["answers"][0].as_u64().expect("an answer");
            let text = |name: &str| sent[name].as_str().expect("a text");
            (text("event"), text("copy"), answer)
        })
        .collect();
    assert_eq!(
        answers,
        [
            ("initiated", "forged", 403),
            ("initiated", "true", 204),
            ("ringing", "true", 204),
            ("ringing", "duplicate", 204),
            ("answered", "true", 204),
            ("answered", "duplicate", 204),
            // Asked again, it is told again.
            ("asks", "true", 200),
            ("asks", "duplicate", 200),
            ("completed", "true", 204),
            ("completed", "duplicate", 204),
        ]
    );
    books::assert_ended_once(&app, &id).await;
    app.stop().await;
}

/// A webhook to the node, as the test wants it signed.
#[derive(Clone)]
struct Webhook {
    path: String,
    event: Value,
    signed_at: i64,
    secret: String,
    claims: Value,
    /// What is sent in place of what was signed.
    sent: Option<Value>,
}

impl Webhook {
    /// As Vonage sends it.
    fn of(app: &TestApp, account: &Connected, path: &str, event: Value) -> Self {
        let text = |name: &str| {
            account.credentials[name]
                .as_str()
                .expect("a text")
                .to_owned()
        };
        Self {
            path: path.to_owned(),
            event,
            signed_at: app.ambient.now().unix_seconds(),
            secret: text("signature_secret"),
            claims: json!({
                "iss": "Vonage", "jti": "1", "api_key": text("api_key"),
                "application_id": text("application_id"),
            }),
            sent: None,
        }
    }

    async fn send(&self, app: &TestApp) -> u16 {
        let body = self.event.to_string();
        let hash = Sha256::digest(&body)
            .iter()
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let header = json!({"typ": "JWT", "alg": "HS256"});
        let mut claims = self.claims.clone();
        claims["iat"] = self.signed_at.into();
        claims["payload_hash"] = hash.into();
        let [header, claims] =
            [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).expect("a key");
        mac.update(format!("{header}.{claims}").as_bytes());
        let tag = BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
        let token = format!("Bearer {header}.{claims}.{tag}");
        let headers = [
            ("content-type", "application/json"),
            ("authorization", token.as_str()),
        ];
        let body = self.sent.as_ref().unwrap_or(&self.event).to_string();
        let client = app.client.with_token(None);
        client
            .send(Method::POST, &self.path, &headers, &body)
            .await
            .status
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_must_be_signed_by_the_accounts_secret_lately_and_for_its_own_call() {
    let app = TestApp::running().await;
    let account = connect(&app).await;
    stand_still(&app).await;
    let id = place(&app, &account).await;
    let call = named(&app, &id).await;
    let event = |uuid: &Value, status: &str| {
        json!({
            "uuid": uuid, "status": status, "from": "15550120", "to": "15550101",
            "direction": "outbound", "timestamp": app.ambient.now().to_string(),
        })
    };
    let path = format!("/callbacks/vonage/{}/calls/{id}", account.id);
    let good = Webhook::of(&app, &account, &path, event(&call["call_sid"], "completed"));
    let changed = |change: fn(&mut Webhook)| {
        let mut webhook = good.clone();
        change(&mut webhook);
        webhook
    };
    for refused in [
        changed(|it| it.secret = "another".to_owned()),
        changed(|it| it.signed_at -= 302),
        changed(|it| it.signed_at += 302),
        changed(|it| it.claims["api_key"] = json!("another")),
        changed(|it| it.claims["application_id"] = json!("bbbbbbbb-bbbb-4ccc-8ddd-0123456789ab")),
        changed(|it| it.claims["iss"] = json!("Onhook")),
        changed(|it| it.sent = Some(json!({"status": "completed"}))),
        changed(|it| it.path = it.path.replace("vonage", "twilio")),
    ] {
        assert_eq!(
            refused.send(&app).await,
            403,
            "{} {}",
            refused.path,
            refused.claims
        );
    }
    // Truly signed, about another call: this one is known by another name.
    let stranger = json!("63f61863-4a51-4f6b-86e1-46edebcf9356");
    let another = Webhook::of(&app, &account, &path, event(&stranger, "completed"));
    assert_eq!(another.send(&app).await, 204);
    let unknown = format!(
        "/callbacks/vonage/{}/calls/{}",
        account.id,
        app.ambient.entropy.uuid()
    );
    let nobodys = Webhook::of(&app, &account, &unknown, event(&stranger, "completed"));
    assert_eq!(nobodys.send(&app).await, 404);
    assert_eq!(app.call(&id).await["status"], "initiating");

    let answered = event(&call["call_sid"], "answered");
    let answered = Webhook::of(&app, &account, &path, answered);
    assert_eq!(answered.send(&app).await, 204);
    assert_eq!(app.call(&id).await["status"], "in-progress");
    app.stop().await;
}
