//! The folder of real sample data, which is no part of the repository.

use std::path::PathBuf;

/// Where the sample data is: `WEIR_TEST_DATA`, or `../shared/data` beside the checkout.
///
/// # Errors
/// Why it is not there: the reason a test gives for being ignored.
pub fn folder() -> Result<PathBuf, String> {
    let (folder, named) = match std::env::var_os("WEIR_TEST_DATA") {
        Some(folder) => (PathBuf::from(folder), true),
        None => (PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")), false),
    };
    match (folder.join("README.md").is_file(), named) {
        (true, _) => Ok(folder),
        (false, true) => Err("WEIR_TEST_DATA does not name the sample data".into()),
        (false, false) => Err("no sample data at ../shared/data; set WEIR_TEST_DATA".into()),
    }
}
