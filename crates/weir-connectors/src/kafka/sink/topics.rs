//! [`Topics`]: which topic an event goes to.

use weir_config::{Diagnostics, Options};
use weir_event::EventBatch;

/// Where events may go: checked.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Topics {
    topic: Vec<Part>,
    header: Option<String>,
    allowed: Vec<String>,
}

/// A piece of the name of a topic.
#[derive(Clone, PartialEq, Debug)]
enum Part {
    Text(String),
    /// The value of this header; nothing without it, as Flume has it.
    Header(String),
}

/// Events by the topic they go to.
#[derive(Default)]
pub(super) struct ByTopic {
    pub(super) parts: Vec<(String, EventBatch)>,
    /// Rows of events that may go nowhere: the name made for them is not allowed.
    pub(super) nowhere: Vec<usize>,
}

impl Topics {
    /// Reads `topic`, `topic_header` and `topics_allowed`. Pure; every fault becomes a diagnostic with its place, and `None`
    /// is returned if there was one.
    pub(super) fn parse(options: &Options, diagnostics: &mut Diagnostics) -> Option<Self> {
        let topic = match parts(options.text("topic")) {
            Ok(topic) => topic,
            Err(message) => {
                let hint = "there are %{HEADER} and, for a percent sign, %%";
                diagnostics.push(options.error("topic", message).with_hint(hint));
                return None;
            }
        };
        let topics = Self {
            topic,
            header: options.text_opt("topic_header").map(str::to_owned),
            allowed: options.list_text("topics_allowed").into_iter().map(str::to_owned).collect(),
        };
        let fault = match (topics.fixed(), &topics.header, topics.allowed.is_empty()) {
            (None, _, true) => ("topic", "a topic with %{HEADER} without topics_allowed: no event could go anywhere"),
            (_, Some(_), true) => {
                ("topic_header", "topic_header without topics_allowed: every event would go to `topic`")
            }
            (Some(_), None, false) => {
                ("topics_allowed", "topics_allowed has no effect without topic_header or %{HEADER} in `topic`")
            }
            _ => return Some(topics),
        };
        let (option, message) = fault;
        let hint = "list the topics that events may name in topics_allowed";
        let diagnostic = options.error(option, message);
        diagnostics.push(if option == "topics_allowed" { diagnostic } else { diagnostic.with_hint(hint) });
        None
    }

    /// The topic of all events, if no header has a say.
    pub(super) fn only(&self) -> Option<&str> {
        self.fixed().filter(|_| self.header.is_none())
    }

    /// `topic`, if it is the same for all events.
    fn fixed(&self) -> Option<&str> {
        match &self.topic[..] {
            [Part::Text(name)] => Some(name),
            _ => None,
        }
    }

    /// Divides events. Costs a look at each if a header has a say.
    pub(super) fn divide(&self, batch: &EventBatch) -> ByTopic {
        let header = self.header.as_deref().filter(|header| batch.column(header).is_some());
        if let (Some(name), None) = (self.fixed(), header) {
            return ByTopic { parts: vec![(name.to_owned(), batch.clone())], nowhere: Vec::new() };
        }
        let (mut rows, mut nowhere) = (Vec::<(&str, Vec<usize>)>::new(), Vec::new());
        let mut made = Vec::new();
        for row in 0..batch.len() {
            let named = header.and_then(|header| batch.header(row, header));
            let named = named.and_then(|name| self.allowed(&name)).or_else(|| self.fixed());
            let Some(name) = named.or_else(|| self.made(batch, row, &mut made)) else {
                nowhere.push(row);
                continue;
            };
            match rows.iter_mut().find(|(known, _)| *known == name) {
                Some((_, rows)) => rows.push(row),
                None => rows.push((name, vec![row])),
            }
        }
        let part = |rows: &[usize]| if rows.len() == batch.len() { batch.clone() } else { batch.select(rows) };
        ByTopic { parts: rows.into_iter().map(|(name, rows)| (name.to_owned(), part(&rows))).collect(), nowhere }
    }

    /// The allowed topic that `topic` makes of the headers of an event; `made` is a buffer.
    fn made(&self, batch: &EventBatch, row: usize, made: &mut Vec<u8>) -> Option<&str> {
        made.clear();
        for part in &self.topic {
            match part {
                Part::Text(text) => made.extend_from_slice(text.as_bytes()),
                Part::Header(name) => made.extend_from_slice(&batch.header(row, name).unwrap_or_default()),
            }
        }
        self.allowed(made)
    }

    fn allowed(&self, name: &[u8]) -> Option<&str> {
        self.allowed.iter().find(|allowed| allowed.as_bytes() == name).map(String::as_str)
    }
}

/// The pieces of the option `topic`: texts are joined, so a name without escapes is one piece.
fn parts(text: &str) -> Result<Vec<Part>, String> {
    let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
    while let Some((before, behind)) = rest.split_once('%') {
        literal.push_str(before);
        if let Some(after) = behind.strip_prefix('%') {
            literal.push('%');
            rest = after;
            continue;
        }
        let inside = behind.strip_prefix('{').and_then(|inside| inside.split_once('}'));
        let Some((name, after)) = inside.filter(|(name, _)| !name.is_empty()) else {
            return Err(format!("{text:?} has a % that begins no %{{HEADER}}"));
        };
        if !literal.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut literal)));
        }
        parts.push(Part::Header(name.to_owned()));
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() || parts.is_empty() {
        parts.push(Part::Text(literal));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: names with escapes, percent signs, and faults.
    /// Guarantees: the first are cut into their pieces; faults are told.
    #[test]
    fn names_are_cut_into_pieces() {
        let text = |text: &str| Part::Text(text.to_owned());
        let header = |name: &str| Part::Header(name.to_owned());
        assert_eq!(parts("netmeta"), Ok(vec![text("netmeta")]));
        assert_eq!(parts("100%%"), Ok(vec![text("100%")]));
        assert_eq!(parts("a-%{x}-%%%{y}"), Ok(vec![text("a-"), header("x"), text("-%"), header("y")]));
        assert_eq!(parts("%{x}"), Ok(vec![header("x")]));
        for faulty in ["%", "a%{", "%{}", "%{x", "%Y", "a%"] {
            assert!(parts(faulty).is_err_and(|message| message.contains(faulty)), "{faulty}");
        }
    }
}
