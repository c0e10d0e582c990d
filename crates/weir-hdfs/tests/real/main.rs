//! These clients against a real HDFS. Ignored, with the reason, where it cannot be had.

mod name_service;
mod native;
mod web;
mod web_kerberos;

use libtest_mimic::Arguments;
use weir_servers::hdfs::Distribution;

fn main() -> std::process::ExitCode {
    let realm = web_kerberos::announced();
    let hdfs = Distribution::find();
    let mut trials = Vec::new();
    trials.extend(native::trials(&hdfs));
    trials.extend(name_service::trials(&hdfs));
    trials.extend(web::trials(&hdfs));
    trials.extend(web_kerberos::trials(&hdfs, realm));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
