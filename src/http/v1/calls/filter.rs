//! The list's filters, read from the query.

use std::str::FromStr;

use strum::VariantArray as _;

use crate::{
    db::call_list::{Filter, Start, StatusFilter},
    domain::{
        AgentId, Error, Result, Timestamp,
        call::{CallStatus, Direction, EndReason},
        page::{self, Cursor},
        phone::Phone,
        provider::ProviderKind,
        token::Environment,
    },
    http::extract::{Identity, Query},
};

/// What a list can be asked for.
pub(super) const OF_LIST: &[&str] = &[
    "status",
    "agent_id",
    "direction",
    "provider",
    "to",
    "from",
    "created_after",
    "created_before",
    "ended_reason",
    "metadata",
    "limit",
    "cursor",
    "skip",
    "include",
];

/// What a count can be asked for: the list's filters, and no pages.
pub(super) const OF_COUNT: &[&str] = &[
    "status",
    "agent_id",
    "direction",
    "provider",
    "to",
    "from",
    "created_after",
    "created_before",
    "ended_reason",
    "metadata",
    "group_by",
];

/// A page of the list.
pub(super) struct Page {
    pub(super) start: Start,
    pub(super) limit: i64,
    pub(super) with_total: bool,
}

/// # Errors
/// `VALIDATION_FAILED`, naming the parameter.
pub(super) fn filter(query: &Query, known: &[&str], identity: &Identity) -> Result<Filter> {
    query.only(known)?;
    let providers: Vec<&str> = ProviderKind::VARIANTS
        .iter()
        .map(|provider| provider.as_str())
        .collect();
    let provider = format!("must be a provider's name: {}", providers.join(", "));
    let time = "must be an RFC 3339 time, for example 2026-11-21T09:30:00Z";
    let number = |name| -> Result<Option<String>> {
        let must = "must be an E.164 number; write its + as %2B";
        Ok(query
            .parsed::<Phone>(name, must)?
            .map(|number| number.reveal().to_owned()))
    };
    Ok(Filter {
        status: status(&query.all("status"))?,
        agent_id: query.parsed::<AgentId>("agent_id", "must be a UUID")?,
        visible_agents: identity.caller.agent_ids.clone(),
        test_only: identity.caller.environment == Environment::Test,
        direction: query.parsed::<Direction>("direction", "must be outbound or inbound")?,
        provider: query.parsed::<ProviderKind>("provider", &provider)?,
        to: number("to")?,
        from: number("from")?,
        created_after: query.parsed::<Timestamp>("created_after", time)?,
        created_before: query.parsed::<Timestamp>("created_before", time)?,
        ended_reason: query.parsed::<EndReason>("ended_reason", "must be a reason of ours")?,
        metadata: metadata(query)?,
    })
}

/// # Errors
/// `VALIDATION_FAILED`, `CURSOR_INVALID`.
pub(super) fn page(query: &Query, filter: &Filter) -> Result<Page> {
    let must = "must be a whole number from 1 to 1000";
    let limit = query
        .parsed::<i64>("limit", must)?
        .unwrap_or(page::DEFAULT_LIMIT);
    if !(1..=page::MAX_LIMIT).contains(&limit) {
        return Err(Error::field("limit", "range", must));
    }
    let must = "must be a whole number from 0";
    let skip = query.parsed::<i64>("skip", must)?;
    if skip.is_some_and(|skip| skip < 0) {
        return Err(Error::field("skip", "range", must));
    }
    let start = match (query.one("cursor")?, skip) {
        (Some(_), Some(_)) => {
            return Err(Error::field(
                "skip",
                "conflict",
                "must not be given together with cursor",
            ));
        }
        (Some(cursor), None) => Start::After(Cursor::decode(cursor, checksum(filter))?),
        (None, Some(skip)) => Start::Skip(skip),
        (None, None) => Start::Newest,
    };
    let include = query.one("include")?;
    if include.is_some_and(|what| what != "total") {
        return Err(Error::field("include", "invalid", "must be total"));
    }
    Ok(Page {
        start,
        limit,
        with_total: include.is_some() || skip.is_some(),
    })
}

/// What a cursor is bound to.
pub(super) fn checksum(filter: &Filter) -> u32 {
    crc32fast::hash(format!("{filter:?}").as_bytes())
}

fn status(names: &[&str]) -> Result<StatusFilter> {
    match names {
        [] => Ok(StatusFilter::Any),
        ["ongoing"] => Ok(StatusFilter::Ongoing),
        names => {
            let statuses = names
                .iter()
                .map(|name| CallStatus::from_str(name))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|_| {
                    Error::field(
                        "status",
                        "invalid",
                        "must be ongoing, or statuses of: initiating, ringing, in-progress, completed, failed, busy, no-answer, canceled",
                    )
                })?;
            Ok(StatusFilter::OneOf(statuses))
        }
    }
}

fn metadata(query: &Query) -> Result<Vec<(String, String)>> {
    query
        .pairs()
        .filter(|(name, _)| name.split('[').next() == Some("metadata"))
        .map(|(name, value)| {
            let key = name
                .strip_prefix("metadata[")
                .and_then(|rest| rest.strip_suffix(']'));
            match key {
                Some(key) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
                _ => Err(Error::field(
                    name,
                    "invalid",
                    "must be written metadata[key]=value",
                )),
            }
        })
        .collect()
}
