//! How simulated calls go when nobody interferes, and how the provider puts its answers.
//!
//! A script holds for the calls that are placed after it was set; the manner of answering holds at
//! once. A request names only the members that it changes.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

/// The script. Durations are whole milliseconds; a pace that is `None` means: never by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Script {
    /// From being placed to ringing.
    pub(super) ring_after_ms: Option<u64>,
    /// From being placed to being answered, never before it rings.
    pub(super) answer_after_ms: Option<u64>,
    /// From being answered to the other party's hanging up.
    pub(super) talk_ms: Option<u64>,
    pub(super) hangup_answer: HangUpAnswer,
    /// From an accepted hang-up to the end, where the answer does not already show the end.
    pub(super) hangup_after_ms: u64,
    pub(super) over_answer: OverAnswer,
}

/// What the answer to an effective hang-up shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum HangUpAnswer {
    /// The call as it is after the hang-up: over.
    Completed,
    /// The call as it was before; the end follows and is told by callback.
    InProgress,
}

/// How a hang-up of a call that is over is answered. Each was seen at Twilio; elsewhere each means
/// the nearest thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OverAnswer {
    /// The documented error.
    Error,
    /// Success, with the record of the call that is over.
    Record,
    /// As if the call had never been.
    NotFound,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            ring_after_ms: Some(100),
            answer_after_ms: Some(300),
            talk_ms: None,
            hangup_answer: HangUpAnswer::Completed,
            hangup_after_ms: 100,
            over_answer: OverAnswer::Error,
        }
    }
}

impl Script {
    pub(super) fn ring_after(&self) -> Option<Duration> {
        self.ring_after_ms.map(Duration::from_millis)
    }

    /// From ringing to being answered.
    pub(super) fn answer_after_ringing(&self) -> Option<Duration> {
        let rang_after = self.ring_after_ms.unwrap_or(0);
        let left = self.answer_after_ms?.saturating_sub(rang_after);
        Some(Duration::from_millis(left))
    }

    pub(super) fn talk(&self) -> Option<Duration> {
        self.talk_ms.map(Duration::from_millis)
    }
}

/// A request to change the script. Beside each pace, absent and `null` are different wishes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScriptChange {
    #[serde(default)]
    ring_after_ms: Pace,
    #[serde(default)]
    answer_after_ms: Pace,
    #[serde(default)]
    talk_ms: Pace,
    hangup_answer: Option<HangUpAnswer>,
    hangup_after_ms: Option<u64>,
    over_answer: Option<OverAnswer>,
}

impl ScriptChange {
    pub(super) fn apply(&self, to: &mut Script) {
        self.ring_after_ms.apply(&mut to.ring_after_ms);
        self.answer_after_ms.apply(&mut to.answer_after_ms);
        self.talk_ms.apply(&mut to.talk_ms);
        to.hangup_answer = self.hangup_answer.unwrap_or(to.hangup_answer);
        to.hangup_after_ms = self.hangup_after_ms.unwrap_or(to.hangup_after_ms);
        to.over_answer = self.over_answer.unwrap_or(to.over_answer);
    }
}

/// What a request says about a pace.
#[derive(Clone, Copy, Debug, Default)]
enum Pace {
    #[default]
    Unsaid,
    Said(Option<u64>),
}

impl Pace {
    fn apply(self, to: &mut Option<u64>) {
        if let Self::Said(millis) = self {
            *to = millis;
        }
    }
}

impl<'de> Deserialize<'de> for Pace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self::Said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_touches_only_what_it_names_and_null_is_a_name() {
        let mut script = Script::default();
        let change: ScriptChange =
            serde_json::from_str(r#"{"answer_after_ms":null,"over_answer":"record"}"#).unwrap();
        change.apply(&mut script);
        assert_eq!(
            script,
            Script {
                answer_after_ms: None,
                over_answer: OverAnswer::Record,
                ..Script::default()
            }
        );
    }

    #[test]
    fn the_answer_is_reckoned_from_the_placing_but_never_precedes_the_ringing() {
        let mut script = Script::default();
        assert_eq!(
            script.answer_after_ringing(),
            Some(Duration::from_millis(200))
        );
        script.ring_after_ms = Some(500);
        assert_eq!(script.answer_after_ringing(), Some(Duration::ZERO));
    }

    #[test]
    fn an_unknown_member_is_refused_and_the_known_ones_are_named() {
        let refused = serde_json::from_str::<ScriptChange>(r#"{"answer":"busy"}"#).unwrap_err();
        assert!(refused.to_string().contains("`hangup_answer`"), "{refused}");
    }
}
