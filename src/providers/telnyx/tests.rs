//! What Telnyx is sent, member by member, and the one question that takes several requests.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body, extract::Request, http::Response, serve};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Telnyx, request};
use crate::{
    ambient::Tasks,
    domain::{
        CallId, OrganizationId, ProviderAccountId,
        agent::Answer,
        call::{EndReason, Limits},
        phone::Phone,
        provider::{DialOutcome, FetchOutcome, HangUpOutcome, LookupOutcome, ProviderKind},
    },
    outbound::{self, Reach},
    providers::{
        Account, CallControl as _, Credentials, Deadlines, DialLookup, DialRequest, ProviderCall,
    },
};

const ID: &str = "v3:MdI91X4l_a-Z";
const CALL: CallId = CallId(uuid::Uuid::from_u128(7));

fn account(base_url: Option<&str>) -> Account {
    let credentials = json!({
        "api_key": "KEY1", "connection_id": "7267",
        "public_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    });
    Account {
        id: ProviderAccountId(uuid::Uuid::nil()),
        organization_id: OrganizationId(uuid::Uuid::nil()),
        kind: ProviderKind::Telnyx,
        external_id: "7267".to_owned(),
        api_base_url: base_url.map(str::to_owned),
        credentials: Credentials::parse(ProviderKind::Telnyx, credentials.to_string().as_bytes())
            .unwrap(),
    }
}

struct Numbers {
    from: Phone,
    to: Phone,
    answer: Answer,
}

impl Numbers {
    fn new(answer: Answer) -> Self {
        Self {
            from: "+15550110".parse().unwrap(),
            to: "+15550101".parse().unwrap(),
            answer,
        }
    }

    fn say() -> Self {
        Self::new(Answer::Say {
            text: "Hello".to_owned(),
        })
    }

    fn dial(&self) -> DialRequest<'_> {
        DialRequest {
            call_id: CALL,
            from: &self.from,
            to: &self.to,
            answer: &self.answer,
            limits: Limits {
                max_duration_seconds: 1800,
                ring_timeout_seconds: 45,
            },
            callback_url: "https://onhook.example/callbacks/telnyx/1/calls/7".to_owned(),
        }
    }

    fn lookup(&self) -> DialLookup<'_> {
        DialLookup {
            call_id: CALL,
            from: &self.from,
            to: &self.to,
            since: "2026-01-01T00:00:01Z".parse().unwrap(),
            until: "2026-01-01T00:00:11Z".parse().unwrap(),
            known: &[],
        }
    }
}

fn is_signed_in(request: &outbound::Request) {
    let header = request.headers.get("authorization").unwrap();
    assert_eq!(header, "Bearer KEY1");
    assert!(header.is_sensitive());
}

fn body(request: &outbound::Request) -> Value {
    assert_eq!(request.method, Method::POST);
    assert_eq!(
        request.headers.get("content-type").unwrap(),
        "application/json"
    );
    is_signed_in(request);
    serde_json::from_slice(&request.body).unwrap()
}

fn patient() -> Telnyx {
    let deadline = Duration::from_secs(10);
    let deadlines = Deadlines {
        connect: deadline,
        hang_up: deadline,
        dial: deadline,
    };
    Telnyx::new(Reach::PublicAndLoopback, deadlines).unwrap()
}

#[test]
fn a_dial_says_everything_and_carries_our_id_twice() {
    let mut expected = json!({
        "connection_id": "7267", "to": "+15550101", "from": "+15550110",
        "command_id": CALL.to_string(),
        "client_state": BASE64_STANDARD.encode(format!("{}/{CALL}", account(None).id)),
        "timeout_secs": 45, "time_limit_secs": 1800,
        "webhook_url": "https://onhook.example/callbacks/telnyx/1/calls/7",
        "webhook_url_method": "POST",
    });
    let dial = request::dial(&account(None), &Numbers::say().dial()).unwrap();
    assert_eq!(dial.url.as_str(), "https://api.telnyx.com/v2/calls");
    assert_eq!(body(&dial), expected);

    let url = "wss://agent.example/media?call=1".to_owned();
    let stream = Numbers::new(Answer::Stream { url: url.clone() });
    let dial = request::dial(&account(None), &stream.dial()).unwrap();
    for (name, value) in [
        ("stream_url", url.as_str()),
        ("stream_track", "both_tracks"),
        ("stream_bidirectional_mode", "rtp"),
        ("stream_bidirectional_target_legs", "self"),
    ] {
        expected[name] = json!(value);
    }
    assert_eq!(body(&dial), expected);
}

#[test]
fn a_hang_up_is_the_same_command_each_time_and_another_for_another_call() {
    let hang_up = |id| request::hang_up(&account(None), id).unwrap();
    let first = hang_up(ID);
    assert_eq!(
        first.url.as_str(),
        "https://api.telnyx.com/v2/calls/v3%3AMdI91X4l_a-Z/actions/hangup"
    );
    let command = body(&first);
    let id = command["command_id"].as_str().unwrap();
    assert_eq!(id.parse::<uuid::Uuid>().unwrap().get_version_num(), 8);
    assert_eq!(command.as_object().unwrap().len(), 1);
    assert_eq!(body(&hang_up(ID)), command);
    assert_ne!(body(&hang_up("v3:other")), command);
}

