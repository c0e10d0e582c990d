//! OAUTHBEARER (RFC 7628) without I/O: what the client says, and what a refusal means.

use super::Secret;

/// What a client answers to a refusal, so that the broker ends the exchange.
pub(super) const ACKNOWLEDGED: &[u8] = b"\x01";
/// Of a refusal that is no JSON: as much as a person reads.
const DETAIL_CHARS_MAX: usize = 200;

/// The client's only message.
pub(super) fn first_message(token: &Secret, extensions: &[(String, String)]) -> String {
    // No name to act as, and no channel binding.
    let mut message = format!("n,,\x01auth=Bearer {}\x01", token.reveal());
    for (name, value) in extensions {
        message += &format!("{name}={value}\x01");
    }
    message + "\x01"
}

/// A broker's refusal for people: `invalid_token`, with the scope it wants and where tokens are to be had, if it says so.
pub(super) fn explain(refusal: &[u8]) -> String {
    let json = serde_json::from_slice::<serde_json::Value>(refusal).unwrap_or_default();
    let field = |name: &str| json.get(name).and_then(|value| value.as_str()).filter(|text| !text.is_empty());
    let Some(status) = field("status") else {
        return abbreviated(&String::from_utf8_lossy(refusal));
    };
    let scope = field("scope").map(|scope| format!(", it wants the scope {scope:?}"));
    let place = field("openid-configuration").map(|url| format!(", see {url}"));
    format!("{status}{}{}", scope.unwrap_or_default(), place.unwrap_or_default())
}

/// The beginning of a text, in one line.
pub(super) fn abbreviated(text: &str) -> String {
    let clean = |letter: char| if letter.is_control() { ' ' } else { letter };
    text.trim().chars().take(DETAIL_CHARS_MAX).map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: the message of the RFC's example without host and port, with and without extensions; refusals as the RFC
    /// has them, and as servers have them that do not know it.
    /// Guarantees: what is sent is what the RFC says; what is read is told in one line.
    #[test]
    fn messages_are_those_of_the_rfc() {
        let token = Secret::new("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
        let plain = "n,,\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01";
        assert_eq!(first_message(&token, &[]), plain);
        let extensions = [("logicalCluster".to_owned(), "lkc-1".to_owned()), ("traceId".to_owned(), "7".to_owned())];
        let extended =
            plain.strip_suffix('\x01').map(|start| format!("{start}logicalCluster=lkc-1\x01traceId=7\x01\x01"));
        assert_eq!(Some(first_message(&token, &extensions)), extended);
        let refusal =
            br#"{"status":"invalid_token","scope":"kafka.write","openid-configuration":"https://id/.well-known"}"#;
        assert_eq!(explain(refusal), "invalid_token, it wants the scope \"kafka.write\", see https://id/.well-known");
        assert_eq!(explain(br#"{"status":"insufficient_scope"}"#), "insufficient_scope");
        assert_eq!(explain(b"go\naway"), "go away");
        assert_eq!(explain(&[b'x'; 1_000]).len(), DETAIL_CHARS_MAX);
    }
}
