//! Starting the binary, and waiting for what it does.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

/// No condition of these tests takes a hundredth of this, unless it never comes.
const DEADLINE: Duration = Duration::from_secs(60);

/// A command of the binary, without what the environment of the tests might set.
pub(crate) fn weir(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(args).env_remove("WEIR_LOG").env_remove("RUST_LOG");
    command
}

/// What a command did.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {}\n{}", self.out, self.err))
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("output is UTF-8");
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

/// Runs a command to its end.
pub(crate) fn done(command: &mut Command) -> Done {
    command.stdin(Stdio::null()).output().expect("the binary starts").into()
}

/// Waits until `condition` gives something.
pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < until, "it did not come: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// A port that was free a moment ago, for TCP and UDP.
pub(crate) fn free_port() -> u16 {
    eventually("a free port", || {
        let tcp = TcpListener::bind("127.0.0.1:0").ok()?;
        let port = tcp.local_addr().ok()?.port();
        UdpSocket::bind(("127.0.0.1", port)).ok()?;
        Some(port)
    })
}

/// A folder for one test.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A configuration in a file.
pub(crate) fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("writes");
    path
}

/// The top of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate is in crates/").to_owned()
}

/// Compares a file of the repository with what the code says; `WEIR_UPDATE=1` writes it instead.
pub(crate) fn assert_generated(path: &Path, wanted: &str) {
    if std::env::var_os("WEIR_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().expect("inside the repository")).expect("a folder");
        std::fs::write(path, wanted).expect("writes");
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    let name = path.file_name().expect("a file").display();
    assert!(found == wanted, "{name} is not what the code says; regenerate it: WEIR_UPDATE=1 cargo test -p weir");
}

/// A command that runs until it is stopped.
pub(crate) struct Running {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts `weir run --admin 127.0.0.1:0 --json` on these files.
    pub(crate) fn start(files: &[&Path], environment: &[(&str, &str)]) -> Self {
        let mut command = weir(&["run", "--admin", "127.0.0.1:0", "--json"]);
        Self::of(command.args(files).envs(environment.iter().copied()))
    }

    /// Starts a command whose log says where its admin endpoint answers.
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, stderr) = (log.clone(), BufReader::new(child.stderr.take().expect("piped")));
        let reader = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                lines.lock().expect("no reader panics").push(line);
            }
        });
        Self { child, log, reader: Some(reader) }
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no reader panics").join("\n")
    }

    /// The address of its admin endpoint, once it answers.
    pub(crate) fn admin(&mut self) -> String {
        eventually("the admin endpoint", || {
            if let Some(status) = self.child.try_wait().expect("it is a child") {
                panic!("it ended with {status}:\n{}", self.log());
            }
            let log = self.log();
            let at = ["admin endpoint answers address=", "admin endpoint at "];
            let (_, rest) = at.iter().find_map(|words| log.split_once(words))?;
            let address = rest.split_whitespace().next().expect("an address");
            Some(address.trim_end_matches(':').to_owned())
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: i32) {
        let pid = libc::pid_t::try_from(self.child.id()).expect("pids are positive");
        // SAFETY: no memory is involved; the child has not been waited for, so the pid is still its own.
        let outcome = unsafe { libc::kill(pid, signal) };
        assert_eq!(outcome, 0, "the child can be told");
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Done {
        let status = eventually("the end of the agent", || self.child.try_wait().expect("it is a child"));
        let mut out = String::new();
        let mut stdout = self.child.stdout.take().expect("piped");
        std::io::Read::read_to_string(&mut stdout, &mut out).expect("UTF-8");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader ends with the child");
        }
        Done { code: status.code(), out, err: self.log() }
    }

    /// Stops it in order.
    pub(crate) fn stop(self) -> Done {
        self.signal(libc::SIGTERM);
        self.end()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only a failed test leaves a child; it is ours to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer of the admin endpoint: status code and text.
pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(DEADLINE)).http_status_as_error(false).build().into();
    let mut response = agent.get(format!("http://{address}{path}")).call().expect("the endpoint answers");
    let text = response.body_mut().read_to_string().expect("text");
    (response.status().as_u16(), text)
}

/// The status of a running agent.
pub(crate) fn status(address: &str) -> Value {
    serde_json::from_str(&get(address, "/status").1).expect("JSON")
}
