//! An agent as a process, and what it says of itself.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use weir_engine::status::AgentStatus;
use weir_lab::measure;
use weir_servers::process::Process;
use weir_servers::{http, ports};

use crate::Failure;

/// Longer than any agent needs to start, to stop, or to see its first event.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A running agent; it ends with this.
pub(crate) struct Agent {
    process: Process,
    admin: u16,
    log: std::path::PathBuf,
}

impl Agent {
    /// Starts `weir run` on `sections`, which have no `[agent]`, and waits until it answers.
    pub(crate) fn start(weir: &Path, folder: &Path, name: &str, sections: &str) -> Result<Self, Failure> {
        let admin = ports::free(1)?[0];
        let (config, log) = (folder.join(format!("{name}.toml")), folder.join(format!("{name}.log")));
        let agent =
            format!("[agent]\nname = '{name}'\nadmin = '127.0.0.1:{admin}'\nlog_level = 'warn'\nmemory = '1 GiB'\n");
        std::fs::write(&config, agent + sections)?;
        let process = Process::start(Command::new(weir).arg("run").arg(&config), &log)?;
        let mut agent = Self { process, admin, log };
        let deadline = Instant::now() + PATIENCE;
        while agent.status().is_err() {
            if agent.process.ended()?.is_some() || Instant::now() > deadline {
                return Err(format!("agent {name} did not start: {}", std::fs::read_to_string(&agent.log)?).into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(agent)
    }

    /// Its state now.
    pub(crate) fn status(&self) -> Result<AgentStatus, Failure> {
        let answer = http::get(([127, 0, 0, 1], self.admin).into(), "/status")?.ok()?;
        Ok(serde_json::from_str(&answer.text())?)
    }

    /// CPU time so far, seconds.
    pub(crate) fn cpu_seconds(&self) -> Result<f64, Failure> {
        Ok(measure::process(self.process.id())?.cpu.total_seconds())
    }

    /// Most memory it ever had, MiB.
    pub(crate) fn memory_mib_peak(&self) -> Result<f64, Failure> {
        Ok(measure::process(self.process.id())?.resident_peak_bytes as f64 / f64::from(1 << 20))
    }

    /// Waits until an agent ends whose sources do.
    pub(crate) fn until_ended(mut self) -> Result<(), Failure> {
        let ended = self.process.wait(10 * PATIENCE)?.ok_or("an agent does not end")?;
        self.judge(ended)
    }

    /// Stops it in order.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        let ended = self.process.terminate(PATIENCE)?;
        self.judge(ended)
    }

    fn judge(&self, ended: std::process::ExitStatus) -> Result<(), Failure> {
        let said = std::fs::read_to_string(&self.log)?;
        if ended.success() { Ok(()) } else { Err(format!("an agent ended with {ended}: {said}").into()) }
    }
}
