//! Places in configuration files.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A configuration file as read.
pub(crate) struct SourceText {
    /// As named on the command line.
    pub(crate) name: String,
    pub(crate) text: String,
    /// Rank among the files, for sorting.
    pub(crate) rank: usize,
    /// Offset of the first byte of each line.
    line_starts: Vec<usize>,
}

impl SourceText {
    pub(crate) fn new(rank: usize, name: &str, text: &str) -> Arc<Self> {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(after_newlines).collect();
        Arc::new(Self { name: name.to_owned(), text: text.to_owned(), rank, line_starts })
    }

    /// Index of the line that holds byte `offset`.
    fn line_index(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    pub(crate) fn line_count(&self) -> usize {
        self.line_starts.len()
    }

    /// Line `index` without its line end.
    pub(crate) fn line_text(&self, index: usize) -> &str {
        let start = self.line_starts.get(index).copied().unwrap_or(self.text.len());
        let end = self.line_starts.get(index + 1).copied().unwrap_or(self.text.len());
        self.text[start..end].trim_end_matches(['\n', '\r'])
    }
}

/// A place in a configuration file, or a whole file. Cloning counts a reference.
#[derive(Clone)]
pub struct Location {
    source: Arc<SourceText>,
    span: Option<(usize, usize)>,
}

impl Location {
    /// Bytes `span` of `source`, cut to what the text has and to whole characters.
    pub(crate) fn new(source: &Arc<SourceText>, span: Range<usize>) -> Self {
        let text = &source.text;
        let start = text.floor_char_boundary(span.start.min(text.len()));
        let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
        Self { source: Arc::clone(source), span: Some((start, end)) }
    }

    /// The file as such, for what has no line.
    pub(crate) fn whole_file(source: &Arc<SourceText>) -> Self {
        Self { source: Arc::clone(source), span: None }
    }

    pub(crate) fn source(&self) -> &Arc<SourceText> {
        &self.source
    }

    /// The text at this place; empty for a whole file.
    pub(crate) fn text(&self) -> &str {
        self.span.map_or("", |(start, end)| &self.source.text[start..end])
    }

    /// A part of this place, byte offsets relative to its start.
    pub(crate) fn part(&self, part: Range<usize>) -> Self {
        let start = self.span.map_or(0, |(start, _)| start);
        Self::new(&self.source, start + part.start..start + part.end)
    }

    /// Name of the file, as given on the command line.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.source.name
    }

    /// Line, counted from 1; 0 means the file as a whole.
    #[must_use]
    pub fn line(&self) -> usize {
        self.span.map_or(0, |(start, _)| self.source.line_index(start) + 1)
    }

    /// Column in characters, counted from 1; 0 means the file as a whole.
    #[must_use]
    pub fn column(&self) -> usize {
        let Some((start, _)) = self.span else {
            return 0;
        };
        let line_start = self.source.line_starts[self.source.line_index(start)];
        self.source.text[line_start..start].chars().count() + 1
    }

    /// The columns it takes in its first line, counted from 1.
    pub(crate) fn columns(&self) -> Range<usize> {
        let width = self.text().lines().next().unwrap_or("").chars().count();
        self.column()..self.column() + width
    }

    /// Whether it begins in the line in which `other` begins.
    pub(crate) fn is_in_line_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source) && self.line() == other.line()
    }

    /// Sorts by file, in the order they were given, then by position.
    pub(crate) fn order(&self) -> (usize, usize) {
        (self.source.rank, self.span.map_or(0, |(start, _)| start + 1))
    }
}

impl PartialEq for Location {
    fn eq(&self, other: &Self) -> bool {
        self.source.rank == other.source.rank && self.source.name == other.source.name && self.span == other.span
    }
}
impl Eq for Location {}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.span {
            Some(_) => write!(f, "{}:{}:{}", self.file(), self.line(), self.column()),
            None => f.write_str(self.file()),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
