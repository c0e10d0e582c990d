//! CPU time and memory of processes, as the kernel counts them (Linux).

use std::io;
use std::time::Duration;

use serde::Serialize;

/// CPU time used so far.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct CpuTime {
    /// Seconds in user space.
    pub user_seconds: f64,
    /// Seconds in the kernel on its behalf.
    pub system_seconds: f64,
}

impl CpuTime {
    /// Both together, seconds.
    #[must_use]
    pub fn total_seconds(&self) -> f64 {
        self.user_seconds + self.system_seconds
    }

    /// What was used since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            user_seconds: self.user_seconds - earlier.user_seconds,
            system_seconds: self.system_seconds - earlier.system_seconds,
        }
    }
}

/// What another process used so far.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct ProcessUse {
    /// CPU of all its threads, to a clock tick (10 ms).
    pub cpu: CpuTime,
    /// Resident memory now, bytes.
    pub resident_bytes: u64,
    /// Most resident memory it ever had, bytes.
    pub resident_peak_bytes: u64,
    /// Threads it has.
    pub threads: u64,
}

/// CPU time of this process, to a microsecond. One system call.
#[must_use]
pub fn this_process() -> CpuTime {
    rusage(libc::RUSAGE_SELF)
}

/// CPU time of the calling thread, to a microsecond. One system call.
#[must_use]
pub fn this_thread() -> CpuTime {
    rusage(libc::RUSAGE_THREAD)
}

fn rusage(who: libc::c_int) -> CpuTime {
    // SAFETY: rusage is plain integers, for which all zeros is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is valid for the write; `who` is one of the constants above.
    let result = unsafe { libc::getrusage(who, &mut usage) };
    debug_assert_eq!(result, 0, "getrusage fails only on a wrong constant or pointer");
    let seconds = |time: libc::timeval| {
        (Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)).as_secs_f64()
    };
    CpuTime { user_seconds: seconds(usage.ru_utime), system_seconds: seconds(usage.ru_stime) }
}

/// What process `pid` used so far. Reads two small files of /proc.
///
/// # Errors
/// As the file system reports: `NotFound` when there is no such process. `InvalidData` if the files have another form.
pub fn process(pid: u32) -> io::Result<ProcessUse> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid} has an unknown form"));
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    // SAFETY: sysconf has no preconditions.
    let ticks_per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
    let (user, system) = stat_ticks(&stat).ok_or_else(malformed)?;
    let field = |name| status_field(&status, name);
    Ok(ProcessUse {
        cpu: CpuTime { user_seconds: user as f64 / ticks_per_second, system_seconds: system as f64 / ticks_per_second },
        // A process that has ended and was not waited for has no memory fields.
        resident_bytes: field("VmRSS:").unwrap_or(0) * 1024,
        resident_peak_bytes: field("VmHWM:").unwrap_or(0) * 1024,
        threads: field("Threads:").ok_or_else(malformed)?,
    })
}

/// Fields 14 and 15 of /proc/PID/stat. The name, field 2, may hold spaces and parentheses itself.
fn stat_ticks(stat: &str) -> Option<(u64, u64)> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn status_field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a process with spaces and parentheses in its name.
    /// Guarantees: the CPU fields are found behind the name.
    #[test]
    fn names_do_not_shift_fields() {
        let stat = "42 (tokio (rt) 1) S 1 42 42 0 -1 4194560 900 0 0 0 123 45 0 0 20 0 4 0 100";
        assert_eq!(stat_ticks(stat), Some((123, 45)));
        assert_eq!(stat_ticks("42 (x) S 1"), None);
        assert_eq!(status_field("Name:\tx\nVmRSS:\t  2048 kB\nThreads:\t3\n", "VmRSS:"), Some(2048));
    }

    /// Scenario: this process is looked at from outside and from inside.
    /// Guarantees: it has memory and threads, its CPU time never falls, and a missing process is `NotFound`.
    #[test]
    fn this_process_has_used_something() {
        let before = this_process();
        let seen = process(std::process::id()).expect("we exist");
        assert!(seen.resident_bytes > 0 && seen.resident_peak_bytes >= seen.resident_bytes && seen.threads > 0);
        assert!(this_process().since(&before).total_seconds() >= 0.0);
        assert!(this_thread().total_seconds() <= this_process().total_seconds());
        // Above the largest pid a kernel gives out (2^22).
        assert_eq!(process(1 << 30).expect_err("no such process").kind(), io::ErrorKind::NotFound);
    }
}
