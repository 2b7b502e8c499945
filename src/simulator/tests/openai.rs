//! OpenAI's face: what it refuses, what it lets pass and fails later, and the websocket beside a
//! call, spoken to by a client of the program's.

use hyper::{HeaderMap, Method};
use serde_json::{Value, json};

use super::{PATIENCE, Rig, json};
use crate::outbound::{
    Answer, Request,
    ws::{Heard, NotOpened, Socket},
};

const SESSION: &str = r#"{"type":"realtime","model":"gpt-realtime","instructions":"Be kind."}"#;

/// A project in the simulator, whose webhooks come to the rig's customer.
struct Project {
    rig: Rig,
    key: String,
}

impl Project {
    async fn start() -> Self {
        let rig = Rig::start().await;
        let account = json!({
            "provider": "openai", "external_id": "proj_1", "secret": "s",
            "incoming_url": format!("{}/webhook", rig.customer),
        });
        let path = "/accounts";
        let (status, shown) = rig.control(Method::POST, path, &account.to_string()).await;
        assert_eq!(status, 201, "{shown}");
        let key = shown["credentials"]["api_key"].as_str().unwrap().to_owned();
        Self { rig, key }
    }

    fn headers(&self) -> HeaderMap {
        let bearer = format!("Bearer {}", self.key);
        [("authorization".parse().unwrap(), bearer.parse().unwrap())]
            .into_iter()
            .collect()
    }

    async fn call_in(&self) -> String {
        let order = r#"{"provider":"openai","to":"+15550100","from":"+15550101"}"#;
        let (status, call) = self.rig.control(Method::POST, "/inbound", order).await;
        assert_eq!(status, 201, "{call}");
        call["id"].as_str().unwrap().to_owned()
    }

    async fn command(&self, id: &str, name: &str, body: &str) -> Answer {
        let path = format!("/openai/v1/realtime/calls/{id}/{name}");
        let sent = self.rig.send(Method::POST, &path, self.headers(), body);
        sent.await.unwrap()
    }

    async fn socket(&self, id: &str) -> Result<Socket, NotOpened> {
        let url = format!("{}/openai/v1/realtime?call_id={id}", self.rig.base);
        let request = Request {
            method: Method::GET,
            url: url.parse().unwrap(),
            headers: self.headers(),
            body: hyper::body::Bytes::new(),
        };
        self.rig
            .client
            .open_websocket(request, PATIENCE, 1024)
            .await
    }

    async fn state(&self, id: &str) -> Value {
        self.rig.seen(id).await["state"].clone()
    }
}

fn refusal(answer: &Answer) -> (u16, Value) {
    (answer.status, json(answer)["error"]["code"].clone())
}

fn status_of(opened: Result<Socket, NotOpened>) -> (u16, usize) {
    match opened {
        Err(NotOpened::Answered(answer)) => (answer.status, answer.body.len()),
        other => panic!("{other:?}"),
    }
}

async fn hear(socket: &mut Socket) -> Heard {
    tokio::time::timeout(PATIENCE, socket.next()).await.unwrap()
}

#[tokio::test]
async fn strangers_unknown_calls_and_commands_out_of_place_are_refused() {
    let project = Project::start().await;
    let id = project.call_in().await;
    let path = format!("/openai/v1/realtime/calls/{id}/accept");
    let stranger = project
        .rig
        .send(Method::POST, &path, HeaderMap::new(), SESSION);
    let stranger = stranger.await.unwrap();
    assert_eq!(refusal(&stranger), (401, json!("invalid_api_key")));

    let gone = json!("call_id_not_found");
    for (name, body) in [("accept", SESSION), ("reject", "{}"), ("hangup", "")] {
        let answer = project.command("rtc_0", name, body).await;
        assert_eq!(refusal(&answer).1, gone, "{name}");
    }
    // One that nobody accepted is none to hang up.
    let pending = project.command(&id, "hangup", "").await;
    assert_eq!(refusal(&pending), (404, gone.clone()));
    assert_eq!(project.command(&id, "accept", SESSION).await.status, 200);
    let again = project.command(&id, "accept", SESSION).await;
    assert_eq!(refusal(&again), (409, json!("call_already_accepted")));
    assert_eq!(project.command(&id, "hangup", "").await.status, 200);
    let over = project.command(&id, "hangup", "").await;
    assert_eq!(refusal(&over), (404, gone));
    let elsewhere = project.command(&id, "refer", "{}").await;
    assert_eq!(refusal(&elsewhere), (404, json!("unknown_url")));
}

