//! Rotation of the key that seals: what older keys have sealed is sealed anew under the newest.
//!
//! Nothing is locked and nothing waits: each row is opened, sealed and written by itself, if it is still
//! what was read. Nodes that hold both keys open it before and after. Safe to stop and to repeat.

use strum::VariantArray as _;

use super::{App, people};
use crate::{
    db::{
        self,
        sealed::{SealedRow, SealedTable},
    },
    domain::{OrgScope, OrganizationId, Result},
};

/// Rows that are read at once.
const AT_ONCE: i64 = 100;

/// How many rows were sealed anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    pub anew: u64,
    /// Rows that no key of the ring opens, or that are damaged: left as they are.
    pub unopened: u64,
}

/// Seals anew, over all organisations, what another key than the newest has sealed, and the keys of
/// people's access tokens. Mails that wait and answers that are kept live for two days and are left as
/// they are. `scope` makes the
/// scope of a row: only the command line may assume one.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`: what is done stays done.
pub async fn reseal(app: &App, scope: fn(OrganizationId) -> OrgScope) -> Result<Resealed> {
    let mut done = access_token_keys(app).await?;
    for table in SealedTable::VARIANTS {
        let mut after: Option<SealedRow> = None;
        loop {
            let newest = app.keys.newest()?;
            let rows = db::sealed::list(&app.db, *table, newest, after.as_ref(), AT_ONCE).await?;
            for row in &rows {
                let context = table.context(row);
                let Ok(secret) = app.keys.open(&row.sealed, &context) else {
                    done.unopened += 1;
                    continue;
                };
                let entropy = app.ambient.entropy.as_ref();
                let anew = app.keys.seal(&secret, &context, entropy)?;
                let scope = scope(row.organization_id);
                if db::sealed::replace(&app.db, scope, *table, row, &anew).await? {
                    done.anew += 1;
                }
            }
            match rows.into_iter().next_back() {
                Some(last) => after = Some(last),
                None => break,
            }
        }
    }
    Ok(done)
}

async fn access_token_keys(app: &App) -> Result<Resealed> {
    let mut done = Resealed::default();
    let newest = app.keys.newest()?;
    for key in db::access_token_keys::list(&app.db).await? {
        if key.seed.key_id == newest {
            continue;
        }
        let context = people::key_context(key.id);
        let Ok(seed) = app.keys.open(&key.seed, &context) else {
            done.unopened += 1;
            continue;
        };
        let entropy = app.ambient.entropy.as_ref();
        let anew = app.keys.seal(&seed, &context, entropy)?;
        if db::access_token_keys::replace_seed(&app.db, &key, &anew).await? {
            done.anew += 1;
        }
    }
    Ok(done)
}
