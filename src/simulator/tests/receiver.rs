//! The webhook receiver over loopback HTTP.

use hyper::{HeaderMap, Method, body::Bytes};
use serde_json::{Value, json};
use tokio::sync::mpsc::unbounded_channel;

use super::{ANYWHERE, PATIENCE, client, json};
use crate::{
    ambient::Ambient,
    domain::webhook::signature::SigningSecret,
    outbound::{Answer, Request},
    simulator::Receiver,
};

const BODY: &str = r#"{"type":"event_phone_call_ended","data":{}}"#;

async fn send(to: &str, method: Method, headers: HeaderMap, body: &str) -> Answer {
    let request = Request {
        method,
        url: to.parse().unwrap(),
        headers,
        body: Bytes::from(body.to_owned()),
    };
    client().send(request, PATIENCE, 1 << 20).await.unwrap()
}

fn signed(secret: &SigningSecret, at: i64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", "evt_1".parse().unwrap());
    headers.insert("webhook-timestamp", at.to_string().parse().unwrap());
    let signature = secret.sign("evt_1", at, BODY.as_bytes());
    headers.insert("webhook-signature", signature.parse().unwrap());
    headers
}

#[tokio::test]
async fn a_delivery_is_checked_kept_and_passed_on() {
    let ambient = Ambient::system();
    let (sender, mut passed_on) = unbounded_channel();
    let receiver = Receiver::start(ANYWHERE, ambient.clone(), Some(sender))
        .await
        .unwrap();
    let (ours, other) = (
        SigningSecret::new(vec![1; 32]),
        SigningSecret::new(vec![2; 32]),
    );
    receiver.trust(ours.clone());
    let now = ambient.now().unix_seconds();
    let to = format!("{}/hooks", receiver.base_url());
    for (headers, valid) in [
        (signed(&ours, now), true),
        (signed(&other, now), false),
        (signed(&ours, now - 301), false),
        (HeaderMap::new(), false),
    ] {
        assert_eq!(send(&to, Method::POST, headers, BODY).await.status, 204);
        assert_eq!(passed_on.try_recv().unwrap().signature_valid, valid);
    }
    let list = format!("{}/received", receiver.base_url());
    let listed = json(&send(&list, Method::GET, HeaderMap::new(), "").await);
    assert_eq!(listed["received"].as_array().unwrap().len(), 4);
    let first = &listed["received"][0];
    assert_eq!(first["id"], "evt_1");
    assert_eq!(first["type"], "event_phone_call_ended");
    assert_eq!(first["signature_valid"], true);
    assert_eq!(first["body"]["data"], json!({}));
    assert_eq!(first["headers"]["webhook-timestamp"], now.to_string());
    send(&list, Method::DELETE, HeaderMap::new(), "").await;
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn it_misbehaves_as_often_as_told() {
    let receiver = Receiver::start(ANYWHERE, Ambient::system(), None)
        .await
        .unwrap();
    let behave = format!("{}/behave", receiver.base_url());
    let order = r#"{"status":503,"times":2,"retry_after":7,"delay_ms":1}"#;
    assert_eq!(
        send(&behave, Method::POST, HeaderMap::new(), order)
            .await
            .status,
        204
    );
    let mut answered = Vec::new();
    for _ in 0..3 {
        let answer = send(&receiver.base_url(), Method::POST, HeaderMap::new(), BODY).await;
        answered.push((
            answer.status,
            answer.header("retry-after").map(str::to_owned),
        ));
    }
    let busy = (503, Some("7".to_owned()));
    assert_eq!(answered, [busy.clone(), busy, (204, None)]);
    let kept: Vec<u16> = receiver.received().iter().map(|it| it.answered).collect();
    assert_eq!(kept, [503, 503, 204]);
    for wrong in ["{}", r#"{"status":42}"#, r#"{"status":500,"often":1}"#] {
        let refused = send(&behave, Method::POST, HeaderMap::new(), wrong).await;
        assert_eq!(refused.status, 400, "{wrong}");
        assert!(matches!(json(&refused)["error"], Value::String(_)));
    }
}
