//! An HTTP client that tells a test everything about an answer.

use std::time::Duration;

use onhook::outbound::{Client, Options, Reach, Request};
use reqwest::{
    Method, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    /// The body as JSON; panics with the text when it is not.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Sends requests to one base URL. Cheap to clone.
#[derive(Clone)]
pub struct TestClient {
    http: Client,
    base: String,
    token: Option<String>,
}

impl TestClient {
    pub fn new(base: &str, token: Option<&str>) -> Self {
        let options = Options {
            reach: Reach::PublicAndLoopback,
            connect_timeout: Duration::from_secs(5),
            // A connection that idles is closed after seconds, perhaps while the next request is on
            // its way: a client would ask again, a test must not.
            idle_per_host: 0,
        };
        let http = Client::new(options).expect("a client");
        Self {
            http,
            base: base.to_owned(),
            token: token.map(str::to_owned),
        }
    }

    pub fn with_token(&self, token: Option<&str>) -> Self {
        Self {
            token: token.map(str::to_owned),
            ..self.clone()
        }
    }

    /// The whole URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], "").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        let headers = [("content-type", "application/json")];
        self.send(Method::POST, path, &headers, &body.to_string())
            .await
    }

    /// A POST without a body.
    pub async fn post_nothing(&self, path: &str) -> Reply {
        self.send(Method::POST, path, &[], "").await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, &[], "").await
    }

    /// Sends anything; panics when there is no answer within 60 s.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        self.try_send(method, path, headers, body)
            .await
            .expect("an answer")
    }

    /// As [`TestClient::send`], for servers that may be killed meanwhile.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Reply, onhook::outbound::Failure> {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(
                HeaderName::from_bytes(name.as_bytes()).expect("a header's name"),
                HeaderValue::from_str(value).expect("a header's value"),
            );
        }
        if let Some(token) = &self.token {
            let value = HeaderValue::from_str(&format!("Bearer {token}")).expect("a header");
            all.insert("authorization", value);
        }
        let request = Request {
            method,
            url: Url::parse(&format!("{}{path}", self.base)).expect("a URL"),
            headers: all,
            body: body.as_bytes().to_vec().into(),
        };
        let answer = self
            .http
            .send(request, Duration::from_mins(1), 64 << 20)
            .await?;
        Ok(Reply {
            status: answer.status,
            headers: answer.headers,
            text: String::from_utf8_lossy(&answer.body).into_owned(),
        })
    }
}
