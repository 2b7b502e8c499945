//! The chain over the audit log: each link is a SHA-256 hash over the hash before it, the link's
//! number, when it was sealed, and the entry. `seal_audit_entries` of the migrations makes it;
//! here it is computed a second time, to find the first link that does not hold.
//!
//! What it shows: an entry was changed, removed, or slipped in between others. What it cannot show:
//! that somebody who may do everything in the database made the whole chain anew. Against that, keep
//! the newest hash, which the audit prints, somewhere else.

use sha2::{Digest as _, Sha256};

/// An entry that says it was written so long before an earlier round of sealing, in microseconds,
/// was not there then: sealing waits for every running transaction, and a statement runs for
/// seconds.
const SLIPPED_IN_MICROS: i64 = 15 * 60 * 1_000_000;

/// One link as it is stored, and the entry as it is now.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    pub number: i64,
    pub hash: &'a [u8],
    pub sealed_at_micros: i64,
    /// The entry, and when it says that it was written; `None`: it is gone.
    pub entry: Option<(&'a str, i64)>,
}

/// Why a link does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// The link before it is not there.
    Gap,
    Removed,
    /// The entry, or the link itself or the one before, is not what was sealed.
    Changed,
    /// The entry is older than a round of sealing that did not find it.
    SlippedIn,
}

impl Break {
    pub fn says(self) -> &'static str {
        match self {
            Self::Gap => "the link before it is missing",
            Self::Removed => "the entry was removed",
            Self::Changed => "the entry or its link was changed",
            Self::SlippedIn => "the entry was written later than it says",
        }
    }
}

/// A chain up to one of its links.
#[derive(Clone, Debug)]
pub struct Chain {
    number: i64,
    hash: [u8; 32],
    /// When the round of the newest link was, and the round before it.
    rounds: [Option<i64>; 2],
}

impl Chain {
    /// The chain of an organisation before its first link.
    pub fn of(organization: &str) -> Self {
        Self {
            number: 0,
            hash: Sha256::digest(organization).into(),
            rounds: [None; 2],
        }
    }

    pub fn number(&self) -> i64 {
        self.number
    }

    /// The newest hash, in hexadecimal digits.
    pub fn head(&self) -> String {
        let digits = self.hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let digits = digits.filter_map(|digit| char::from_digit(digit.into(), 16));
        digits.collect()
    }

    /// Goes on by one link, if it holds.
    ///
    /// # Errors
    /// Why it does not hold.
    pub fn follow(&mut self, link: Link<'_>) -> Result<(), Break> {
        if link.number != self.number + 1 {
            return Err(Break::Gap);
        }
        let Some((text, at)) = link.entry else {
            return Err(Break::Removed);
        };
        let sealed = format!("{} {} {text}", link.number, link.sealed_at_micros);
        let hash: [u8; 32] = Sha256::new()
            .chain_update(self.hash)
            .chain_update(sealed)
            .finalize()
            .into();
        if hash != link.hash {
            return Err(Break::Changed);
        }
        if self.rounds[0] != Some(link.sealed_at_micros) {
            self.rounds = [Some(link.sealed_at_micros), self.rounds[0]];
        }
        let before = self.rounds[1];
        if before.is_some_and(|before| at < before.saturating_sub(SLIPPED_IN_MICROS)) {
            return Err(Break::SlippedIn);
        }
        self.number = link.number;
        self.hash = hash;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    /// Links over entries, each with when it says it was written and when it is sealed.
    fn sealed(
        entries: &[(&'static str, i64, i64)],
    ) -> Vec<(i64, [u8; 32], i64, &'static str, i64)> {
        let mut hash: [u8; 32] = Sha256::digest("o").into();
        let links = entries
            .iter()
            .zip(1..)
            .map(|((text, at, sealed_at), number)| {
                let mut bytes = hash.to_vec();
                bytes.extend_from_slice(format!("{number} {sealed_at} {text}").as_bytes());
                hash = Sha256::digest(&bytes).into();
                (number, hash, *sealed_at, *text, *at)
            });
        links.collect()
    }

    fn first_break(links: &[(i64, [u8; 32], i64, &str, i64)]) -> Option<(i64, Break)> {
        let mut chain = Chain::of("o");
        links
            .iter()
            .find_map(|(number, hash, sealed_at, text, at)| {
                let link = Link {
                    number: *number,
                    hash,
                    sealed_at_micros: *sealed_at,
                    entry: (!text.is_empty()).then_some((*text, *at)),
                };
                chain.follow(link).err().map(|why| (*number, why))
            })
    }

    #[test]
    fn a_chain_holds_until_something_in_it_is_touched() {
        let entries = [
            ("a", 0, MINUTE),
            ("b", 1, MINUTE),
            ("c", 70 * MINUTE, 71 * MINUTE),
        ];
        let links = sealed(&entries);
        assert_eq!(first_break(&links), None);

        let mut changed = links.clone();
        changed[1].3 = "B";
        assert_eq!(first_break(&changed), Some((2, Break::Changed)));
        let mut removed = links.clone();
        removed[1].3 = "";
        assert_eq!(first_break(&removed), Some((2, Break::Removed)));
        let mut gap = links.clone();
        gap.remove(1);
        assert_eq!(first_break(&gap), Some((3, Break::Gap)));
        let mut swapped = links.clone();
        (swapped[0].3, swapped[1].3) = ("b", "a");
        assert_eq!(first_break(&swapped), Some((1, Break::Changed)));
        let mut sealed_earlier = links;
        sealed_earlier[2].2 = MINUTE;
        assert_eq!(first_break(&sealed_earlier), Some((3, Break::Changed)));
    }

    #[test]
    fn an_entry_that_is_sealed_long_after_it_says_is_found() {
        let late = [
            ("a", 0, MINUTE),
            ("b", 60 * MINUTE, 61 * MINUTE),
            ("c", 2 * MINUTE, 62 * MINUTE),
        ];
        assert_eq!(first_break(&sealed(&late)), Some((3, Break::SlippedIn)));
        // Sealing stood still for an hour: nothing was sealed in between.
        let pause = [
            ("a", 0, MINUTE),
            ("b", 2 * MINUTE, 61 * MINUTE),
            ("c", 60 * MINUTE, 61 * MINUTE),
        ];
        assert_eq!(first_break(&sealed(&pause)), None);
    }

    #[test]
    fn the_head_is_the_newest_hash() {
        let mut chain = Chain::of("o");
        let links = sealed(&[("a", 0, 1)]);
        let (number, hash, sealed_at_micros, text, at) = links[0];
        let link = Link {
            number,
            hash: &hash,
            sealed_at_micros,
            entry: Some((text, at)),
        };
        chain.follow(link).unwrap();
        assert_eq!((chain.number(), chain.head().len()), (1, 64));
        assert!(
            chain
                .head()
                .starts_with(&format!("{:02x}{:02x}", hash[0], hash[1]))
        );
    }
}
