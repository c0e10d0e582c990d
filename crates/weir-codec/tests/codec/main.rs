//! Tests of the codec against real input: one binary, with a harness that can report a test as ignored at run time.

mod framing;
mod sample_data;
mod syslog;

use libtest_mimic::Arguments;

fn main() -> std::process::ExitCode {
    let mut trials = Vec::new();
    trials.extend(framing::trials());
    trials.extend(syslog::trials());
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
