//! Which events are indexed: conditions on headers and bodies.

use memchr::memmem;
use regex_lite::Regex;
use weir_config::{Diagnostics, Kind, OptionSpec, Options};
use weir_event::{Column, EventBatch, Numbers};

use super::template::BODY;

const NUMBER: Kind = Kind::Float { min: f64::MIN, max: f64::MAX };

/// The options of one condition.
pub(super) const CONDITION_OPTIONS: &[OptionSpec] = &[
    OptionSpec::defaulted("header", Kind::Text, BODY, "The header that is looked at; `body` is the body."),
    OptionSpec::unset("equals", Kind::Text, "It is this."),
    OptionSpec::defaulted("one_of", Kind::TEXTS, "[]", "It is one of these."),
    OptionSpec::unset("contains", Kind::Text, "It has this somewhere in it."),
    OptionSpec::unset("matches", Kind::Text, "This regular expression matches somewhere in it."),
    OptionSpec::unset("at_least", NUMBER, "It is a number and not below this."),
    OptionSpec::unset("at_most", NUMBER, "It is a number and not above this.").example("4"),
    OptionSpec::defaulted(
        "not",
        Kind::Flag,
        "false",
        "Turns the condition round. An event without the header does not meet what is asked of it, so it meets `not`.",
    ),
];

/// A condition that events must meet. All tests in it have to hold.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    header: String,
    tests: Vec<Test>,
    is_inverted: bool,
    /// What events are counted under that do not meet it.
    pub(super) reason: &'static str,
}

#[derive(Clone, Debug)]
enum Test {
    OneOf(Vec<Vec<u8>>),
    Contains(Vec<u8>),
    Matches(Regex),
    AtLeast(f64),
    AtMost(f64),
}

impl Condition {
    /// Reads a condition; every fault becomes a diagnostic.
    pub(super) fn parse(options: &Options, diagnostics: &mut Diagnostics) -> Option<Self> {
        let header = options.text("header").to_owned();
        let mut tests = Vec::new();
        tests.extend(options.text_opt("equals").map(|text| Test::OneOf(vec![text.as_bytes().to_vec()])));
        if options.is_given("one_of") {
            let texts = options.list_text("one_of");
            tests.push(Test::OneOf(texts.into_iter().map(|text| text.as_bytes().to_vec()).collect()));
        }
        tests.extend(options.text_opt("contains").map(|text| Test::Contains(text.as_bytes().to_vec())));
        tests.extend(options.float_opt("at_least").map(Test::AtLeast));
        tests.extend(options.float_opt("at_most").map(Test::AtMost));
        if let Some(pattern) = options.text_opt("matches") {
            match Regex::new(pattern) {
                Ok(regex) => tests.push(Test::Matches(regex)),
                Err(error) => {
                    diagnostics.push(options.error("matches", format!("not a regular expression: {error}")));
                    return None;
                }
            }
        }
        if tests.is_empty() {
            let message =
                "a condition that asks for nothing: give equals, one_of, contains, matches, at_least or at_most";
            diagnostics.push(options.error("header", message));
            return None;
        }
        // Reasons live as long as the process; there are as many as conditions in its configuration.
        let reason = format!("not selected: {header}").leak();
        Some(Self { header, tests, is_inverted: options.flag("not"), reason })
    }

    /// Finds the column of a batch, once for all of its events.
    pub(super) fn bind<'a>(&'a self, batch: &'a EventBatch) -> BoundCondition<'a> {
        let is_numeric = self.tests.iter().all(|test| matches!(test, Test::AtLeast(_) | Test::AtMost(_)));
        let subject = match batch.column(&self.header) {
            _ if self.header == BODY => Subject::Body,
            None => Subject::Absent,
            Some(Column::I64(_)) if is_numeric => Subject::Numbers(batch.numbers(&self.header)),
            Some(column) => Subject::Texts(column),
        };
        BoundCondition { condition: self, batch, subject }
    }
}

/// A condition over a batch.
pub(super) struct BoundCondition<'a> {
    pub(super) condition: &'a Condition,
    batch: &'a EventBatch,
    subject: Subject<'a>,
}

enum Subject<'a> {
    Absent,
    Body,
    Texts(&'a Column),
    Numbers(Numbers<'a>),
}

impl BoundCondition<'_> {
    /// Whether an event meets it.
    pub(super) fn is_met(&self, row: usize) -> bool {
        let holds = match &self.subject {
            Subject::Absent => false,
            Subject::Body => self.holds(self.batch.body(row)),
            Subject::Texts(column) => self.batch.value(column, row).is_some_and(|value| self.holds(&value)),
            Subject::Numbers(numbers) => numbers
                .get(row)
                .is_some_and(|number| self.condition.tests.iter().all(|test| test.of_number(number as f64))),
        };
        holds != self.condition.is_inverted
    }

    fn holds(&self, value: &[u8]) -> bool {
        self.condition.tests.iter().all(|test| test.of_text(value))
    }
}

impl Test {
    fn of_text(&self, value: &[u8]) -> bool {
        match self {
            Self::OneOf(texts) => texts.iter().any(|text| text == value),
            Self::Contains(text) => memmem::find(value, text).is_some(),
            Self::Matches(regex) => regex.is_match(&String::from_utf8_lossy(value)),
            Self::AtLeast(_) | Self::AtMost(_) => {
                let number = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok());
                number.is_some_and(|number| self.of_number(number))
            }
        }
    }

    fn of_number(&self, number: f64) -> bool {
        match self {
            Self::AtLeast(least) => number >= *least,
            Self::AtMost(most) => number <= *most,
            _ => false,
        }
    }
}
