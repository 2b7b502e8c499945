//! What holds in every history of a call, whatever happens in whatever order.
//!
//! Two kinds of histories: any input at any moment, and those that nodes can bring about which take
//! jobs, lose their leases, crash and answer late. Single cases are in `decide_tests.rs`.

use std::collections::HashMap;

use proptest::{collection::vec, option, prelude::*, sample::Index};

use super::{
    Call, CallStatus, Change, Decision, DialState, EndReason, EndState, Fact, FactType, Unchanged,
    fixture::{
        Event, SID, at, at_millis, broken_constraints, dial_outcome, hang_up_outcome, in_flight,
        lookup_outcome, observation, placed, progress, queued, terminal, unknown, wish,
    },
};
use crate::domain::{
    Timestamp,
    job::JobKind,
    provider::{DialOutcome, HangUpOutcome, LookupOutcome, Observation, Progress},
};

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// A call, all that was published of it, and what was promised to whoever wished for its end.
#[derive(Debug)]
struct History {
    call: Call,
    facts: Vec<Fact>,
    promised: Option<(Timestamp, EndReason)>,
}

impl History {
    fn of(call: Call) -> Self {
        let started = super::start(Call {
            last_sequence: 0,
            ..queued()
        });
        Self {
            call,
            facts: started.facts,
            promised: None,
        }
    }

    /// Lets `event` happen and checks what must hold of the step.
    fn step(&mut self, event: &Event, now: Timestamp) -> Option<Change> {
        let before = &self.call;
        let change = match event.decide(before, now) {
            Decision::Unchanged(why) => {
                assert_eq!(why == Unchanged::Over, before.status.is_terminal());
                return None;
            }
            Decision::Change(change) => *change,
        };
        let after = &change.call;
        assert!(!before.status.is_terminal(), "terminal statuses absorb");
        assert!(before.status == after.status || before.status.may_become(after.status));
        assert_eq!(after.version, before.version + 1);
        assert_eq!(broken_constraints(after), [""; 0]);
        assert_eq!(change.drop_jobs, after.status.is_terminal());
        assert!(change.jobs.is_empty() || !change.drop_jobs);
        if before.provider_call_id.is_some() {
            assert_eq!(before.provider_call_id, after.provider_call_id);
        }
        if before.answered_at.is_some() {
            assert_eq!(before.answered_at, after.answered_at, "it was published");
        }
        let promise = after.wish.as_ref().map(|w| (w.requested_at, w.reason));
        if self.promised.is_some() {
            assert_eq!(self.promised, promise, "the first wish's promise stays");
        }
        self.promised = promise;
        self.facts.extend(change.facts.iter().cloned());
        self.call = after.clone();
        Some(change)
    }

