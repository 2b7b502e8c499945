//! One reading of the variables: what each says, in the form that is asked for, and every fault on
//! the way.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use super::VARIABLES;

/// One thing that is wrong with the configuration, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub variable: String,
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.variable, self.problem)
    }
}

/// The variables that are given, and what was found wrong with them so far.
pub(super) struct Reading {
    variables: BTreeMap<String, String>,
    faults: Vec<Fault>,
}

impl Reading {
    pub(super) fn of(variables: BTreeMap<String, String>) -> Self {
        Self {
            variables,
            faults: Vec::new(),
        }
    }

    /// What was found wrong.
    pub(super) fn faults(self) -> Vec<Fault> {
        self.faults
    }

    pub(super) fn refuse_unknown(&mut self) {
        let known = |name: &str| VARIABLES.iter().any(|(variable, ..)| *variable == name);
        let unknown: Vec<String> = self
            .variables
            .keys()
            .filter(|name| !known(name))
            .cloned()
            .collect();
        for name in unknown {
            let nearest = VARIABLES
                .iter()
                .map(|(variable, ..)| *variable)
                .min_by_key(|variable| strsim::levenshtein(variable, &name));
            let hint = nearest
                .map(|near| format!("; did you mean {near}?"))
                .unwrap_or_default();
            self.fault(&name, &format!("is not a variable of Onhook{hint}"));
        }
    }

    /// The variable's text or its default; a required one that is absent is a fault.
    pub(super) fn value(&mut self, name: &str) -> Option<String> {
        let given = self
            .variables
            .get(name)
            .filter(|text| !text.is_empty())
            .cloned();
        let default = VARIABLES.iter().find(|(variable, ..)| *variable == name);
        let value = given.or_else(|| default.and_then(|(_, text, _)| text.map(str::to_owned)));
        if value.is_none() {
            let what = default.map_or("", |(_, _, what)| what);
            self.fault(name, &format!("is not set: {what}"));
        }
        value
    }

    pub(super) fn parse<T>(
        &mut self,
        name: &str,
        must: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.value(name)?;
        let parsed = parse(text.trim());
        if parsed.is_none() {
            self.fault(name, must);
        }
        parsed
    }

    /// A variable that may be empty; `None` also when it is a fault, which is noted.
    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        must: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(name).filter(|text| !text.is_empty())?;
        let parsed = parse(value.trim());
        if parsed.is_none() {
            self.fault(name, must);
        }
        parsed
    }

    pub(super) fn boolean(&mut self, name: &str) -> Option<bool> {
        self.parse(name, "must be true or false", |text| text.parse().ok())
    }

    pub(super) fn number<T: FromStr + PartialOrd + fmt::Display + Copy>(
        &mut self,
        name: &str,
        least: T,
        most: T,
    ) -> Option<T> {
        let range = format!("must be a whole number from {least} to {most}");
        self.parse(name, &range, |text| {
            text.parse()
                .ok()
                .filter(|number| (least..=most).contains(number))
        })
    }

    pub(super) fn seconds(&mut self, name: &str, least: u64, most: u64) -> Option<Duration> {
        self.number(name, least, most).map(Duration::from_secs)
    }

    pub(super) fn millis(&mut self, name: &str, least: u64, most: u64) -> Option<Duration> {
        self.number(name, least, most).map(Duration::from_millis)
    }

    pub(super) fn fault(&mut self, variable: &str, problem: &str) {
        self.faults.push(Fault {
            variable: variable.to_owned(),
            problem: problem.to_owned(),
        });
    }
}
