//! Header names. Case sensitive, as in Flume.

use std::fmt;
use std::sync::Arc;

/// The name of a header: a constant of the code or text from configuration or input. Cloning never copies text.
#[derive(Clone)]
pub struct HeaderName(Repr);

#[derive(Clone)]
enum Repr {
    Static(&'static str),
    Shared(Arc<str>),
}

impl HeaderName {
    /// A name known to the code.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        Self(Repr::Static(name))
    }

    /// A name from outside; copies it once.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(Repr::Shared(Arc::from(name)))
    }

    /// The text of the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Static(name) => name,
            Repr::Shared(name) => name,
        }
    }
}

impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}
impl Eq for HeaderName {}

impl PartialEq<str> for HeaderName {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl fmt::Debug for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names that the code itself gives a meaning. Spelling is Flume's.
pub mod names {
    use super::HeaderName;

    /// When the event happened, milliseconds since 1970 UTC. Becomes the timestamp of a Kafka record.
    pub const TIMESTAMP: HeaderName = HeaderName::from_static("timestamp");
    /// The device that sent the event. Also what the host interceptor sets.
    pub const HOST: HeaderName = HeaderName::from_static("host");
    /// Becomes the key of a Kafka record.
    pub const KEY: HeaderName = HeaderName::from_static("key");
    /// Syslog facility, 0..=23.
    pub const FACILITY: HeaderName = HeaderName::from_static("Facility");
    /// Syslog severity, 0..=7.
    pub const SEVERITY: HeaderName = HeaderName::from_static("Severity");
    /// Syslog PRI as it stood in the line; only with `keep_fields`.
    pub const PRIORITY: HeaderName = HeaderName::from_static("priority");
    /// RFC 5424 version.
    pub const VERSION: HeaderName = HeaderName::from_static("version");
    /// `Invalid` or `Incomplete`; absent on a well-formed message.
    pub const SYSLOG_STATUS: HeaderName = HeaderName::from_static("flume.syslog.status");
}
