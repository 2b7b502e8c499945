//! The rows: what is asked of a provider, in which state of the call, and what goes wrong.
//!
//! A row says nothing about a provider. What each makes of it is in its column.

use serde_json::{Value, json};

/// One question under one circumstance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::VariantArray)]
pub enum Row {
    HangUpOfAnswered,
    HangUpOfRinging,
    HangUpThatTakesEffectLater,
    HangUpOfOver,
    HangUpOfOverShownAsRecord,
    HangUpOfUnknown,
    HangUpThrottled,
    HangUpServerError,
    HangUpTimeout,
    HangUpNoConnection,
    HangUpResetBefore,
    HangUpResetAfter,
    HangUpUnauthorized,
    HangUpForbidden,
    HangUpPage404,
    HangUpPage502,
    HangUpWrongJson,
    HangUpWrongJson400,
    DialPlaced,
    DialRefused,
    DialUnauthorized,
    DialThrottled,
    DialServerError,
    DialTimeout,
    DialNoConnection,
    DialResetBefore,
    DialResetAfter,
    DialPage502,
    DialWrongJson,
    FetchOfQueued,
    FetchOfAnswered,
    FetchOfOver,
    FetchOfUnknown,
    FetchThrottled,
    FetchServerError,
    FetchTimeout,
    FetchNoConnection,
    FetchReset,
    FetchUnauthorized,
    FetchPage404,
    FetchWrongJson,
    FindOfOne,
    FindOfNone,
    FindOfTwoAlike,
    FindThrottled,
    FindUnauthorized,
    FindWrongJson,
}

/// What is asked, of a call in which state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    HangUp(Stage),
    Dial,
    Fetch(Stage),
    /// For a dial whose answer is taken as lost, among how many with the same numbers.
    Find {
        alike: u8,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Queued,
    Ringing,
    Answered,
    Over,
    /// There is no such call.
    Unknown,
}

/// What goes wrong with the one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    None,
    /// As the simulator's control API has it.
    Fault(Value),
    /// The provider acts, and is too slow with its answer.
    Timeout,
    NoConnection,
}

/// The seconds of every `Retry-After` here.
pub const RETRY_AFTER: i64 = 7;

