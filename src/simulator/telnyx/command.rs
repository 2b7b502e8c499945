//! Commands to a call: to answer one that came in, to turn it away, to speak.
//!
//! Codes and members follow Telnyx's API description. Which code a command out of place gets is not
//! documented for each; here a call that is over has its own, one that nobody answered yet 90034,
//! and to answer or reject anything but a ringing incoming call is 90053.

use std::{sync::Arc, time::Duration};

use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::problem::{self, Problem};
use crate::simulator::{
    call::{Effect, Line, State},
    listener::Reply,
    switchboard::Switchboard,
};

/// How long a sentence takes, whatever it says.
const SENTENCE: Duration = Duration::from_millis(100);

/// What a customer can have a call do, beside ending it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Command {
    Answer,
    Reject,
    Speak,
}

/// The members that this imitation understands; others are let pass.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    client_state: Option<String>,
    webhook_url: Option<String>,
    payload: Option<String>,
    voice: Option<String>,
    cause: Option<String>,
}

pub(super) fn carry_out(
    board: &Arc<Switchboard>,
    account: &str,
    id: &str,
    command: Command,
    body: &Bytes,
) -> Reply {
    let Ok(wanted) = serde_json::from_slice::<Wanted>(body) else {
        return problem::not_json().into_reply(422);
    };
    if let Some(problem) = missing(command, &wanted) {
        return problem.into_reply(422);
    }
    let now = board.now();
    let done = board.with(|exchange| {
        exchange.command(account, id, |line, effects| {
            act(command, wanted, line, effects, now)
        })
    });
    match done {
        None => problem::invalid_call_control_id().into_reply(422),
        Some(Err(problem)) => problem.into_reply(422),
        Some(Ok(())) => Reply::json(200, &json!({ "data": { "result": "ok" } })),
    }
}

fn missing(command: Command, wanted: &Wanted) -> Option<Problem> {
    let name = match command {
        Command::Speak if wanted.payload.as_ref().is_none_or(String::is_empty) => "payload",
        Command::Speak if wanted.voice.is_none() => "voice",
        Command::Reject if wanted.cause.is_none() => "cause",
        _ => return None,
    };
    let detail = format!("The {name} parameter is required.");
    Some(Problem::new("10004", "Missing required parameter", detail))
}

fn act(
    command: Command,
    wanted: Wanted,
    line: &mut Line,
    effects: &mut Vec<Effect>,
    now: crate::domain::Timestamp,
) -> Result<(), Problem> {
    let ringing_in = line.record.inbound && line.record.state == State::Ringing;
    match (command, line.record.state) {
        (_, state) if state.is_over() => return Err(problem::call_has_ended()),
        (Command::Answer, _) if ringing_in => {
            if wanted.client_state.is_some() {
                line.record.client_state = wanted.client_state;
            }
            if let Some(url) = wanted.webhook_url {
                line.report_to(url);
            }
            line.answer(now, effects);
        }
        (Command::Reject, _) if ringing_in => line.end(State::Failed, Some(603), now, effects),
        (Command::Speak, State::InProgress) => line.speak(SENTENCE, effects),
        (Command::Speak, _) => {
            let detail = "This call is not answered yet and can't receive this command.";
            return Err(Problem::new("90034", "Call not answered yet", detail));
        }
        (Command::Answer | Command::Reject, _) => {
            let detail = "This call can't be answered or rejected.";
            return Err(Problem::new("90053", "Invalid call state", detail));
        }
    }
    Ok(())
}
