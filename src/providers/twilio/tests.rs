//! Over real sockets: what Twilio is sent, byte for byte, and what becomes of broken answers.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{Method, Response},
    serve,
};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
};

use super::Twilio;
use crate::{
    ambient::Tasks,
    domain::{
        CallId, OrganizationId, ProviderAccountId,
        agent::Answer,
        call::{EndReason, Limits},
        phone::Phone,
        provider::{
            DialOutcome, FetchOutcome, HangUpOutcome, LookupOutcome, Progress, ProviderKind,
        },
    },
    outbound::Reach,
    providers::{
        Account, CallControl as _, Credentials, Deadlines, DialLookup, DialRequest, ProviderCall,
    },
};

const QUEUED: &str = r#"{"sid":"CA7","status":"queued","direction":"outbound-api","date_created":"Tue, 31 Aug 2010 20:36:28 +0000"}"#;

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Arrived {
    method: Method,
    /// Path and query.
    target: String,
    authorization: String,
    content_type: Option<String>,
    body: Bytes,
}

/// A server that answers everything with one status and body, and what it has been sent.
struct Carrier {
    base_url: String,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    _tasks: Tasks,
}

impl Carrier {
    async fn answering(status: u16, body: &'static str) -> Self {
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&arrived);
        let router = Router::new().fallback(move |request: Request| {
            let log = Arc::clone(&log);
            async move {
                let request = arrived_as(request).await;
                log.lock().unwrap().push(request);
                Response::builder()
                    .status(status)
                    .body(Body::from(body))
                    .unwrap()
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let tasks = Tasks::default();
        drop(tasks.spawn(async move { serve(listener, router).await.unwrap() }));
        Self {
            base_url,
            arrived,
            _tasks: tasks,
        }
    }

    /// The one request that it was sent.
    fn only(&self) -> Arrived {
        let arrived = self.arrived.lock().unwrap();
        assert_eq!(arrived.len(), 1, "{arrived:?}");
        arrived[0].clone()
    }
}

async fn arrived_as(request: Request) -> Arrived {
    let (parts, body) = request.into_parts();
    let header = |name: &str| {
        let value = parts.headers.get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    Arrived {
        authorization: header("authorization").unwrap(),
        content_type: header("content-type"),
        target: parts.uri.to_string(),
        method: parts.method.clone(),
        body: to_bytes(body, 1 << 20).await.unwrap(),
    }
}

/// A listener that reads a whole request and then does `act` to the connection, again and again.
async fn breaking(act: fn(TcpStream, &mut Vec<TcpStream>)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    drop(Tasks::default().spawn(async move {
        let mut kept = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 16 * 1024];
            assert!(stream.read(&mut buffer).await.unwrap() > 0);
            act(stream, &mut kept);
        }
    }));
    base_url
}

fn account(base_url: &str, credentials: &str) -> Account {
    Account {
        id: ProviderAccountId(uuid::Uuid::nil()),
        organization_id: OrganizationId(uuid::Uuid::nil()),
        kind: ProviderKind::Twilio,
        external_id: "AC123".to_owned(),
        api_base_url: Some(base_url.to_owned()),
        credentials: Credentials::parse(ProviderKind::Twilio, credentials.as_bytes()).unwrap(),
    }
}

const TOKEN: &str = r#"{"auth_token":"t0k"}"#;
const API_KEY: &str = r#"{"auth_token":"t0k","api_key_sid":"SK9","api_key_secret":"s3c"}"#;

fn twilio(reach: Reach, deadline: Duration) -> Twilio {
    let deadlines = Deadlines {
        connect: deadline,
        hang_up: deadline,
        dial: deadline,
    };
    Twilio::new(reach, deadlines).unwrap()
}

/// An adapter with deadlines that a loaded machine keeps.
fn patient() -> Twilio {
    twilio(Reach::PublicAndLoopback, Duration::from_secs(10))
}

struct Numbers {
    from: Phone,
    to: Phone,
    answer: Answer,
}

impl Numbers {
    fn new() -> Self {
        Self {
            from: "+15550100".parse().unwrap(),
            to: "+15550101".parse().unwrap(),
            answer: Answer::Say {
                text: "Tom & I".to_owned(),
            },
        }
    }

    fn dial(&self) -> DialRequest<'_> {
        DialRequest {
            call_id: CallId(uuid::Uuid::nil()),
            from: &self.from,
            to: &self.to,
            answer: &self.answer,
            limits: Limits {
                max_duration_seconds: 1800,
                ring_timeout_seconds: 45,
            },
            callback_url: "https://onhook.example/callbacks/twilio/1?call=2#rc=2".to_owned(),
        }
    }

