//! `weir send`: load from one process to another.

use std::io::IsTerminal as _;
use std::str::FromStr as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use weir_config::units;
use weir_lab::sender::{Framing, Input, Limit, Progress, ReconnectOptions, SendOptions, StampOptions};
use weir_lab::{SendReport, Target};

use super::{print, print_json, with_units};
use crate::cli::SendArgs;
use crate::exit::{Exit, Failure};

/// Without any limit a load tool stops by itself after this.
const DURATION_DEFAULT: Duration = Duration::from_secs(10);

pub(crate) fn send(args: &SendArgs) -> Result<Exit, Failure> {
    let options = options(args)?;
    let progress = Progress::new();
    let report = std::thread::scope(|scope| {
        let sending = scope.spawn(|| weir_lab::send(&options, &progress));
        show(&progress, || sending.is_finished());
        sending.join()
    });
    let report = report
        .map_err(|_| Failure::new("the sender ended by a panic: a fault of Weir"))?
        .map_err(|error| Failure::because("nothing was sent", &error))?;
    if args.json {
        print_json(&report)
    } else {
        print(&summary(&report))
    }
    for error in &report.errors {
        crate::exit::report(&Failure::new(error));
    }
    Ok(if report.errors.is_empty() { Exit::Success } else { Exit::Failure })
}

fn options(args: &SendArgs) -> Result<SendOptions, Failure> {
    let target = with_units("TARGET", &args.target, Target::from_str)?;
    let mut options = SendOptions::new(target);
    options.connections = args.connections;
    options.events_per_second = with_units("--rate", &args.rate, units::parse_rate)?;
    options.limit = Limit {
        events: args.events.as_deref().map(|text| with_units("--events", text, units::parse_count)).transpose()?,
        duration: args.duration.as_deref().map(|text| with_units("--for", text, units::parse_duration)).transpose()?,
    };
    if options.limit == Limit::default() {
        options.limit.duration = Some(DURATION_DEFAULT);
    }
    if args.octet_counted {
        options.framing = Framing::OctetCounted;
    }
    options.input = match &args.input {
        Some(path) => Input::File(path.clone()),
        None => Input::Synth { seed: args.seed, options: Default::default() },
    };
    options.stamp = args.stamp.then_some(StampOptions { first_producer: args.producer, ..StampOptions::default() });
    let give_up_after = args.reconnect.as_deref().map(|text| with_units("--reconnect", text, units::parse_duration));
    options.reconnect = give_up_after.transpose()?.map(|give_up_after| ReconnectOptions { give_up_after });
    options.allow_remote = args.allow_remote;
    Ok(options)
}

/// Shows how far it is while it runs, if somebody watches.
fn show(progress: &Progress, is_finished: impl Fn() -> bool) {
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    let mut last = (std::time::Instant::now(), 0);
    while !is_finished() {
        std::thread::park_timeout(Duration::from_millis(100));
        let events = progress.events();
        let seconds = last.0.elapsed().as_secs_f64();
        if seconds >= 0.5 {
            let rate = (events - last.1) as f64 / seconds;
            bar.set_message(format!(
                "{} events sent, {}/s",
                units::format_count(events),
                units::format_count(rate as u64)
            ));
            last = (std::time::Instant::now(), events);
        }
    }
    bar.finish_and_clear();
}

fn summary(report: &SendReport) -> String {
    let mut text = format!(
        "sent {} events ({}) to {} in {:.2} s: {} events/s, {:.3} CPU s per million",
        report.events,
        units::format_bytes(report.bytes),
        report.target,
        report.seconds,
        units::format_count(report.events_per_second as u64),
        report.cpu_seconds_per_million,
    );
    if report.skipped > 0 {
        text.push_str(&format!("; {} left out, since sending was a second behind its rate", report.skipped));
    }
    text
}
