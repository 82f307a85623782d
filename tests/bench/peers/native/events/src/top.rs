//! The line that a program publishes.

use std::collections::BTreeSet;
use std::io::Write;

pub const TOP: usize = 10;
const UNITS_PER_ONE: u64 = 1_000_000_000;

/// Ordered as a top ten is: by score, highest first, then by page.
pub type Rank = (i64, String);

/// The score, in units, comes negated, so that the highest is the least.
pub fn rank(page: String, units: i64) -> Rank {
    (-units, page)
}

/// Prints `[["page1", "2.2"], ...]` at once. Who does not read on ends the program.
pub fn publish<'a>(ranks: impl IntoIterator<Item = &'a Rank>) {
    let mut out = std::io::stdout().lock();
    if out.write_all(line(ranks).as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}

fn line<'a>(ranks: impl IntoIterator<Item = &'a Rank>) -> String {
    let entries: Vec<String> =
        ranks.into_iter().map(|(negated, page)| format!("[\"{page}\", \"{}\"]", decimal(-negated))).collect();
    format!("[{}]\n", entries.join(", "))
}

fn decimal(units: i64) -> String {
    let (sign, units) = (if units < 0 { "-" } else { "" }, units.unsigned_abs());
    format!("{sign}{}.{:09}", units / UNITS_PER_ONE, units % UNITS_PER_ONE)
}

/// A top ten that an engine maintains, from the changes that it tells of.
#[derive(Default)]
pub struct Maintained {
    ranks: BTreeSet<Rank>,
}

impl Maintained {
    /// Entries that left and that came; an entry may be among both.
    pub fn change(&mut self, changes: impl IntoIterator<Item = (Rank, i64)>) {
        let (came, left): (Vec<_>, Vec<_>) = changes.into_iter().partition(|&(_, weight)| weight > 0);
        left.iter().for_each(|(rank, _)| assert!(self.ranks.remove(rank), "{rank:?} was not in the top ten"));
        came.into_iter().for_each(|(rank, _)| assert!(self.ranks.insert(rank)));
        assert!(self.ranks.len() <= TOP);
    }

    pub fn publish(&self) {
        publish(&self.ranks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_exact() {
        let ranks = [rank("page1".into(), 2_200_000_000), rank("page2".into(), -1)];
        assert_eq!(line(&ranks), "[[\"page1\", \"2.200000000\"], [\"page2\", \"-0.000000001\"]]\n");
    }

    #[test]
    fn changes_make_the_next_top_ten() {
        let mut top = Maintained::default();
        top.change([(rank("b".into(), 1), 1), (rank("a".into(), 1), 1)]);
        top.change([(rank("b".into(), 2), 1), (rank("b".into(), 1), -1)]);
        assert_eq!(top.ranks.into_iter().collect::<Vec<_>>(), [(-2, "b".to_string()), (-1, "a".to_string())]);
    }
}
