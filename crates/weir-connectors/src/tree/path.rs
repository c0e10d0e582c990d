//! Path templates: `/var/log/weir/%{host}/%Y/%m/%d`, the directory of an event.
//!
//! What comes from events can never leave the fixed part of the template: a value is one path component or a part of
//! one, whatever bytes it has.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::time::{Moment, TimeLetter};

/// Longest component of a path, in bytes. File systems allow 255; the rest is for tools that add to names.
pub(crate) const COMPONENT_BYTES_MAX: usize = 200;

/// What `%[...]` can name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HostPart {
    /// `%[localhost]`: the name of this machine.
    Name,
    /// `%[ip]`: its address.
    Address,
    /// `%[fqdn]`: its full name.
    FullName,
}

/// A part of a component.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Literal(String),
    /// Index into the names of the template.
    Header(usize),
    Time(TimeLetter),
    Host(HostPart),
}

/// A parsed template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PathTemplate {
    /// The components before the first with an escape.
    root: PathBuf,
    /// The others, each at least one piece.
    components: Vec<Vec<Piece>>,
    headers: Vec<String>,
    /// Stands for a header that is absent or empty; already safe as a component.
    missing: String,
    /// Whether values keep their colons; HDFS takes none in a name.
    keeps_colons: bool,
}

/// Why a text is not a template.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum TemplateError {
    #[error("the path is empty")]
    Empty,
    #[error(
        "%{letter} is no escape; there are %{{HEADER}}, %[localhost], %[ip], %[fqdn], %% and the letters {}",
        TimeLetter::ALL
    )]
    UnknownLetter { letter: char },
    #[error("the path ends in a lone %; write %% for a percent sign")]
    LonePercent,
    #[error("{open} is not closed in the path; write %{{HEADER}} or %[localhost]")]
    Unclosed { open: &'static str },
    #[error("%{{}} names no header")]
    NoHeader,
    #[error("%[{name}] is unknown; there are %[localhost], %[ip] and %[fqdn]")]
    UnknownHostPart { name: String },
    #[error("the path has the component \"..\"; write the folder that is meant")]
    Upwards,
    #[error("the path has a NUL byte")]
    Nul,
    #[error("the path has a colon, which HDFS takes in no name; %c writes some, too")]
    Colon,
}

