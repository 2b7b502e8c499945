//! Pure: our live calls against those that live at the provider.
//!
//! The invariant: a call is to be ended only when it is provably ours, by its reference or by the
//! provider's name for it; and only a list that was read to its end makes a call of ours suspect.

use std::collections::{HashMap, HashSet};

use time::Duration;

use crate::{
    db::calls::{Known, Placed},
    domain::{CallId, Timestamp, provider::LiveCall},
};

/// A call that was recorded as over this shortly before the list was begun may still be on it.
const SETTLED_AFTER: Duration = Duration::seconds(10);

/// What the provider listed.
#[derive(Clone, Debug, Default)]
pub(super) struct Listed {
    pub(super) calls: Vec<LiveCall>,
    /// Whether every page was read.
    pub(super) complete: bool,
}

/// What the two sides do not agree on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Comparison {
    /// Live here and not on the list: to be read one by one.
    pub(super) missing: Vec<Placed>,
    pub(super) orphans: Vec<Orphan>,
    /// Calls whose dial's answer we do not know, found alive.
    pub(super) dials_found: Vec<(CallId, LiveCall)>,
    /// Calls that carry the reference of a call that is another one there. Perhaps other software
    /// transferred ours and the new leg took the reference along: not to be touched either.
    pub(super) second_legs: u64,
    /// Calls that live there and are not provably ours: never to be touched.
    pub(super) strangers: u64,
}

/// A call that lives at the provider, is ours, and must not.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Orphan {
    pub(super) call: LiveCall,
    /// Our record of it; `None`: it is lost.
    pub(super) id: Option<CallId>,
}

/// Our name for a listed call, as far as it may have one: its reference, or the provider's name,
/// where that is ours.
pub(super) fn our_name(call: &LiveCall) -> Option<CallId> {
    call.call_id.or_else(|| call.provider_call_id.parse().ok())
}

/// Compares. `before`: our live calls as they were before the list was begun, at `begun_at`, so that
/// none was placed meanwhile; `known`: the calls of the account that the list names, as they were
/// after it.
pub(super) fn compare(
    before: &[Placed],
    listed: &Listed,
    known: &[Known],
    begun_at: Timestamp,
) -> Comparison {
    let by_id: HashMap<CallId, &Known> = known.iter().map(|known| (known.id, known)).collect();
    let by_name: HashMap<&str, &Known> = known
        .iter()
        .filter_map(|known| Some((known.provider_call_id.as_deref()?, known)))
        .collect();
    let mut comparison = Comparison::default();
    let mut seen = HashSet::new();
    for call in &listed.calls {
        // A call that moved from one page to another while they were read.
        if !seen.insert(call.provider_call_id.as_str()) {
            continue;
        }
        let by_name = by_name.get(call.provider_call_id.as_str());
        let by_reference = our_name(call).and_then(|id| by_id.get(&id));
        match by_name.or(by_reference) {
            Some(known) => comparison.sort_known(call, known, begun_at),
            None if call.account_named => comparison.orphans.push(Orphan {
                call: call.clone(),
                id: call.call_id,
            }),
            None => comparison.strangers += 1,
        }
    }
    if listed.complete {
        let is_missing = |call: &&Placed| !seen.contains(call.provider_call_id.as_str());
        comparison.missing = before.iter().filter(is_missing).cloned().collect();
    }
    for orphan in &mut comparison.orphans {
        orphan.id = orphan.id.filter(|id| by_id.contains_key(id));
    }
    comparison
}

