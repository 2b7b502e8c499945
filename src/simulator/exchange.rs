//! Every simulated call, its script and the faults that wait to strike. Pure: no sockets, no
//! waiting, no clock; what must follow is left in a list of effects for `switchboard`.
//!
//! It knows calls and accounts, not how a provider words them: that is each provider's face.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use serde::Serialize;

use super::{
    SimulatedAccount,
    call::{
        CallbackTarget, Delivered, Effect, Line, LineNumber, Moment, Order, Record, Report, State,
    },
    fault::{Act, Faults, Operation},
    script::{HangUpAnswer, OverAnswer, Script},
    sip,
};
use crate::domain::{Timestamp, provider::ProviderKind};

#[derive(Default)]
pub(super) struct Exchange {
    pub(super) script: Script,
    pub(super) faults: Faults,
    accounts: HashMap<(ProviderKind, String), Admitted>,
    lines: BTreeMap<LineNumber, Line>,
    numbers: HashMap<String, LineNumber>,
    placed: u64,
    /// Create requests by callback address, which names the customer's call.
    create_requests: HashMap<String, u32>,
    effects: Vec<Effect>,
}

/// What is known of an account.
struct Admitted {
    secret: String,
    incoming_url: Option<String>,
}

/// What a hang-up met.
#[derive(Debug)]
pub(super) enum HangUp {
    NoSuchCall,
    /// The call was over before; answer as the script says.
    Over(Record, OverAnswer),
    /// The call as the answer shows it.
    Accepted(Record),
}

/// What the called party or the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub(super) enum PartyAct {
    Answer,
    Hangup,
    Busy,
    NoAnswer,
    Fail,
}

/// Why a party cannot do that.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ActRefused {
    #[error("no such call")]
    NoSuchCall,
    #[error("the call is {0}")]
    Is(&'static str),
}

/// A report to send, and how.
pub(super) struct Dispatch {
    pub(super) report: Report,
    pub(super) target: CallbackTarget,
    /// What to sign with.
    pub(super) secret: String,
    pub(super) fault: Option<Act>,
}

/// A call as the control API shows it.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    #[serde(flatten)]
    record: &'a Record,
    /// Requests to create a call with this callback address; more than one is a repeated dial.
    create_requests: u32,
    callbacks: &'a [Delivered],
}

impl Exchange {
    pub(super) fn admit(&mut self, account: SimulatedAccount) {
        let SimulatedAccount {
            provider,
            external_id,
            secret,
            incoming_url,
        } = account;
        let incoming_url = incoming_url.or_else(|| sip::incoming_url(provider, &external_id));
        let admitted = Admitted {
            secret,
            incoming_url,
        };
        self.accounts.insert((provider, external_id), admitted);
    }

    pub(super) fn secret(&self, provider: ProviderKind, account: &str) -> Option<&str> {
        let key = (provider, account.to_owned());
        self.accounts.get(&key).map(|known| known.secret.as_str())
    }

    /// The account whose secret `fits`, where a request does not name one.
    pub(super) fn account_with(
        &self,
        provider: ProviderKind,
        fits: impl Fn(&str) -> bool,
    ) -> Option<&str> {
        let mut accounts = self.accounts.iter();
        let found = accounts.find(|((of, _), known)| *of == provider && fits(&known.secret))?;
        Some(&found.0.1)
    }

    /// Forgets calls, faults and the script. Accounts stay: a running customer depends on them.
    pub(super) fn forget(&mut self) {
        self.script = Script::default();
        self.faults.clear();
        self.lines.clear();
        self.numbers.clear();
        self.create_requests.clear();
    }

    /// What must follow since the last time.
    pub(super) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    pub(super) fn take_fault(
        &mut self,
        provider: ProviderKind,
        operation: Operation,
    ) -> Option<Act> {
        self.faults.take(provider, operation, |_| true)
    }

    /// Counts a create request, whether or not it leads to a call.
    pub(super) fn hear_create(&mut self, callback_url: Option<&str>) {
        if let Some(url) = callback_url {
            *self.create_requests.entry(url.to_owned()).or_default() += 1;
        }
    }