impl PathTemplate {
    /// Parses `text`; `missing` stands for headers that an event lacks and is made safe.
    pub(crate) fn parse(text: &str, missing: &str) -> Result<Self, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError::Empty);
        }
        if text.contains('\0') {
            return Err(TemplateError::Nul);
        }
        let mut parser = Parser::default();
        parser.parse(text)?;
        let mut root = PathBuf::from(if text.starts_with('/') { "/" } else { "" });
        let mut components = Vec::new();
        for pieces in parser.finish() {
            match pieces.as_slice() {
                [Piece::Literal(name)] if name == ".." => return Err(TemplateError::Upwards),
                [Piece::Literal(name)] if components.is_empty() => root.push(name),
                _ => components.push(pieces),
            }
        }
        if root.as_os_str().is_empty() {
            root.push(".");
        }
        let mut safe = String::new();
        push_safe(missing.as_bytes(), true, &mut safe);
        close_component(&mut safe, 0);
        Ok(Self { root, components, headers: parser.headers, missing: safe, keeps_colons: true })
    }

    /// The template for a file system whose names have no colons: values get `_` for each. `Err` if one is in the template
    /// itself, or in a time that it writes.
    pub(crate) fn without_colons(self) -> Result<Self, TemplateError> {
        let has_colon = |piece: &Piece| matches!(piece, Piece::Literal(text) if text.contains(':'));
        if self.root.to_string_lossy().contains(':') || self.pieces().any(has_colon) {
            return Err(TemplateError::Colon);
        }
        Ok(Self { missing: self.missing.replace(':', "_"), keeps_colons: false, ..self })
    }

    /// The folder that every path of the template is under.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// How many folders below the root files are.
    pub(crate) fn depth(&self) -> usize {
        self.components.len()
    }

    /// Names of headers, in the order in which [`PathTemplate::render`] wants their values.
    pub(crate) fn headers(&self) -> &[String] {
        &self.headers
    }

    /// The shortest [`TimeLetter::unit_ms`]; `None` if the path does not depend on time.
    pub(crate) fn unit_ms(&self) -> Option<i64> {
        let letters = self.pieces().filter_map(|piece| match piece {
            Piece::Time(letter) => Some(letter.unit_ms()),
            _ => None,
        });
        letters.min()
    }

    /// Whether a part of this machine's name is asked for.
    pub(crate) fn host_parts(&self) -> impl Iterator<Item = HostPart> {
        self.pieces().filter_map(|piece| match piece {
            Piece::Host(part) => Some(*part),
            _ => None,
        })
    }

    /// Puts the name of this machine in the place of `%[...]`.
    pub(crate) fn set_host(&mut self, value_of: impl Fn(HostPart) -> String) {
        let keeps_colons = self.keeps_colons;
        for piece in self.components.iter_mut().flatten() {
            if let Piece::Host(part) = *piece {
                let mut text = String::new();
                push_safe(value_of(part).as_bytes(), keeps_colons, &mut text);
                *piece = Piece::Literal(text);
            }
        }
    }

    fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.components.iter().flatten()
    }

    /// The directory for an event: `moment` for the time letters, `header` by index of [`PathTemplate::headers`].
    /// Allocates; callers remember what they asked for.
    pub(crate) fn render<'a>(&self, moment: Option<&Moment>, header: impl Fn(usize) -> &'a [u8]) -> PathBuf {
        let mut relative = String::new();
        for pieces in &self.components {
            if !relative.is_empty() {
                relative.push('/');
            }
            let start = relative.len();
            for piece in pieces {
                match (piece, moment) {
                    (Piece::Literal(text), _) => relative.push_str(text),
                    (Piece::Header(index), _) => match header(*index) {
                        [] => relative.push_str(&self.missing),
                        value => push_safe(value, self.keeps_colons, &mut relative),
                    },
                    (Piece::Time(letter), Some(moment)) => moment.write(*letter, &mut relative),
                    // Without a moment or a host there is nothing to write: `unit_ms` and `set_host` come first.
                    (Piece::Time(_) | Piece::Host(_), _) => {}
                }
            }
            close_component(&mut relative, start);
        }
        self.root.join(relative)
    }
}

/// Writes a value so that it is part of one path component: no separator, no control character, no leading dot, UTF-8.
fn push_safe(value: &[u8], keeps_colons: bool, out: &mut String) {
    let start = out.len();
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            let leading_dot = character == '.' && out[start..].bytes().all(|byte| byte == b'_');
            let is_refused = character == ':' && !keeps_colons;
            let unsafe_here = leading_dot || is_refused || character == '/' || character.is_control();
            out.push(if unsafe_here { '_' } else { character });
            // Longer values are cut below in any case.
            if out.len() - start > COMPONENT_BYTES_MAX {
                return;
            }
        }
        if !chunk.invalid().is_empty() {
            out.push('_');
        }
    }
}

/// Cuts the component that starts at `start` to its limit, and makes it one that means itself.
fn close_component(out: &mut String, start: usize) {
    if out.len() - start > COMPONENT_BYTES_MAX {
        let mut end = start + COMPONENT_BYTES_MAX;
        while !out.is_char_boundary(end) {
            end -= 1;
        }
        out.truncate(end);
    }
    match &out[start..] {
        "" | "." => {
            out.truncate(start);
            out.push('_');
        }
        ".." => {
            out.truncate(start);
            out.push_str("__");
        }
        _ => {}
    }
}

#[derive(Default)]
struct Parser {
    components: Vec<Vec<Piece>>,
    current: Vec<Piece>,
    headers: Vec<String>,
}

