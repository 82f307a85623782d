//! The events of a topic's partitions, each read by a thread of its own into buffers, which the program empties once a step.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use crate::arguments::Arguments;
use crate::consumer::{self, Consumer};
use crate::event;

/// A thread that is so far ahead of the program, in events, waits: in memory, events have to end somewhere.
const MOST_EVENTS: usize = 1_000_000;

/// What a thread makes of the events of a step.
pub trait Buffer: Default + Send + 'static {
    fn add(&mut self, page: &str, units: i64);
    /// As what it takes in memory.
    fn count(&self) -> usize;
    /// Empties it; what it allocated is kept for the next step.
    fn drain(&mut self) -> impl Iterator<Item = (String, i64)>;
}

/// The combiner: a sum a page.
pub type Sums = HashMap<String, i64, ahash::RandomState>;

/// Without a combiner: every event.
pub type Events = Vec<(String, i64)>;

impl Buffer for Sums {
    #[inline]
    fn add(&mut self, page: &str, units: i64) {
        match self.get_mut(page) {
            Some(sum) => *sum += units,
            None => drop(self.insert(page.to_owned(), units)),
        }
    }

    fn count(&self) -> usize {
        self.len()
    }

    fn drain(&mut self) -> impl Iterator<Item = (String, i64)> {
        Sums::drain(self)
    }
}

impl Buffer for Events {
    #[inline]
    fn add(&mut self, page: &str, units: i64) {
        self.push((page.to_owned(), units));
    }

    fn count(&self) -> usize {
        self.len()
    }

    fn drain(&mut self) -> impl Iterator<Item = (String, i64)> {
        Events::drain(self, ..)
    }
}

struct State<B> {
    /// One for each taker.
    buffers: Vec<B>,
    /// The taker who gets the next batch.
    next: usize,
}

struct Partition<B> {
    state: Mutex<State<B>>,
    emptied: Condvar,
}

/// All of a topic, for some takers, who get about as many events each. Threads share it.
pub struct Source<B> {
    partitions: Vec<Arc<Partition<B>>>,
}

impl<B: Buffer> Source<B> {
    /// Begins to read. What goes wrong, now or later, ends the process.
    pub fn start(arguments: &Arguments, takers: usize) -> Source<B> {
        let Arguments { brokers, topic, settings, .. } = arguments;
        let count = or_end(consumer::partitions(brokers, topic, settings));
        let start_partition = |number| {
            let state = State { buffers: (0..takers).map(|_| B::default()).collect(), next: number as usize % takers };
            let partition = Arc::new(Partition { state: Mutex::new(state), emptied: Condvar::new() });
            let mut consumer = or_end(Consumer::new(brokers, topic, number, settings));
            let shared = Arc::clone(&partition);
            std::thread::spawn(move || {
                loop {
                    or_end(shared.read(&mut consumer));
                }
            });
            partition
        };
        Source { partitions: (0..count).map(start_partition).collect() }
    }

    /// Buffers to take with: one a partition.
    pub fn buffers(&self) -> Vec<B> {
        self.partitions.iter().map(|_| B::default()).collect()
    }

    /// Gives what was read for this taker since it took the last time, for buffers that it has emptied.
    pub fn take(&self, taker: usize, buffers: &mut [B]) {
        for (partition, buffer) in self.partitions.iter().zip(buffers) {
            std::mem::swap(&mut partition.state.lock().unwrap().buffers[taker], buffer);
            partition.emptied.notify_one();
        }
    }
}

impl<B: Buffer> Partition<B> {
    fn read(&self, consumer: &mut Consumer) -> Result<(), String> {
        // The lock is taken for a batch, and only when it has come.
        let mut locked = None;
        consumer.poll(|record| {
            let state = locked.get_or_insert_with(|| self.state.lock().unwrap());
            let next = state.next;
            let (page, units) = event::parse(record).ok_or_else(|| format!("no event: {}", record.escape_ascii()))?;
            state.buffers[next].add(page, units);
            Ok(())
        })?;
        if let Some(mut state) = locked {
            state.next = (state.next + 1) % state.buffers.len();
            let full = |state: &mut State<B>| state.buffers.iter().map(Buffer::count).sum::<usize>() >= MOST_EVENTS;
            drop(self.emptied.wait_while(state, full).unwrap());
        }
        Ok(())
    }
}

fn or_end<T>(outcome: Result<T, String>) -> T {
    outcome.unwrap_or_else(|error| {
        eprintln!("Error: {error}");
        std::process::exit(1);
    })
}

/// The pace of a program: a step an interval, or one right after the other if they take longer.
pub struct Pace {
    interval: std::time::Duration,
    due: Instant,
}

impl Pace {
    pub fn new(interval: std::time::Duration) -> Pace {
        Pace { interval, due: Instant::now() }
    }

    pub fn wait(&mut self) {
        let now = Instant::now();
        self.due = (self.due + self.interval).max(now);
        std::thread::sleep(self.due - now);
    }
}