    pub(super) fn place(&mut self, order: Order, now: Timestamp) -> Record {
        self.placed += 1;
        let number = LineNumber(self.placed);
        self.numbers.insert(order.id.clone(), number);
        let line = Line::place(number, order, self.script, now, &mut self.effects);
        let record = line.record.clone();
        self.lines.insert(number, line);
        record
    }

    /// The only account at `provider`, or the one that is named, that calls can come in to, and
    /// where it is told of them.
    pub(super) fn reachable(
        &self,
        provider: ProviderKind,
        name: Option<&str>,
    ) -> Option<(&str, &str)> {
        let mut fitting = self
            .accounts
            .iter()
            .filter(|((of, id), _)| *of == provider && name.is_none_or(|name| name == id))
            .filter_map(|((_, id), known)| Some((id.as_str(), known.incoming_url.as_deref()?)));
        let only = fitting.next()?;
        fitting.next().is_none().then_some(only)
    }

    /// A call comes in.
    pub(super) fn arrive(&mut self, order: Order, now: Timestamp) -> Record {
        self.placed += 1;
        let number = LineNumber(self.placed);
        self.numbers.insert(order.id.clone(), number);
        let line = Line::arrive(number, order, self.script, now, &mut self.effects);
        let record = line.record.clone();
        self.lines.insert(number, line);
        record
    }

    /// The customer has a call of `account` do something; `None`: it has no such call.
    pub(super) fn command<T>(
        &mut self,
        account: &str,
        id: &str,
        act: impl FnOnce(&mut Line, &mut Vec<Effect>) -> T,
    ) -> Option<T> {
        let number = self.number_of(account, id)?;
        let line = self.lines.get_mut(&number)?;
        Some(act(line, &mut self.effects))
    }

    /// Counts a hang-up request, whether or not it will be answered.
    pub(super) fn hear_hang_up(&mut self, account: &str, id: &str) {
        if let Some(line) = self.line_of(account, id) {
            line.record.hangup_requests += 1;
        }
    }

    /// Ends a call for its customer. `unless_answered` spares a call in progress.
    pub(super) fn hang_up(
        &mut self,
        account: &str,
        id: &str,
        unless_answered: bool,
        now: Timestamp,
    ) -> HangUp {
        let script = self.script;
        let Some(number) = self.number_of(account, id) else {
            return HangUp::NoSuchCall;
        };
        let Some(line) = self.lines.get_mut(&number) else {
            return HangUp::NoSuchCall;
        };
        if line.record.state.is_over() {
            return HangUp::Over(line.record.clone(), script.over_answer);
        }
        if unless_answered && line.record.state == State::InProgress {
            return HangUp::Accepted(line.record.clone());
        }
        match script.hangup_answer {
            HangUpAnswer::Completed => line.end_by_request(now, &mut self.effects),
            HangUpAnswer::InProgress => {
                let delay = Duration::from_millis(script.hangup_after_ms);
                line.accept_hang_up(delay, &mut self.effects);
            }
        }
        HangUp::Accepted(line.record.clone())
    }

    /// The call of `account` that the command `command_id` placed at or after `since`.
    pub(super) fn placed_by(
        &self,
        account: &str,
        command_id: &str,
        since: Timestamp,
    ) -> Option<&Record> {
        self.newest_first(account)
            .take_while(|record| record.created_at >= since)
            .find(|record| record.command_id.as_deref() == Some(command_id))
    }

    /// The provider's record of a call of `account`; `None` also for another account's.
    pub(super) fn find(&self, account: &str, id: &str) -> Option<&Record> {
        let number = self.number_of(account, id)?;
        self.lines.get(&number).map(|line| &line.record)
    }

    /// The records of an account's calls, newest first.
    pub(super) fn newest_first(&self, account: &str) -> impl Iterator<Item = &Record> {
        let records = self.lines.values().rev().map(|line| &line.record);
        records.filter(move |record| record.account == account && !record.deleted)
    }

    /// Deletes the record of a call, not the call. Tells whether there was one.
    pub(super) fn delete(&mut self, account: &str, id: &str) -> bool {
        let line = self.line_of(account, id);
        line.map(|line| line.record.deleted = true).is_some()
    }