impl Parser {
    fn parse(&mut self, text: &str) -> Result<(), TemplateError> {
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            rest = &rest[character.len_utf8()..];
            match character {
                '/' => self.end_component(),
                '%' => rest = self.escape(rest)?,
                other => self.literal(other),
            }
        }
        Ok(())
    }

    /// Takes the escape at the start of `rest`, after its percent sign; returns what follows it.
    fn escape<'t>(&mut self, rest: &'t str) -> Result<&'t str, TemplateError> {
        let Some(letter) = rest.chars().next() else { return Err(TemplateError::LonePercent) };
        let after = &rest[letter.len_utf8()..];
        match letter {
            '%' => self.literal('%'),
            '{' => {
                let (name, after) = after.split_once('}').ok_or(TemplateError::Unclosed { open: "%{" })?;
                if name.is_empty() {
                    return Err(TemplateError::NoHeader);
                }
                let known = self.headers.iter().position(|header| header == name);
                let index = known.unwrap_or_else(|| {
                    self.headers.push(name.to_owned());
                    self.headers.len() - 1
                });
                self.current.push(Piece::Header(index));
                return Ok(after);
            }
            '[' => {
                let (name, after) = after.split_once(']').ok_or(TemplateError::Unclosed { open: "%[" })?;
                let part = match name {
                    "localhost" => HostPart::Name,
                    "ip" => HostPart::Address,
                    "fqdn" => HostPart::FullName,
                    _ => return Err(TemplateError::UnknownHostPart { name: name.to_owned() }),
                };
                self.current.push(Piece::Host(part));
                return Ok(after);
            }
            // Java's "EEE MMM d HH:mm:ss yyyy" and "MM/dd/yy", the latter indeed three folders.
            'c' => self.parse("%a %b %e %H:%M:%S %Y")?,
            'D' => self.parse("%m/%d/%y")?,
            letter => {
                let letter = TimeLetter::new(letter).ok_or(TemplateError::UnknownLetter { letter })?;
                self.current.push(Piece::Time(letter));
            }
        }
        Ok(after)
    }

    fn literal(&mut self, character: char) {
        match self.current.last_mut() {
            Some(Piece::Literal(text)) => text.push(character),
            _ => self.current.push(Piece::Literal(character.into())),
        }
    }

    /// Empty components and `.` mean nothing and are left out.
    fn end_component(&mut self) {
        let pieces = std::mem::take(&mut self.current);
        let is_self = matches!(pieces.as_slice(), [Piece::Literal(name)] if name == ".");
        if !pieces.is_empty() && !is_self {
            self.components.push(pieces);
        }
    }

    fn finish(&mut self) -> Vec<Vec<Piece>> {
        self.end_component();
        std::mem::take(&mut self.components)
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::super::time::TimeBuckets;
    use super::*;

    fn render(template: &str, values: &[&[u8]]) -> String {
        let template = PathTemplate::parse(template, "unknown").expect("a template");
        let moment = TimeBuckets::new(TimeZone::UTC, None, 1_000).moment(1_700_000_000_123);
        let path = template.render(Some(&moment), |index| values[index]);
        path.to_str().expect("paths are UTF-8").to_owned()
    }

    /// Scenario: templates of every kind of escape.
    /// Guarantees: each is expanded as by Flume; empty and repeated separators mean nothing.
    #[test]
    fn escapes_are_expanded() {
        assert_eq!(render("/data/%{host}/%Y/%m/%d/%H", &[b"fw1"]), "/data/fw1/2023/11/14/22");
        assert_eq!(render("/data//dc=%{dc},%{dc}-%{host}/", &[b"east", b"a"]), "/data/dc=east,east-a");
        assert_eq!(render("/data/100%%/%D/%c", &[]), "/data/100%/11/14/23/Tue Nov 14 22:13:20 2023");
        assert_eq!(render("data/./x%t", &[]), "data/x1700000000123");
        assert_eq!(render("x%{h}", &[b""]), "./xunknown");
        let mut template = PathTemplate::parse("/d/%[localhost]/%[ip]/%[fqdn]", "unknown").expect("a template");
        assert_eq!(template.host_parts().count(), 3);
        template.set_host(|part| format!("{part:?}/x"));
        assert_eq!(template.render(None, |_| b"").to_str(), Some("/d/Name_x/Address_x/FullName_x"));
    }

    /// Scenario: what is fixed and what varies in a template.
    /// Guarantees: the root ends before the first escape; the depth counts what is below; time is noticed.
    #[test]
    fn templates_know_their_root() {
        let template = PathTemplate::parse("/var/log/x-%{host}/fixed/%Y", "unknown").expect("a template");
        assert_eq!((template.root(), template.depth()), (Path::new("/var/log"), 3));
        assert_eq!((template.headers(), template.unit_ms()), (&["host".to_owned()][..], Some(86_400_000)));
        let template = PathTemplate::parse("/var/log", "unknown").expect("a template");
        assert_eq!((template.root(), template.depth(), template.unit_ms()), (Path::new("/var/log"), 0, None));
        assert_eq!(PathTemplate::parse("%Y/%M", "u").expect("a template").unit_ms(), Some(60_000));
        assert_eq!(PathTemplate::parse("%Y", "u").expect("a template").root(), Path::new("."));
    }

    /// Scenario: templates that mean nothing.
    /// Guarantees: each is refused with what is wrong and what there is instead.
    #[test]
    fn faulty_templates_are_refused() {
        let error = |text| PathTemplate::parse(text, "unknown").expect_err("faulty").to_string();
        assert_eq!(error(""), "the path is empty");
        assert!(error("/a/%q").starts_with("%q is no escape; there are %{HEADER}, %[localhost]"), "{}", error("/a/%q"));
        assert!(error("/a/%").contains("lone %"));
        assert!(error("/a/%{host").contains("%{ is not closed"));
        assert!(error("/a/%{}").contains("names no header"));
        assert!(error("/a/%[mac]").contains("%[mac] is unknown"));
        assert!(error("/a/../b").contains("\"..\""));
        assert!(error("/a\0b").contains("NUL"));
    }

    /// Scenario: headers that try to leave the folder, and headers no file system would take.
    /// Guarantees: they become one harmless component each.
    #[test]
    fn values_are_made_safe() {
        assert_eq!(render("/d/%{h}", &[b"../../etc/passwd"]), "/d/______etc_passwd");
        assert_eq!(render("/d/%{h}", &[b".."]), "/d/__");
        assert_eq!(render("/d/%{h}", &[b".hidden"]), "/d/_hidden");
        assert_eq!(render("/d/%{h}", &[b"a\0b\nc\x7f"]), "/d/a_b_c_");
        assert_eq!(render("/d/%{h}", &[b"caf\xc3\xa9 \xff\xfe"]), "/d/caf\u{e9} __");
        assert_eq!(render("/d/.%{h}", &[b"."]), "/d/._");
        let long = "\u{e9}".repeat(300);
        assert_eq!(render("/d/x%{h}", &[long.as_bytes()]).len(), "/d/x".len() + 198);
    }

    /// Scenario: addresses of IPv6 as hosts, and colons in the template, for a file system that takes none.
    /// Guarantees: values lose them, templates are refused.
    #[test]
    fn colons_can_be_kept_out() {
        let template =
            PathTemplate::parse("/d/%{h}/%H-%M", "a:b").expect("a template").without_colons().expect("none in it");
        let moment = TimeBuckets::new(TimeZone::UTC, None, 60_000).moment(1_700_000_000_123);
        let path = |value: &'static [u8]| template.render(Some(&moment), |_| value).display().to_string();
        assert_eq!(path(b"2001:db8::1"), "/d/2001_db8__1/22-13");
        assert_eq!(path(b""), "/d/a_b/22-13");
        for text in ["/d/%H:%M", "/d:e/%Y", "/d/%c"] {
            let template = PathTemplate::parse(text, "u").expect("a template");
            assert_eq!(template.without_colons(), Err(TemplateError::Colon), "{text}");
        }
    }

    proptest! {
        /// Scenario: any bytes in any header, in templates that put them at the start, middle and end of components.
        /// Guarantees: the path is below the root, of the template's depth, with no component that is special or long.
        #[test]
        fn paths_stay_below_the_root(
            a in prop::collection::vec(any::<u8>(), 0..300),
            b in prop::sample::select(vec!["", ".", "..", "/", "../", "/..", "\0", "./.", "...", "a/../../.."]),
            template in prop::sample::select(vec!["/r/%{a}/%{b}", "/r/.%{a}%{b}/x", "/r/%{b}%{a}.", "/r/x/%{b}..%{a}/%{b}"]),
        ) {
            let parsed = PathTemplate::parse(template, "").expect("a template");
            let values = [a.as_slice(), b.as_bytes()];
            let by_name: Vec<_> = parsed.headers().iter().map(|name| values[usize::from(name == "b")]).collect();
            let path = parsed.render(None, |index| by_name[index]);
            prop_assert!(path.starts_with(parsed.root()));
            let components: Vec<_> = path.strip_prefix(parsed.root()).expect("below").components().collect();
            prop_assert_eq!(components.len(), parsed.depth());
            for component in components {
                let std::path::Component::Normal(name) = component else { panic!("{component:?} in {path:?}") };
                prop_assert!(name.len() <= COMPONENT_BYTES_MAX);
            }
        }
    }
}
