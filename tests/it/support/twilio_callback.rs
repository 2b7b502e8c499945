//! A Twilio status callback made by hand: signed right, or wrong in one chosen way.
//!
//! The signature is reckoned here from Twilio's documentation, with no code of the adapter or of
//! the simulator.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use sha1::Sha1;

use super::{
    app::{Tenant, TestApp},
    client::Reply,
};

#[derive(Clone)]
enum Signature {
    Right,
    Chosen(String),
    None,
}

/// What a signature is made of, and what is sent.
#[derive(Clone)]
pub struct TwilioCallback {
    path: String,
    fields: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    secret: String,
    signature: Signature,
    /// Replaced in the body after it was signed.
    tampered: Option<(String, String)>,
}

impl TwilioCallback {
    /// A report of the tenant's account on the call with our id `call_id`: in progress, as the
    /// hundredth of its reports.
    pub fn about(tenant: &Tenant, call_id: &str, sid: &str) -> Self {
        let fields = [
            ("AccountSid", tenant.account_sid.as_str()),
            ("ApiVersion", "2010-04-01"),
            ("CallSid", sid),
            ("CallStatus", "in-progress"),
            ("From", "+15550100"),
            ("SequenceNumber", "100"),
            ("To", "+15550101"),
        ];
        Self {
            path: format!("/callbacks/twilio/{}/calls/{call_id}", tenant.account_id),
            fields: fields
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            headers: Vec::new(),
            secret: tenant.auth_token.clone(),
            signature: Signature::Right,
            tampered: None,
        }
    }

    /// Sets a field, before signing.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a header, which no signature covers.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Signs with another secret.
    #[must_use]
    pub fn secret(mut self, secret: &str) -> Self {
        secret.clone_into(&mut self.secret);
        self
    }

    /// Sends this signature, or none.
    #[must_use]
    pub fn signature(mut self, signature: Option<&str>) -> Self {
        let chosen = signature.map(str::to_owned);
        self.signature = chosen.map_or(Signature::None, Signature::Chosen);
        self
    }

    /// Changes the body after it was signed.
    #[must_use]
    pub fn tampered(mut self, from: &str, to: &str) -> Self {
        self.tampered = Some((from.to_owned(), to.to_owned()));
        self
    }

    /// Sends it to the test's node.
    pub async fn send(&self, app: &TestApp) -> Reply {
        let url = format!("http://{}{}", app.node.address, self.path);
        let signature = match &self.signature {
            Signature::Right => Some(sign(&self.secret, &url, &self.fields)),
            Signature::Chosen(chosen) => Some(chosen.clone()),
            Signature::None => None,
        };
        let mut body = serde_urlencoded::to_string(&self.fields).expect("a form");
        if let Some((from, to)) = &self.tampered {
            assert!(body.contains(from.as_str()), "{body}");
            body = body.replace(from, to);
        }
        let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
        headers.extend(signature.as_deref().map(|s| ("x-twilio-signature", s)));
        headers.extend(self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())));
        let nobody = app.client.with_token(None);
        nobody.send(Method::POST, &self.path, &headers, &body).await
    }
}

/// HMAC-SHA-1 of the URL and each name and value, by name
/// (<https://www.twilio.com/docs/usage/security>).
pub fn sign(secret: &str, url: &str, fields: &[(String, String)]) -> String {
    let mut fields = fields.to_vec();
    fields.sort();
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(url.as_bytes());
    for (name, value) in fields {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}
