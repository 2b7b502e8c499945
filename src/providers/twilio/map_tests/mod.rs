//! Every row of the outcome tables, with bodies as Twilio writes them.

mod answers;
mod searches;

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value, json};

use super::map;
use crate::{
    domain::{
        OrganizationId, ProviderAccountId,
        call::CallStatus,
        provider::{Observation, Progress, ProviderAnswer, ProviderKind, Source},
    },
    outbound::{Answer, Failure},
    providers::{Account, Credentials},
};

const SID: &str = "CA0123456789abcdef0123456789abcdef";
const PROXY_PAGE: &str = "<html><body><h1>404 Not Found</h1>\r\n<hr>nginx</body></html>";

fn heard(status: u16, body: impl Into<Value>) -> Answer {
    let body = match body.into() {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Answer {
        status,
        headers: HeaderMap::new(),
        body: Bytes::from(body),
    }
}

fn told_to_wait(status: u16, body: &str) -> Answer {
    let mut answer = heard(status, body);
    let name = HeaderName::from_static("retry-after");
    answer.headers.insert(name, HeaderValue::from_static("7"));
    answer
}

fn error(status: u16, code: u32, message: &str) -> Value {
    json!({
        "code": code,
        "message": message,
        "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
        "status": status,
    })
}

fn call(status: &str) -> Value {
    json!({
        "sid": SID, "account_sid": "AC123", "status": status, "direction": "outbound-api",
        "from": "+15550100", "to": "+15550101", "start_time": null, "end_time": null,
        "duration": null, "price": null, "price_unit": "USD", "answered_by": null,
        "parent_call_sid": null, "queue_time": "0", "api_version": "2010-04-01",
        "date_created": "Tue, 31 Aug 2010 20:36:28 +0000",
        "uri": format!("/2010-04-01/Accounts/AC123/Calls/{SID}.json"), "subresource_uris": {},
    })
}

fn completed_call() -> Value {
    let mut call = call("completed");
    call["start_time"] = json!("Tue, 31 Aug 2010 20:36:29 +0000");
    call["end_time"] = json!("Tue, 31 Aug 2010 20:36:44 +0000");
    call["duration"] = json!("15");
    call
}

fn completed(source: Source) -> Observation {
    Observation {
        provider_call_id: SID.to_owned(),
        progress: Progress::Ended {
            status: CallStatus::Completed,
            connected_seconds: Some(15),
            reason: None,
            cause: json!({"status": "completed"}),
        },
        at: "2010-08-31T20:36:44Z".parse().ok(),
        source,
        host: None,
    }
}

fn seen(progress: Progress, source: Source) -> Observation {
    let created = progress == Progress::Placed;
    Observation {
        provider_call_id: SID.to_owned(),
        progress,
        at: "2010-08-31T20:36:28Z".parse().ok().filter(|_| created),
        source,
        host: None,
    }
}

fn another_call() -> Value {
    let mut call = completed_call();
    call["sid"] = json!("CAffffffffffffffffffffffffffffffff");
    call
}

fn failures() -> [(Failure, &'static str); 3] {
    [
        (Failure::Forbidden("10.0.0.1".to_owned()), "not sent"),
        (Failure::NotSent("refused".to_owned()), "not sent"),
        (Failure::Unknown("timed out after 4s".to_owned()), "unknown"),
    ]
}

#[test]
fn a_receipt_holds_their_words_and_no_secret() {
    let credentials = br#"{"auth_token":"hunter2"}"#;
    let account = Account {
        id: ProviderAccountId(uuid::Uuid::nil()),
        organization_id: OrganizationId(uuid::Uuid::nil()),
        kind: ProviderKind::Twilio,
        external_id: "AC123".to_owned(),
        api_base_url: None,
        credentials: Credentials::parse(ProviderKind::Twilio, credentials).unwrap(),
    };
    let answer = |status, code: Option<&str>, message: Option<&str>| ProviderAnswer {
        status,
        code: code.map(str::to_owned),
        message: message.map(str::to_owned),
    };
    let table = [
        (
            Ok(heard(200, completed_call())),
            answer(Some(200), None, None),
        ),
        (
            Ok(heard(401, error(401, 20003, "Authenticate"))),
            answer(Some(401), Some("20003"), Some("Authenticate")),
        ),
        (
            Ok(heard(502, "<h1>Bad\r\nGateway</h1>")),
            answer(Some(502), None, Some("<h1>Bad Gateway</h1>")),
        ),
        // A proxy that repeats what it was sent: `AC123:hunter2` in base64, and in clear.
        (
            Ok(heard(
                400,
                "Basic QUMxMjM6aHVudGVyMg== for https://AC123:hunter2@api.example/",
            )),
            answer(Some(400), None, Some("Basic … for https://api.example/")),
        ),
        (Ok(heard(500, "")), answer(Some(500), None, None)),
        (
            Err(Failure::Unknown("timed out after 4s".to_owned())),
            answer(None, None, Some("no answer: timed out after 4s")),
        ),
    ];
    for (heard, expected) in table {
        assert_eq!(map::answer(&account, &heard), expected, "{heard:?}");
    }
}
