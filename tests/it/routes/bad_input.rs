//! Every route of the document against requests that nobody should send: a clear 4xx each, and
//! nothing changes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::steps::{nobody_acts, sid};
use crate::support::{
    app::{ADMIN_TOKEN, TestApp},
    contents::contents,
    operations::{self, ErrorStyle, Names, Operation},
    raw::{self, RawReply},
};

/// One bad request and how it must be answered.
struct Case {
    what: String,
    method: String,
    target: Vec<u8>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    status: u16,
    style: ErrorStyle,
}

/// A good request to an operation, to be spoilt.
struct Good<'a> {
    operation: &'a Operation,
    names: &'a Names,
    token: &'a str,
}

impl Good<'_> {
    fn case(&self, what: &str, status: u16) -> Case {
        let headers = self.operation.headers().into_iter();
        let mut headers: Vec<(String, String)> = headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        if self.operation.scopes.is_some() {
            headers.push(("authorization".to_owned(), format!("Bearer {}", self.token)));
        }
        Case {
            what: format!("{}: {what}", self.operation.title()),
            method: self.operation.method.to_string(),
            target: self.operation.url(self.names).into_bytes(),
            headers,
            body: self.operation.body(self.names).into_bytes(),
            status,
            style: self.operation.error_style(),
        }
    }

    fn takes_json(&self) -> bool {
        self.operation.body_type.as_deref() == Some("application/json")
    }

    fn reads_body(&self) -> bool {
        ["POST", "PATCH"].contains(&self.operation.method.as_str())
    }

    fn takes_query(&self) -> bool {
        let parameters = self.operation.document["parameters"].as_array();
        parameters.is_some_and(|all| all.iter().any(|parameter| parameter["in"] == "query"))
    }

    fn takes_header(&self, name: &str) -> bool {
        let parameters = self.operation.document["parameters"].as_array();
        parameters.is_some_and(|all| all.iter().any(|parameter| parameter["name"] == name))
    }

    fn credentials(&self) -> Vec<Case> {
        if self.operation.of_operator {
            return self.admin_tokens();
        }
        if self.operation.scopes.is_none() {
            return Vec::new();
        }
        let mut broken = self.token.to_owned();
        let last = if broken.ends_with('x') { 'y' } else { 'x' };
        broken.pop();
        broken.push(last);
        // Well-formed, its checksum right, and nobody's.
        let unknown = onhook::domain::token::TokenText::new(
            onhook::domain::token::Environment::Live,
            [7; 32],
        );
        let values = [
            ("no token", None),
            (
                "an unknown token",
                Some(format!("Bearer {}", unknown.reveal())),
            ),
            (
                "a token with a broken checksum",
                Some(format!("Bearer {broken}")),
            ),
            ("another scheme", Some(format!("Basic {}", self.token))),
            ("a token alone", Some(self.token.to_owned())),
            ("an empty token", Some("Bearer ".to_owned())),
            ("a long token", Some(format!("Bearer {}", "x".repeat(8000)))),
            ("a token beyond ASCII", Some("Bearer ohk_live_ä".to_owned())),
        ];
        let with = |(what, value): (&str, Option<String>)| {
            let mut case = self.case(what, 401);
            case.headers.retain(|(name, _)| name != "authorization");
            case.headers
                .extend(value.map(|value| ("authorization".to_owned(), value)));
            case
        };
        values.into_iter().map(with).collect()
    }

    /// What is not the operator's token, and where it does not belong.
    fn admin_tokens(&self) -> Vec<Case> {
        let bearer = format!("Bearer {ADMIN_TOKEN}");
        let token = format!("Bearer {}", self.token);
        let cut = ADMIN_TOKEN.get(1..).unwrap_or_default();
        let longer = format!("{ADMIN_TOKEN}x");
        let upper = ADMIN_TOKEN.to_ascii_uppercase();
        let headers: [(&str, &[(&str, &str)]); 9] = [
            ("no admin token", &[]),
            ("an empty one", &[("x-admin-token", "")]),
            ("one that is too short", &[("x-admin-token", cut)]),
            ("one that is too long", &[("x-admin-token", &longer)]),
            ("one in capitals", &[("x-admin-token", &upper)]),
            ("one beyond ASCII", &[("x-admin-token", "ä")]),
            ("an organisation's", &[("authorization", &token)]),
            ("the right one as a bearer's", &[("authorization", &bearer)]),
            (
                "two",
                &[("x-admin-token", ADMIN_TOKEN), ("x-admin-token", "x")],
            ),
        ];
        let with = |(what, headers): (&str, &[(&str, &str)])| {
            let mut case = self.case(what, 401);
            case.headers.retain(|(name, _)| name != "x-admin-token");
            let headers = headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            case.headers.extend(headers);
            case
        };
        headers.into_iter().map(with).collect()
    }

    fn bodies(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        if self.reads_body() {
            let mut case = self.case("a body of 10 MB", 413);
            case.body = vec![b' '; 10 * 1024 * 1024];
            cases.push(case);
        }
        if !self.takes_json() {
            return cases;
        }
        let nul = json!({"to": "+1555\u{0}", "url": "https://\u{0}", "note": "\u{0}",
            "metadata": {"a\u{0}": 1}, "call_sid": "\u{0}"});
        let nul = nul.to_string().into_bytes();
        let bodies: [(&str, Vec<u8>, u16); 10] = [
            ("malformed JSON", b"{\"a\":".to_vec(), 400),
            ("more than one value", b"{} {}".to_vec(), 400),
            (
                "half a surrogate pair",
                b"{\"a\":\"\\ud800\"}".to_vec(),
                400,
            ),
            (
                "a body that is not UTF-8",
                b"{\"a\":\"\xff\xfe\"}".to_vec(),
                400,
            ),
            ("a number beyond all", b"{\"a\":1e999}".to_vec(), 400),
            ("ten thousand brackets", vec![b'['; 10_000], 400),
            ("a list", b"[]".to_vec(), 422),
            ("a list of nulls", b"[null,null,null]".to_vec(), 422),
            ("a string", b"\"x\"".to_vec(), 422),
            ("a NUL in a string", nul, 422),
        ];
        for (what, body, status) in bodies {
            let mut case = self.case(what, status);
            case.body = body;
            cases.push(case);
        }
        for kind in [
            "application/xml",
            "text/html",
            "multipart/form-data; boundary=x",
            "json",
        ] {
            let mut case = self.case(kind, 415);
            case.headers.retain(|(name, _)| name != "content-type");
            case.headers
                .push(("content-type".to_owned(), kind.to_owned()));
            cases.push(case);
        }
        cases.extend(self.wrong_types());
        cases
    }

    /// Each member of the documented body, as something that it is not.
    fn wrong_types(&self) -> Vec<Case> {
        let document: Value = serde_json::from_str(operations::DOCUMENT).expect("JSON");
        let schema =
            &self.operation.document["requestBody"]["content"]["application/json"]["schema"];
        let reference = schema["$ref"].as_str().or_else(|| {
            let mut either = schema["oneOf"].as_array()?.iter();
            either.find_map(|schema| schema["$ref"].as_str())
        });
        let reference = reference.expect("a schema with a name");
        let pointer = reference.trim_start_matches('#');
        let members = document.pointer(pointer).expect("the schema")["properties"].clone();
        let good: Value = serde_json::from_str(&self.operation.body(self.names)).expect("JSON");
        let mut cases = Vec::new();
        for member in members.as_object().expect("members").keys() {
            // Kept as they are, whatever they are.
            if ["payload", "context"].contains(&member.as_str()) {
                continue;
            }
            for wrong in [
                json!(1.5),
                json!({"x": []}),
                json!([[]]),
                json!("\u{202e}wrong"),
            ] {
                let fits = match member.as_str() {
                    "metadata" => wrong.is_object(),
                    "note" | "client_reference" | "prompt" | "webhook_url" | "description" => {
                        wrong.is_string()
                    }
                    "password" => wrong.is_string() && self.operation.id == "login",
                    _ => false,
                };
                if fits {
                    continue;
                }
                let mut body = good.clone();
                body[member] = wrong.clone();
                let status = if member == "call_sid" && wrong.is_string() {
                    404
                } else {
                    422
                };
                let mut case = self.case(&format!("{member} as {wrong}"), status);
                case.body = body.to_string().into_bytes();
                cases.push(case);
            }
        }
        for number in [
            "",
            "1",
            "+",
            "+0",
            "+1 555",
            "+1-555-0101",
            "00155501",
            "+15550101\n",
            "+１５５５",
        ] {
            if good.get("to").is_some() {
                let mut body = good.clone();
                body["to"] = json!(number);
                // One of the pages calls it missing.
                let missing = number.is_empty() && self.operation.id == "session_call";
                let status = if missing { 400 } else { 422 };
                let mut case = self.case(&format!("{number:?} to call"), status);
                case.body = body.to_string().into_bytes();
                cases.push(case);
            }
        }
        cases
    }

    fn names(&self) -> Vec<Case> {
        if !self.operation.takes_id() {
            return Vec::new();
        }
        let long = "x".repeat(20_000);
        let names: [&str; 9] = [
            "no-id",
            "%00",
            "%FF%FE",
            "%0d%0aset-cookie:%20a=b",
            "..%2f..%2fetc%2fpasswd",
            "'%20OR%201=1--",
            "%3Cscript%3E",
            "%E2%80%AE",
            &long,
        ];
        let with = |name: &&str| {
            let names = Names::all(name);
            let mut case = self.case(&format!("{} as an id", name.get(..20).unwrap_or(name)), 404);
            case.target = self.operation.url(&names).into_bytes();
            case
        };
        names.iter().map(with).collect()
    }

    fn queries_and_headers(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        if self.takes_query() {
            for query in [
                "nonsense=1",
                "%00=1",
                "%FF=1",
                "limit=%FF",
                "after=%00",
                "status=%C0%AF",
            ] {
                let mut case = self.case(query, 422);
                case.target.extend(format!("?{query}").into_bytes());
                cases.push(case);
            }
        }
        for (name, value, status) in [
            ("Idempotency-Key", "a b", 400),
            ("Idempotency-Key", "ä", 400),
            ("Prefer", "wait=forever", 422),
        ] {
            if self.takes_header(name) {
                let mut case = self.case(&format!("{name}: {value}"), status);
                case.headers.push((name.to_owned(), value.to_owned()));
                cases.push(case);
            }
        }
        cases
    }
}

