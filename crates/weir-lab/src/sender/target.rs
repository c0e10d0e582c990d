//! Where to send: parsing and the check that it is this machine.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// A peer, as written: `tcp://host:port`, `udp://host:port`, `unix:/path` (stream, else datagram) or
/// `unix-dgram:/path`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// A TCP listener, `host:port`.
    Tcp(String),
    /// A UDP socket, `host:port`.
    Udp(String),
    /// A Unix socket, stream or datagram, whichever it is.
    Unix(PathBuf),
    /// A Unix datagram socket.
    UnixDatagram(PathBuf),
}

/// Why a text is no target, or not one to send to.
#[derive(Debug, Error)]
pub enum TargetError {
    /// Not one of the forms.
    #[error("`{text}` is not a target: write tcp://host:port, udp://host:port, unix:/path or unix-dgram:/path")]
    Form {
        /// As given.
        text: String,
    },
    /// The name service has no answer.
    #[error("failed to resolve {target}")]
    Resolve {
        /// As given.
        target: Target,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another machine, and nobody said that this is meant.
    #[error(
        "{target} is {address}, which is not this machine: load is sent to other machines only when remote targets are allowed"
    )]
    Remote {
        /// As given.
        target: Target,
        /// What it resolves to.
        address: SocketAddr,
    },
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || TargetError::Form { text: text.to_owned() };
        let (scheme, rest) = text.split_once(':').ok_or_else(form)?;
        let address = || {
            let address = rest.strip_prefix("//").ok_or_else(form)?;
            let (host, port) = address.rsplit_once(':').ok_or_else(form)?;
            let port_is_valid = port.parse::<u16>().is_ok_and(|port| port > 0);
            if host.is_empty() || !port_is_valid { Err(form()) } else { Ok(address.to_owned()) }
        };
        let path = || {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            if path.is_empty() { Err(form()) } else { Ok(PathBuf::from(path)) }
        };
        match scheme {
            "tcp" => Ok(Self::Tcp(address()?)),
            "udp" => Ok(Self::Udp(address()?)),
            "unix" => Ok(Self::Unix(path()?)),
            "unix-dgram" => Ok(Self::UnixDatagram(path()?)),
            _ => Err(form()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::UnixDatagram(path) => write!(f, "unix-dgram:{}", path.display()),
        }
    }
}

impl Target {
    /// Resolves a network target, and refuses other machines unless `allow_remote`. `None` for Unix sockets. Blocks for
    /// the name service.
    pub(super) fn resolve(&self, allow_remote: bool) -> Result<Option<SocketAddr>, TargetError> {
        let (Self::Tcp(address) | Self::Udp(address)) = self else {
            return Ok(None);
        };
        let resolve = |source| TargetError::Resolve { target: self.clone(), source };
        let mut addresses = address.to_socket_addrs().map_err(resolve)?;
        let first = addresses.next();
        let address =
            first.ok_or_else(|| resolve(io::Error::new(io::ErrorKind::NotFound, "the name has no address")))?;
        // Only the first is ever used, so only the first matters.
        if !allow_remote && !address.ip().to_canonical().is_loopback() {
            return Err(TargetError::Remote { target: self.clone(), address });
        }
        Ok(Some(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: good and bad targets as a person writes them.
    /// Guarantees: good ones read back as written, bad ones are refused with the forms there are.
    #[test]
    fn targets_read_back() {
        for text in ["tcp://127.0.0.1:514", "udp://[::1]:5140", "unix:/run/log", "unix-dgram:/dev/log"] {
            assert_eq!(text.parse::<Target>().expect("a target").to_string(), text);
        }
        for text in
            ["", "127.0.0.1:514", "tcp:127.0.0.1:514", "tcp://:1", "udp://host", "tcp://h:0", "unix:", "http://h:1"]
        {
            let error = text.parse::<Target>().expect_err(text).to_string();
            assert!(error.contains("tcp://host:port"), "{error}");
        }
    }

    /// Scenario: targets on this machine and elsewhere.
    /// Guarantees: other machines, and the addresses that mean "any", are refused unless they are allowed.
    #[test]
    fn other_machines_are_refused() {
        let resolve = |text: &str, allow| text.parse::<Target>().expect("a target").resolve(allow);
        for near in ["tcp://127.0.0.1:1", "udp://127.1.2.3:1", "tcp://[::1]:1", "udp://[::ffff:127.0.0.1]:1"] {
            assert!(resolve(near, false).is_ok(), "{near}");
        }
        for far in ["tcp://192.0.2.1:514", "udp://0.0.0.0:514", "udp://255.255.255.255:514", "tcp://[2001:db8::1]:514"]
        {
            assert!(matches!(resolve(far, false), Err(TargetError::Remote { .. })), "{far}");
            assert!(resolve(far, true).is_ok(), "{far}");
        }
        assert!(resolve("unix:/x", false).expect("local").is_none());
    }
}
