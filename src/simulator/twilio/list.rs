//! The list of an account's calls: filters, order and paging.
//!
//! Newest first. A page token names the last call of the page before, so calls that arrive
//! meanwhile shift nothing; going back is offered from the second page only. A call that is still queued has no start time; here it is found by the
//! time at which it was created, which Twilio's documentation leaves open.

use serde_json::{Value, json};
use time::Duration;

use super::{API_VERSION, Parameters, problem::Problem, record, value};
use crate::{domain::Timestamp, simulator::call::Record};

const USUAL_PAGE_SIZE: usize = 50;
const MAX_PAGE_SIZE: usize = 1000;

/// What a list request asks for.
#[derive(Debug)]
pub(super) struct Wanted {
    parameters: Parameters,
    page_size: usize,
    page: usize,
    started: Vec<Span>,
    ended: Vec<Span>,
}

/// Instants from the first (inclusive) to the second (exclusive), each `None` for no bound.
#[derive(Debug, PartialEq, Eq)]
struct Span(Option<Timestamp>, Option<Timestamp>);

impl Wanted {
    /// # Errors
    /// What Twilio answers with status 400.
    pub(super) fn read(query: &str) -> Result<Self, Problem> {
        let parameters: Parameters = serde_urlencoded::from_str(query)
            .map_err(|_not_a_query| Problem::new(20001, "The query cannot be read"))?;
        let page_size = number(&parameters, "PageSize")?.unwrap_or(USUAL_PAGE_SIZE);
        if page_size == 0 || page_size > MAX_PAGE_SIZE {
            return Err(Problem::new(20001, "PageSize must be 1 to 1000"));
        }
        Ok(Self {
            page: number(&parameters, "Page")?.unwrap_or(0),
            started: spans(&parameters, "StartTime")?,
            ended: spans(&parameters, "EndTime")?,
            page_size,
            parameters,
        })
    }

    /// The page, out of all of the account's calls, newest first.
    pub(super) fn page<'a>(&self, account: &str, calls: impl Iterator<Item = &'a Record>) -> Value {
        let after = value(&self.parameters, "PageToken").and_then(|token| token.strip_prefix("PA"));
        let mut passed = after.is_none();
        let mut found = calls.filter(|call| self.matches(call)).filter(|call| {
            let was_passed = passed;
            passed |= after == Some(call.id.as_str());
            was_passed
        });
        let page: Vec<&Record> = found.by_ref().take(self.page_size).collect();
        let more = found.next().is_some();
        let last = page.last().filter(|_| more).map(|call| call.id.as_str());
        let start = self.page * self.page_size;
        json!({
            "calls": page.iter().map(|call| record::json(call)).collect::<Vec<_>>(),
            "end": (start + page.len()).saturating_sub(1),
            "first_page_uri": self.uri(account, 0, None),
            "next_page_uri": last.map(|last| self.uri(account, self.page + 1, Some(last))),
            "page": self.page,
            "page_size": self.page_size,
            "previous_page_uri":
                (self.page == 1).then(|| self.uri(account, 0, None)),
            "start": start,
            "uri": self.uri(account, self.page, after),
        })
    }

    fn matches(&self, call: &Record) -> bool {
        let is = |name, is: &str| value(&self.parameters, name).is_none_or(|asked| asked == is);
        let started_at = Some(call.ringing_at.unwrap_or(call.created_at));
        // No simulated call has a parent.
        value(&self.parameters, "ParentCallSid").is_none()
            && is("To", &call.to)
            && is("From", &call.from)
            && is("Status", call.state.as_str())
            && self.started.iter().all(|span| span.holds(started_at))
            && self.ended.iter().all(|span| span.holds(call.ended_at))
    }

    fn uri(&self, account: &str, page: usize, after: Option<&str>) -> String {
        let paging = ["Page", "PageSize", "PageToken"];
        let mut parameters = self.parameters.clone();
        parameters.retain(|(name, _)| !paging.contains(&name.as_str()));
        parameters.push(("PageSize".to_owned(), self.page_size.to_string()));
        parameters.push(("Page".to_owned(), page.to_string()));
        parameters.extend(after.map(|id| ("PageToken".to_owned(), format!("PA{id}"))));
        let query = serde_urlencoded::to_string(parameters).unwrap_or_default();
        format!("/{API_VERSION}/Accounts/{account}/Calls.json?{query}")
    }
}

impl Span {
    fn holds(&self, instant: Option<Timestamp>) -> bool {
        let Self(from, before) = *self;
        instant.is_some_and(|instant| {
            from.is_none_or(|from| from <= instant) && before.is_none_or(|before| instant < before)
        })
    }
}

/// The bounds that `name`, `name>` and `name<` set. The latter two read as "on or after" and
/// "before"; all three take a day or an instant.
fn spans(parameters: &Parameters, name: &str) -> Result<Vec<Span>, Problem> {
    let mut spans = Vec::new();
    for (key, text) in parameters {
        let Some(relation) = key.strip_prefix(name) else {
            continue;
        };
        let (instant, unit) = instant(text)
            .ok_or_else(|| Problem::new(20001, format!("{key} is not a date: {text}")))?;
        spans.push(match relation {
            ">" => Span(Some(instant), None),
            "<" => Span(None, Some(instant)),
            _ => Span(Some(instant), Some(instant.plus(unit))),
        });
    }
    Ok(spans)
}

/// A day or an instant, with how long the text means.
fn instant(text: &str) -> Option<(Timestamp, Duration)> {
    let day = format!("{text}T00:00:00Z").parse();
    if let Ok(day) = day {
        return Some((day, Duration::DAY));
    }
    text.parse().ok().map(|instant| (instant, Duration::SECOND))
}

fn number(parameters: &Parameters, name: &str) -> Result<Option<usize>, Problem> {
    value(parameters, name)
        .map(str::parse)
        .transpose()
        .map_err(|_not_a_number| Problem::new(20001, format!("{name} must be a number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_an_instant_and_their_relations_are_read() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let read = |query: &str| Wanted::read(query).unwrap().started;
        assert_eq!(
            read("StartTime=2026-11-21"),
            [Span(
                Some(at("2026-11-21T00:00:00Z")),
                Some(at("2026-11-22T00:00:00Z"))
            )]
        );
        assert_eq!(
            read("StartTime%3E=2026-11-21T09:30:00Z&StartTime%3C=2026-11-22"),
            [
                Span(Some(at("2026-11-21T09:30:00Z")), None),
                Span(None, Some(at("2026-11-22T00:00:00Z")))
            ]
        );
        assert!(Wanted::read("StartTime=tomorrow").is_err());
        assert!(Wanted::read("PageSize=1001").is_err());
    }
}