    fn lookup(&self) -> DialLookup<'_> {
        DialLookup {
            call_id: CallId(uuid::Uuid::nil()),
            from: &self.from,
            to: &self.to,
            // With the tolerance for clocks, the day before counts too.
            since: "2010-09-01T00:00:01Z".parse().unwrap(),
            until: "2010-09-01T00:00:11Z".parse().unwrap(),
            known: &[],
        }
    }
}

#[tokio::test]
async fn a_dial_is_one_form_with_everything_in_it() {
    let carrier = Carrier::answering(201, QUEUED).await;
    let account = account(&carrier.base_url, TOKEN);
    let answered = patient().dial(&account, Numbers::new().dial()).await;
    let DialOutcome::Placed(observation) = answered.outcome else {
        panic!("{answered:?}")
    };
    assert_eq!(observation.provider_call_id, "CA7");
    assert_eq!(observation.progress, Progress::Placed);
    assert_eq!(answered.answer.status, Some(201));
    let form = "To=%2B15550101&From=%2B15550100\
        &Twiml=%3CResponse%3E%3CSay%3ETom+%26amp%3B+I%3C%2FSay%3E%3C%2FResponse%3E\
        &StatusCallback=https%3A%2F%2Fonhook.example%2Fcallbacks%2Ftwilio%2F1%3Fcall%3D2%23rc%3D2\
        &StatusCallbackMethod=POST&StatusCallbackEvent=initiated&StatusCallbackEvent=ringing\
        &StatusCallbackEvent=answered&StatusCallbackEvent=completed&Timeout=45&TimeLimit=1800";
    let expected = Arrived {
        method: Method::POST,
        target: "/2010-04-01/Accounts/AC123/Calls.json".to_owned(),
        authorization: "Basic QUMxMjM6dDBr".to_owned(),
        content_type: Some("application/x-www-form-urlencoded".to_owned()),
        body: Bytes::from_static(form.as_bytes()),
    };
    assert_eq!(carrier.only(), expected);
}

#[tokio::test]
async fn a_hang_up_says_completed_and_nothing_else() {
    let body = r#"{"sid":"CA7","status":"completed","end_time":null,"duration":"3"}"#;
    let carrier = Carrier::answering(200, body).await;
    let account = account(&format!("{}/", carrier.base_url), API_KEY);
    let answered = patient()
        .hang_up(&account, ProviderCall::named("CA7"))
        .await;
    assert!(
        matches!(answered.outcome, HangUpOutcome::Ended(_)),
        "{answered:?}"
    );
    let expected = Arrived {
        method: Method::POST,
        target: "/2010-04-01/Accounts/AC123/Calls/CA7.json".to_owned(),
        authorization: "Basic U0s5OnMzYw==".to_owned(),
        content_type: Some("application/x-www-form-urlencoded".to_owned()),
        body: Bytes::from_static(b"Status=completed"),
    };
    assert_eq!(carrier.only(), expected);
}

#[tokio::test]
async fn a_read_asks_for_the_call_and_a_search_for_its_numbers() {
    let carrier = Carrier::answering(200, QUEUED).await;
    let under_a_path = account(&format!("{}/twilio", carrier.base_url), TOKEN);
    let read = patient()
        .fetch(&under_a_path, ProviderCall::named("CA7"))
        .await;
    assert!(matches!(read.outcome, FetchOutcome::Found(_)), "{read:?}");
    let expected = Arrived {
        method: Method::GET,
        target: "/twilio/2010-04-01/Accounts/AC123/Calls/CA7.json".to_owned(),
        authorization: "Basic QUMxMjM6dDBr".to_owned(),
        content_type: None,
        body: Bytes::new(),
    };
    assert_eq!(carrier.only(), expected);

    let empty = r#"{"calls":[],"next_page_uri":null}"#;
    let carrier = Carrier::answering(200, empty).await;
    let account = account(&carrier.base_url, TOKEN);
    let search = patient().find_dial(&account, Numbers::new().lookup()).await;
    assert_eq!(search.outcome, LookupOutcome::Nothing);
    let expected = Arrived {
        target: "/2010-04-01/Accounts/AC123/Calls.json?To=%2B15550101&From=%2B15550100\
            &PageSize=1000"
            .to_owned(),
        ..expected
    };
    assert_eq!(carrier.only(), expected);
}

