//! differential-top-ten BROKERS TOPIC PUBLISH_MS [--combine] [--workers=COUNT] NAME=VALUE...: the top ten on differential
//! dataflow. An event is a page whose multiplicity changes by the event's units, so that a count is a sum of scores; a page
//! whose sum is exactly 0 is none. The top ten is that of ever fewer buckets of pages, so that a change costs a few small
//! groups. Workers go step by step together, as whoever waits for a step waits for all.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use differential_dataflow::Hashable;
use differential_dataflow::VecCollection;
use differential_dataflow::input::InputSession;
use differential_dataflow::operators::CountTotal;
use events::arguments::Arguments;
use events::source::{Buffer, Events, Pace, Source, Sums};
use events::top::{Maintained, Rank, TOP, rank};
use timely::worker::Worker;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Each divides the one before.
const BUCKETS: [u64; 5] = [1 << 16, 1 << 12, 1 << 8, 1 << 4, 1];

type Step = u64;

fn main() {
    let arguments = events::begin();
    if arguments.combine { run::<Sums>(arguments) } else { run::<Events>(arguments) }
}

fn run<B: Buffer>(arguments: Arguments) {
    let source = Arc::new(Source::<B>::start(&arguments, arguments.workers));
    let configuration = timely::Config::process(arguments.workers);
    let workers = timely::execute(configuration, move |worker| work(worker, &source, Pace::new(arguments.publish)));
    workers.expect("timely starts").join().into_iter().for_each(|ended| ended.expect("a worker never ends"));
}

fn work<B: Buffer>(worker: &mut Worker, source: &Source<B>, mut pace: Pace) {
    let taker = worker.index();
    let mut input = InputSession::<Step, String, i64>::new();
    let changes = Rc::new(RefCell::new(Vec::new()));
    let out = Rc::clone(&changes);
    let probe = worker.dataflow(|scope| {
        let top = top_ten(input.to_collection(scope));
        top.inspect(move |(rank, _, weight)| out.borrow_mut().push((rank.clone(), *weight as i64))).probe().0
    });
    let mut buffers = source.buffers();
    let mut top = Maintained::default();
    for step in 1.. {
        pace.wait();
        source.take(taker, &mut buffers);
        for (page, units) in buffers.iter_mut().flat_map(Buffer::drain) {
            input.update(page, units);
        }
        input.advance_to(step);
        input.flush();
        worker.step_or_park_while(None, || probe.less_than(input.time()));
        // The worker of the last bucket has them all.
        if !changes.borrow().is_empty() {
            top.change(changes.borrow_mut().drain(..));
            top.publish();
        }
    }
}

fn top_ten<'scope>(events: VecCollection<'scope, Step, String, i64>) -> VecCollection<'scope, Step, Rank, isize> {
    let mut ranks = events.count_total().map(|(page, units)| (page.hashed(), rank(page, units)));
    for buckets in BUCKETS {
        ranks = ranks.map(move |(hash, rank)| (hash % buckets, rank)).reduce(|_, ranks, top| {
            top.extend(ranks.iter().take(TOP).map(|&(rank, _)| (rank.clone(), 1)));
        });
    }
    ranks.map(|(_, rank)| rank)
}