/// Paths and methods that are not there.
fn nowhere(token: &str) -> Vec<Case> {
    let mut paths: BTreeSet<String> = BTreeSet::new();
    let mut methods: BTreeSet<(String, String)> = BTreeSet::new();
    for operation in operations::documented() {
        methods.insert((operation.path.clone(), operation.method.to_string()));
        paths.insert(operation.path);
    }
    let case = |method: &str, path: &str, status| Case {
        what: format!("{method} {path}"),
        method: method.to_owned(),
        target: path.as_bytes().to_vec(),
        headers: vec![("authorization".to_owned(), format!("Bearer {token}"))],
        body: Vec::new(),
        status,
        style: ErrorStyle::Problem,
    };
    let mut cases = Vec::new();
    for path in &paths {
        for method in ["PUT", "TRACE", "OPTIONS", "BREW", "DELETE", "PATCH"] {
            if !methods.contains(&(path.clone(), method.to_owned())) {
                let path = path.replace(['{', '}'], "");
                cases.push(case(method, &path, 405));
            }
        }
    }
    for path in [
        "/",
        "//",
        "/api",
        "/api/v1",
        "/api/v2/calls",
        "/api/v1/call",
        "/API/V1/CALLS",
        "/metrics",
        "/api/v1/calls/x/y",
        "/api/v1/calls/x/terminate/now",
        "/%00",
        "/%FF",
        "/.env",
        "/_sim",
        "/api/v1//calls",
        "/api/v1/calls/%2e%2e/calls",
    ] {
        cases.push(case("GET", path, 404));
    }
    cases
}

