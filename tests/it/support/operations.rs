//! Every operation of the OpenAPI document, and how to call it: a test over "every route" learns
//! the routes from here. An operation that is not known here fails the test that reads it.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use onhook::domain::secret_text::{SecretKind, SecretText};

use super::{
    app::{ADMIN_TOKEN, Tenant},
    client::TestClient,
};

/// Well-formed, and nobody's.
fn secret(kind: SecretKind) -> String {
    SecretText::new(kind, [7; 32]).reveal().to_owned()
}

/// The committed document.
pub const DOCUMENT: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/openapi.json"));

/// One operation of the document.
#[derive(Clone, Debug)]
pub struct Operation {
    pub method: Method,
    /// As in the document, with its parameters in braces.
    pub path: String,
    pub id: String,
    /// The scopes that its token needs; `None`: it takes no token.
    pub scopes: Option<Vec<String>>,
    /// Whether it takes the operator's token instead.
    pub of_operator: bool,
    /// Whether it takes the access token of a person alone.
    pub of_person: bool,
    /// The media type of its body; `None`: it takes none.
    pub body_type: Option<String>,
    pub document: Value,
}

/// What operations are called with.
#[derive(Clone, Debug)]
pub struct Names {
    pub agent_id: String,
    pub call: String,
    pub endpoint_id: String,
    pub account_id: String,
    pub token_id: String,
    pub number_id: String,
    /// The provider's name of the account, and what proves it.
    pub account_sid: String,
    pub auth_token: String,
}

impl Names {
    /// Things of the tenant's: this call, a token that was made for this, all else as it was founded.
    pub async fn of(client: &TestClient, tenant: &Tenant, call: String) -> Self {
        let client = client.with_token(Some(&tenant.token));
        let token = json!({"name": "named", "scopes": ["calls:read"]});
        let token = client.post("/api/v1/tokens", &token).await;
        assert_eq!(token.status, 201, "{}", token.text);
        let numbers = client.get("/api/v1/phone-numbers").await.json();
        let id = |thing: &Value| thing["id"].as_str().expect("an id").to_owned();
        Self {
            agent_id: tenant.agent_id.to_string(),
            call,
            endpoint_id: tenant.endpoint_id.to_string(),
            account_id: tenant.account_id.to_string(),
            token_id: id(&token.json()),
            number_id: id(&numbers["items"][0]),
            account_sid: tenant.account_sid.clone(),
            auth_token: tenant.auth_token.clone(),
        }
    }

    /// All of them so.
    pub fn all(name: &str) -> Self {
        let name = || name.to_owned();
        Self {
            agent_id: name(),
            call: name(),
            endpoint_id: name(),
            account_id: name(),
            token_id: name(),
            number_id: name(),
            account_sid: name(),
            auth_token: name(),
        }
    }
}

/// How an operation reports what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorStyle {
    /// RFC 9457.
    Problem,
    /// `{"success":false,"message":…}`
    Agent,
    /// `{"detail":…}`
    Detail,
    /// `{"success":false,"error":…}`
    Session,
    /// `{"ok":false,"error":…}`
    Admin,
    /// `{"error":…}`
    Callback,
}

/// Every operation, in the document's order.
pub fn documented() -> Vec<Operation> {
    let document: Value = serde_json::from_str(DOCUMENT).expect("the document is JSON");
    let paths = document["paths"].as_object().expect("paths");
    let operations: Vec<Operation> = paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().expect("methods");
            methods
                .iter()
                .map(|(method, operation)| Operation::read(path, method, operation))
        })
        .collect();
    assert!(operations.len() >= 23, "{}", operations.len());
    operations
}

impl Operation {
    fn read(path: &str, method: &str, document: &Value) -> Self {
        let security = document["security"].as_array().map(|security| &security[0]);
        let of_operator = security.is_some_and(|security| security["admin"].is_array());
        let of_person = security.is_some_and(|security| security["person"].is_array());
        let of_tokens = security.filter(|_| !of_operator && !of_person);
        let scopes = of_tokens.map(|security| {
            let scopes = security["bearer"].as_array().expect("bearer's scopes");
            let scopes = scopes.iter().map(|scope| scope.as_str().expect("a scope"));
            scopes.map(str::to_owned).collect()
        });
        let content = document["requestBody"]["content"].as_object();
        Self {
            method: method.to_uppercase().parse().expect("a method"),
            path: path.to_owned(),
            id: document["operationId"].as_str().expect("an id").to_owned(),
            scopes,
            of_operator,
            of_person,
            body_type: content.and_then(|content| content.keys().next().cloned()),
            document: document.clone(),
        }
    }

