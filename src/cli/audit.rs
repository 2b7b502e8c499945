//! `onhook audit`: checks the invariants on a database and says of each whether it holds.

use super::{Failure, terminal};
use crate::{
    db::{
        Db,
        invariants::{self, Check},
    },
    domain::Timestamp,
};

/// Checks everything, prints each check with who breaks it, and returns whether all hold. On a
/// million calls it takes minutes; it reads only and keeps nobody waiting.
pub(super) async fn run(db: &Db, now: Timestamp) -> Result<bool, Failure> {
    let results = invariants::run(db, now).await?;
    for (check, offenders) in &results {
        terminal::say(&report(check, offenders));
    }
    let broken = results.iter().filter(|(_, by)| !by.is_empty()).count();
    terminal::say(&match broken {
        0 => format!("All {} invariants hold.", results.len()),
        _ => format!("{broken} of {} invariants are broken.", results.len()),
    });
    Ok(broken == 0)
}

fn report(check: &Check, offenders: &[String]) -> String {
    if offenders.is_empty() {
        return format!("ok      {}", check.name);
    }
    let lines = offenders.join("\n          ");
    format!("BROKEN  {}: {}\n          {lines}", check.name, check.says)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: Check = Check {
        name: "a_call_ends_once",
        says: "a call has one end",
    };

    #[test]
    fn a_check_that_holds_takes_one_line() {
        assert_eq!(report(&CHECK, &[]), "ok      a_call_ends_once");
    }

    #[test]
    fn a_broken_one_tells_what_should_hold_and_who_breaks_it() {
        let offenders = ["o/1".to_owned(), "o/2".to_owned()];
        assert_eq!(
            report(&CHECK, &offenders),
            "BROKEN  a_call_ends_once: a call has one end\n          o/1\n          o/2"
        );
    }
}
