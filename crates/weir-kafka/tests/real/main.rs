//! This client against real brokers of each line. Ignored, with the reason, where they cannot be had.

mod account;
mod compaction;
mod faults;
mod groups;
mod interop;
mod kcat;
mod kerberos;
mod oauth;
mod racks;
mod records;
mod security;
mod sessions;
mod transactions;
mod truncation;

use libtest_mimic::Arguments;
use weir_servers::kafka::{Distribution, Version};
use weir_servers::{Unavailable, trial};

fn main() -> std::process::ExitCode {
    let realm_folder = kerberos::announced();
    let oldest = Distribution::find(Version::V2_8);
    let (old, current) = (Distribution::find(Version::V3_9), Distribution::find(Version::V4_3));
    let (old_kcat, current_kcat) = (both(&old, kcat::find), both(&current, kcat::find));
    let oldest_jdk = both(&oldest, transactions::find);
    let (old_jdk, current_jdk) = (both(&old, transactions::find), both(&current, transactions::find));
    let realm = both(&old, weir_servers::kerberos::find).and(current.clone());
    let trials = vec![
        trial("oldest_broker_and_its_tools", &oldest, || interop::both_ways(Version::V2_8)),
        trial("old_broker_and_its_tools", &old, || interop::both_ways(Version::V3_9)),
        trial("broker_and_its_tools", &current, || interop::both_ways(Version::V4_3)),
        trial("old_broker_and_kcat", &old_kcat, || kcat::both_ways(Version::V3_9)),
        trial("broker_and_kcat", &current_kcat, || kcat::both_ways(Version::V4_3)),
        trial("oldest_broker_transactions", &oldest_jdk, || transactions::aborted_records_stay_hidden(Version::V2_8)),
        trial("old_broker_transactions", &old_jdk, || transactions::aborted_records_stay_hidden(Version::V3_9)),
        trial("transactions", &current_jdk, || transactions::aborted_records_stay_hidden(Version::V4_3)),
        trial("compacted_topic", &current, compaction::survivors_are_read_once),
        trial("oldest_broker_groups", &oldest, || groups::classic(Version::V2_8)),
        trial("old_broker_groups", &old, || groups::classic(Version::V3_9)),
        trial("groups", &current, || groups::classic(Version::V4_3)),
        trial("groups_of_the_consumer_protocol", &current, || groups::consumer(Version::V4_3)),
        trial("old_broker_every_way_in", &old, || security::every_way_in(Version::V3_9)),
        trial("every_way_in", &current, || security::every_way_in(Version::V4_3)),
        trial("old_broker_tokens", &old, || oauth::tokens(Version::V3_9)),
        trial("tokens", &current, || oauth::tokens(Version::V4_3)),
        trial("kerberos", &realm, move || kerberos::keytabs(realm_folder.path())),
        trial("old_broker_racks", &old, || racks::readers_stay_in_theirs(Version::V3_9)),
        trial("racks", &current, || racks::readers_stay_in_theirs(Version::V4_3)),
        trial("readers_of_a_log_that_was_cut_back", &current, truncation::readers_are_told),
        trial("brokers_die_and_freeze", &current, faults::brokers_die_and_freeze),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// What is missing of a broker and of something else that a test needs.
fn both(broker: &Result<Distribution, Unavailable>, find: fn() -> Result<(), Unavailable>) -> Result<(), Unavailable> {
    broker.clone().and_then(|_| find())
}
