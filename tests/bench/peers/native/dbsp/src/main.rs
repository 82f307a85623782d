//! dbsp-top-ten BROKERS TOPIC PUBLISH_MS [--combine] [--workers=COUNT] NAME=VALUE...: the top ten on DBSP, the engine under
//! Feldera. An event is a page whose weight changes by the event's units, so that a weighted count is a sum of scores; a page
//! whose sum is exactly 0 is none. All pages are ranked in one group, so by one worker, of which a step reads only the
//! beginning; buckets of pages, ranked side by side, were no faster. Workers go step by step together.

use dbsp::operator::OutputHandle;
use dbsp::typed_batch::{IndexedZSetReader, SpineSnapshot};
use dbsp::utils::Tup2;
use dbsp::{DBSPHandle, OrdIndexedZSet, OrdZSet, RootCircuit, Runtime, Stream, ZSetHandle};
use events::arguments::Arguments;
use events::source::{Buffer, Events, Pace, Source, Sums};
use events::top::{Maintained, Rank, TOP, rank};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Of ranks, in the kind of tuple that DBSP stores.
type Ranks = OrdIndexedZSet<(), Tup2<i64, String>>;

struct Engine {
    circuit: DBSPHandle,
    events: ZSetHandle<String>,
    top: OutputHandle<SpineSnapshot<Ranks>>,
}

fn main() {
    let arguments = events::begin();
    if arguments.combine { run::<Sums>(arguments) } else { run::<Events>(arguments) }
}

fn run<B: Buffer>(arguments: Arguments) {
    let mut engine = Engine::start(arguments.workers);
    // The engine has put a panic hook of its own in place of ours.
    events::end_on_panic();
    let source = Source::<B>::start(&arguments, 1);
    let mut buffers = source.buffers();
    let mut top = Maintained::default();
    let mut pace = Pace::new(arguments.publish);
    loop {
        pace.wait();
        source.take(0, &mut buffers);
        let changes = engine.step(buffers.iter_mut().flat_map(Buffer::drain));
        if !changes.is_empty() {
            top.change(changes);
            top.publish();
        }
    }
}

impl Engine {
    fn start(workers: usize) -> Engine {
        let (circuit, (events, top)) = Runtime::init_circuit(workers, |circuit| {
            let (stream, events) = circuit.add_input_zset();
            Ok((events, top_ten(&stream).accumulate_output()))
        })
        .expect("DBSP starts");
        Engine { circuit, events, top }
    }

    /// Returns the changes of the top ten.
    fn step(&mut self, events: impl Iterator<Item = (String, i64)>) -> Vec<(Rank, i64)> {
        self.events.append(&mut events.map(|(page, units)| Tup2(page, units)).collect());
        self.circuit.transaction().expect("a worker never ends");
        let changes = self.top.concat().consolidate();
        changes.iter().map(|((), Tup2(negated, page), weight)| ((negated, page), weight)).collect()
    }
}

fn top_ten(events: &Stream<RootCircuit, OrdZSet<String>>) -> Stream<RootCircuit, Ranks> {
    let ranks = events.weighted_count().map_index(|(page, units)| {
        let (negated, page) = rank(page.clone(), *units);
        ((), Tup2(negated, page))
    });
    ranks.topk_asc(TOP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_top_ten_is_always_that_of_all_pages() {
        let mut engine = Engine::start(2);
        let (mut top, mut sums) = (BTreeMap::new(), BTreeMap::new());
        let mut random = 1u32;
        for step in 0..500 {
            let events: Vec<(String, i64)> = (0..step % 4)
                .map(|_| {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (format!("page{}", random >> 27), i64::from(random >> 16 & 7) - 3)
                })
                .collect();
            events.iter().for_each(|(page, units)| *sums.entry(page.clone()).or_default() += units);
            for (rank, weight) in engine.step(events.into_iter()) {
                *top.entry(rank).or_insert(0) += weight;
            }
            top.retain(|_, weight| *weight != 0);
            let mut ranks: Vec<Rank> = sums.iter().map(|(page, &units)| rank(page.clone(), units)).collect();
            ranks.retain(|&(negated, _)| negated != 0);
            ranks.sort_unstable();
            ranks.truncate(TOP);
            assert!(top.values().all(|&weight| weight == 1));
            assert_eq!(top.keys().cloned().collect::<Vec<_>>(), ranks, "step {step}");
        }
    }
}
