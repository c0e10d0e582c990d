//! Error codes of brokers, and what a client does about each.

use std::fmt;

use kafka_protocol::ResponseError;

/// What to do about an error code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum ErrorClass {
    /// Send the same again after a pause; nothing is wrong with the request or its address.
    Retry,
    /// The request went to the wrong place or the place is unknown: ask for metadata (or the coordinator), then retry.
    RefreshMetadata,
    /// This request will be refused however often it is sent: its maker has to change it, or set it aside.
    RejectBatch,
    /// The state shared with the broker (producer id, epoch, sequence; membership) is gone: build it anew and send
    /// again. Nothing is lost by that.
    Fatal,
}

/// An error code of the Kafka protocol, as a broker sent it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(i16);

impl ErrorCode {
    /// This server does not host the topic or partition.
    pub const UNKNOWN_TOPIC_OR_PARTITION: Self = Self(3);
    /// The batch is larger than the topic's `max.message.bytes`.
    pub const MESSAGE_TOO_LARGE: Self = Self(10);
    pub(crate) const OFFSET_OUT_OF_RANGE: Self = Self(1);
    pub(crate) const CORRUPT_MESSAGE: Self = Self(2);
    pub(crate) const NO_LEADER: Self = Self(5);
    pub(crate) const NETWORK_EXCEPTION: Self = Self(13);
    pub(crate) const ILLEGAL_GENERATION: Self = Self(22);
    pub(crate) const INCONSISTENT_PROTOCOL: Self = Self(23);
    pub(crate) const UNKNOWN_MEMBER_ID: Self = Self(25);
    pub(crate) const REBALANCE_IN_PROGRESS: Self = Self(27);
    pub(crate) const UNSUPPORTED_VERSION: Self = Self(35);
    /// A topic of that name exists.
    pub const TOPIC_ALREADY_EXISTS: Self = Self(36);
    pub(crate) const OUT_OF_ORDER_SEQUENCE: Self = Self(45);
    pub(crate) const DUPLICATE_SEQUENCE: Self = Self(46);
    pub(crate) const UNKNOWN_PRODUCER_ID: Self = Self(59);
    pub(crate) const FETCH_SESSION_ID_NOT_FOUND: Self = Self(70);
    pub(crate) const INVALID_FETCH_SESSION_EPOCH: Self = Self(71);
    pub(crate) const GROUP_ID_NOT_FOUND: Self = Self(69);
    pub(crate) const MEMBER_ID_REQUIRED: Self = Self(79);
    pub(crate) const FENCED_INSTANCE_ID: Self = Self(82);
    pub(crate) const FENCED_MEMBER_EPOCH: Self = Self(110);
    pub(crate) const UNRELEASED_INSTANCE_ID: Self = Self(111);
    pub(crate) const UNSUPPORTED_ASSIGNOR: Self = Self(112);
    pub(crate) const STALE_MEMBER_EPOCH: Self = Self(113);

    /// The code in a response; `None` for 0, which is no error.
    #[must_use]
    pub const fn from_wire(code: i16) -> Option<Self> {
        if code == 0 { None } else { Some(Self(code)) }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> i16 {
        self.0
    }

    /// What to do about it. A code this crate has no name for is [`ErrorClass::Retry`]: unknown is not refused.
    #[must_use]
    pub const fn class(self) -> ErrorClass {
        match self.0 {
            // Wrong or unknown address.
            3 | 5 | 6 | 8 | 9 | 15 | 16 | 41 | 56 | 72 | 74 | 75 | 77 | 80 | 83 | 100 | 103 | 106 | 129 => {
                ErrorClass::RefreshMetadata
            }
            // Ids, epochs, sequences, sessions, memberships the broker does not have, or no longer.
            22 | 25 | 27 | 45 | 47 | 48 | 49 | 52 | 59 | 70 | 71 | 79 | 82 | 90 | 105 | 110 | 111 | 113 | 120 | 122
            | 123 | 124 => ErrorClass::Fatal,
            // Malformed, too large, not allowed, not possible here, or there already. 46 is in truth a success, which
            // the producer knows.
            1
            | 4
            | 10..=12
            | 17
            | 18
            | 21
            | 23
            | 24
            | 26
            | 28..=40
            | 42..=44
            | 46
            | 50
            | 53..=55
            | 57
            | 58
            | 60
            | 61..=69
            | 73
            | 76
            | 81
            | 84..=87
            | 91..=99
            | 101
            | 102
            | 104
            | 107..=109
            | 112
            | 114..=119
            | 121
            | 125..=128
            | 130..=132 => ErrorClass::RejectBatch,
            // -1, 2, 7, 13, 14, 19, 20, 51, 78, 88, 89, 133, and what is not known yet.
            _ => ErrorClass::Retry,
        }
    }

    /// Whether a produce request answered with this code certainly left nothing in the log.
    pub(crate) const fn certainly_not_written(self) -> bool {
        // Checked before the append: sizes, permissions, sequences, the size of the ISR. Not among them: 7 and 20
        // (appended, not replicated in time), 3, 5 and 6 (said also of a batch that was appended when the leader moves
        // while it waits for the replicas), 13, 56 and -1 (anything may have happened).
        matches!(self.class(), ErrorClass::RejectBatch)
            || matches!(self.0, 2 | 19 | 45 | 47 | 59 | 74 | 75 | 89 | 90 | 100 | 103)
    }

    fn known(self) -> Option<ResponseError> {
        ResponseError::try_from_code(self.0)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known() {
            Some(ResponseError::Unknown(_)) | None => write!(f, "error {}", self.0),
            Some(error) => write!(f, "{error:?} ({})", self.0),
        }
    }
}

impl std::error::Error for ErrorCode {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: every error code Kafka has defined is classed.
    /// Guarantees: what Kafka calls retriable is never refused for good, and what it does not is not sent again
    /// unchanged, but for the deliberate exceptions listed here.
    #[test]
    fn classes_agree_with_the_protocol() {
        for number in -1..=133 {
            let Some(code) = ErrorCode::from_wire(number) else { continue };
            let error = code.known().expect("not 0");
            let resent = matches!(code.class(), ErrorClass::Retry | ErrorClass::RefreshMetadata | ErrorClass::Fatal);
            if error.is_retriable() {
                // 84: nothing to do about an election that is not needed.
                assert!(resent || number == 84, "{code}");
            } else if matches!(code.class(), ErrorClass::Retry | ErrorClass::RefreshMetadata) {
                // Not retriable by the protocol because their meaning is vague; giving up on a batch for it would lose
                // events.
                assert!([-1, 8, 51, 77, 129].contains(&number), "{code}");
            }
        }
    }

    /// Scenario: a code from a future broker.
    /// Guarantees: it is waited out, and printed as a number.
    #[test]
    fn unknown_codes_are_retried() {
        let code = ErrorCode::from_wire(9_000).expect("an error");
        assert_eq!((code.class(), code.to_string().as_str()), (ErrorClass::Retry, "error 9000"));
        assert_eq!(ErrorCode::MESSAGE_TOO_LARGE.to_string(), "MessageTooLarge (10)");
        assert!(ErrorCode(19).certainly_not_written());
        assert!([3, 5, 6, 7, 20].into_iter().all(|code| !ErrorCode(code).certainly_not_written()));
    }
}
