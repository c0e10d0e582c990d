//! This client against a real SolrCloud. Ignored, with the reason, where it cannot be had.

mod forms;
mod routing;
mod speed;

use libtest_mimic::Arguments;
use weir_servers::solr::Distribution;
use weir_servers::trial;

fn main() -> std::process::ExitCode {
    let solr = Distribution::find();
    let mut trials = vec![
        trial("routing_is_that_of_solr", &solr, routing::is_that_of_solr),
        trial("both_forms_are_read_alike", &solr, forms::are_read_alike),
    ];
    // Takes a minute and wants the machine for itself.
    if std::env::var_os(speed::VARIABLE).is_some() {
        trials.push(trial("speed", &solr, speed::of_forms_and_a_bare_loop));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Runs a future on a runtime of one thread, as a lane does.
fn wait_for<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}
