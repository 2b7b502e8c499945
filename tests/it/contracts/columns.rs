//! The columns: what each provider's adapter makes of each row, by what its provider documents.
//!
//! A new row breaks every column, and a new provider has none until it is written here. The words
//! are those of `onhook::domain::provider`'s outcomes.
#![expect(
    clippy::match_same_arms,
    reason = "in the order of the rows: what a hang-up and a read have in common is chance"
)]

use onhook::domain::provider::ProviderKind;

use super::rows::Row;

/// The cell of a question that the provider has no way to be asked. The row is not run.
pub const NOT_ASKED: &str = "–";

pub fn column(provider: ProviderKind, row: Row) -> &'static str {
    match provider {
        ProviderKind::Twilio => twilio(row),
        ProviderKind::Telnyx => telnyx(row),
        ProviderKind::Vonage => vonage(row),
        ProviderKind::Openai => openai(row),
    }
}

fn twilio(row: Row) -> &'static str {
    match row {
        // The answer to a hang-up is the call as it is then.
        Row::HangUpOfAnswered | Row::HangUpOfRinging | Row::HangUpOfOverShownAsRecord => "Ended",
        Row::HangUpThatTakesEffectLater | Row::HangUpWrongJson => "Accepted",
        Row::HangUpOfOver => "AlreadyOver",
        Row::HangUpOfUnknown | Row::HangUpPage404 => "NotFound",
        Row::HangUpThrottled => "Retry after 7 s",
        Row::HangUpServerError
        | Row::HangUpTimeout
        | Row::HangUpNoConnection
        | Row::HangUpResetBefore
        | Row::HangUpResetAfter
        | Row::HangUpPage502 => "Retry",
        Row::HangUpUnauthorized | Row::HangUpForbidden | Row::HangUpWrongJson400 => "Refused",
        Row::DialPlaced => "Placed",
        Row::DialRefused | Row::DialUnauthorized => "Refused: provider_rejected",
        Row::DialThrottled => "NotSent, after 7 s",
        Row::DialNoConnection => "NotSent",
        Row::DialServerError
        | Row::DialTimeout
        | Row::DialResetBefore
        | Row::DialResetAfter
        | Row::DialPage502
        | Row::DialWrongJson => "Unknown",
        Row::FetchOfQueued => "Found: placed",
        Row::FetchOfAnswered => "Found: answered",
        Row::FetchOfOver => "Found: completed",
        Row::FetchOfUnknown | Row::FetchPage404 => "NotFound",
        Row::FetchThrottled | Row::FindThrottled => "Unavailable, after 7 s",
        Row::FetchServerError
        | Row::FetchTimeout
        | Row::FetchNoConnection
        | Row::FetchReset
        | Row::FetchWrongJson
        | Row::FindUnauthorized
        | Row::FindWrongJson => "Unavailable",
        Row::FetchUnauthorized => "Refused",
        Row::FindOfOne => "Found",
        Row::FindOfNone => "Nothing",
        // They hand nothing of ours back: numbers and time are all that there is to go by.
        Row::FindOfTwoAlike => "Ambiguous: 2",
    }
}

fn telnyx(row: Row) -> &'static str {
    match row {
        // The answer to a hang-up says that the command was taken, never that the call is over.
        Row::HangUpOfAnswered
        | Row::HangUpOfRinging
        | Row::HangUpThatTakesEffectLater
        | Row::HangUpOfOverShownAsRecord
        | Row::HangUpWrongJson => "Accepted",
        Row::HangUpOfOver => "AlreadyOver",
        Row::HangUpOfUnknown | Row::HangUpPage404 => "NotFound",
        Row::HangUpThrottled => "Retry after 7 s",
        Row::HangUpServerError
        | Row::HangUpTimeout
        | Row::HangUpNoConnection
        | Row::HangUpResetBefore
        | Row::HangUpResetAfter
        | Row::HangUpPage502 => "Retry",
        Row::HangUpUnauthorized | Row::HangUpForbidden | Row::HangUpWrongJson400 => "Refused",
        Row::DialPlaced => "Placed",
        Row::DialRefused | Row::DialUnauthorized => "Refused: provider_rejected",
        Row::DialThrottled => "NotSent, after 7 s",
        Row::DialNoConnection => "NotSent",
        Row::DialServerError
        | Row::DialTimeout
        | Row::DialResetBefore
        | Row::DialResetAfter
        | Row::DialPage502
        | Row::DialWrongJson => "Unknown",
        // Whether a call is answered is told by event only.
        Row::FetchOfQueued | Row::FetchOfAnswered => "Found: placed",
        Row::FetchOfOver => "Found: completed",
        Row::FetchOfUnknown | Row::FetchPage404 => "NotFound",
        Row::FetchThrottled | Row::FindThrottled => "Unavailable, after 7 s",
        Row::FetchServerError
        | Row::FetchTimeout
        | Row::FetchNoConnection
        | Row::FetchReset
        | Row::FetchWrongJson
        | Row::FindUnauthorized
        | Row::FindWrongJson => "Unavailable",
        Row::FetchUnauthorized => "Refused",
        // Each call hands our reference back, so that others beside it do not matter.
        Row::FindOfOne | Row::FindOfTwoAlike => "Found",
        Row::FindOfNone => "Nothing",
    }
}

