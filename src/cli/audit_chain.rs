//! `onhook audit --chain`: computes the chain over each organisation's audit log again and names
//! the first entry where it does not hold.

use time::Duration;

use super::{Failure, terminal};
use crate::{
    crypto::audit_chain::{Chain, Link},
    db::{Db, audit_seals},
    domain::{OrgScope, OrganizationId, Result, Timestamp},
};

/// Links that are read at once.
const PAGE: i64 = 1000;

/// Entries this old are sealed, unless no node runs.
const SEALED_WITHIN: Duration = Duration::minutes(10);

/// What became of one organisation's chain.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) entries: i64,
    /// The newest hash.
    pub(super) head: String,
    /// What does not hold, in words; empty: everything does.
    pub(super) broken: Vec<String>,
}

/// Checks the chain of every organisation, prints each, and returns whether all hold. It reads
/// every audit entry, by 1,000.
pub(super) async fn run(db: &Db, now: Timestamp) -> std::result::Result<bool, Failure> {
    let mut all_hold = true;
    for organization_id in audit_seals::organizations(db).await? {
        let report = check(db, organization_id, now).await?;
        all_hold &= report.broken.is_empty();
        terminal::say(&line(organization_id, &report));
    }
    terminal::say(if all_hold {
        "Every chain holds. Keep the heads elsewhere: they tell whether a chain was made anew."
    } else {
        "A chain is broken."
    });
    Ok(all_hold)
}

fn line(organization_id: OrganizationId, report: &Report) -> String {
    let Report {
        entries,
        head,
        broken,
    } = report;
    if broken.is_empty() {
        return format!("ok      {organization_id}: {entries} entries, head {head}");
    }
    let lines = broken.join("\n          ");
    format!("BROKEN  {organization_id}: {entries} entries hold, then:\n          {lines}")
}

/// Follows the chain of one organisation until it breaks, and looks for entries without a link.
pub(super) async fn check(
    db: &Db,
    organization_id: OrganizationId,
    now: Timestamp,
) -> Result<Report> {
    let scope = OrgScope::assume(organization_id);
    let mut chain = Chain::of(&organization_id.to_string());
    let mut broken = Vec::new();
    'chain: loop {
        let links = audit_seals::links(db, scope, chain.number(), PAGE).await?;
        if links.is_empty() {
            break;
        }
        for link in &links {
            let followed = chain.follow(Link {
                number: link.number,
                hash: &link.hash,
                sealed_at_micros: link.sealed_at_micros,
                entry: link.text.as_deref().zip(link.at_micros),
            });
            if let Err(why) = followed {
                let (number, id) = (link.number, link.entry_id);
                broken.push(format!("entry {number} ({id}): {}", why.says()));
                break 'chain;
            }
        }
    }
    let left_out = audit_seals::left_out(db, scope, now.plus(-SEALED_WITHIN)).await?;
    broken.extend(left_out.iter().map(|id| {
        format!("entry {id} has no seal: it was slipped in, or no node has sealed for ten minutes")
    }));
    Ok(Report {
        entries: chain.number(),
        head: chain.head(),
        broken,
    })
}
