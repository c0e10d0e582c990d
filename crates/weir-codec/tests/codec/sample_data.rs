//! Where the samples of real input are, and tests that say so when they are not there.

use std::path::{Path, PathBuf};

use base64::Engine;
use libtest_mimic::{Failed, Trial};

/// The variable that names the folder of samples.
const FOLDER_VARIABLE: &str = "WEIR_TEST_DATA";

/// The folder of samples: `WEIR_TEST_DATA`, or `../shared/data` beside the workspace.
///
/// # Errors
/// The reason, for the name of an ignored test.
fn folder() -> Result<PathBuf, String> {
    let (folder, origin) = match std::env::var_os(FOLDER_VARIABLE) {
        Some(folder) => (PathBuf::from(folder), FOLDER_VARIABLE),
        None => (Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), "../shared/data"),
    };
    if folder.is_dir() { Ok(folder) } else { Err(format!("no folder at {origin}; set {FOLDER_VARIABLE}")) }
}

/// A test that needs the file or folder `sample` of the samples, which it gets. Where that is absent the test is
/// reported as ignored, with the reason in its name and on standard error.
pub(crate) fn trial(name: &str, sample: &str, test: fn(&Path) -> Result<(), Failed>) -> Trial {
    let path = folder().and_then(|folder| {
        let path = folder.join(sample);
        if path.exists() { Ok(path) } else { Err(format!("no {sample} in the samples")) }
    });
    match path {
        Ok(path) => Trial::test(name, move || test(&path)),
        Err(reason) => {
            report(&format!("ignored: {name}: {reason}"));
            Trial::test(format!("{name} ({reason})"), || Ok(())).with_ignored_flag(true)
        }
    }
}

/// One line for whoever reads the test output.
#[expect(clippy::print_stderr, reason = "the output of tests is standard error")]
pub(crate) fn report(line: &str) {
    eprintln!("{line}");
}

/// The values of a file of one JSON value per line.
///
/// # Errors
/// If the file cannot be read or a line is not JSON.
pub(crate) fn json_lines(path: &Path) -> Result<Vec<serde_json::Value>, Failed> {
    std::fs::read_to_string(path)?
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| Ok(serde_json::from_str(line)?))
        .collect()
}

/// The bytes of a base64 member.
///
/// # Errors
/// If there is no such member or it is not base64.
pub(crate) fn base64_member(value: &serde_json::Value, name: &str) -> Result<Vec<u8>, Failed> {
    let text = value[name].as_str().ok_or_else(|| format!("no member {name}"))?;
    Ok(base64::engine::general_purpose::STANDARD.decode(text)?)
}
