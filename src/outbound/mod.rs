//! Every connection that we open.
//!
//! Requests leave through [`Client::send`] only: one deadline for the whole exchange, an answer of
//! bounded size, no redirects, no proxy from the environment, and no address that [`guard`]
//! forbids. There is no retry here: whoever asks knows whether asking twice is safe.

pub mod guard;
pub mod mail;
mod resolver;
pub mod ws;

use std::{sync::Arc, time::Duration};

use axum::body::Bytes;
use reqwest::{
    Method, Url,
    header::{HeaderMap, HeaderValue},
    redirect,
};

pub use guard::Reach;
pub use ws::NotOpened;

/// An HTTP client for one purpose: pooled, guarded, bounded.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    reach: Reach,
    https_only: bool,
}

/// How a [`Client`] behaves.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub reach: Reach,
    pub connect_timeout: Duration,
    /// Idle keep-alive connections kept for each host.
    pub idle_per_host: usize,
    /// Nothing is sent in clear.
    pub https_only: bool,
}

/// A request, complete before anything is sent.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// At most as long as was asked for; the rest is not read.
    pub body: Bytes,
}

/// Why there is no answer. The texts name no URL: it may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The address is not one that we may reach. Nothing was sent.
    #[error("forbidden address: {0}")]
    Forbidden(String),
    /// No connection came about. Nothing was sent.
    #[error("no connection: {0}")]
    NotSent(String),
    /// The request may have been carried out.
    #[error("no answer: {0}")]
    Unknown(String),
}

impl Client {
    /// # Errors
    /// When the system's trust anchors cannot be read.
    pub fn new(options: Options) -> Result<Self, reqwest::Error> {
        Self::with_lookup(options, Arc::new(resolver::System))
    }

    fn with_lookup(
        options: Options,
        lookup: Arc<dyn resolver::Lookup>,
    ) -> Result<Self, reqwest::Error> {
        // Another caller may have installed a provider first; either serves.
        drop(rustls::crypto::ring::default_provider().install_default());
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place that makes HTTP clients"
        )]
        let http = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(options.connect_timeout)
            .pool_max_idle_per_host(options.idle_per_host)
            .tcp_nodelay(true)
            .user_agent(concat!("Onhook/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(resolver::GuardedResolver {
                reach: options.reach,
                lookup,
            }))
            .build()?;
        Ok(Self {
            http,
            reach: options.reach,
            https_only: options.https_only,
        })
    }

    /// Sends `request` and reads at most `max_body` bytes of the answer, all within `deadline`.
    ///
    /// # Errors
    /// [`Failure`] tells whether the request can have been carried out.
    pub async fn send(
        &self,
        request: Request,
        deadline: Duration,
        max_body: usize,
    ) -> Result<Answer, Failure> {
        guard::check_url(&request.url, self.reach).map_err(Failure::Forbidden)?;
        if self.https_only && request.url.scheme() != "https" {
            return Err(Failure::Forbidden("only https is spoken here".to_owned()));
        }
        match tokio::time::timeout(deadline, self.exchange(request, max_body)).await {
            Ok(result) => result,
            Err(_elapsed) => Err(Failure::Unknown(format!("timed out after {deadline:?}"))),
        }
    }

    async fn exchange(&self, request: Request, max_body: usize) -> Result<Answer, Failure> {
        let built = self
            .http
            .request(request.method, request.url)
            .headers(request.headers)
            .body(request.body);
        #[expect(clippy::disallowed_methods, reason = "the one place that sends")]
        let response = built.send().await.map_err(failure)?;
        Answer::read(response, max_body).await
    }
}

impl Answer {
    async fn read(mut response: reqwest::Response, max_body: usize) -> Result<Self, Failure> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failure)? {
            let room = max_body.saturating_sub(body.len());
            body.extend(chunk.iter().take(room));
            if chunk.len() >= room {
                break;
            }
        }
        Ok(Self {
            status,
            headers,
            body: body.into(),
        })
    }

    /// The value of a header, when it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// `Retry-After` in its seconds form (RFC 9110 section 10.2.3); a date is taken as absent.
    pub fn retry_after(&self) -> Option<time::Duration> {
        let seconds = self.header("retry-after")?.trim().parse::<u32>().ok()?;
        Some(time::Duration::seconds(seconds.into()))
    }
}

/// A header value, for text that is known to be printable ASCII; `None` when it is not.
pub fn header_value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}

fn failure(error: reqwest::Error) -> Failure {
    let connect = error.is_connect() || error.is_builder();
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    let mut forbidden = false;
    while let Some(cause) = source {
        forbidden |= cause.is::<guard::ForbiddenAddress>();
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    if forbidden {
        Failure::Forbidden(text)
    } else if connect {
        Failure::NotSent(text)
    } else {
        Failure::Unknown(text)
    }
}
