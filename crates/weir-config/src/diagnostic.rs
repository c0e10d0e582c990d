//! What is wrong with a configuration: collected, sorted by place, shown to people and to programs.

use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use crate::Location;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// The agent does not start.
    Error,
    /// The agent starts; something is probably not as meant.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// Where.
    pub location: Location,
    /// Path of the key, such as `sinks.out.roll.size`; empty if there is none.
    pub path: String,
    /// What happened, lower case.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The place of what is probably a secret: no diagnostic shows the text there.
    pub(crate) secret: Option<Location>,
}

impl Diagnostic {
    fn new(severity: Severity, location: &Location, path: &str, message: String) -> Self {
        let location = location.clone();
        Self { severity, location, path: path.to_owned(), message, hint: None, secret: None }
    }

    /// An error at `location`, about the key `path`. A component's own checks rather use
    /// [`Options::error`](crate::Options::error), which knows both.
    #[must_use]
    pub fn error(location: &Location, path: &str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, location, path, message.into())
    }

    /// A warning at `location`, about the key `path`.
    #[must_use]
    pub fn warning(location: &Location, path: &str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, location, path, message.into())
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn about_a_secret(self) -> Self {
        let place = self.location.clone();
        self.hiding(&place)
    }

    /// The same, with the text at `place` shown by no diagnostic.
    pub(crate) fn hiding(mut self, place: &Location) -> Self {
        self.secret = Some(place.clone());
        self
    }

    /// The diagnostic as JSON: `severity`, `file`, `line`, `column` (0: the whole file), `path`, `message`, `hint`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "severity": self.severity.as_str(),
            "file": self.location.file(),
            "line": self.location.line(),
            "column": self.location.column(),
            "path": self.path,
            "message": self.message,
            "hint": self.hint,
        })
    }

    fn render(&self, out: &mut String, paint: Paint, secrets: &[&Location]) -> fmt::Result {
        let color = match self.severity {
            Severity::Error => Color::Red,
            Severity::Warning => Color::Yellow,
        };
        let head = if self.path.is_empty() {
            self.severity.as_str().to_owned()
        } else {
            format!("{}[{}]", self.severity.as_str(), self.path)
        };
        writeln!(out, "{}{}", paint.apply(color, &head), paint.apply(Color::Bold, &format!(": {}", self.message)))?;
        let line = self.location.line();
        let gutter = line.to_string().len();
        writeln!(out, "{:gutter$}{} {}", "", paint.apply(Color::Blue, "-->"), self.location)?;
        if line > 0 {
            self.render_line(out, paint, color, gutter, secrets)?;
        }
        if let Some(hint) = &self.hint {
            let help = paint.apply(Color::Blue, "=");
            writeln!(out, "{:gutter$} {help} help: {hint}", "")?;
        }
        Ok(())
    }

    /// The line of the file, with carets under the place and asterisks in those of `secrets`.
    fn render_line(
        &self,
        out: &mut String,
        paint: Paint,
        color: Color,
        gutter: usize,
        secrets: &[&Location],
    ) -> fmt::Result {
        let (line, column) = (self.location.line(), self.location.column());
        let full = self.location.source().line_text(line - 1);
        let hidden: Vec<_> = secrets.iter().filter(|secret| secret.is_in_line_of(&self.location)).collect();
        let shown: String = full
            .chars()
            .enumerate()
            .map(|(index, character)| match character {
                _ if hidden.iter().any(|secret| secret.columns().contains(&(index + 1))) => '*',
                // One column per character: a tab would move the carets away from what they mean.
                control if control.is_control() => ' ',
                other => other,
            })
            .collect();
        let width = self.location.columns().len();
        let bar = paint.apply(Color::Blue, "|");
        let carets = paint.apply(color, &"^".repeat(width.max(1)));
        writeln!(out, "{:gutter$} {bar}", "")?;
        writeln!(out, "{} {bar} {}", paint.apply(Color::Blue, &line.to_string()), shown.trim_end())?;
        writeln!(out, "{:gutter$} {bar} {:indent$}{carets}", "", "", indent = column - 1)
    }
}

#[derive(Clone, Copy)]
enum Color {
    Red,
    Yellow,
    Blue,
    Bold,
}

/// Whether to write terminal colours.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn apply(self, color: Color, text: &str) -> String {
        let code = match color {
            _ if !self.0 => return text.to_owned(),
            Color::Red => "1;31",
            Color::Yellow => "1;33",
            Color::Blue => "1;34",
            Color::Bold => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Everything found, sorted by place. Also the error type of what reads a configuration as a whole.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Diagnostics {
    /// Always sorted; equal places keep the order in which they were found.
    items: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Nothing found yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one at its place.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let order = diagnostic.location.order();
        let at = self.items.partition_point(|item| item.location.order() <= order);
        self.items.insert(at, diagnostic);
    }

    /// Adds all of `other`.
    pub fn append(&mut self, other: Self) {
        self.items.extend(other.items);
        self.items.sort_by_key(|item| item.location.order());
    }

    /// All of them, in order of file and position.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.items.iter()
    }

    /// Whether nothing was found at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether an agent must not start with this configuration.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many there are of `severity`.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.items.iter().filter(|item| item.severity == severity).count()
    }

    /// "2 errors, 1 warning".
    #[must_use]
    pub fn summary(&self) -> String {
        let counted = |severity: Severity| {
            let count = self.count(severity);
            format!("{count} {}{}", severity.as_str(), if count == 1 { "" } else { "s" })
        };
        format!("{}, {}", counted(Severity::Error), counted(Severity::Warning))
    }

    /// As text for people: each with the line of its file and carets under the place. `color` for a terminal.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let secrets: Vec<_> = self.items.iter().filter_map(|item| item.secret.as_ref()).collect();
        let mut out = String::new();
        for (index, item) in self.items.iter().enumerate() {
            if index > 0 {
                out.push('\n');
            }
            item.render(&mut out, Paint(color), &secrets).expect("writing to a string cannot fail");
        }
        out
    }

    /// As a JSON array of [`Diagnostic::to_json`].
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.items.iter().map(Diagnostic::to_json).collect()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}
