//! The table, and the JSON.

use serde::Serialize;

use crate::job::Client;
use crate::options::Options;
use crate::rows::{Line, Measured};

/// Everything, for `--json`.
#[derive(Serialize)]
struct Report<'a> {
    cores: usize,
    load_average: String,
    librdkafka: Option<String>,
    events_warm: u64,
    events_per_run: u64,
    rows: &'a [Measured],
}

/// Where and how.
pub(crate) fn print_heading(options: &Options) {
    println!(
        "{} cores, load {}, Kafka 4.3.1: three brokers on this machine, {:.0} M events warm; {}",
        cores(),
        load_average(),
        options.warm as f64 / 1e6,
        librdkafka().map_or_else(|| "built without librdkafka".to_owned(), |version| format!("librdkafka {version}")),
    );
    println!(
        "lines of about 190 bytes, 12 partitions, batches of 5,000, {:.0} M events a run, medians of {}; CPU is seconds per million events",
        options.events as f64 / 1e6,
        options.repeats
    );
    println!(
        "{:<33} {:<23} {:>7} {:>9} {:>13} {:>9} {:>7} {:>9} {:>11}",
        "path", "client", "M/s", "at least", "weir is times", "at least", "CPU", "at most", "brokers CPU"
    );
}

/// One row, as soon as it is measured.
pub(crate) fn print_row(Measured { row, clients }: &Measured) {
    for (index, Line { client, ratio, median, .. }) in clients.iter().enumerate() {
        // Each target stands beside the figure it is about.
        let target = |target: Option<f64>, of: Client| target.filter(|_| of == *client);
        println!(
            "{:<33} {:<23} {:>7.2} {:>9} {:>13} {:>9} {:>7.3} {:>9} {:>11.3}",
            if index == 0 { row.path } else { "" },
            client.name(),
            median.events_per_second / 1e6,
            text(target(row.events_per_second_min, Client::Weir).map(|rate| rate / 1e6)),
            text(Some(*ratio).filter(|_| *client != Client::Weir)),
            text(target(row.ratio_min, Client::Rdkafka)),
            median.client_cpu_per_million,
            text(target(row.client_cpu_per_million_max, Client::Weir)),
            median.brokers_cpu_per_million,
        );
    }
}

pub(crate) fn print_json(options: &Options, rows: &[Measured]) -> serde_json::Result<()> {
    let (events_warm, events_per_run) = (options.warm, options.events);
    let (cores, load_average, librdkafka) = (cores(), load_average(), librdkafka());
    let report = Report { cores, load_average, librdkafka, events_warm, events_per_run, rows };
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

fn text(figure: Option<f64>) -> String {
    figure.map_or_else(String::new, |figure| format!("{figure:.2}"))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Of the last 1, 5 and 15 minutes: a busy machine explains low rates.
fn load_average() -> String {
    let line = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    line.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

#[cfg(feature = "librdkafka")]
fn librdkafka() -> Option<String> {
    Some(crate::librdkafka::version())
}

#[cfg(not(feature = "librdkafka"))]
fn librdkafka() -> Option<String> {
    None
}
