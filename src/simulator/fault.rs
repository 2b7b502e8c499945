//! Failures that were ordered: which, of what, and how often.
//!
//! A fault is taken by the first request or callback that it fits and does one thing to it. Those
//! of limited number come before those that hold for ever, so that a single failure can be put on
//! top of a standing slowness. Carrying them out is the business of `switchboard` and `callbacks`.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use hyper::{
    body::Bytes,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde::Deserialize;
use serde_json::Value;

use super::listener::Reply;
use crate::domain::provider::ProviderKind;

/// What a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Operation {
    Create,
    Hangup,
    Fetch,
    List,
    Callback,
    /// The opening of a websocket.
    Socket,
}

/// Whether a request fails before or after the provider acted on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum When {
    #[default]
    Before,
    After,
}

/// What a fault does.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Another answer than the true one. Without a body: the provider's usual one for the status.
    Respond {
        reply: Reply,
        when: When,
    },
    Delay {
        by: Duration,
        when: When,
    },
    /// The connection breaks without an answer.
    Reset(When),
    /// The callback is sent twice.
    Duplicate,
    /// The callback is sent after the one that follows it.
    Reorder,
    /// The callback is never sent.
    Drop,
    /// A copy with a wrong signature is sent before the callback.
    Forge,
}

#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) provider: ProviderKind,
    pub(super) operation: Operation,
    /// How often it still strikes; `None`: for ever.
    left: Option<NonZeroU32>,
    act: Act,
}

/// The faults that are still to strike, in the order in which they were ordered.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes one strike of the fault that fits.
    pub(super) fn take(
        &mut self,
        provider: ProviderKind,
        operation: Operation,
        allowed: impl Fn(&Act) -> bool,
    ) -> Option<Act> {
        let fits = |fault: &Fault| {
            fault.provider == provider && fault.operation == operation && allowed(&fault.act)
        };
        let limited = |fault: &Fault| fault.left.is_some() && fits(fault);
        let at = self.0.iter().position(limited);
        let at = at.or_else(|| self.0.iter().position(fits))?;
        let fault = self.0.get_mut(at)?;
        let act = fault.act.clone();
        if let Some(left) = fault.left {
            fault.left = NonZeroU32::new(left.get() - 1);
            if fault.left.is_none() {
                self.0.remove(at);
            }
        }
        Some(act)
    }
}

