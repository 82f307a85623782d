//! The command line: BROKERS TOPIC PUBLISH_MS [--combine] [--workers=COUNT] NAME=VALUE...

use std::time::Duration;

pub struct Arguments {
    pub brokers: String,
    pub topic: String,
    /// A top ten is published once in this time if events came.
    pub publish: Duration,
    /// The events of a step are summed by page before the engine gets them.
    pub combine: bool,
    /// Threads of the engine.
    pub workers: usize,
    /// librdkafka's own.
    pub settings: Vec<(String, String)>,
}

impl Arguments {
    /// Of this process; one that is wrong ends it.
    pub fn of_process() -> Arguments {
        let words: Vec<String> = std::env::args().skip(1).collect();
        Self::read(&words).unwrap_or_else(|error| {
            eprintln!("Error: {error}; usage: BROKERS TOPIC PUBLISH_MS [--combine] [--workers=COUNT] NAME=VALUE...");
            std::process::exit(64);
        })
    }

    fn read(words: &[String]) -> Result<Arguments, String> {
        let [brokers, topic, publish_ms, rest @ ..] = words else { return Err("an argument is missing".into()) };
        let publish_ms = publish_ms.parse().map_err(|_| format!("{publish_ms} is no number of milliseconds"))?;
        let mut arguments = Arguments {
            brokers: brokers.clone(),
            topic: topic.clone(),
            publish: Duration::from_millis(publish_ms),
            combine: false,
            workers: 1,
            settings: Vec::new(),
        };
        for word in rest {
            match word.split_once('=') {
                None if word == "--combine" => arguments.combine = true,
                Some(("--workers", count)) => {
                    arguments.workers =
                        count.parse().ok().filter(|&count| count > 0).ok_or(format!("{word} is no count"))?;
                }
                Some((name, value)) if !name.starts_with("--") => arguments.settings.push((name.into(), value.into())),
                _ => return Err(format!("there is no argument {word}")),
            }
        }
        Ok(arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Arguments, String> {
        Arguments::read(&line.split(' ').map(String::from).collect::<Vec<_>>())
    }

    #[test]
    fn flags_and_settings_are_told_apart() {
        let arguments = read("host:9092 events 100 --combine --workers=2 fetch.wait.max.ms=10").unwrap();
        assert_eq!((arguments.combine, arguments.workers, arguments.publish.as_millis()), (true, 2, 100));
        assert_eq!(arguments.settings, [("fetch.wait.max.ms".to_string(), "10".to_string())]);
    }

    #[test]
    fn what_is_unknown_is_refused() {
        for line in ["b t", "b t soon", "b t 1 --workers=0", "b t 1 --fast", "b t 1 --fast=1", "b t 1 x"] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