    /// Checks what must hold of the whole.
    fn check(&self) {
        let call = &self.call;
        let ended = |fact: &&Fact| fact.kind == FactType::Ended;
        let ends = self.facts.iter().filter(ended).count();
        assert_eq!(ends, usize::from(call.status.is_terminal()));
        let mut status = CallStatus::Initiating;
        for (fact, number) in self.facts.iter().zip(1..) {
            assert_eq!(fact.sequence, number);
            assert_eq!(fact.from_status, status);
            status = fact.to_status;
        }
        assert_eq!(status, call.status);
        assert_eq!(call.last_sequence, i64::try_from(self.facts.len()).unwrap());
        let Some(ended_at) = call.ended_at else {
            return;
        };
        let answered_at = call.answered_at.unwrap_or(ended_at);
        assert!(call.created_at <= answered_at && answered_at <= ended_at);
        let billable = i128::from(call.cost.unwrap().billable_millis);
        let duration = call.duration().unwrap();
        assert!((0..=duration.whole_milliseconds()).contains(&billable));
        if let Some((requested_at, reason)) = self.promised {
            assert_eq!(call.ended_at, Some(requested_at));
            assert_eq!(call.ended_reason, Some(reason));
            assert!(billable <= requested_at.since(answered_at).whole_milliseconds());
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    let attempt = 1..6;
    prop_oneof![
        2 => wish().prop_map(Event::End),
        6 => observation(progress()).prop_map(Event::Seen),
        1 => (0..1_000_i64).prop_map(|second| Event::Gone(at(second))),
        2 => Just(Event::DialStarts),
        2 => (dial_outcome(), attempt).prop_map(|(outcome, n)| Event::DialAnswered(outcome, n)),
        2 => lookup_outcome().prop_map(Event::LookedUp),
        4 => hang_up_outcome().prop_map(Event::HungUp),
    ]
}

/// Milliseconds from one step to the next; the clocks of two nodes differ by a little.
fn pause() -> impl Strategy<Value = i64> {
    prop_oneof![8 => 0..5_000_i64, 1 => 5_000..200_000_i64, 1 => -2_000..0_i64]
}

fn beginning() -> impl Strategy<Value = Call> {
    prop_oneof![
        Just(queued()),
        Just(in_flight()),
        Just(unknown()),
        Just(placed())
    ]
}

proptest! {
    #![proptest_config(config(1_500))]

    #[test]
    fn any_input_at_any_moment_leaves_a_sound_call(
        call in beginning(),
        steps in vec((event(), pause()), 1..30),
    ) {
        let mut history = History::of(call);
        let mut millis = 1_000;
        for (event, pause) in steps {
            millis += pause;
            history.step(&event, at_millis(millis));
        }
        history.check();
    }

    #[test]
    fn the_same_reports_in_any_order_come_to_the_same_end(
        call in beginning(),
        wish in option::of(wish()),
        (reports, shuffled) in (vec(observation(progress()), 0..6), observation(terminal()))
            .prop_map(|(mut reports, end)| {
                reports.retain(|report| !matches!(report.progress, Progress::Ended { .. }));
                reports.extend([end.clone(), end]);
                for report in &mut reports {
                    SID.clone_into(&mut report.provider_call_id);
                }
                reports
            })
            .prop_flat_map(|reports| (Just(reports.clone()), Just(reports).prop_shuffle())),
    ) {
        let outcomes = [reports, shuffled].map(|reports| {
            let mut history = History::of(call.clone());
            if let Some(reason) = wish {
                history.step(&Event::End(reason), at(20));
            }
            for (report, second) in reports.into_iter().zip(30..) {
                history.step(&Event::Seen(report), at(second));
            }
            history.check();
            (history.call.status, history.call.ended_reason)
        });
        prop_assert!(outcomes[0].0.is_terminal());
        prop_assert_eq!(outcomes[0], outcomes[1]);
    }

    #[test]
    fn whatever_nodes_do_no_wish_is_lost_and_nobody_dials_twice(
        at_once in any::<bool>(),
        steps in vec((act(), pause()), 1..40),
    ) {
        let mut world = World::new(at_once);
        for (act, pause) in steps {
            world.millis += pause;
            world.act(act);
            world.check();
        }
        world.history.check();
    }
}

/// What can happen while nodes work on a call's jobs.
#[derive(Clone, Debug)]
enum Act {
    Wish(EndReason),
    Report(Observation),
    /// A node takes the job, if there is one, whoever had it before.
    Take(JobKind),
    /// A node comes to the end of what it is doing, late or in time.
    Finish(Index, Box<Outcomes>),
    /// A node dies.
    Crash(Index),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => wish().prop_map(Act::Wish),
        3 => observation(progress()).prop_map(Act::Report),
        3 => Just(Act::Take(JobKind::DialCall)),
        3 => Just(Act::Take(JobKind::HangUpCall)),
        8 => (any::<Index>(), dial_outcome(), lookup_outcome(), hang_up_outcome())
            .prop_map(|(which, dial, lookup, hang_up)| {
                Act::Finish(which, Box::new(Outcomes { dial, lookup, hang_up }))
            }),
        1 => any::<Index>().prop_map(Act::Crash),
    ]
}

/// What a node hears, whichever question it asked.
#[derive(Clone, Debug)]
struct Outcomes {
    dial: DialOutcome,
    lookup: LookupOutcome,
    hang_up: HangUpOutcome,
}

/// What a node is doing.
#[derive(Clone, Copy, Debug)]
struct Work {
    kind: JobKind,
    lease: u32,
    /// For the dial's job: a request is out, not a look-up.
    dials: bool,
    attempt: i32,
}

/// A call, its jobs as the database has them, and the nodes that work on them. The jobs are
/// treated as `app::calls` treats them.
struct World {
    history: History,
    /// Lease and attempt.
    jobs: HashMap<JobKind, (u32, i32)>,
    works: Vec<Work>,
    leases: u32,
    /// A request to dial is out, of which it is not known that it was not sent.
    dialed: bool,
    millis: i64,
}

impl World {
    fn new(at_once: bool) -> Self {
        let mut world = Self {
            history: History::of(queued()),
            jobs: HashMap::from([(JobKind::DialCall, (0, 0))]),
            works: Vec::new(),
            leases: 0,
            dialed: false,
            millis: 0,
        };
        if at_once {
            world.act(Act::Take(JobKind::DialCall));
        }
        world
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Wish(reason) => drop(self.apply(&Event::End(reason))),
            Act::Report(observation) => drop(self.apply(&Event::Seen(observation))),
            Act::Take(kind) => self.take(kind),
            Act::Crash(which) if !self.works.is_empty() => {
                self.works.swap_remove(which.index(self.works.len()));
            }
            Act::Finish(which, heard) if !self.works.is_empty() => {
                let work = self.works.swap_remove(which.index(self.works.len()));
                let event = match work.kind {
                    JobKind::DialCall if work.dials => {
                        Event::DialAnswered(heard.dial, work.attempt)
                    }
                    JobKind::DialCall => Event::LookedUp(heard.lookup),
                    JobKind::HangUpCall => Event::HungUp(heard.hang_up),
                    JobKind::AnswerCall | JobKind::InstructCall => return,
                };
                self.finish(work, &event);
            }
            Act::Crash(_) | Act::Finish(..) => {}
        }
    }