/// A fault as the control API takes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultOrder {
    provider: ProviderKind,
    operation: Operation,
    /// Default 1; 0 means for ever.
    #[serde(default = "once")]
    times: u32,
    respond: Option<RespondOrder>,
    delay_ms: Option<u64>,
    when: Option<When>,
    reset: Option<When>,
    duplicate: Option<bool>,
    reorder: Option<bool>,
    drop: Option<bool>,
    forge: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RespondOrder {
    status: u16,
    /// JSON, or a string that is sent as it stands.
    body: Option<Value>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

fn once() -> u32 {
    1
}

impl FaultOrder {
    /// The fault that is ordered.
    ///
    /// # Errors
    /// A text that says what is wrong and what is allowed.
    pub(super) fn into_fault(self) -> Result<Fault, String> {
        let (provider, operation) = (self.provider, self.operation);
        let left = NonZeroU32::new(self.times);
        let act = self.into_act()?;
        let of_callbacks = matches!(
            act,
            Act::Duplicate | Act::Reorder | Act::Drop | Act::Forge | Act::Delay { .. }
        );
        let of_requests = matches!(act, Act::Respond { .. } | Act::Reset(_) | Act::Delay { .. });
        match operation {
            Operation::Callback if !of_callbacks => {
                Err("a callback takes delay_ms, duplicate, reorder, drop or forge".to_owned())
            }
            Operation::Create
            | Operation::Hangup
            | Operation::Fetch
            | Operation::List
            | Operation::Socket
                if !of_requests =>
            {
                Err("a request takes respond, delay_ms or reset".to_owned())
            }
            _ => Ok(Fault {
                provider,
                operation,
                left,
                act,
            }),
        }
    }

    fn into_act(self) -> Result<Act, String> {
        let flags = [
            (self.duplicate, Act::Duplicate, "duplicate"),
            (self.reorder, Act::Reorder, "reorder"),
            (self.drop, Act::Drop, "drop"),
            (self.forge, Act::Forge, "forge"),
        ];
        let mut acts = Vec::new();
        for (flag, act, name) in flags {
            match flag {
                Some(true) => acts.push(act),
                Some(false) => return Err(format!("{name} is true or absent")),
                None => {}
            }
        }
        let when = self.when.unwrap_or_default();
        if let Some(respond) = self.respond {
            let reply = respond.into_reply()?;
            acts.push(Act::Respond { reply, when });
        }
        if let Some(millis) = self.delay_ms {
            let by = Duration::from_millis(millis);
            acts.push(Act::Delay { by, when });
        }
        acts.extend(self.reset.map(Act::Reset));
        let mut acts = acts.into_iter();
        let (Some(act), None) = (acts.next(), acts.next()) else {
            return Err(
                "exactly one of respond, delay_ms, reset, duplicate, reorder, drop, forge"
                    .to_owned(),
            );
        };
        let answered = matches!(act, Act::Respond { .. } | Act::Delay { .. });
        if self.when.is_some() && (!answered || self.operation == Operation::Callback) {
            return Err("when goes beside respond or delay_ms of a request only".to_owned());
        }
        Ok(act)
    }
}

impl RespondOrder {
    fn into_reply(self) -> Result<Reply, String> {
        if !(200..=599).contains(&self.status) {
            return Err("respond.status is 200 to 599".to_owned());
        }
        let mut reply = match self.body {
            None => Reply::empty(self.status),
            Some(Value::String(text)) => {
                Reply::empty(self.status).with_body("text/html; charset=utf-8", Bytes::from(text))
            }
            Some(json) => Reply::json(self.status, &json),
        };
        for (name, value) in self.headers {
            let parsed = name.parse::<HeaderName>().ok();
            let header = parsed.zip(HeaderValue::from_str(&value).ok());
            let (name, value) =
                header.ok_or_else(|| format!("respond.headers: {name} cannot be sent"))?;
            if name == CONTENT_TYPE {
                reply.headers.retain(|(known, _)| known != CONTENT_TYPE);
            }
            reply = reply.with_header(name, value);
        }
        Ok(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(text: &str) -> Result<Fault, String> {
        let with_head = format!(r#"{{"provider":"twilio",{text}}}"#);
        serde_json::from_str::<FaultOrder>(&with_head)
            .map_err(|error| error.to_string())?
            .into_fault()
    }

    #[test]
    fn each_fault_of_the_contract_is_taken() {
        for text in [
            r#""operation":"create","times":2,"respond":{"status":503}"#,
            r#""operation":"hangup","respond":{"status":429,"headers":{"Retry-After":"1"}}"#,
            r#""operation":"hangup","respond":{"status":502,"body":"<html>"},"when":"after""#,
            r#""operation":"fetch","delay_ms":5,"when":"after""#,
            r#""operation":"list","reset":"before""#,
            r#""operation":"callback","duplicate":true"#,
            r#""operation":"callback","reorder":true"#,
            r#""operation":"callback","drop":true"#,
            r#""operation":"callback","forge":true"#,
            r#""operation":"callback","delay_ms":5"#,
        ] {
            assert!(order(text).is_ok(), "{text}: {:?}", order(text));
        }
    }

    #[test]
    fn a_wrong_fault_is_refused_with_what_is_allowed() {
        for (text, expected) in [
            (r#""operation":"dial","drop":true"#, "`create`"),
            (r#""operation":"create","drop":true"#, "respond"),
            (r#""operation":"callback","reset":"after""#, "duplicate"),
            (
                r#""operation":"callback","delay_ms":1,"when":"after""#,
                "beside",
            ),
            (r#""operation":"create""#, "exactly one"),
            (
                r#""operation":"create","delay_ms":1,"reset":"after""#,
                "exactly one",
            ),
            (
                r#""operation":"create","reset":"after","when":"after""#,
                "beside",
            ),
            (r#""operation":"create","reset":"never""#, "`before`"),
            (r#""operation":"create","reste":"after""#, "`reset`"),
            (
                r#""operation":"create","respond":{"status":99}"#,
                "200 to 599",
            ),
            (r#""operation":"callback","drop":false"#, "true or absent"),
        ] {
            let refused = order(text).unwrap_err();
            assert!(refused.contains(expected), "{text}: {refused}");
        }
    }

    #[test]
    fn a_counted_fault_strikes_first_and_as_often_as_was_said() {
        let mut faults = Faults::default();
        faults.add(order(r#""operation":"hangup","times":0,"delay_ms":50"#).unwrap());
        faults.add(order(r#""operation":"hangup","times":2,"reset":"after""#).unwrap());
        let mut take = |operation| faults.take(ProviderKind::Twilio, operation, |_| true);
        assert!(take(Operation::Create).is_none());
        assert!(matches!(take(Operation::Hangup), Some(Act::Reset(_))));
        assert!(matches!(take(Operation::Hangup), Some(Act::Reset(_))));
        for _ in 0..3 {
            assert!(matches!(take(Operation::Hangup), Some(Act::Delay { .. })));
        }
    }
}
