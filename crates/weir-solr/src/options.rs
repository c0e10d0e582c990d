//! How to reach a cluster, and as whom.

use std::path::PathBuf;
use std::time::Duration;

/// How to reach a cluster.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Base addresses of nodes, `https://host:8983/solr`; one that answers at first is enough, others are learned from it.
    pub urls: Vec<String>,
    /// As whom.
    pub login: Login,
    /// Certificates of the authorities that may vouch for a node, PEM; `None` for those that the system trusts.
    pub authorities_pem: Option<String>,
    /// A node that has not answered a request by then counts as gone.
    pub request_timeout: Duration,
    /// A node that has not accepted a connection by then counts as gone.
    pub connect_timeout: Duration,
}

impl ClientOptions {
    /// For nodes at these base addresses that ask nobody who he is.
    #[must_use]
    pub fn new(urls: impl IntoIterator<Item = String>) -> Self {
        Self {
            urls: urls.into_iter().map(|url| url.trim_end_matches('/').to_owned()).collect(),
            login: Login::Nobody,
            authorities_pem: None,
            // Solr takes a batch in some 50 ms; a pause of its garbage collection some seconds.
            request_timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(3),
        }
    }
}

/// Who a client says it is. Shows no secret when printed.
#[derive(Clone, Default)]
pub enum Login {
    /// Nobody.
    #[default]
    Nobody,
    /// Basic authentication.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A bearer token (JWT), read anew from its file at least every half minute: whoever renews it needs no restart.
    Bearer {
        /// The file.
        file: PathBuf,
    },
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nobody => f.write_str("Nobody"),
            Self::Basic { user, .. } => write!(f, "Basic({user})"),
            Self::Bearer { file } => write!(f, "Bearer({})", file.display()),
        }
    }
}
