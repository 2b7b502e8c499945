//! Pure: what their answers and closings mean. The one place that knows their statuses and codes.
//!
//! They answer the same for a call that is over, one that never was and one that nobody accepted:
//! it is evidence only about a call of which we saw the session. Success of a command proves nothing
//! either, for they check it later: the websocket beside the call tells.

use serde_json::{Map, Value};

use super::{
    Keys,
    wire::{self, CALL_ID_NOT_FOUND, SESSION_EXPIRED},
};
use crate::{
    domain::{
        call::{CallStatus, EndReason},
        provider::{HangUpOutcome, InstructOutcome, Observation, Progress, ProviderAnswer, Source},
    },
    outbound::{Answer, Failure, ws::NotOpened},
    providers::{Account, NoFeed, answer::plain},
};

/// What came back: an answer, or why there is none.
pub(super) type Heard = Result<Answer, Failure>;

/// The outcome of a hang-up. `answered`: we saw the call's session. Repeating it is safe.
pub(super) fn hang_up(answered: bool, heard: &Heard) -> HangUpOutcome {
    let Ok(answer) = heard else {
        return HangUpOutcome::Retry { after: None };
    };
    match answer.status {
        200..=299 => HangUpOutcome::Accepted,
        _ if is_gone(answer) && answered => HangUpOutcome::AlreadyOver,
        _ if is_gone(answer) => HangUpOutcome::NotFound,
        // A proxy's, or a wrong address.
        404 => HangUpOutcome::NotFound,
        408 | 429 | 500..=599 => HangUpOutcome::Retry {
            after: answer.retry_after(),
        },
        _ => HangUpOutcome::Refused,
    }
}

/// The outcome of accepting a call. That it was accepted before is as good.
pub(super) fn accept(heard: &Heard) -> InstructOutcome {
    match heard {
        Ok(answer) if answer.status == 409 && wire::error(&answer.body).is_some() => {
            InstructOutcome::Done
        }
        heard => command(heard),
    }
}

/// The outcome of any other command.
pub(super) fn command(heard: &Heard) -> InstructOutcome {
    let Ok(answer) = heard else {
        return InstructOutcome::Retry { after: None };
    };
    match answer.status {
        200..=299 => InstructOutcome::Done,
        _ if is_gone(answer) => InstructOutcome::Gone,
        404 | 408 | 429 | 500..=599 => InstructOutcome::Retry {
            after: answer.retry_after(),
        },
        _ => InstructOutcome::Refused,
    }
}

/// Whether the answer is their own "no such call". Which status goes with it has varied; a conflict
/// means it whatever the code.
fn is_gone(answer: &Answer) -> bool {
    let error = wire::error(&answer.body);
    let code = error.as_ref().and_then(|error| error.code.as_deref());
    match answer.status {
        400 | 404 => code == Some(CALL_ID_NOT_FOUND),
        409 => error.is_some(),
        _ => false,
    }
}

/// Why the websocket beside a call was not opened. Theirs for a call that is not there is 404
/// without a body, or with their code; a page of anything else is a proxy's.
pub(super) fn not_opened(account: &Account, why: NotOpened) -> NoFeed {
    let answer = match why {
        NotOpened::Answered(answer) => answer,
        NotOpened::Failed(failure) => return NoFeed::Unavailable(failure.to_string()),
    };
    let code = wire::error(&answer.body).and_then(|error| error.code);
    let theirs = answer.body.is_empty() || code.as_deref() == Some(CALL_ID_NOT_FOUND);
    let status = answer.status;
    match status {
        404 if theirs => NoFeed::NoSuchCall,
        401 | 403 => NoFeed::Refused(words(account, &answer, status)),
        _ => NoFeed::Unavailable(words(account, &answer, status)),
    }
}

fn words(account: &Account, answer: &Answer, status: u16) -> String {
    let said = self::answer(account, &Ok(answer.clone()));
    format!("{status} {}", said.message.unwrap_or_default())
}

/// What the first event of the websocket shows: the model has the call.
pub(super) fn session_created(id: &str) -> Observation {
    Observation {
        provider_call_id: id.to_owned(),
        progress: Progress::Answered,
        at: None,
        source: Source::Socket,
        host: None,
    }
}

/// What their closing of the websocket shows; `None`: nothing about the call, for the server says
/// that it is the one who leaves or fails (RFC 6455 section 7.4.1 and its registry). Opening it
/// again tells. `error`: the code of the last error that it told.
pub(super) fn closed(
    id: &str,
    code: Option<u16>,
    reason: &str,
    error: Option<&str>,
) -> Option<Observation> {
    let expired = error == Some(SESSION_EXPIRED);
    if matches!(code, Some(1001 | 1011..=1014)) && !expired {
        return None;
    }
    let mut cause = Map::new();
    cause.insert("close_code".to_owned(), code.into());
    for (name, text) in [("close_reason", Some(reason)), ("error", error)] {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            cause.insert(name.to_owned(), Value::from(text.replace('\0', "")));
        }
    }
    Some(Observation {
        provider_call_id: id.to_owned(),
        progress: Progress::Ended {
            status: CallStatus::Completed,
            connected_seconds: None,
            // Whose end it was they do not tell; that of a session that was too long is theirs.
            reason: expired.then_some(EndReason::ProviderError),
            cause: cause.into(),
        },
        at: None,
        source: Source::Socket,
        host: None,
    })
}

/// What they literally said, for the receipt.
pub(super) fn answer(account: &Account, heard: &Heard) -> ProviderAnswer {
    let secrets = Keys::of(account).map(Keys::secrets).unwrap_or_default();
    let answer = match heard {
        Ok(answer) => answer,
        Err(failure) => {
            return ProviderAnswer {
                status: None,
                code: None,
                message: plain(&failure.to_string(), &secrets),
            };
        }
    };
    let status = Some(answer.status);
    if (200..=299).contains(&answer.status) {
        return ProviderAnswer {
            status,
            ..ProviderAnswer::default()
        };
    }
    let error = wire::error(&answer.body);
    let code = error.as_ref().and_then(|error| error.code.clone());
    let words = match error {
        Some(error) => error.message.unwrap_or_default(),
        None => String::from_utf8_lossy(&answer.body).into_owned(),
    };
    ProviderAnswer {
        status,
        code: code.and_then(|code| plain(&code, &secrets)),
        message: plain(&words, &secrets),
    }
}