#[test]
fn a_read_and_a_search_ask_below_the_accounts_base() {
    let account = account(Some("http://127.0.0.1:9/telnyx/"));
    let read = request::fetch(&account, ID).unwrap();
    is_signed_in(&read);
    assert_eq!(
        (read.method, read.url.as_str()),
        (
            Method::GET,
            "http://127.0.0.1:9/telnyx/v2/calls/v3%3AMdI91X4l_a-Z"
        )
    );
    let search = |after| request::active_calls(&account, after).unwrap().url;
    let first = "http://127.0.0.1:9/telnyx/v2/connections/7267/active_calls?page%5Blimit%5D=250";
    assert_eq!(search(None).as_str(), first);
    assert_eq!(
        search(Some("v1:a&b")).as_str(),
        format!("{first}&page%5Bafter%5D=v1%3Aa%26b")
    );
}

#[test]
fn an_id_stays_one_segment_of_the_path() {
    let path = |id| request::fetch(&account(None), id).map(|http| http.url.path().to_owned());
    assert_eq!(path("a/../b").unwrap(), "/v2/calls/a%2F..%2Fb");
    assert_eq!(path("a%2Fb?c#d").unwrap(), "/v2/calls/a%252Fb%3Fc%23d");
    let long = "x".repeat(201);
    for id in ["", ".", "..", "a b", "a\nb", "é", long.as_str()] {
        assert!(path(id).is_err(), "{id:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_asked_safely_is_not_asked() {
    let (adapter, good) = (patient(), account(None));
    let asked = adapter.hang_up(&good, ProviderCall::named("..")).await;
    assert_eq!(asked.outcome, HangUpOutcome::Refused);
    assert_eq!(
        adapter.fetch(&good, ProviderCall::named("")).await.outcome,
        FetchOutcome::Refused
    );
    let refused = DialOutcome::Refused {
        reason: EndReason::PlatformError,
    };
    let mut other_name = account(None);
    other_name.external_id = "1".to_owned();
    let mut another_providers = account(None);
    another_providers.credentials =
        Credentials::parse(ProviderKind::Twilio, br#"{"auth_token":"t"}"#).unwrap();
    for (account, expected) in [
        (account(Some("http://api.example.com")), "must be https"),
        (
            account(Some("https://u:p@api.example.com")),
            "no credentials",
        ),
        (account(Some("data:x")), "https"),
        (other_name, "is not the connection_id"),
        (another_providers, "not Telnyx's"),
    ] {
        let asked = adapter.dial(&account, Numbers::say().dial()).await;
        assert_eq!(asked.outcome, refused);
        let message = asked.answer.message.unwrap();
        assert!(message.contains(expected), "{message}");
    }
    for url in ["ws://agent.example/", "https://agent.example/", "agent"] {
        let stream = Numbers::new(Answer::Stream {
            url: url.to_owned(),
        });
        let asked = adapter.dial(&good, stream.dial()).await;
        assert_eq!(asked.outcome, refused, "{url}");
    }
}

/// Answers searches with the pages, in turn, and tells the queries.
async fn carrier(pages: Vec<Value>) -> (String, Arc<Mutex<Vec<String>>>, Tasks) {
    let queries: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&queries);
    let router = Router::new().fallback(move |request: Request| {
        let mut log = log.lock().unwrap();
        log.push(request.uri().query().unwrap().to_owned());
        let page = pages[(log.len() - 1) % pages.len()].to_string();
        async move { Response::new(Body::from(page)) }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let tasks = Tasks::default();
    drop(tasks.spawn(async move { serve(listener, router).await.unwrap() }));
    (base_url, queries, tasks)
}

#[tokio::test]
async fn a_search_follows_the_cursors_to_the_call_or_to_the_end_but_not_for_ever() {
    let more = json!({"data": [], "meta": {"cursors": {"after": "c2"}, "next": "/v2/…"}});
    let ours = json!({"data": [{
        "call_control_id": ID, "client_state": BASE64_STANDARD.encode(format!("{}/{CALL}", account(None).id)),
    }]});
    let numbers = Numbers::say();
    let search = async |pages: Vec<Value>| {
        let (base_url, queries, _tasks) = carrier(pages).await;
        let account = account(Some(&base_url));
        let asked = patient().find_dial(&account, numbers.lookup()).await;
        let queries = queries.lock().unwrap().clone();
        (asked, queries)
    };
    let (found, queries) = search(vec![more.clone(), ours]).await;
    assert!(
        matches!(found.outcome, LookupOutcome::Found(_)),
        "{found:?}"
    );
    assert_eq!(
        queries,
        [
            "page%5Blimit%5D=250",
            "page%5Blimit%5D=250&page%5Bafter%5D=c2"
        ]
    );
    let (nothing, _) = search(vec![more.clone(), json!({"data": []})]).await;
    assert_eq!(nothing.outcome, LookupOutcome::Nothing);
    let (endless, queries) = search(vec![more]).await;
    assert_eq!(endless.outcome, LookupOutcome::Unavailable { after: None });
    assert_eq!(queries.len(), 20);
}
