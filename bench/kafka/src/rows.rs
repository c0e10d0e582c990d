//! The rows of the client table, and their runs: all clients in turn, so that whatever changes on the machine meanwhile
//! meets all.

use serde::Serialize;

use crate::brokers::Brokers;
use crate::child::{self, Run};
use crate::job::{Client, Failure, Job, Work};
use crate::lines::Lines;
use crate::options::Options;
use crate::progress::Progress;

/// A row and what it has to reach.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Row {
    /// What is measured.
    pub(crate) path: &'static str,
    #[serde(skip)]
    work: Work,
    #[serde(skip)]
    replicas: i16,
    /// Events a second at least; none in the issue for the row without compression.
    pub(crate) events_per_second_min: Option<f64>,
    /// Times as fast as librdkafka through the crate `rdkafka`, at least.
    pub(crate) ratio_min: Option<f64>,
    /// CPU seconds of the client per million events at most.
    pub(crate) client_cpu_per_million_max: Option<f64>,
}

const PRODUCE_CPU_MAX: Option<f64> = Some(0.45);
const PRODUCE_RATIO_MIN: Option<f64> = Some(1.4);

/// All of them.
pub(crate) const ROWS: [Row; 4] = [
    Row {
        path: "produce, R=1 acks=1 lz4",
        work: Work::Produce { lz4: true, acks_all: false },
        replicas: 1,
        events_per_second_min: Some(1.8e6),
        ratio_min: PRODUCE_RATIO_MIN,
        client_cpu_per_million_max: PRODUCE_CPU_MAX,
    },
    Row {
        path: "produce, R=3 acks=all lz4",
        work: Work::Produce { lz4: true, acks_all: true },
        replicas: 3,
        events_per_second_min: Some(0.85e6),
        ratio_min: PRODUCE_RATIO_MIN,
        client_cpu_per_million_max: PRODUCE_CPU_MAX,
    },
    Row {
        path: "produce, R=1 acks=1 uncompressed",
        work: Work::Produce { lz4: false, acks_all: false },
        replicas: 1,
        events_per_second_min: None,
        ratio_min: None,
        client_cpu_per_million_max: None,
    },
    Row {
        path: "consume lz4, CRC, decode",
        work: Work::Consume,
        replicas: 1,
        events_per_second_min: Some(4e6),
        ratio_min: None,
        client_cpu_per_million_max: Some(0.25),
    },
];

/// What came of a client in a row.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    /// The client.
    pub(crate) client: Client,
    /// Rate of this repository's client over that of this one: the middle of the pairs, each of two runs of one round.
    pub(crate) ratio: f64,
    /// Middle of each figure, by itself.
    pub(crate) median: Run,
    /// As they came.
    pub(crate) runs: Vec<Run>,
}

/// What came of a row.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    /// The row and its targets.
    #[serde(flatten)]
    pub(crate) row: Row,
    /// This repository's client first, then those that were built.
    pub(crate) clients: Vec<Line>,
}

/// Sends and reads `options.warm` events, so that the Java machines have compiled what they will need.
pub(crate) fn warm(options: &Options, brokers: &mut Brokers, progress: &Progress) -> Result<(), Failure> {
    if options.warm == 0 {
        return Ok(());
    }
    let half = Runner { brokers, progress, events: options.warm / 2, lines: Lines::new() };
    for (row, name) in [(ROWS[0], "warming the brokers, R=1"), (ROWS[1], "warming the brokers, R=3")] {
        progress.begin(name.to_owned());
        let topic = half.brokers.new_topic(row.replicas)?;
        half.run(Client::Weir, row.work, &topic)?;
        half.run(Client::Weir, Work::Consume, &topic)?;
        half.brokers.delete(&topic)?;
    }
    Ok(())
}

/// Measures `row`.
pub(crate) fn measure(
    row: Row,
    options: &Options,
    brokers: &mut Brokers,
    progress: &Progress,
) -> Result<Measured, Failure> {
    let mut runner = Runner { brokers, progress, events: options.events, lines: Lines::new() };
    let others = [Client::Rdkafka, Client::Librdkafka].into_iter().filter(|_| cfg!(feature = "librdkafka"));
    let clients: Vec<Client> = std::iter::once(Client::Weir).chain(others).collect();
    // What is consumed is produced once.
    let filled = match row.work {
        Work::Consume => Some(runner.fill(row)?),
        Work::Produce { .. } => None,
    };
    let mut runs = vec![Vec::new(); clients.len()];
    for round in 1..=options.repeats {
        for (client, runs) in clients.iter().zip(&mut runs) {
            progress.begin(format!("{}: {} {round}/{}", row.path, client.name(), options.repeats));
            runs.push(match &filled {
                Some(topic) => runner.run(*client, row.work, topic)?,
                None => runner.run_on_new_topic(*client, row)?,
            });
        }
    }
    if let Some(topic) = &filled {
        runner.brokers.delete(topic)?;
    }
    let ours = runs[0].clone();
    let lines = clients.into_iter().zip(runs).map(|(client, runs)| Line::new(client, runs, &ours)).collect();
    Ok(Measured { row, clients: lines })
}

struct Runner<'a> {
    brokers: &'a mut Brokers,
    progress: &'a Progress,
    events: u64,
    lines: Lines,
}

impl Runner<'_> {
    fn run(&self, client: Client, work: Work, topic: &str) -> Result<Run, Failure> {
        let job =
            Job { client, work, bootstrap: self.brokers.bootstrap(), topic: topic.to_owned(), events: self.events };
        child::run(&job, self.lines.bytes(self.events), self.brokers, self.progress)
    }

    /// Produces, and looks whether the topic then has as many events as the client says.
    fn run_on_new_topic(&mut self, client: Client, row: Row) -> Result<Run, Failure> {
        let topic = self.brokers.new_topic(row.replicas)?;
        let run = self.run(client, row.work, &topic)?;
        let found = self.brokers.count(&topic)?;
        self.brokers.delete(&topic)?;
        if found != self.events {
            return Err(format!("{}: {found} events in the topic instead of {}", client.name(), self.events).into());
        }
        Ok(run)
    }

    fn fill(&mut self, row: Row) -> Result<String, Failure> {
        self.progress.begin(format!("{}: filling the topic", row.path));
        let topic = self.brokers.new_topic(row.replicas)?;
        self.run(Client::Weir, Work::Produce { lz4: true, acks_all: false }, &topic)?;
        Ok(topic)
    }
}

impl Line {
    fn new(client: Client, runs: Vec<Run>, ours: &[Run]) -> Self {
        let middle = |figure: fn(&Run) -> f64| median(runs.iter().map(figure));
        let median_run = Run {
            events_per_second: middle(|run| run.events_per_second),
            client_cpu_per_million: middle(|run| run.client_cpu_per_million),
            brokers_cpu_per_million: middle(|run| run.brokers_cpu_per_million),
        };
        let ratio = median(ours.iter().zip(&runs).map(|(ours, run)| ours.events_per_second / run.events_per_second));
        Self { client, ratio, median: median_run, runs }
    }
}

/// The middle of `figures`, or the mean of the two in the middle. There is at least one.
fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::median;

    /// Scenario: an odd and an even number of figures, out of order.
    /// Guarantees: the one in the middle, or the mean of the two there.
    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 3.0, 2.0].into_iter()), 2.5);
        assert_eq!(median([7.0].into_iter()), 7.0);
    }
}
