//! The events that we send, as the `webhooks` of the document: a schema and an example of each type.
//!
//! What is here is a description; what is sent is the domain's (`domain/webhook`), and a test
//! compares the two.

use serde_json::{Value, json};
use strum::VariantArray as _;
use utoipa::openapi::Paths;

use crate::domain::{
    call::FactType,
    provider::ProviderKind,
    webhook::event::{EventType, OrganizationEvent},
};

/// Every type of event, in the catalogue's order.
///
/// # Errors
/// When a description here is none that the document can hold, which a test would have seen.
pub(super) fn webhooks() -> Result<Paths, serde_json::Error> {
    let items = EventType::all().map(|kind| (kind.as_str().to_owned(), item(kind)));
    serde_json::from_value(Value::Object(items.collect()))
}

fn item(kind: EventType) -> Value {
    let (summary, description) = told(kind);
    let name = kind.as_str();
    json!({"post": {
        "operationId": name.replace('.', "_"),
        "tags": ["Webhooks"],
        "summary": summary,
        "description": description,
        "parameters": [
            header("webhook-id", "The event's id: the same at each attempt and for each endpoint"),
            header("webhook-timestamp", "When the attempt was made, in seconds since 1970"),
            header("webhook-signature", "`v1,` and base64 of an HMAC-SHA-256, as Standard Webhooks \
                1.0 has it; two of them, with a space between, while a secret is rotated"),
        ],
        "requestBody": {
            "required": true,
            "content": {"application/json": {"schema": schema(kind), "example": example(kind)}},
        },
        "responses": {
            "2XX": {"description": "Delivered"},
            "410": {"description": "Nothing more is sent to the endpoint"},
            "default": {"description": "Tried again by the schedule, not before `Retry-After`"},
        },
    }})
}

fn header(name: &str, description: &str) -> Value {
    json!({
        "name": name, "in": "header", "required": true, "description": description,
        "schema": {"type": "string"},
    })
}

fn told(kind: EventType) -> (&'static str, &'static str) {
    match kind {
        EventType::Call(fact) => match fact {
            FactType::Started => (
                "A call started",
                "It is being dialled, or was seen coming in.",
            ),
            FactType::Ringing => ("A call rings", "The other side is being alerted."),
            FactType::Connected => ("A call was answered", "It is billed from now on."),
            FactType::EndRequested => (
                "The end of a call was asked for",
                "The wish is kept and carried out; the end follows.",
            ),
            FactType::Ended => (
                "A call ended",
                "Exactly once for each call, connected or not.",
            ),
            FactType::DidNotConnect => (
                "A call did not connect",
                "Beside the end of a call that was busy, not answered, failed or canceled.",
            ),
            FactType::Error => (
                "Something failed for good",
                "A hang-up failed or stays unconfirmed, or the provider refused the call.",
            ),
            FactType::Billed => ("A call was billed", "The amount is in the call's `cost`."),
        },
        EventType::Organization(event) => match event {
            OrganizationEvent::CredentialsRefused => (
                "A provider refuses an account's credentials",
                "No calls are placed through the account until they are taken again. At most once \
                 an hour for each account.",
            ),
            OrganizationEvent::EndpointDisabled => (
                "A webhook endpoint was disabled",
                "Every delivery to it failed for five days. Sent to the others.",
            ),
            OrganizationEvent::Test => (
                "A test",
                "Asked for by `POST /api/v1/webhook-endpoints/{id}/test`; sent to that endpoint alone.",
            ),
        },
    }
}

