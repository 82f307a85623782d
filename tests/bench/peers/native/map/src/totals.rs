//! The sums of all pages, and their top ten after each step.

use events::source::{Buffer, Sums};
use events::top::{Rank, TOP, rank};

#[derive(Default)]
pub struct Totals {
    sums: Sums,
    top: Vec<Rank>,
}

impl Totals {
    /// Adds the sums of a step, and empties them. Tells whether there were any.
    pub fn add(&mut self, buffers: &mut [Sums]) -> bool {
        let floor = self.top.last().filter(|_| self.top.len() == TOP).cloned();
        let mut changed = false;
        let mut risen = Vec::new();
        for (page, units) in buffers.iter_mut().flat_map(Buffer::drain) {
            changed = true;
            let (page, sum) = match self.sums.get_mut(&page) {
                Some(sum) => {
                    *sum += units;
                    (page, *sum)
                }
                None => {
                    self.sums.insert(page.clone(), units);
                    (page, units)
                }
            };
            if floor.as_ref().is_some_and(|floor| (-sum, &page) < (floor.0, &floor.1)) {
                risen.push(page);
            }
        }
        if changed {
            self.top = floor.and_then(|floor| self.top_of_risen(risen, &floor)).unwrap_or_else(|| self.top_of_all());
        }
        changed
    }

    pub fn top(&self) -> &[Rank] {
        &self.top
    }

    /// A page that is neither in the top ten nor risen above its last ranks behind that last, the floor. None if the new
    /// last ranks behind the floor, as sums of the top ten fell: then a page that did not change may rank before it.
    fn top_of_risen(&self, mut pages: Vec<String>, floor: &Rank) -> Option<Vec<Rank>> {
        pages.extend(self.top.iter().map(|(_, page)| page.clone()));
        let mut ranks: Vec<Rank> = pages.into_iter().map(|page| self.rank_of(page)).collect();
        ranks.sort_unstable();
        ranks.dedup();
        ranks.truncate(TOP);
        ranks.last().is_some_and(|last| last <= floor).then_some(ranks)
    }

    fn rank_of(&self, page: String) -> Rank {
        let sum = self.sums[&page];
        rank(page, sum)
    }

    fn top_of_all(&self) -> Vec<Rank> {
        let mut top: Vec<(i64, &str)> = Vec::with_capacity(TOP + 1);
        for (page, sum) in &self.sums {
            let candidate = (-sum, page.as_str());
            if top.len() < TOP || candidate < top[TOP - 1] {
                top.insert(top.partition_point(|better| *better < candidate), candidate);
                top.truncate(TOP);
            }
        }
        top.into_iter().map(|(negated, page)| (negated, page.to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(totals: &mut Totals, changes: &[(u32, i64)]) {
        // Two partitions have the page, and what is added in one is taken off in the other.
        let mut buffers = [Sums::default(), Sums::default()];
        for &(page, units) in changes {
            buffers[0].add(&format!("page{page}"), units + 1000);
            buffers[1].add(&format!("page{page}"), -1000);
        }
        assert!(totals.add(&mut buffers));
        assert!(buffers.iter().all(|buffer| buffer.is_empty()));
    }

    #[test]
    fn the_top_ten_is_always_that_of_all_pages() {
        let mut totals = Totals::default();
        let mut random = 1u32;
        for step in 0..500 {
            let changes: Vec<(u32, i64)> = (0..1 + step % 3)
                .map(|_| {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (random >> 27, i64::from(random >> 16 & 31) - 12)
                })
                .collect();
            add(&mut totals, &changes);
            assert_eq!(totals.top, totals.top_of_all(), "step {step}");
        }
    }

    #[test]
    fn nothing_changes_by_nothing() {
        assert!(!Totals::default().add(&mut [Sums::default()]));
    }
}
