//! Components against real servers. Ignored, with the reason, where these cannot be had. One file per subject.

use libtest_mimic::Arguments;
use weir_servers::kafka::{Distribution, Version};
use weir_servers::trial;

fn main() -> std::process::ExitCode {
    let kafka = Distribution::find(Version::V4_3);
    let trials = vec![trial("nothing", &kafka, || {})];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
