//! map-top-ten BROKERS TOPIC PUBLISH_MS NAME=VALUE...: the top ten as one writes it without any engine. A thread a partition
//! sums the events of an interval by page in a hash map; at its end the maps are added to one of all sums.

mod totals;

use events::source::{Pace, Source, Sums};
use events::top;
use totals::Totals;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments = events::begin();
    let source = Source::<Sums>::start(&arguments, 1);
    let mut buffers = source.buffers();
    let mut totals = Totals::default();
    let mut pace = Pace::new(arguments.publish);
    loop {
        pace.wait();
        source.take(0, &mut buffers);
        if totals.add(&mut buffers) {
            top::publish(totals.top());
        }
    }
}