    /// `POST /api/v1/calls`, as tests name it in failures and tables.
    pub fn title(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub fn takes_id(&self) -> bool {
        self.path.contains('{')
    }

    /// The path with everything filled in; panics for a parameter that is not known here.
    pub fn url(&self, names: &Names) -> String {
        // The first event of the call.
        let event_id = format!("evt_{}_1", names.call.replace('-', ""));
        let filled: Vec<&str> = self
            .path
            .split('/')
            .map(|segment| match segment {
                "{event_id}" => event_id.as_str(),
                segment => self.segment(segment, names),
            })
            .collect();
        filled.join("/")
    }

    /// As [`Operation::url`]; a stream that would not end is asked to.
    pub fn url_that_ends(&self, names: &Names) -> String {
        let end = if self.id == "watch_events" {
            "?timeout=0"
        } else {
            ""
        };
        self.url(names) + end
    }

    fn segment<'a>(&self, segment: &'a str, names: &'a Names) -> &'a str {
        match segment {
            "{agent_id}" => &names.agent_id,
            "{call_sid}" | "{call_id}" => &names.call,
            "{account_id}" => &names.account_id,
            "{provider}" => "twilio",
            // No agent is one of these: what is theirs is tried in people.
            "{organization_id}" | "{person_id}" | "{invitation_id}" | "{session_id}" => {
                &names.agent_id
            }
            "{id}" if self.path.starts_with("/api/v1/calls/") => &names.call,
            "{id}" if self.path.starts_with("/api/v1/agents/") => &names.agent_id,
            "{id}" if self.path.starts_with("/api/v1/tokens/") => &names.token_id,
            "{id}" if self.path.starts_with("/api/v1/provider-accounts/") => &names.account_id,
            "{id}" if self.path.starts_with("/api/v1/phone-numbers/") => &names.number_id,
            "{id}" if self.path.starts_with("/api/v1/webhook-endpoints/") => &names.endpoint_id,
            // Nobody has a notice in these tests: such an id is nobody's there.
            "{id}" if self.path.starts_with("/api/v1/notices/") => &names.endpoint_id,
            "{webhook_id}" => &names.endpoint_id,
            parameter if parameter.starts_with('{') => {
                panic!("{}: nobody said what {parameter} is", self.title())
            }
            segment => segment,
        }
    }

    /// A body that does what the operation is for; panics for a body that is not known here.
    pub fn body(&self, names: &Names) -> String {
        let body = match self.id.as_str() {
            "create_call" => json!({"agent_id": names.agent_id, "to": "+15550101"}),
            // The provider's name may be ours: the call is known, and answered as it is.
            "adopt_call" => json!({
                "agent_id": names.agent_id, "provider_account_id": names.account_id,
                "provider_call_id": names.call,
            }),
            "update_call" => json!({"metadata": {"order": "1002"}}),
            "end_call" => json!({"note": "asked for"}),
            "agent_end_call" => json!({"call_sid": names.call}),
            "agent_call" | "session_call" => json!({"to": "+15550101"}),
            "create_notice" => json!({"gateway": {"url": "wss://example.com/agents"}}),
            "update_notice" => json!({"paused": false}),
            "create_webhook_endpoint" | "create_agent_webhook" => {
                json!({"url": "https://example.com/hooks"})
            }
            "update_webhook_endpoint" | "update_agent_webhook" => json!({"description": "ours"}),
            "rotate_webhook_secret" => json!({"overlap_seconds": 3600}),
            "replay_webhook_deliveries" => json!({"failed_only": true}),
            "register" => json!({
                "email": "nobody@example.com", "password": "correct horse battery",
                "name": "Nobody", "organization_name": "Nothing",
            }),
            "login" => json!({"email": "nobody@example.com", "password": "correct horse battery"}),
            "forgot_password" => json!({"email": "nobody@example.com"}),
            "refresh" | "logout" => json!({"refresh_token": secret(SecretKind::Refresh)}),
            "verify_email" | "accept_invitation" => json!({"token": secret(SecretKind::Link)}),
            "reset_password" => {
                json!({"token": secret(SecretKind::Link), "password": "correct horse battery"})
            }
            "change_password" => {
                json!({"password": "correct horse battery", "new_password": "staple battery horse"})
            }
            "update_organization" => json!({"name": "Tenant"}),
            "update_member" => json!({"role": "viewer"}),
            "create_invitation" => json!({"email": "invited@example.com", "role": "viewer"}),
            "create_token" => json!({
                "name": "x", "scopes": ["calls:read"], "agent_ids": [names.agent_id],
            }),
            "rotate_token" => json!({"overlap_seconds": 60}),
            "create_agent" | "update_agent" => json!({"name": "x"}),
            // It is connected already.
            "connect_provider_account" => json!({
                "provider": "twilio", "external_id": names.account_sid,
                "credentials": {"auth_token": names.auth_token},
                "api_base_url": "http://127.0.0.1:2", "simulated": true,
            }),
            "rotate_provider_account" => json!({"credentials": {"auth_token": names.auth_token}}),
            "create_phone_number" => json!({
                "number": "+15550199", "provider_account_id": names.account_id,
                "agent_id": names.agent_id,
            }),
            "update_phone_number" => json!({"agent_id": names.agent_id}),
            "provider_callback" | "provider_account_callback" => {
                return "CallSid=CA0&CallStatus=completed".to_owned();
            }
            _ if self.body_type.is_none() => return String::new(),
            id => panic!("{}: nobody said what to send to {id}", self.title()),
        };
        body.to_string()
    }

    /// The headers that go with [`Operation::body`], the operator's token among them.
    pub fn headers(&self) -> BTreeMap<&str, &str> {
        let body_type = self.body_type.as_deref();
        let admin = self.of_operator.then_some(("x-admin-token", ADMIN_TOKEN));
        body_type
            .map(|kind| ("content-type", kind))
            .into_iter()
            .chain(admin)
            .collect()
    }

    pub fn error_style(&self) -> ErrorStyle {
        match self.id.as_str() {
            "agent_call" | "agent_end_call" => ErrorStyle::Agent,
            "terminate_call" => ErrorStyle::Detail,
            "session_call" | "session_list" | "session_end" => ErrorStyle::Session,
            "admin_cancel" => ErrorStyle::Admin,
            "provider_callback" | "provider_account_callback" => ErrorStyle::Callback,
            _ => ErrorStyle::Problem,
        }
    }
}

impl ErrorStyle {
    /// What the error says to a person; panics when `body` is not in this style.
    pub fn message(self, status: u16, body: &str) -> String {
        let json: Value =
            serde_json::from_str(body).unwrap_or_else(|_| panic!("{status}, not JSON: {body}"));
        let message = match self {
            Self::Problem => {
                assert_eq!(json["status"], status, "{body}");
                for member in ["type", "title", "instance", "code", "request_id"] {
                    let text = json[member].as_str().unwrap_or_default();
                    assert!(!text.is_empty(), "{member} is missing: {body}");
                }
                assert!(json["errors"].is_array(), "{body}");
                &json["detail"]
            }
            Self::Agent => {
                assert_eq!(json["success"], false, "{body}");
                &json["message"]
            }
            Self::Detail => &json["detail"],
            Self::Session => {
                assert_eq!(json["success"], false, "{body}");
                &json["error"]
            }
            Self::Admin => {
                assert_eq!(json["ok"], false, "{body}");
                &json["error"]
            }
            Self::Callback => &json["error"],
        };
        let message = message.as_str().unwrap_or_default();
        assert!(!message.trim().is_empty(), "{status} says nothing: {body}");
        assert_eq!(message, message.trim(), "{status}: {body}");
        message.to_owned()
    }
}