#[track_caller]
fn check(case: &Case, reply: &RawReply) {
    assert_eq!(reply.status, case.status, "{}: {}", case.what, reply.body);
    assert!(reply.header("x-request-id").is_some(), "{}", case.what);
    assert_eq!(reply.header("set-cookie"), None, "{}", case.what);
    case.style.message(reply.status, &reply.body);
    assert!(
        reply.body.len() < 64 * 1024,
        "{}: {} bytes",
        case.what,
        reply.body.len()
    );
    if case.status == 405 {
        assert!(reply.header("allow").is_some(), "{}", case.what);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_refuses_every_bad_request_clearly_and_changes_nothing() {
    let app = TestApp::by_hand().await;
    nobody_acts(&app).await;
    let id = app.place().await;
    sid(&app, &id).await;
    // Of the agent, so that it is found under the agent too.
    let body = json!({"url": "https://example.com/", "agent_id": app.tenant.agent_id});
    let made = app.client.post("/api/v1/webhook-endpoints", &body).await;
    let endpoint = made.json()["id"].clone();
    let names = Names {
        endpoint_id: endpoint.as_str().expect("an id").to_owned(),
        ..Names::of(&app.client, &app.tenant, id).await
    };
    let token = &app.tenant.token;
    let operations = operations::documented();
    let mut cases = Vec::new();
    // Those of people ask who it is first: people tries them.
    for operation in operations.iter().filter(|operation| !operation.of_person) {
        let good = Good {
            operation,
            names: &names,
            token,
        };
        cases.extend(good.credentials());
        cases.extend(good.bodies());
        cases.extend(good.names());
        cases.extend(good.queries_and_headers());
    }
    cases.extend(nowhere(token));
    assert!(cases.len() > 400, "{}", cases.len());
    let before = contents(&app.database).await;

    for case in &cases {
        let headers: Vec<(&str, &str)> = case
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let request = raw::request(&case.method, &case.target, &headers, &case.body);
        let reply = raw::exchange(app.node.address, &request).await;
        check(case, &reply);
    }

    assert_eq!(contents(&app.database).await, before);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_http_is_refused_and_the_next_one_is_served() {
    let app = TestApp::by_hand().await;
    let before = contents(&app.database).await;
    let token = &app.tenant.token;
    let head = format!(
        "GET /api/v1/calls HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n"
    );
    for (what, request, statuses) in [
        (
            "a NUL in a header",
            format!("{head}x: a\0b\r\n\r\n"),
            &[400][..],
        ),
        (
            "a bare CR in a header",
            format!("{head}x: a\rset-cookie: b\r\n\r\n"),
            &[400],
        ),
        (
            "a folded header",
            format!("{head}x: a\r\n b\r\n\r\n"),
            &[400],
        ),
        (
            "a space in the target",
            "GET /api v1 HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
            &[400],
        ),
        ("no version", "GET /\r\n\r\n".to_owned(), &[400]),
        (
            "another protocol",
            "\u{16}\u{3}\u{1}\r\n\r\n".to_owned(),
            &[400],
        ),
        (
            "a huge head",
            format!("{head}x: {}\r\n\r\n", "y".repeat(64 * 1024)),
            &[400, 431],
        ),
        (
            "too many headers",
            format!("{head}{}\r\n", "x: y\r\n".repeat(500)),
            &[400, 431],
        ),
        (
            "two lengths",
            format!("{head}content-length: 1\r\ncontent-length: 2\r\n\r\nab"),
            &[400],
        ),
        (
            "a length and chunks",
            format!("{head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
            &[200, 400],
        ),
        (
            "a chunk that is none",
            head.replacen("GET", "POST", 1) + "transfer-encoding: chunked\r\n\r\nxyz\r\n",
            &[400],
        ),
    ] {
        let reply = raw::exchange(app.node.address, request.as_bytes()).await;
        assert!(statuses.contains(&reply.status), "{what}: {reply:?}");
        assert_eq!(reply.header("set-cookie"), None, "{what}");
        assert_eq!(
            app.client.get("/api/v1/calls").await.status,
            200,
            "after {what}"
        );
    }
    assert_eq!(contents(&app.database).await, before);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_before_sending_a_large_body_is_refused_before_it_is_sent() {
    let app = TestApp::by_hand().await;
    let (good, bad) = (
        format!("Bearer {}", app.tenant.token),
        "Bearer x".to_owned(),
    );
    for (path, token, length, status) in [
        ("/api/v1/calls", &good, 10 * 1024 * 1024, 413),
        ("/api/v1/calls", &bad, 1024, 401),
        ("/api/v1/nothing", &good, 1024, 404),
    ] {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\nconnection: close\r\n\
             expect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        );
        let asked = tokio::time::Instant::now();
        let reply = raw::exchange(app.node.address, request.as_bytes()).await;
        assert_eq!(reply.status, status, "{path}: {reply:?}");
        assert!(
            asked.elapsed() < std::time::Duration::from_secs(4),
            "{path}"
        );
    }
    app.stop().await;
}