fn schema(kind: EventType) -> Value {
    let of_call = matches!(kind, EventType::Call(_));
    let nullable = |name: &str| {
        if of_call {
            reference(name)
        } else {
            json!({"type": "null"})
        }
    };
    json!({
        "type": "object",
        "required": [
            "id", "type", "timestamp", "organization_id", "agent_id", "call_id", "sequence", "data",
        ],
        "properties": {
            "id": {"type": "string", "description": "A function of the call and the sequence"},
            "type": {"type": "string", "enum": [kind.as_str()]},
            "timestamp": reference("Timestamp"),
            "organization_id": reference("OrganizationId"),
            "agent_id": nullable("AgentId"),
            "call_id": nullable("CallId"),
            "sequence": {
                "type": "integer", "format": "int64",
                "description": "Dense from 1 within a call; 0 for an event about no call",
            },
            "data": data_schema(kind),
        },
    })
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn data_schema(kind: EventType) -> Value {
    let object = |members: Value| {
        let names: Vec<String> = members
            .as_object()
            .map(|members| members.keys().cloned().collect())
            .unwrap_or_default();
        json!({"type": "object", "required": names, "properties": members})
    };
    let text = json!({"type": "string"});
    match kind {
        EventType::Call(FactType::Error) => object(json!({
            "call": reference("Call"), "code": text, "message": text,
        })),
        EventType::Call(
            FactType::Started
            | FactType::Ringing
            | FactType::Connected
            | FactType::EndRequested
            | FactType::Ended
            | FactType::DidNotConnect
            | FactType::Billed,
        ) => object(json!({"call": reference("Call")})),
        EventType::Organization(OrganizationEvent::CredentialsRefused) => object(json!({
            "provider_account": object(json!({
                "id": reference("ProviderAccountId"),
                "provider": reference("ProviderKind"),
                "provider_status": {"type": ["integer", "null"]},
            })),
        })),
        EventType::Organization(OrganizationEvent::EndpointDisabled) => object(json!({
            "webhook_endpoint": object(json!({
                "id": reference("WebhookEndpointId"),
                "disabled_reason": text,
                "disabled_at": reference("Timestamp"),
            })),
        })),
        EventType::Organization(OrganizationEvent::Test) => object(json!({
            "webhook_endpoint": object(json!({"id": reference("WebhookEndpointId")})),
        })),
    }
}

const ORGANIZATION: &str = "8470ca0d-9167-4835-a18b-0996cc2901d4";
const AGENT: &str = "f1b9d4c0-5c13-42e6-8a41-ee82a8e42dc7";
const CALL: &str = "ded9e572-4c0d-40d7-b135-542bbb42b4f8";
const ACCOUNT: &str = "f47e6459-d853-4f39-b8ff-ce614ccc5fd6";
const ENDPOINT: &str = "3b0c5a52-6f0e-4f27-9d2e-5f6f1f3c9a10";

fn example(kind: EventType) -> Value {
    match kind {
        EventType::Call(fact) => {
            let (sequence, at) = moment(fact);
            let call = call(fact, sequence);
            let data = if fact == FactType::Error {
                json!({
                    "call": call, "code": "HANGUP_FAILED",
                    "message": "The provider refuses to hang up",
                })
            } else {
                json!({"call": call})
            };
            json!({
                "id": format!("evt_{}_{sequence}", CALL.replace('-', "")),
                "type": fact.as_str(), "timestamp": at, "organization_id": ORGANIZATION,
                "agent_id": AGENT, "call_id": CALL, "sequence": sequence, "data": data,
            })
        }
        EventType::Organization(event) => json!({
            "id": "evt_0c9d1f6e2b7a4d3c8e5f60718293a4b5_0",
            "type": event.as_str(), "timestamp": "2026-11-21T09:31:44.210Z",
            "organization_id": ORGANIZATION, "agent_id": null, "call_id": null, "sequence": 0,
            "data": match event {
                OrganizationEvent::CredentialsRefused => json!({"provider_account": {
                    "id": ACCOUNT, "provider": provider(), "provider_status": 401,
                }}),
                OrganizationEvent::EndpointDisabled => json!({"webhook_endpoint": {
                    "id": ENDPOINT, "disabled_reason": "Every delivery failed for five days",
                    "disabled_at": "2026-11-21T09:31:44.210Z",
                }}),
                OrganizationEvent::Test => json!({"webhook_endpoint": {"id": ENDPOINT}}),
            },
        }),
    }
}

/// Any provider.
fn provider() -> Option<ProviderKind> {
    ProviderKind::VARIANTS.first().copied()
}

/// The number of a fact in the life of the example, and when it happened.
fn moment(fact: FactType) -> (i64, &'static str) {
    match fact {
        FactType::Started => (1, "2026-11-21T09:30:00.012Z"),
        FactType::Ringing => (2, "2026-11-21T09:30:00.640Z"),
        FactType::Connected => (3, "2026-11-21T09:30:02.310Z"),
        FactType::EndRequested | FactType::DidNotConnect => (4, "2026-11-21T09:31:44.210Z"),
        FactType::Ended | FactType::Error => (5, "2026-11-21T09:31:44.210Z"),
        FactType::Billed => (6, "2026-11-21T09:31:44.210Z"),
    }
}

/// The call of the example as it was then.
fn call(fact: FactType, sequence: i64) -> Value {
    let failed = fact == FactType::DidNotConnect;
    let over = matches!(fact, FactType::Ended | FactType::Billed);
    let rang = sequence >= 2;
    let answered = sequence >= 3 && !failed;
    let wished = matches!(fact, FactType::EndRequested | FactType::Error) || over;
    let status = match (over, failed, answered, rang) {
        (true, ..) => "completed",
        (_, true, ..) => "busy",
        (_, _, true, _) => "in-progress",
        (_, _, _, true) => "ringing",
        _ => "initiating",
    };
    let when = |holds: bool, at: &str| if holds { json!(at) } else { Value::Null };
    let ended_at = when(over || failed, "2026-11-21T09:31:44.210Z");
    json!({
        "id": CALL, "call_sid": "CA0135d3f2066dc516b8db18ed43b67370",
        "organization_id": ORGANIZATION, "agent_id": AGENT, "status": status,
        "direction": "outbound", "from": "+15550100", "to": "+15550101", "provider": provider(),
        "provider_account_id": ACCOUNT, "client_reference": null, "metadata": {},
        "created_at": "2026-11-21T09:30:00.012Z",
        "ringing_at": when(rang, "2026-11-21T09:30:00.640Z"),
        "answered_at": when(answered, "2026-11-21T09:30:02.310Z"),
        "ended_at": ended_at,
        "duration_seconds": if over { json!(101) } else { Value::Null },
        "ended_reason": match (over, failed) {
            (true, _) => json!("ended_by_api"),
            (_, true) => json!("busy"),
            _ => Value::Null,
        },
        "limits": {"max_duration_seconds": 3600, "ring_timeout_seconds": 60},
        "end": if wished { end(over, fact == FactType::Error) } else { Value::Null },
        "cost": if over { cost() } else { Value::Null },
        "last_sequence": sequence,
    })
}

fn end(over: bool, failed: bool) -> Value {
    let state = match (over, failed) {
        (true, _) => "confirmed",
        (_, true) => "failed",
        _ => "requested",
    };
    json!({
        "state": state, "requested_at": "2026-11-21T09:31:44.210Z", "reason": "ended_by_api",
        "initiator": "token:9dd10a22-1ad6-4e0d-a344-96cb9c67f6d9", "note": null,
        "side": if over { json!("local") } else { Value::Null },
        "attempts": i32::from(over || failed),
        "confirmed_by": if over { json!("hang_up_answer") } else { Value::Null },
        "confirmed_at": if over { json!("2026-11-21T09:31:44.248Z") } else { Value::Null },
        "provider_cause": if over { json!({"status": "completed"}) } else { Value::Null },
    })
}

fn cost() -> Value {
    json!({
        "amount_micros": 28000, "currency": "USD", "billable_milliseconds": 101_900,
        "billed_seconds": 120, "price_micros": 14000, "price_seconds": 60,
        "increment_seconds": 60, "minimum_seconds": 0, "rounding": "half_up",
    })
}
