//! A Kerberos realm for tests: MIT's key distribution centre on 127.0.0.1, with a database of its own.
//!
//! ```text
//! folder/ { krb5.conf, kdc.conf, principal*, stash, kdc.log, <principal>.keytab }
//! ```
//!
//! Whoever uses the realm is told its [`configuration`]: programs by `KRB5_CONFIG`, Java by `java.security.krb5.conf`.
//! There is no administration server and nothing to log in to: a principal is its keytab.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::artifacts::Unavailable;
use crate::ports;
use crate::process::{self, Process, RunError};

/// The realm's name.
pub const REALM: &str = "WEIR.TEST";

/// Making a database takes 0.1 s.
const TOOL_PATIENCE: Duration = Duration::from_secs(60);
/// It listens within 50 ms.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// Where the programs are, if not on the `PATH`, which often lacks this for ordinary users.
const ADMINISTRATION: &str = "/usr/sbin";
/// Everything that is run.
const PROGRAMS: [&str; 3] = ["krb5kdc", "kdb5_util", "kadmin.local"];

/// Why there is no realm, or no principal in it. Messages name their cause: tests show nothing else of an error.
#[derive(Debug, Error)]
pub enum RealmError {
    /// The realm's files or processes.
    #[error("cannot {what}: {cause}")]
    Prepare {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        cause: io::Error,
    },
    /// One of Kerberos's own programs failed.
    #[error(transparent)]
    Tool(#[from] RunError),
    /// The key distribution centre ended, or does not listen.
    #[error("the key distribution centre is not ready after {patience:?}; see {}", log.display())]
    NotReady {
        /// How long it was given.
        patience: Duration,
        /// What it logged.
        log: PathBuf,
    },
}

fn preparing(what: &'static str) -> impl FnOnce(io::Error) -> RealmError {
    move |cause| RealmError::Prepare { what, cause }
}

/// A running realm; ends when this is dropped. Its folder is the caller's.
#[derive(Debug)]
pub struct Realm {
    folder: PathBuf,
    _process: Process,
}

/// Where the configuration of a realm in `folder` is, or will be.
#[must_use]
pub fn configuration(folder: &Path) -> PathBuf {
    folder.join("krb5.conf")
}

/// Whether Kerberos's server is installed.
///
/// # Errors
/// [`Unavailable`] with the packages that have it.
pub fn find() -> Result<(), Unavailable> {
    match PROGRAMS.iter().find(|name| path_of(name).is_none()) {
        None => Ok(()),
        Some(missing) => {
            let reason =
                format!("no {missing}: install krb5-kdc and krb5-admin-server (Debian), krb5-server (Red Hat)");
            Err(Unavailable { reason })
        }
    }
}

fn path_of(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from(ADMINISTRATION)]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

impl Realm {
    /// Makes a database in `folder`, which is made too, and starts the key distribution centre: 0.5 s.
    ///
    /// # Errors
    /// [`RealmError`]; what was logged is then in the folder.
    pub fn start(folder: &Path) -> Result<Self, RealmError> {
        fs::create_dir_all(folder).map_err(preparing("make the folder of the realm"))?;
        let port = ports::free(1).map_err(preparing("find a free port"))?[0];
        let write = |path: PathBuf, text: String| fs::write(path, text).map_err(preparing("write the configuration"));
        write(configuration(folder), client_text(port))?;
        write(folder.join("kdc.conf"), server_text(folder, port))?;
        // The master key protects the database from whoever reads its files: nobody's concern here.
        tool(folder, "kdb5_util", &["create", "-s", "-r", REALM, "-P", "master"])?;
        let mut command = command(folder, "krb5kdc");
        command.args(["-n", "-r", REALM]);
        let log = folder.join("kdc.log");
        let mut process = Process::start(&mut command, &log).map_err(preparing("start krb5kdc"))?;
        let deadline = Instant::now() + START_PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let has_ended = process.ended().map_err(preparing("see whether krb5kdc runs"))?.is_some();
            if has_ended || Instant::now() >= deadline {
                return Err(RealmError::NotReady { patience: START_PATIENCE, log });
            }
            std::thread::park_timeout(LOOK);
        }
        Ok(Self { folder: folder.to_owned(), _process: process })
    }

    /// Adds a principal (`weir`, `kafka/127.0.0.1`) with a random key, and writes the key to a keytab: its file.
    ///
    /// # Errors
    /// [`RealmError`] if the principal is there already.
    pub fn add(&self, principal: &str) -> Result<PathBuf, RealmError> {
        let keytab = self.folder.join(format!("{}.keytab", principal.replace('/', "-")));
        tool(&self.folder, "kadmin.local", &["-r", REALM, "addprinc", "-randkey", principal])?;
        let arguments = ["-r", REALM, "ktadd", "-k"].map(OsString::from).into_iter();
        let arguments: Vec<OsString> = arguments.chain([keytab.clone().into(), principal.into()]).collect();
        tool(&self.folder, "kadmin.local", &arguments)?;
        Ok(keytab)
    }

    /// What clients of the realm are told.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        configuration(&self.folder)
    }
}

fn tool<A: AsRef<std::ffi::OsStr>>(folder: &Path, program: &str, arguments: &[A]) -> Result<(), RealmError> {
    process::run(program, command(folder, program).args(arguments), b"", TOOL_PATIENCE)?;
    Ok(())
}

fn command(folder: &Path, program: &str) -> Command {
    let mut command = Command::new(path_of(program).unwrap_or_else(|| program.into()));
    command.env("KRB5_CONFIG", configuration(folder)).env("KRB5_KDC_PROFILE", folder.join("kdc.conf"));
    command
}

/// No name service is asked for anything; hosts are called what their addresses say.
fn client_text(port: u16) -> String {
    format!(
        "[libdefaults]\n\
         default_realm = {REALM}\n\
         dns_lookup_kdc = false\n\
         dns_lookup_realm = false\n\
         dns_canonicalize_hostname = false\n\
         rdns = false\n\
         udp_preference_limit = 1\n\
         default_rcache_name = none:\n\
         [realms]\n\
         {REALM} = {{\n kdc = 127.0.0.1:{port}\n}}\n\
         [domain_realm]\n\
         localhost = {REALM}\n\
         127.0.0.1 = {REALM}\n"
    )
}

fn server_text(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        "[realms]\n\
         {REALM} = {{\n\
         database_name = {folder}/principal\n\
         key_stash_file = {folder}/stash\n\
         acl_file = {folder}/kadm5.acl\n\
         kdc_listen = 127.0.0.1:{port}\n\
         kdc_tcp_listen = 127.0.0.1:{port}\n\
         supported_enctypes = aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal\n\
         }}\n\
         [logging]\n\
         kdc = FILE:{folder}/kdc.log\n\
         admin_server = FILE:{folder}/kdc.log\n"
    )
}
