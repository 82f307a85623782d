//! What the native programs that tests/bench/compare runs have in common: their arguments, the events of a Kafka topic, and
//! the line in which a top ten is published. All of it is in memory: nothing is durable, and nothing recovers.

pub mod arguments;
mod consumer;
pub mod event;
pub mod source;
pub mod top;

use arguments::Arguments;

/// Begins every program: returns its arguments. From now on a thread that panics ends the process.
pub fn begin() -> Arguments {
    end_on_panic();
    Arguments::of_process()
}

/// Has a thread that panics end the process, which would otherwise wait for it for ever.
pub fn end_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        before(panic);
        std::process::exit(1);
    }));
}
