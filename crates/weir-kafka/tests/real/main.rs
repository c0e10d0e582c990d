//! This client against real brokers of both lines. Ignored, with the reason, where they cannot be had.

mod account;
mod faults;
mod groups;
mod interop;
mod security;

use libtest_mimic::Arguments;
use weir_servers::kafka::{Distribution, Version};
use weir_servers::trial;

fn main() -> std::process::ExitCode {
    let (old, current) = (Distribution::find(Version::V3_9), Distribution::find(Version::V4_3));
    let trials = vec![
        trial("old_broker_and_its_tools", &old, || interop::both_ways(Version::V3_9)),
        trial("broker_and_its_tools", &current, || interop::both_ways(Version::V4_3)),
        trial("old_broker_groups", &old, || groups::classic(Version::V3_9)),
        trial("groups", &current, || groups::classic(Version::V4_3)),
        trial("groups_of_the_consumer_protocol", &current, || groups::consumer(Version::V4_3)),
        trial("every_way_in", &current, security::every_way_in),
        trial("brokers_die_and_freeze", &current, faults::brokers_die_and_freeze),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