impl Row {
    /// The row's head in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::HangUpOfAnswered => "hang-up: answered call",
            Self::HangUpOfRinging => "hang-up: ringing call",
            Self::HangUpThatTakesEffectLater => "hang-up: taken, the end follows",
            Self::HangUpOfOver => "hang-up: already ended",
            Self::HangUpOfOverShownAsRecord => "hang-up: already ended, told by the record",
            Self::HangUpOfUnknown => "hang-up: unknown call",
            Self::HangUpThrottled => "hang-up: 429 with Retry-After: 7",
            Self::HangUpServerError => "hang-up: 503",
            Self::HangUpTimeout => "hang-up: timeout",
            Self::HangUpNoConnection => "hang-up: no connection",
            Self::HangUpResetBefore => "hang-up: connection reset before acting",
            Self::HangUpResetAfter => "hang-up: connection reset after acting",
            Self::HangUpUnauthorized => "hang-up: 401",
            Self::HangUpForbidden => "hang-up: 403",
            Self::HangUpPage404 => "hang-up: a proxy's HTML 404",
            Self::HangUpPage502 => "hang-up: a proxy's HTML 502",
            Self::HangUpWrongJson => "hang-up: 200 with wrong JSON",
            Self::HangUpWrongJson400 => "hang-up: 400 with wrong JSON",
            Self::DialPlaced => "dial: placed",
            Self::DialRefused => "dial: 400",
            Self::DialUnauthorized => "dial: 401",
            Self::DialThrottled => "dial: 429 with Retry-After: 7",
            Self::DialServerError => "dial: 503",
            Self::DialTimeout => "dial: timeout",
            Self::DialNoConnection => "dial: no connection",
            Self::DialResetBefore => "dial: connection reset before acting",
            Self::DialResetAfter => "dial: connection reset after acting",
            Self::DialPage502 => "dial: a proxy's HTML 502",
            Self::DialWrongJson => "dial: 200 with wrong JSON",
            Self::FetchOfQueued => "fetch: queued call",
            Self::FetchOfAnswered => "fetch: answered call",
            Self::FetchOfOver => "fetch: ended call",
            Self::FetchOfUnknown => "fetch: unknown call",
            Self::FetchThrottled => "fetch: 429 with Retry-After: 7",
            Self::FetchServerError => "fetch: 503",
            Self::FetchTimeout => "fetch: timeout",
            Self::FetchNoConnection => "fetch: no connection",
            Self::FetchReset => "fetch: connection reset",
            Self::FetchUnauthorized => "fetch: 401",
            Self::FetchPage404 => "fetch: a proxy's HTML 404",
            Self::FetchWrongJson => "fetch: 200 with wrong JSON",
            Self::FindOfOne => "look-up of a lost dial: placed",
            Self::FindOfNone => "look-up of a lost dial: never placed",
            Self::FindOfTwoAlike => "look-up of a lost dial: one of two alike",
            Self::FindThrottled => "look-up of a lost dial: 429 with Retry-After: 7",
            Self::FindUnauthorized => "look-up of a lost dial: 401",
            Self::FindWrongJson => "look-up of a lost dial: 200 with wrong JSON",
        }
    }

    pub fn question(self) -> Question {
        match self {
            Self::HangUpOfRinging => Question::HangUp(Stage::Ringing),
            Self::HangUpOfOver | Self::HangUpOfOverShownAsRecord => Question::HangUp(Stage::Over),
            Self::HangUpOfUnknown => Question::HangUp(Stage::Unknown),
            Self::HangUpOfAnswered
            | Self::HangUpThatTakesEffectLater
            | Self::HangUpThrottled
            | Self::HangUpServerError
            | Self::HangUpTimeout
            | Self::HangUpNoConnection
            | Self::HangUpResetBefore
            | Self::HangUpResetAfter
            | Self::HangUpUnauthorized
            | Self::HangUpForbidden
            | Self::HangUpPage404
            | Self::HangUpPage502
            | Self::HangUpWrongJson
            | Self::HangUpWrongJson400 => Question::HangUp(Stage::Answered),
            Self::DialPlaced
            | Self::DialRefused
            | Self::DialUnauthorized
            | Self::DialThrottled
            | Self::DialServerError
            | Self::DialTimeout
            | Self::DialNoConnection
            | Self::DialResetBefore
            | Self::DialResetAfter
            | Self::DialPage502
            | Self::DialWrongJson => Question::Dial,
            Self::FetchOfQueued => Question::Fetch(Stage::Queued),
            Self::FetchOfOver => Question::Fetch(Stage::Over),
            Self::FetchOfUnknown => Question::Fetch(Stage::Unknown),
            Self::FetchOfAnswered
            | Self::FetchThrottled
            | Self::FetchServerError
            | Self::FetchTimeout
            | Self::FetchNoConnection
            | Self::FetchReset
            | Self::FetchUnauthorized
            | Self::FetchPage404
            | Self::FetchWrongJson => Question::Fetch(Stage::Answered),
            Self::FindOfNone => Question::Find { alike: 0 },
            Self::FindOfTwoAlike => Question::Find { alike: 2 },
            Self::FindOfOne
            | Self::FindThrottled
            | Self::FindUnauthorized
            | Self::FindWrongJson => Question::Find { alike: 1 },
        }
    }

    pub fn trouble(self) -> Trouble {
        let page = |status: u16| {
            let body = format!("<html><head><title>{status}</title></head></html>");
            Trouble::Fault(json!({"respond": {"status": status, "body": body}}))
        };
        let status = |status: u16| Trouble::Fault(json!({"respond": {"status": status}}));
        let wrong_json = |status: u16| {
            let body = json!({"unexpected": [1, null]});
            let respond = json!({"status": status, "body": body});
            Trouble::Fault(json!({"respond": respond, "when": "after"}))
        };
        match self {
            Self::HangUpThrottled
            | Self::DialThrottled
            | Self::FetchThrottled
            | Self::FindThrottled => {
                let headers = json!({"Retry-After": RETRY_AFTER.to_string()});
                Trouble::Fault(json!({"respond": {"status": 429, "headers": headers}}))
            }
            Self::HangUpServerError | Self::DialServerError | Self::FetchServerError => status(503),
            Self::HangUpTimeout | Self::DialTimeout | Self::FetchTimeout => Trouble::Timeout,
            Self::HangUpNoConnection | Self::DialNoConnection | Self::FetchNoConnection => {
                Trouble::NoConnection
            }
            Self::HangUpResetBefore | Self::DialResetBefore | Self::FetchReset => {
                Trouble::Fault(json!({"reset": "before"}))
            }
            Self::HangUpResetAfter | Self::DialResetAfter => {
                Trouble::Fault(json!({"reset": "after"}))
            }
            Self::HangUpUnauthorized
            | Self::DialUnauthorized
            | Self::FetchUnauthorized
            | Self::FindUnauthorized => status(401),
            Self::HangUpForbidden => status(403),
            Self::DialRefused => status(400),
            Self::HangUpPage404 | Self::FetchPage404 => page(404),
            Self::HangUpPage502 | Self::DialPage502 => page(502),
            Self::HangUpWrongJson
            | Self::DialWrongJson
            | Self::FetchWrongJson
            | Self::FindWrongJson => wrong_json(200),
            Self::HangUpWrongJson400 => wrong_json(400),
            _ => Trouble::None,
        }
    }

    /// What changes in how the simulated provider goes about its business.
    pub fn script(self) -> Option<Value> {
        match self {
            Self::HangUpThatTakesEffectLater => Some(json!({"hangup_answer": "in-progress"})),
            Self::HangUpOfOverShownAsRecord => Some(json!({"over_answer": "record"})),
            _ => None,
        }
    }
}
