//! Where to listen or connect: `tcp://0.0.0.0:514`, `udp://[::]:514`, `unix:/run/weir.sock`, `unixgram:/dev/log`.

use std::fmt;
use std::path::PathBuf;

/// The kinds of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// `tcp://HOST:PORT`
    Tcp,
    /// `udp://HOST:PORT`
    Udp,
    /// `unix:PATH`, a stream socket.
    Unix,
    /// `unixgram:PATH`, a datagram socket.
    UnixDatagram,
}

impl Scheme {
    /// What an address of this scheme starts with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Tcp => "tcp://",
            Self::Udp => "udp://",
            Self::Unix => "unix:",
            Self::UnixDatagram => "unixgram:",
        }
    }

    /// An example of it.
    #[must_use]
    pub const fn example(self) -> &'static str {
        match self {
            Self::Tcp => "tcp://0.0.0.0:514",
            Self::Udp => "udp://0.0.0.0:514",
            Self::Unix => "unix:/run/weir.sock",
            Self::UnixDatagram => "unixgram:/dev/log",
        }
    }
}

/// Host and port. Nothing is resolved here.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct HostPort {
    /// A name or an IP address; IPv6 without its brackets.
    pub host: String,
    /// 0 lets the system choose (listening only).
    pub port: u16,
}

impl HostPort {
    /// Reads `HOST:PORT`, IPv6 as `[::1]:514`.
    ///
    /// # Errors
    /// [`AddressError::NoPort`], [`AddressError::Port`] or [`AddressError::Host`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (host, port) = text.rsplit_once(':').ok_or(AddressError::NoPort)?;
        let (bare, bracketed) = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(inner) => (inner, true),
            None => (host, false),
        };
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '*');
        let well_formed =
            if bracketed { bare.parse::<std::net::Ipv6Addr>().is_ok() } else { bare.chars().all(is_host) };
        if bare.is_empty() || !well_formed {
            return Err(AddressError::Host { host: host.to_owned() });
        }
        let port = port.parse().map_err(|_| AddressError::Port { port: port.to_owned() })?;
        // "*" is what people write for every interface.
        let host = if bare == "*" { "0.0.0.0" } else { bare };
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A place to listen at or to connect to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Address {
    /// A TCP socket.
    Tcp(HostPort),
    /// A UDP socket.
    Udp(HostPort),
    /// A Unix stream socket.
    Unix(PathBuf),
    /// A Unix datagram socket.
    UnixDatagram(PathBuf),
}

/// Why a text is not an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AddressError {
    /// It does not start with an allowed scheme.
    Scheme {
        /// The prefixes allowed here.
        allowed: Vec<&'static str>,
    },
    /// `HOST` without `:PORT`.
    NoPort,
    /// The port is not 0..=65535.
    Port {
        /// As written.
        port: String,
    },
    /// The host is empty or has characters no host has.
    Host {
        /// As written.
        host: String,
    },
    /// `unix:` without a path.
    NoPath,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme { allowed } => {
                write!(f, "an address here starts with {}", allowed.join(" or "))
            }
            Self::NoPort => f.write_str("the address has no port; write HOST:PORT"),
            Self::Port { port } => write!(f, "{port:?} is not a port (0 to 65535)"),
            Self::Host { host } => {
                write!(f, "{host:?} is not a host name or IP address (IPv6 needs brackets: [::1])")
            }
            Self::NoPath => f.write_str("the address has no path; write unix:/PATH"),
        }
    }
}

impl std::error::Error for AddressError {}

impl Address {
    /// Reads an address with one of the `allowed` schemes. Where only one is allowed, its prefix may be left out.
    ///
    /// # Errors
    /// [`AddressError`], which says what to write.
    pub fn parse(text: &str, allowed: &[Scheme]) -> Result<Self, AddressError> {
        let named = allowed.iter().find_map(|scheme| Some((*scheme, text.strip_prefix(scheme.prefix())?)));
        let (scheme, rest) = match (named, allowed) {
            (Some(named), _) => named,
            (None, [only]) if !text.contains("://") => (*only, text),
            _ => {
                let allowed = allowed.iter().map(|scheme| scheme.prefix()).collect();
                return Err(AddressError::Scheme { allowed });
            }
        };
        match scheme {
            Scheme::Tcp => HostPort::parse(rest).map(Self::Tcp),
            Scheme::Udp => HostPort::parse(rest).map(Self::Udp),
            Scheme::Unix | Scheme::UnixDatagram if rest.is_empty() => Err(AddressError::NoPath),
            Scheme::Unix => Ok(Self::Unix(PathBuf::from(rest))),
            Scheme::UnixDatagram => Ok(Self::UnixDatagram(PathBuf::from(rest))),
        }
    }

    /// Its scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        match self {
            Self::Tcp(_) => Scheme::Tcp,
            Self::Udp(_) => Scheme::Udp,
            Self::Unix(_) => Scheme::Unix,
            Self::UnixDatagram(_) => Scheme::UnixDatagram,
        }
    }

    /// Host and port, of TCP and UDP.
    #[must_use]
    pub const fn host_port(&self) -> Option<&HostPort> {
        match self {
            Self::Tcp(host_port) | Self::Udp(host_port) => Some(host_port),
            Self::Unix(_) | Self::UnixDatagram(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme().prefix())?;
        match self {
            Self::Tcp(host_port) | Self::Udp(host_port) => write!(f, "{host_port}"),
            Self::Unix(path) | Self::UnixDatagram(path) => write!(f, "{}", path.display()),
        }
    }
}
