//! The table, and the JSON.

use serde::Serialize;

use crate::options::Options;
use crate::rows::Measured;

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
        "{:<33} {:>8} {:>9} {:>10} | {:>8} {:>6} | {:>7} {:>6} {:>10} | {:>11} {:>10}",
        "path",
        "at least",
        "M/s",
        "librdkafka",
        "at least",
        "ratio",
        "CPU <=",
        "CPU",
        "librdkafka",
        "brokers CPU",
        "librdkafka"
    );
}

/// One row, as soon as it is measured.
pub(crate) fn print_row(measured: &Measured) {
    let Measured { row, weir, librdkafka, ratio } = measured;
    let other = librdkafka.as_ref().map(|column| column.median);
    println!(
        "{:<33} {:>8} {:>9.2} {:>10} | {:>8} {:>6} | {:>7} {:>6.3} {:>10} | {:>11.3} {:>10}",
        row.path,
        text(row.events_per_second_min.map(|rate| rate / 1e6), 2),
        weir.median.events_per_second / 1e6,
        text(other.map(|run| run.events_per_second / 1e6), 2),
        text(row.ratio_min, 2),
        text(*ratio, 2),
        text(row.client_cpu_per_million_max, 2),
        weir.median.client_cpu_per_million,
        text(other.map(|run| run.client_cpu_per_million), 3),
        weir.median.brokers_cpu_per_million,
        text(other.map(|run| run.brokers_cpu_per_million), 3),
    );
}

pub(crate) fn print_json(options: &Options, rows: &[Measured]) -> serde_json::Result<()> {
    let (events_warm, events_per_run) = (options.warm, options.events);
    let (cores, load_average, librdkafka) = (cores(), load_average(), librdkafka());
    let report = Report { cores, load_average, librdkafka, events_warm, events_per_run, rows };
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

fn text(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.digits$}"))
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
