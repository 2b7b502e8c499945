//! `onhook reseal`: seals anew, under the newest key of `ONHOOK_SECRET_KEY`, what older keys sealed.

use super::{Failure, terminal};
use crate::{
    app::{App, resealing},
    domain::OrgScope,
};

/// Says how many rows were sealed anew. False: there were some that no key opens.
pub(super) async fn run(app: &App) -> Result<bool, Failure> {
    let done = resealing::reseal(app, OrgScope::assume).await?;
    terminal::say(&format!("{} secrets were sealed anew.", done.anew));
    if done.unopened == 0 {
        return Ok(true);
    }
    terminal::say(&format!(
        "{} could not be opened: put the key that sealed them back into ONHOOK_SECRET_KEY and repeat.",
        done.unopened
    ));
    Ok(false)
}