fn vonage(row: Row) -> &'static str {
    match row {
        // The answer to a hang-up has no body.
        Row::HangUpOfAnswered
        | Row::HangUpOfRinging
        | Row::HangUpThatTakesEffectLater
        | Row::HangUpOfOverShownAsRecord
        | Row::HangUpWrongJson => "Accepted",
        // One that is over is refused like one that never was: reading it tells.
        Row::HangUpOfOver | Row::HangUpOfUnknown | Row::HangUpPage404 => "NotFound",
        Row::HangUpThrottled => "Retry after 7 s",
        Row::HangUpServerError
        | Row::HangUpTimeout
        | Row::HangUpNoConnection
        | Row::HangUpResetBefore
        | Row::HangUpResetAfter
        | Row::HangUpPage502 => "Retry",
        Row::HangUpUnauthorized | Row::HangUpForbidden | Row::HangUpWrongJson400 => "Refused",
        Row::DialPlaced => "Placed",
        Row::DialRefused | Row::DialUnauthorized => "Refused: provider_rejected",
        Row::DialThrottled => "NotSent, after 7 s",
        Row::DialNoConnection => "NotSent",
        Row::DialServerError
        | Row::DialTimeout
        | Row::DialResetBefore
        | Row::DialResetAfter
        | Row::DialPage502
        | Row::DialWrongJson => "Unknown",
        Row::FetchOfQueued => "Found: placed",
        Row::FetchOfAnswered => "Found: answered",
        Row::FetchOfOver => "Found: completed",
        Row::FetchOfUnknown | Row::FetchPage404 => "NotFound",
        Row::FetchThrottled | Row::FindThrottled => "Unavailable, after 7 s",
        Row::FetchServerError
        | Row::FetchTimeout
        | Row::FetchNoConnection
        | Row::FetchReset
        | Row::FetchWrongJson
        | Row::FindUnauthorized
        | Row::FindWrongJson => "Unavailable",
        Row::FetchUnauthorized => "Refused",
        Row::FindOfOne => "Found",
        Row::FindOfNone => "Nothing",
        // They hand nothing of ours back: numbers and time are all that there is to go by.
        Row::FindOfTwoAlike => "Ambiguous: 2",
    }
}

fn openai(row: Row) -> &'static str {
    match row {
        Row::HangUpOfAnswered | Row::HangUpThatTakesEffectLater | Row::HangUpWrongJson => {
            "Accepted"
        }
        // Evidence, for the call's session was seen.
        Row::HangUpOfOver | Row::HangUpOfOverShownAsRecord => "AlreadyOver",
        Row::HangUpOfUnknown | Row::HangUpPage404 => "NotFound",
        Row::HangUpThrottled => "Retry after 7 s",
        Row::HangUpServerError
        | Row::HangUpTimeout
        | Row::HangUpNoConnection
        | Row::HangUpResetBefore
        | Row::HangUpResetAfter
        | Row::HangUpPage502 => "Retry",
        Row::HangUpUnauthorized | Row::HangUpForbidden | Row::HangUpWrongJson400 => "Refused",
        // One that nobody accepted is turned away instead.
        Row::HangUpOfRinging => NOT_ASKED,
        // Such accounts place no calls, and a call cannot be read.
        Row::DialPlaced
        | Row::DialRefused
        | Row::DialUnauthorized
        | Row::DialThrottled
        | Row::DialServerError
        | Row::DialTimeout
        | Row::DialNoConnection
        | Row::DialResetBefore
        | Row::DialResetAfter
        | Row::DialPage502
        | Row::DialWrongJson
        | Row::FetchOfQueued
        | Row::FetchOfAnswered
        | Row::FetchOfOver
        | Row::FetchOfUnknown
        | Row::FetchThrottled
        | Row::FetchServerError
        | Row::FetchTimeout
        | Row::FetchNoConnection
        | Row::FetchReset
        | Row::FetchUnauthorized
        | Row::FetchPage404
        | Row::FetchWrongJson
        | Row::FindOfOne
        | Row::FindOfNone
        | Row::FindOfTwoAlike
        | Row::FindThrottled
        | Row::FindUnauthorized
        | Row::FindWrongJson => NOT_ASKED,
    }
}
