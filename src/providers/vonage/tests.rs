//! What Vonage is sent, member by member, to which host, and the one question that takes several
//! requests.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body, extract::Request, http::Response, serve};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{
    Vonage,
    fixture::{APPLICATION, ID, account},
    keys::Stamp,
    region, request,
};
use crate::{
    ambient::{Ambient, Tasks},
    domain::{
        CallId,
        agent::Answer,
        call::{EndReason, Limits},
        phone::Phone,
        provider::{DialOutcome, FetchOutcome, HangUpOutcome, LookupOutcome, ProviderKind},
    },
    outbound::{self, Reach},
    providers::{
        CallControl as _, Callbacks as _, Credentials, Deadlines, DialLookup, DialRequest,
        Instruction, ProviderCall, Stage,
    },
};

const CALL: CallId = CallId(uuid::Uuid::from_u128(7));
const CALLBACK: &str = "https://onhook.example/callbacks/vonage/1/calls/7";

fn stamp() -> Stamp {
    Stamp {
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
        token_id: uuid::Uuid::nil(),
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
            from: "+15550120".parse().unwrap(),
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
            callback_url: CALLBACK.to_owned(),
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
    assert!(header.to_str().unwrap().starts_with("Bearer eyJ"));
    assert!(header.is_sensitive());
}

fn body(request: &outbound::Request) -> Value {
    let content_type = request.headers.get("content-type").unwrap();
    assert_eq!(content_type, "application/json");
    is_signed_in(request);
    serde_json::from_slice(&request.body).unwrap()
}

fn patient() -> Vonage {
    let deadline = Duration::from_secs(10);
    let deadlines = Deadlines {
        connect: deadline,
        hang_up: deadline,
        dial: deadline,
    };
    Vonage::new(Reach::PublicAndLoopback, deadlines, Ambient::system()).unwrap()
}

#[test]
fn a_dial_asks_for_instructions_and_reports_at_the_calls_own_url() {
    let numbers = Numbers::say();
    let dial = request::dial(&account(None), &numbers.dial(), stamp()).unwrap();
    assert_eq!(
        (&dial.method, dial.url.as_str()),
        (&Method::POST, "https://api.nexmo.com/v1/calls")
    );
    assert_eq!(
        body(&dial),
        json!({
            "to": [{"type": "phone", "number": "15550101"}],
            "from": {"type": "phone", "number": "15550120"},
            "answer_url": [CALLBACK], "answer_method": "POST",
            "event_url": [CALLBACK], "event_method": "POST",
            "length_timer": 1800, "ringing_timer": 45,
        })
    );
}

#[test]
fn limits_that_vonage_does_not_take_become_the_nearest_that_it_does() {
    let numbers = Numbers::say();
    for (limits, length, ringing) in [((90_000, 600), 86_400, 120), ((0, 0), 1, 1)] {
        let mut asked = numbers.dial();
        (
            asked.limits.max_duration_seconds,
            asked.limits.ring_timeout_seconds,
        ) = limits;
        let sent = body(&request::dial(&account(None), &asked, stamp()).unwrap());
        assert_eq!(sent["length_timer"], length);
        assert_eq!(sent["ringing_timer"], ringing);
    }
}

#[test]
fn a_call_is_asked_about_at_the_host_that_keeps_it() {
    let regional = ProviderCall {
        id: ID,
        host: Some("api-us-3.vonage.com"),
        answered: true,
    };
    let hang_up = request::hang_up(&account(None), regional, stamp()).unwrap();
    let url = format!("https://api-us-3.vonage.com/v1/calls/{ID}");
    assert_eq!(
        (&hang_up.method, hang_up.url.as_str()),
        (&Method::PUT, url.as_str())
    );
    assert_eq!(body(&hang_up), json!({"action": "hangup"}));

    let read = request::fetch(&account(None), regional, stamp()).unwrap();
    is_signed_in(&read);
    assert_eq!(
        (read.method, read.url.as_str()),
        (Method::GET, url.as_str())
    );
    let unknown = request::fetch(&account(None), ProviderCall::named(ID), stamp()).unwrap();
    assert_eq!(
        unknown.url.as_str(),
        format!("https://api.nexmo.com/v1/calls/{ID}")
    );
}

/// `(base URL of the account, what a webhook says, the host that is kept)`.
#[test]
fn a_token_goes_to_no_host_that_is_neither_theirs_nor_the_accounts() {
    const SIMULATOR: &str = "http://127.0.0.1:9/vonage";
    const REGION: &str = "https://api-eu-3.vonage.com";
    let table = [
        (None, REGION, Some("api-eu-3.vonage.com")),
        (
            None,
            "https://api-eu-3.vonage.com/",
            Some("api-eu-3.vonage.com"),
        ),
        (None, "https://API.NEXMO.COM", Some("api.nexmo.com")),
        (
            Some("https://api-us-4.vonage.com"),
            REGION,
            Some("api-eu-3.vonage.com"),
        ),
        (Some(SIMULATOR), "http://127.0.0.1:9", Some("127.0.0.1:9")),
        // In clear, elsewhere, another port, or somebody who only looks like them.
        (None, "http://api-eu-3.vonage.com", None),
        (None, "https://api-eu-3.vonage.com:8443", None),
        (None, "https://vonage.com", None),
        (None, "https://.vonage.com", None),
        (None, "https://evilvonage.com", None),
        (None, "https://api.vonage.com.evil.example", None),
        (None, "https://evil.example/api.vonage.com", None),
        (None, "https://api.vonage.com@evil.example", None),
        (None, "https://u:p@api.vonage.com", None),
        (None, "https://127.0.0.1", None),
        (None, "api-eu-3.vonage.com", None),
        (None, "", None),
        (Some(SIMULATOR), "http://127.0.0.1:10", None),
        (Some(SIMULATOR), "https://127.0.0.1:9", None),
        (Some(SIMULATOR), "http://localhost:9", None),
        (Some(SIMULATOR), REGION, None),
    ];
    for (base, told, expected) in table {
        let kept = region::host(&account(base), told);
        assert_eq!(kept.as_deref(), expected, "{base:?} {told}");
    }
}

/// The database may hold what another version or another setting of the account left there.
#[test]
fn a_kept_host_that_is_not_theirs_is_as_good_as_none() {
    const SIMULATOR: &str = "http://127.0.0.1:9/vonage";
    let at = |base, host| {
        region::base(&account(base), host)
            .unwrap()
            .as_str()
            .trim_end_matches('/')
            .to_owned()
    };
    for host in [
        "evil.example",
        "evil.example/.vonage.com",
        "evil.example#.vonage.com",
        "u@api.vonage.com",
        "api.vonage.com:8443",
        "api.vonage.com/x",
        "127.0.0.1:10",
        "",
    ] {
        assert_eq!(at(None, Some(host)), "https://api.nexmo.com", "{host}");
        assert_eq!(at(Some(SIMULATOR), Some(host)), SIMULATOR, "{host}");
    }
    assert_eq!(at(Some(SIMULATOR), Some("127.0.0.1:9")), SIMULATOR);
    assert_eq!(at(Some(SIMULATOR), Some("api.vonage.com")), SIMULATOR);
    let region = Some("api-eu-3.vonage.com");
    assert_eq!(at(None, region), "https://api-eu-3.vonage.com");
}

#[test]
fn lists_are_asked_for_page_by_page() {
    let account = account(Some("http://127.0.0.1:9/vonage/"));
    let numbers = Numbers::say();
    let search = request::find_dial(&account, &numbers.lookup(), 100, stamp()).unwrap();
    is_signed_in(&search);
    assert_eq!(search.method, Method::GET);
    assert_eq!(
        search.url.as_str(),
        "http://127.0.0.1:9/vonage/v1/calls?date_start=2025-12-31T23%3A59%3A59.000Z\
         &date_end=2026-01-01T00%3A03%3A11.000Z&page_size=100&record_index=100&order=asc"
    );
    let live = |cursor| request::live_calls(&account, cursor, stamp());
    let query = |cursor| live(cursor).unwrap().url.query().unwrap().to_owned();
    let page = "page_size=100&record_index";
    assert_eq!(query(None), format!("status=started&{page}=0&order=asc"));
    assert_eq!(
        query(Some("2:300")),
        format!("status=answered&{page}=300&order=asc")
    );
    for cursor in ["", "4:0", "-1:0", "0:", "0:x", "x"] {
        assert!(live(Some(cursor)).is_err(), "{cursor}");
    }
}

#[tokio::test]
async fn what_cannot_be_asked_safely_is_not_asked() {
    let (adapter, good) = (patient(), account(None));
    let long = format!("{ID}0");
    for id in ["", "..", "a/b", &ID.replace('-', ""), long.as_str()] {
        let call = ProviderCall::named(id);
        let asked = adapter.hang_up(&good, call).await;
        assert_eq!(asked.outcome, HangUpOutcome::Refused, "{id}");
        let read = adapter.fetch(&good, call).await;
        assert_eq!(read.outcome, FetchOutcome::Refused, "{id}");
    }
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
        (other_name, "is not the application_id"),
        (another_providers, "not Vonage's"),
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

#[test]
fn instructions_and_rejections_are_lists_of_actions() {
    let (adapter, account, numbers) = (patient(), account(None), Numbers::say());
    let instruction = Instruction {
        call_id: CALL,
        stage: Stage::Answered,
        answer: &numbers.answer,
        limits: Limits::default(),
        callback_url: CALLBACK.to_owned(),
    };
    let reply = adapter.instructions(&account, &instruction).unwrap();
    assert_eq!(
        (reply.status, reply.content_type),
        (200, Some("application/json"))
    );
    assert_eq!(reply.body, r#"[{"action":"talk","text":"Hello"}]"#);
    let rejection = adapter.rejection();
    assert_eq!((rejection.status, rejection.body.as_str()), (200, "[]"));
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
async fn a_search_reads_the_list_to_its_end_but_not_for_ever() {
    let call = |id: &str, to: &str| {
        json!({
            "uuid": id, "status": "ringing", "direction": "outbound",
            "to": {"type": "phone", "number": to},
            "from": {"type": "phone", "number": "15550120"},
        })
    };
    let page = |count: usize, calls: Value| json!({"count": count, "_embedded": {"calls": calls}});
    let numbers = Numbers::say();
    let search = async |pages: Vec<Value>| {
        let (base_url, queries, _tasks) = carrier(pages).await;
        let account = account(Some(&base_url));
        let asked = patient().find_dial(&account, numbers.lookup()).await;
        let queries = queries.lock().unwrap().clone();
        (asked.outcome, queries)
    };
    let ours = page(2, json!([call(ID, "15550101")]));
    let another = page(2, json!([call(APPLICATION, "15550102")]));
    let (found, queries) = search(vec![another.clone(), ours.clone()]).await;
    assert!(
        matches!(&found, LookupOutcome::Found(it) if it.provider_call_id == ID),
        "{found:?}"
    );
    assert!(queries[1].contains("record_index=1&"), "{queries:?}");
    let (nothing, _) = search(vec![another.clone()]).await;
    assert_eq!(nothing, LookupOutcome::Nothing);
    let twin = page(2, json!([call(APPLICATION, "15550101")]));
    let (ambiguous, _) = search(vec![ours.clone(), twin]).await;
    assert_eq!(ambiguous, LookupOutcome::Ambiguous(2));
    let endless = page(1000, json!([call(APPLICATION, "15550102")]));
    let (unclear, queries) = search(vec![endless]).await;
    assert_eq!(unclear, LookupOutcome::Unavailable { after: None });
    assert_eq!(queries.len(), 20);
}