#[tokio::test]
async fn a_session_that_is_wrong_is_accepted_and_the_call_fails() {
    let project = Project::start().await;
    for body in [
        "",
        "{}",
        r#"{"type":"realtime"}"#,
        r#"{"type":"x","model":"y"}"#,
    ] {
        let id = project.call_in().await;
        assert_eq!(
            project.command(&id, "accept", body).await.status,
            200,
            "{body}"
        );
        assert_eq!(project.state(&id).await, "failed", "{body}");
        assert_eq!(project.rig.seen(&id).await["sip_code"], 400);
        assert_eq!(status_of(project.socket(&id).await), (404, 0));
    }
}

#[tokio::test]
async fn a_caller_is_turned_away_with_the_status_that_is_said_or_603() {
    let project = Project::start().await;
    for (body, expected) in [("", 603), ("{}", 603), (r#"{"status_code":486}"#, 486)] {
        let id = project.call_in().await;
        assert_eq!(project.command(&id, "reject", body).await.status, 200);
        assert_eq!(project.rig.seen(&id).await["sip_code"], expected, "{body}");
    }
    let id = project.call_in().await;
    let wrong = project.command(&id, "reject", r#"{"status":486}"#).await;
    assert_eq!(wrong.status, 400);
    assert_eq!(project.state(&id).await, "ringing");
}

#[tokio::test]
async fn the_websocket_beside_a_call_lives_as_long_as_the_call() {
    let project = Project::start().await;
    let id = project.call_in().await;
    assert_eq!(status_of(project.socket(&id).await), (404, 0));
    assert_eq!(project.command(&id, "accept", SESSION).await.status, 200);

    let mut socket = project.socket(&id).await.unwrap();
    let Heard::Text(text) = hear(&mut socket).await else {
        panic!("nothing was said");
    };
    let event: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(event["type"], "session.created");
    socket
        .send(r#"{"type":"response.create"}"#.to_owned())
        .await
        .unwrap();

    let path = format!("/calls/{id}/hangup");
    assert_eq!(project.rig.control(Method::POST, &path, "").await.0, 200);
    let closed = Heard::Closed {
        code: Some(1000),
        reason: String::new(),
    };
    assert_eq!(hear(&mut socket).await, closed);
    assert_eq!(status_of(project.socket(&id).await), (404, 0));
}

#[tokio::test]
async fn websockets_break_without_a_closing_when_told_to_and_openings_fail() {
    let project = Project::start().await;
    let id = project.call_in().await;
    assert_eq!(project.command(&id, "accept", SESSION).await.status, 200);
    let mut socket = project.socket(&id).await.unwrap();
    assert!(matches!(hear(&mut socket).await, Heard::Text(_)));
    let broken = project
        .rig
        .control(Method::POST, "/sockets/break", "")
        .await;
    assert_eq!(broken.0, 204);
    let heard = hear(&mut socket).await;
    assert!(matches!(heard, Heard::Broken(_)), "{heard:?}");

    let fault = r#"{"provider":"openai","operation":"socket","respond":{"status":503}}"#;
    assert_eq!(
        project.rig.control(Method::POST, "/faults", fault).await.0,
        201
    );
    assert_eq!(status_of(project.socket(&id).await).0, 503);
    let fault = r#"{"provider":"openai","operation":"socket","reset":"before"}"#;
    assert_eq!(
        project.rig.control(Method::POST, "/faults", fault).await.0,
        201
    );
    let opened = project.socket(&id).await;
    assert!(matches!(opened, Err(NotOpened::Failed(_))), "{opened:?}");
    assert!(project.socket(&id).await.is_ok());
}