impl Comparison {
    fn sort_known(&mut self, call: &LiveCall, known: &Known, begun_at: Timestamp) {
        let mut call = call.clone();
        match &known.provider_call_id {
            Some(name) if *name != call.provider_call_id => self.second_legs += 1,
            None if known.live => self.dials_found.push((known.id, call)),
            Some(_) if known.live => {}
            Some(_) | None if known.heard_at > begun_at.plus(-SETTLED_AFTER) => {}
            Some(_) | None => {
                if call.host.is_none() {
                    call.host.clone_from(&known.provider_host);
                }
                self.orphans.push(Orphan {
                    call,
                    id: Some(known.id),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const MINE: CallId = CallId(Uuid::from_u128(1));
    const OTHER: CallId = CallId(Uuid::from_u128(2));

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_millis(1_900_000_000_000 + seconds * 1000)
    }

    fn alive(name: &str) -> LiveCall {
        LiveCall {
            provider_call_id: name.to_owned(),
            call_id: None,
            account_named: false,
            host: None,
            since: None,
        }
    }

    fn with_reference(name: &str, id: CallId, account_named: bool) -> LiveCall {
        LiveCall {
            call_id: Some(id),
            account_named,
            ..alive(name)
        }
    }

    fn known(name: Option<&str>) -> Known {
        Known {
            id: MINE,
            provider_call_id: name.map(str::to_owned),
            provider_host: None,
            live: true,
            heard_at: at(-300),
        }
    }

    fn live() -> Known {
        known(Some("a"))
    }

    fn over(since: i64) -> Known {
        Known {
            live: false,
            heard_at: at(since),
            ..live()
        }
    }

    fn never_found() -> Known {
        Known {
            live: false,
            ..known(None)
        }
    }

    fn placed(name: &str) -> Placed {
        Placed {
            id: MINE,
            provider_call_id: name.to_owned(),
        }
    }

    /// What became of one listed call: `nothing`, `stranger`, `found`, `orphan` with or without a
    /// record.
    fn fate(call: &LiveCall, known: &[Known], complete: bool) -> &'static str {
        let listed = Listed {
            calls: vec![call.clone(), call.clone()],
            complete,
        };
        let made = compare(&[], &listed, known, at(0));
        assert!(made.missing.is_empty());
        match (
            made.strangers,
            made.dials_found.as_slice(),
            made.orphans.as_slice(),
        ) {
            (0, [], []) if made.second_legs == 1 => "second leg",
            (0, [], []) => "nothing",
            (1, [], []) => "stranger",
            (0, [(MINE, _)], []) => "found",
            (0, [], [orphan]) if orphan.id == Some(MINE) => "orphan",
            (0, [], [orphan]) if orphan.id.is_none() => "orphan without a record",
            _ => panic!("{made:?}"),
        }
    }

    #[test]
    fn only_what_is_provably_ours_is_ended() {
        let table = [
            // By the provider's name alone.
            (alive("a"), vec![live()], "nothing"),
            (alive("a"), vec![], "stranger"),
            (alive("a"), vec![over(-300)], "orphan"),
            (alive("a"), vec![over(-11)], "orphan"),
            // It may have ended while the list was made.
            (alive("a"), vec![over(-9)], "nothing"),
            (alive("a"), vec![over(3)], "nothing"),
            // By reference.
            (with_reference("a", MINE, true), vec![live()], "nothing"),
            (with_reference("a", MINE, false), vec![live()], "nothing"),
            (with_reference("a", MINE, true), vec![over(-300)], "orphan"),
            (
                with_reference("a", MINE, true),
                vec![never_found()],
                "orphan",
            ),
            (
                with_reference("a", MINE, false),
                vec![never_found()],
                "orphan",
            ),
            (with_reference("a", MINE, true), vec![known(None)], "found"),
            (with_reference("a", MINE, false), vec![known(None)], "found"),
            // A second one of a call that has its own.
            (with_reference("b", MINE, true), vec![live()], "second leg"),
            (
                with_reference("b", MINE, true),
                vec![over(-300)],
                "second leg",
            ),
            // The record is lost: only a reference that names our account proves anything.
            (
                with_reference("b", OTHER, true),
                vec![live()],
                "orphan without a record",
            ),
            (with_reference("b", OTHER, false), vec![live()], "stranger"),
            // A provider that takes our name for its own.
            (alive(&MINE.to_string()), vec![known(None)], "found"),
            (alive(&MINE.to_string()), vec![never_found()], "orphan"),
            (alive(&OTHER.to_string()), vec![], "stranger"),
        ];
        for (call, known, expected) in table {
            for complete in [true, false] {
                let fate = fate(&call, &known, complete);
                assert_eq!(fate, expected, "{call:?} {known:?} {complete}");
            }
        }
    }

    #[test]
    fn only_a_list_that_was_read_to_its_end_makes_a_call_suspect() {
        let before = [placed("a"), placed("b")];
        let listed = |names: &[&str], complete| Listed {
            calls: names.iter().copied().map(alive).collect(),
            complete,
        };
        let missing = |listed: &Listed| -> Vec<String> {
            let made = compare(&before, listed, &[], at(0));
            let names = made.missing.into_iter();
            names.map(|call| call.provider_call_id).collect()
        };

        assert_eq!(missing(&listed(&["a", "b"], true)), [""; 0]);
        assert_eq!(missing(&listed(&["b", "c"], true)), ["a"]);
        assert_eq!(missing(&listed(&[], true)), ["a", "b"]);
        assert_eq!(missing(&listed(&["b"], false)), [""; 0]);
        assert_eq!(missing(&listed(&[], false)), [""; 0]);
    }

    #[test]
    fn an_orphan_is_asked_for_where_its_record_says_that_it_is() {
        let mut record = over(-300);
        record.provider_host = Some("eu.example".to_owned());
        let listed = Listed {
            calls: vec![alive("a")],
            complete: true,
        };

        let made = compare(&[], &listed, &[record], at(0));

        assert_eq!(made.orphans[0].call.host.as_deref(), Some("eu.example"));
    }
}
