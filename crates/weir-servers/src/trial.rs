//! Tests that need a server, and say so where they cannot have it.

use libtest_mimic::{Failed, Trial};

use crate::artifacts::Unavailable;
use crate::report;

/// Set to `1` where the servers have to be there, as in the checks that every change passes: what could not run then fails.
pub const REQUIRED_VARIABLE: &str = "WEIR_REQUIRE_SERVERS";

/// A test that needs what `needed` found. Where that is missing the test is reported as ignored, with the reason in its
/// name and on standard error; with [`REQUIRED_VARIABLE`] set it fails instead.
pub fn trial<T>(
    name: &str,
    needed: &Result<T, Unavailable>,
    test: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let required = std::env::var_os(REQUIRED_VARIABLE).is_some_and(|value| value == "1");
    decide(name, needed.as_ref().err(), required, test)
}

pub(super) fn decide(
    name: &str,
    missing: Option<&Unavailable>,
    required: bool,
    test: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    match missing {
        None => Trial::test(name, test),
        Some(missing) if required => {
            let message = format!("{missing}; {REQUIRED_VARIABLE}=1 does not allow this test to be ignored");
            Trial::test(name, move || Err(Failed::from(message)))
        }
        Some(missing) => {
            report(&format!("ignored: {name}: {missing}"));
            Trial::test(format!("{name} ({missing})"), || Ok(())).with_ignored_flag(true)
        }
    }
}