    fn take(&mut self, kind: JobKind) {
        let Some((_, attempt)) = self.jobs.get(&kind).copied() else {
            return;
        };
        self.leases += 1;
        let (lease, attempt) = (self.leases, attempt + 1);
        self.jobs.insert(kind, (lease, attempt));
        let dials = kind == JobKind::DialCall && self.history.call.dial == DialState::Queued;
        if dials {
            assert!(!self.dialed, "the provider would be asked to dial twice");
            self.dialed = self.apply(&Event::DialStarts).is_some();
        }
        self.works.push(Work {
            kind,
            lease,
            dials,
            attempt,
        });
    }

    fn finish(&mut self, work: Work, event: &Event) {
        if matches!(event, Event::DialAnswered(DialOutcome::NotSent { .. }, _)) {
            self.dialed = false;
        }
        let done = self.apply(event).is_none_or(|change| match work.kind {
            JobKind::DialCall => change.call.dial == DialState::Placed,
            JobKind::AnswerCall | JobKind::InstructCall => true,
            JobKind::HangUpCall => {
                let state = change.call.wish.map(|wish| wish.state);
                matches!(state, None | Some(EndState::Confirmed | EndState::Failed))
            }
        });
        let holds_lease = self.jobs.get(&work.kind).map(|job| job.0) == Some(work.lease);
        if done && holds_lease {
            self.jobs.remove(&work.kind);
        }
    }

    /// Applies an event as the statement does: jobs that exist stay, new ones are this node's.
    fn apply(&mut self, event: &Event) -> Option<Change> {
        let change = self.history.step(event, at_millis(self.millis))?;
        if change.drop_jobs {
            self.jobs.clear();
        }
        for kind in change.jobs.iter().copied() {
            self.leases += 1;
            let (lease, attempt) = (self.leases, 1);
            self.jobs.entry(kind).or_insert((lease, attempt));
            self.works.push(Work {
                kind,
                lease,
                dials: false,
                attempt,
            });
        }
        Some(change)
    }

    fn check(&self) {
        let call = &self.history.call;
        let has = |kind| self.jobs.contains_key(&kind);
        if call.status.is_terminal() {
            assert!(self.jobs.is_empty(), "a job for a call that is over");
            return;
        }
        if call.dial != DialState::Placed {
            assert!(has(JobKind::DialCall), "nobody finds out about the dial");
        } else if let Some(wish) = &call.wish {
            let refused = wish.state == EndState::Failed;
            assert!(refused || has(JobKind::HangUpCall), "a wish is lost");
        }
    }
}
