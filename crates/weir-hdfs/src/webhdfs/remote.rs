//! What servers answer when they do not do it.

use reqwest::StatusCode;
use serde::Deserialize;

use crate::HdfsErrorKind;

/// A `RemoteException`, or what is said in its place.
pub(super) struct Refusal {
    pub(super) kind: HdfsErrorKind,
    /// Another NameNode, or the same one a little later, may do it.
    pub(super) retry: bool,
    pub(super) detail: String,
}

#[derive(Deserialize)]
struct Wrapped {
    #[serde(rename = "RemoteException")]
    exception: Exception,
}

#[derive(Deserialize)]
struct Exception {
    exception: String,
    #[serde(default)]
    message: Option<String>,
}

/// Reads an answer that is no success.
pub(super) fn refusal(status: StatusCode, body: &[u8]) -> Refusal {
    if let Ok(Wrapped { exception }) = serde_json::from_slice(body) {
        let message = exception.message.unwrap_or_default();
        let (kind, retry) = class(&exception.exception, &message);
        let line = message.lines().next().unwrap_or_default();
        return Refusal { kind, retry, detail: format!("{}: {line}", exception.exception) };
    }
    let (kind, retry) = match status {
        StatusCode::UNAUTHORIZED => (HdfsErrorKind::PermissionDenied, false),
        StatusCode::FORBIDDEN => (HdfsErrorKind::PermissionDenied, false),
        StatusCode::NOT_FOUND => (HdfsErrorKind::Other, false),
        _ => (HdfsErrorKind::Unavailable, status.is_server_error()),
    };
    let hint = match status {
        StatusCode::UNAUTHORIZED => ": the server wants proof of who we are (Kerberos, or a token)",
        StatusCode::NOT_FOUND => ": there is no WebHDFS at this address",
        _ => "",
    };
    Refusal { kind, retry, detail: format!("HTTP status {status}{hint}") }
}

/// Kind of an exception of Hadoop, and whether it passes.
pub(crate) fn class(exception: &str, message: &str) -> (HdfsErrorKind, bool) {
    use HdfsErrorKind as Kind;
    let kind = match exception {
        "FileNotFoundException" => Kind::NotFound,
        "FileAlreadyExistsException" => Kind::AlreadyExists,
        "AccessControlException" | "AuthorizationException" | "SecurityException" | "AuthenticationException" => {
            Kind::PermissionDenied
        }
        "SafeModeException" => Kind::SafeMode,
        "StandbyException" | "ObserverRetryOnActiveException" => return (Kind::Standby, true),
        // A NameNode that starts; in safe mode it says so in the message.
        "RetriableException" if message.contains("safe mode") => return (Kind::SafeMode, false),
        "RetriableException" | "ServerTooBusyException" => return (Kind::Unavailable, true),
        "DSQuotaExceededException"
        | "NSQuotaExceededException"
        | "QuotaByStorageTypeExceededException"
        | "DiskOutOfSpaceException" => Kind::NoSpace,
        "AlreadyBeingCreatedException" | "RecoveryInProgressException" | "LeaseExpiredException" => Kind::LeaseHeld,
        "ChecksumException" | "BlockMissingException" | "CorruptMetaHeaderException" => Kind::Corrupt,
        "ConnectException"
        | "NoRouteToHostException"
        | "EOFException"
        | "SocketException"
        | "SocketTimeoutException"
        | "ConnectTimeoutException"
        | "ClosedChannelException" => Kind::Unavailable,
        "UnsupportedOperationException" => Kind::Unsupported,
        "IllegalArgumentException" if message.contains("\"op\"") || message.contains("Invalid operation") => {
            Kind::Unsupported
        }
        // The block before has no copy yet that the NameNode knows of.
        "NotReplicatedYetException" => Kind::Unavailable,
        // No class of their own. Nodes run and none is left out: none has room (or all refuse, being too busy).
        _ if is_nowhere(message)
            && message.contains("no node(s) are excluded")
            && !message.contains(" 0 datanode(s)") =>
        {
            Kind::NoSpace
        }
        // Every copy is on a node that we asked to leave out.
        _ if message.contains("No active nodes contain this block") => Kind::Unavailable,
        // Nodes are full, down or excluded, and the NameNode does not say which.
        _ if is_nowhere(message) || message.contains("Failed to find datanode") => Kind::Unavailable,
        _ if message.contains("out of space") || message.contains("No space left") => Kind::NoSpace,
        _ if message.contains("All datanodes") || message.contains("Unable to create new block") => Kind::Unavailable,
        _ => Kind::Other,
    };
    (kind, false)
}

/// Whether no node is found for a block; the second is Hadoop 2's.
fn is_nowhere(message: &str) -> bool {
    message.contains("could only be written to") || message.contains("could only be replicated to")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: no node is found for a block: all run and none is excluded, some are excluded, none runs; in the words of
    /// Hadoop 3 and 2.
    /// Guarantees: only the first is a lack of space, for which no other transport is worth trying.
    #[test]
    fn full_disks_are_told_from_dead_nodes() {
        for begin in [
            "File /f could only be written to 0 of the 1 minReplication nodes.",
            "File /f could only be replicated to 0 nodes instead of minReplication (=1). ",
        ] {
            for (running, excluded, kind) in [
                (3, "no", HdfsErrorKind::NoSpace),
                (10, "no", HdfsErrorKind::NoSpace),
                (3, "1", HdfsErrorKind::Unavailable),
                (0, "no", HdfsErrorKind::Unavailable),
            ] {
                let rest = format!(
                    "There are {running} datanode(s) running and {excluded} node(s) are excluded in this operation."
                );
                assert_eq!(class("IOException", &format!("{begin} {rest}")), (kind, false), "{rest}");
            }
        }
    }
}