#[tokio::test]
async fn their_error_reaches_the_receipt() {
    let body = r#"{"code":21220,"message":"Call is not in-progress. Cannot redirect.","more_info":"https://www.twilio.com/docs/errors/21220","status":400}"#;
    let carrier = Carrier::answering(400, body).await;
    let account = account(&carrier.base_url, TOKEN);
    let answered = patient()
        .hang_up(&account, ProviderCall::named("CA7"))
        .await;
    assert_eq!(answered.outcome, HangUpOutcome::AlreadyOver);
    assert_eq!(answered.answer.code.as_deref(), Some("21220"));
    assert_eq!(
        answered.answer.message.as_deref(),
        Some("Call is not in-progress. Cannot redirect.")
    );
}

/// What each question comes to when `base_url` breaks: dial, hang-up, read, search.
async fn all_four(
    base_url: &str,
    twilio: Twilio,
) -> (DialOutcome, HangUpOutcome, FetchOutcome, LookupOutcome) {
    let (account, numbers) = (account(base_url, TOKEN), Numbers::new());
    let dial = twilio.dial(&account, numbers.dial()).await;
    assert_eq!(dial.answer.status, None);
    assert!(dial.answer.message.is_some());
    (
        dial.outcome,
        twilio
            .hang_up(&account, ProviderCall::named("CA7"))
            .await
            .outcome,
        twilio
            .fetch(&account, ProviderCall::named("CA7"))
            .await
            .outcome,
        twilio.find_dial(&account, numbers.lookup()).await.outcome,
    )
}

fn with_dial(dial: DialOutcome) -> (DialOutcome, HangUpOutcome, FetchOutcome, LookupOutcome) {
    (
        dial,
        HangUpOutcome::Retry { after: None },
        FetchOutcome::Unavailable { after: None },
        LookupOutcome::Unavailable { after: None },
    )
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_leaves_a_dial_unknown() {
    let base_url = breaking(|stream, _| drop(stream)).await;
    let outcomes = all_four(&base_url, patient()).await;
    assert_eq!(outcomes, with_dial(DialOutcome::Unknown));
}

#[tokio::test]
async fn an_answer_that_never_comes_leaves_a_dial_unknown() {
    let base_url = breaking(|stream, kept| kept.push(stream)).await;
    let outcomes = all_four(
        &base_url,
        twilio(Reach::PublicAndLoopback, Duration::from_millis(200)),
    )
    .await;
    assert_eq!(outcomes, with_dial(DialOutcome::Unknown));
}

#[tokio::test]
async fn a_refused_connection_and_a_forbidden_address_were_never_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let not_sent = with_dial(DialOutcome::NotSent { after: None });
    // Listening, but not to be reached.
    assert_eq!(
        all_four(&base_url, twilio(Reach::Public, Duration::from_secs(10))).await,
        not_sent
    );
    drop(listener);
    assert_eq!(all_four(&base_url, patient()).await, not_sent);
}

#[tokio::test]
async fn what_cannot_be_asked_safely_is_not_asked() {
    let carrier = Carrier::answering(200, QUEUED).await;
    let good = account(&carrier.base_url, TOKEN);
    for sid in ["", ".", "../CA7", "CA7/Recordings", "CA7?x", "CA 7"] {
        let answered = patient().hang_up(&good, ProviderCall::named(sid)).await;
        assert_eq!(answered.outcome, HangUpOutcome::Refused, "{sid}");
        let answered = patient().fetch(&good, ProviderCall::named(sid)).await;
        assert_eq!(answered.outcome, FetchOutcome::Refused, "{sid}");
    }
    let platform_error = DialOutcome::Refused {
        reason: EndReason::PlatformError,
    };
    for base_url in [
        "no url",
        "http://api.example.com",
        "https://u:p@api.example.com",
        "data:x",
    ] {
        let bad = account(base_url, TOKEN);
        let answered = patient().dial(&bad, Numbers::new().dial()).await;
        assert_eq!(answered.outcome, platform_error, "{base_url}");
        let message = answered.answer.message.unwrap();
        assert!(message.contains("API base URL"), "{message}");
    }
    let mut unnamed = account(&carrier.base_url, TOKEN);
    unnamed.external_id = "..".to_owned();
    let search = patient().find_dial(&unnamed, Numbers::new().lookup()).await;
    assert_eq!(search.outcome, LookupOutcome::Unavailable { after: None });
    let mut too_much = Numbers::new();
    too_much.answer = Answer::Say {
        text: "x".repeat(4000),
    };
    let answered = patient().dial(&good, too_much.dial()).await;
    assert_eq!(answered.outcome, platform_error);
    assert!(carrier.arrived.lock().unwrap().is_empty());
}
