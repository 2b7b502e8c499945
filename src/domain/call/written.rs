//! The public JSON of a call, written by hand for lists.
//!
//! `Serialize` looks at every byte of every name and value for what must be escaped, which took a
//! third of a list's time. Names, ids, instants and names of states need no look. The invariant:
//! what is written is what `Serialize` writes, byte for byte; a test holds it.

use serde::Serialize;
use uuid::Uuid;

use super::CallView;
use crate::domain::Timestamp;

impl CallView<'_> {
    /// Appends the call.
    ///
    /// # Errors
    /// None in practice: what a view holds can be written.
    pub fn write(&self, to: &mut Vec<u8>) -> serde_json::Result<()> {
        let mut to = Members(to);
        to.id("{\"id\":", self.id.0);
        to.json(",\"call_sid\":", &self.call_sid)?;
        to.id(",\"organization_id\":", self.organization_id.0);
        to.id(",\"agent_id\":", self.agent_id.0);
        to.plain(",\"status\":", self.status.as_str());
        to.plain(",\"direction\":", self.direction.into());
        to.json(",\"from\":", self.from)?;
        to.json(",\"to\":", self.to)?;
        to.plain(",\"provider\":", self.provider.as_str());
        to.id(",\"provider_account_id\":", self.provider_account_id.0);
        to.json(",\"client_reference\":", &self.client_reference)?;
        to.raw(",\"metadata\":", self.metadata.get());
        to.instant(",\"created_at\":", Some(self.created_at));
        to.instant(",\"ringing_at\":", self.ringing_at);
        to.instant(",\"answered_at\":", self.answered_at);
        to.instant(",\"ended_at\":", self.ended_at);
        to.json(",\"duration_seconds\":", &self.duration_seconds)?;
        match self.ended_reason {
            Some(reason) => to.plain(",\"ended_reason\":", reason.as_str()),
            None => to.raw(",\"ended_reason\":", "null"),
        }
        to.json(
            ",\"limits\":{\"max_duration_seconds\":",
            &self.limits.max_duration_seconds,
        )?;
        to.json(
            ",\"ring_timeout_seconds\":",
            &self.limits.ring_timeout_seconds,
        )?;
        to.json("},\"end\":", &self.end)?;
        to.json(",\"cost\":", &self.cost)?;
        to.json(",\"last_sequence\":", &self.last_sequence)?;
        to.raw("}", "");
        Ok(())
    }
}

/// Members of an object, each with all that stands before its value.
struct Members<'a>(&'a mut Vec<u8>);

impl Members<'_> {
    fn raw(&mut self, name: &'static str, value: &str) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(value.as_bytes());
    }

    /// A text without anything to escape.
    fn plain(&mut self, name: &'static str, value: &str) {
        self.ascii(name, value.as_bytes());
    }

    fn ascii(&mut self, name: &'static str, value: &[u8]) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(b'"');
        self.0.extend_from_slice(value);
        self.0.push(b'"');
    }

    fn id(&mut self, name: &'static str, id: Uuid) {
        self.plain(
            name,
            id.hyphenated().encode_lower(&mut Uuid::encode_buffer()),
        );
    }

    fn instant(&mut self, name: &'static str, at: Option<Timestamp>) {
        match at {
            Some(at) => self.ascii(name, &at.text()),
            None => self.raw(name, "null"),
        }
    }

    fn json<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> serde_json::Result<()> {
        self.raw(name, "");
        serde_json::to_writer(&mut *self.0, value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Call, CallStatus, EndState,
        fixture::{at, ending, over, queued, reports, ringing, talking, wished},
    };

    #[test]
    fn what_is_written_by_hand_is_what_serde_writes() {
        let ended = |call: &Call| {
            let report = reports(over(CallStatus::Completed, Some(12)), 60);
            report.change(call, at(60)).call
        };
        let talking = talking();
        for call in [
            queued(),
            ringing(),
            wished(&talking),
            ending(&talking, EndState::Accepted),
            ended(&wished(&talking)),
            ended(&talking),
            Call {
                client_reference: Some("a \"quoted\"\\\n\u{1}é".to_owned()),
                provider_call_id: Some("v3:/\"".to_owned()),
                ..talking.clone()
            },
        ] {
            let mut written = b"before".to_vec();
            call.view().write(&mut written).unwrap();

            let expected = serde_json::to_string(&call.view()).unwrap();
            assert_eq!(
                String::from_utf8(written).unwrap(),
                format!("before{expected}")
            );
        }
    }
}