    /// The called party or the network acts. `sip_code` replaces the usual one of a failure.
    pub(super) fn act(
        &mut self,
        id: &str,
        act: PartyAct,
        sip_code: Option<u16>,
        now: Timestamp,
    ) -> Result<(), ActRefused> {
        let number = self.numbers.get(id).ok_or(ActRefused::NoSuchCall)?;
        let line = self.lines.get_mut(number).ok_or(ActRefused::NoSuchCall)?;
        let effects = &mut self.effects;
        match (act, line.record.state) {
            (PartyAct::Answer, State::Queued | State::Ringing) => line.answer(now, effects),
            (PartyAct::Hangup, State::InProgress) => {
                line.end(State::Completed, None, now, effects);
            }
            (PartyAct::Hangup, State::Ringing) if line.record.inbound => {
                line.end(State::Canceled, Some(487), now, effects);
            }
            (PartyAct::Busy, State::Queued | State::Ringing) => {
                line.end(State::Busy, sip_code.or(Some(486)), now, effects);
            }
            (PartyAct::NoAnswer, State::Queued | State::Ringing) => {
                line.end(State::NoAnswer, sip_code.or(Some(487)), now, effects);
            }
            (PartyAct::Fail, state) if !state.is_over() => {
                line.end(State::Failed, sip_code.or(Some(503)), now, effects);
            }
            (_, state) => return Err(ActRefused::Is(state.as_str())),
        }
        Ok(())
    }

    pub(super) fn come(&mut self, number: LineNumber, moment: Moment, now: Timestamp) {
        if let Some(line) = self.lines.get_mut(&number) {
            line.come(moment, now, &mut self.effects);
        }
    }

    /// The next report of a call to send; `None` releases the sender, who must not ask again.
    pub(super) fn next_report(&mut self, number: LineNumber) -> Option<Dispatch> {
        loop {
            let line = self.lines.get_mut(&number)?;
            let Some(report) = line.outbox.pop_front() else {
                line.delivering = false;
                return None;
            };
            let follows = !line.outbox.is_empty() || !line.record.state.is_over();
            let may_wait = follows && line.held.is_none();
            let overtaken = line.held.take();
            let provider = line.record.provider;
            let fault = self.faults.take(provider, Operation::Callback, |act| {
                may_wait || !matches!(act, Act::Reorder)
            });
            let line = self.lines.get_mut(&number)?;
            if matches!(fault, Some(Act::Reorder)) {
                line.held = Some(report);
                continue;
            }
            if let Some(overtaken) = overtaken {
                line.outbox.push_front(overtaken);
            }
            let target = line.callback.clone()?;
            let key = (provider, line.record.account.clone());
            let known = self.accounts.get(&key);
            let secret = known.map_or_else(String::new, |known| known.secret.clone());
            return Some(Dispatch {
                report,
                target,
                secret,
                fault,
            });
        }
    }

    pub(super) fn record_delivered(&mut self, number: LineNumber, delivered: Delivered) {
        if let Some(line) = self.lines.get_mut(&number) {
            line.delivered.push(delivered);
        }
    }

    /// Every call, in the order in which they were placed.
    pub(super) fn shown(&self) -> Vec<Shown<'_>> {
        self.lines.values().map(|line| self.show(line)).collect()
    }

    pub(super) fn shown_one(&self, id: &str) -> Option<Shown<'_>> {
        let line = self.lines.get(self.numbers.get(id)?)?;
        Some(self.show(line))
    }

    fn show<'a>(&'a self, line: &'a Line) -> Shown<'a> {
        let url = line.record.status_callback.as_ref();
        let counted = url.and_then(|url| self.create_requests.get(url));
        Shown {
            record: &line.record,
            create_requests: counted.copied().unwrap_or(1),
            callbacks: &line.delivered,
        }
    }

    fn number_of(&self, account: &str, id: &str) -> Option<LineNumber> {
        let number = *self.numbers.get(id)?;
        let record = &self.lines.get(&number)?.record;
        (record.account == account && !record.deleted).then_some(number)
    }

    fn line_of(&mut self, account: &str, id: &str) -> Option<&mut Line> {
        let number = self.number_of(account, id)?;
        self.lines.get_mut(&number)
    }
}
