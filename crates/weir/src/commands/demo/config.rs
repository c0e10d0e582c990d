//! The configuration of the demo, as text.

use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use crate::exit::Failure;

/// Where log and files go.
pub(crate) struct Places {
    /// The folder of both.
    pub(crate) dir: PathBuf,
    /// The durable log.
    pub(crate) log: PathBuf,
    /// Finished files.
    pub(crate) files: PathBuf,
}

impl Places {
    /// Below `dir`, or below a new temporary folder that nobody else uses.
    pub(crate) fn new(dir: Option<&Path>) -> Result<Self, Failure> {
        let dir = dir.map_or_else(unused_folder, Path::to_owned);
        if dir.to_str().is_none() {
            return Err(Failure::new(format!(
                "{} is not UTF-8, which a configuration must be; choose another with --dir",
                dir.display()
            )));
        }
        Ok(Self { log: dir.join("log"), files: dir.join("files"), dir })
    }

    /// Makes the folder of both, unless it is there.
    pub(crate) fn make(&self) -> Result<(), Failure> {
        std::fs::create_dir_all(&self.dir).map_err(|error| {
            Failure::because(
                &format!("the folder {} cannot be made; choose another with --dir", self.dir.display()),
                &error,
            )
        })
    }
}

/// A temporary folder that does not exist yet: process ids come back, and with them the folders of earlier demos.
fn unused_folder() -> PathBuf {
    let name = |attempt: u32| std::env::temp_dir().join(format!("weir-demo-{}-{attempt}", std::process::id()));
    (1..).map(name).find(|path| !path.exists()).expect("the folder is not full of four billion demos")
}

/// Free ports on loopback, held until the agent takes them.
pub(crate) struct Ports {
    tcp: TcpListener,
    udp: UdpSocket,
    numbers: (u16, u16),
}

impl Ports {
    /// Takes one of each.
    pub(crate) fn reserve() -> Result<Self, Failure> {
        let take = || {
            let (tcp, udp) = (TcpListener::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
            let numbers = (tcp.local_addr()?.port(), udp.local_addr()?.port());
            Ok(Self { tcp, udp, numbers })
        };
        take().map_err(|error: std::io::Error| Failure::because("there is no free port on 127.0.0.1", &error))
    }

    /// The number of the TCP port.
    pub(crate) fn tcp(&self) -> u16 {
        self.numbers.0
    }

    /// Lets go of them; their numbers, TCP first.
    pub(crate) fn release(self) -> (u16, u16) {
        let Self { tcp, udp, numbers } = self;
        drop((tcp, udp));
        numbers
    }
}

/// The configuration.
pub(crate) fn text(places: &Places, ports: &Ports, admin: Option<&str>) -> String {
    let (tcp, udp) = ports.numbers;
    let admin = match admin {
        Some(address) => format!("admin = {}", quoted(address)),
        None => "# admin = \"127.0.0.1:9600\"    # with it: weir status, /metrics, /health".to_owned(),
    };
    let log = quoted(&places.log.display().to_string());
    let files = path_template(places);
    format!(
        r#"# The configuration of `weir demo`: an ordinary one. Save it, change it, `weir run` it.
# What each option means: weir components TYPE.

[agent]
name = "demo"
log_level = "warn"
{admin}

# Devices send syslog here, over TCP and UDP.
[sources.network]
type = "syslog"
listen = ["tcp://127.0.0.1:{tcp}", "udp://127.0.0.1:{udp}"]
channels = ["spool"]

# A durable log: what is in it survives kill -9 and power loss.
[channels.spool]
type = "file"
path = {log}
segment_bytes = "64 MiB"

# Files by day and hour of arrival. A file is finished after half a second, so that an event can be read in a
# finished file within a second; for real use some seconds or minutes make fewer and larger files.
[sinks.archive]
type = "files"
channel = "spool"
path = {files}
time = "arrival"
roll_time = "500 ms"
"#
    )
}

/// Where the sink puts files: by day and hour. A percent sign of the folder's own begins no escape.
pub(crate) fn path_template(places: &Places) -> String {
    let files = places.files.display().to_string().replace('%', "%%");
    quoted(&format!("{files}/%Y-%m-%d/%H"))
}

/// A TOML string. What looks like a variable is not one.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.replace("${", "$${").chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if control.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a folder whose name has everything that means something in TOML, in variables and in path templates.
    /// Guarantees: the configuration checks without errors and means that folder.
    #[test]
    fn odd_folders_are_quoted() {
        let dir = Path::new("/nowhere/a \"b\" \\ ${HOME} 100%\t\u{7f}");
        let places = Places::new(Some(dir)).expect("UTF-8");
        let ports = Ports::reserve().expect("ports");
        let checked = crate::configuration::check_text("demo.toml", &text(&places, &ports, Some("127.0.0.1:0")));
        assert!(checked.diagnostics.is_empty(), "{}", checked.diagnostics);
        let plan = checked.plan.expect("no errors");
        assert_eq!(plan.channels[0].options.path_opt("path"), Some(places.log.as_path()));
        let files = plan.sinks[0].options.path_opt("path").expect("given").display().to_string();
        assert_eq!(files.replace("%%", "%"), format!("{}/%Y-%m-%d/%H", places.files.display()));
    }
}
