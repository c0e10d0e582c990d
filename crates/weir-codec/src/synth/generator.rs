//! The generator: devices, and the next line of one of them.

use std::ops::Range;

use super::fields::{Memory, Template};
use super::lines::{KINDS, Kind};
use super::time_text::TimeText;
use super::values::{Random, SITES, push_number};

/// How the lines shall look.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SynthOptions {
    /// Share of the devices, 0.0..=1.0, that speak RFC 5424 (stamps with milliseconds or finer, so that age can be
    /// measured); the others speak RFC 3164 (whole seconds). A device keeps its form. Default 0.5.
    pub rfc5424_share: f64,
    /// Number of devices, at least one of each of the nine kinds. Default 500, at most 10 000.
    pub devices: usize,
}

impl Default for SynthOptions {
    fn default() -> Self {
        Self { rfc5424_share: 0.5, devices: 500 }
    }
}

/// Where the parts of an appended line are. All ranges count from the start of that line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SynthLine {
    /// Syslog facility, 0..=23.
    pub facility: u8,
    /// Syslog severity, 0..=7.
    pub severity: u8,
    /// The timestamp text: 24 or 27 bytes (RFC 5424) or 15 (RFC 3164).
    pub timestamp: Range<usize>,
    /// The name of the device.
    pub host: Range<usize>,
    /// What Flume's syslog sources make the body: everything behind the host and one space.
    pub body: Range<usize>,
    /// The free text: behind the structured data (RFC 5424) or behind the tag (RFC 3164).
    pub message: Range<usize>,
}

/// A seeded stream of lines. About 0.24 microseconds a line; allocates only when `out` grows.
#[derive(Clone, Debug)]
pub struct Synth {
    random: Random,
    memory: Memory,
    clock: TimeText,
    /// Kind by draw of 0..100.
    kind_by_draw: Vec<u8>,
    fleets: Vec<Fleet>,
}

/// The devices of one kind and what they say.
#[derive(Clone, Debug)]
struct Fleet {
    kind: u8,
    devices: Vec<Device>,
    structured: Template,
    templates: Vec<Template>,
    /// Line by draw of 0..sum of weights.
    line_by_draw: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Device {
    name: String,
    rfc5424: bool,
    process_id: u32,
}

impl Synth {
    /// A stream; the same `seed` and `options` give the same lines.
    #[must_use]
    pub fn new(seed: u64, options: SynthOptions) -> Self {
        let mut random = Random::new(seed);
        let memory = Memory::new(&mut random);
        let mut kind_by_draw = Vec::with_capacity(100);
        let mut fleets = Vec::with_capacity(KINDS.len());
        for (index, kind) in (0_u8..).zip(&KINDS) {
            kind_by_draw.extend(std::iter::repeat_n(index, usize::from(kind.lines_percent)));
            fleets.push(Fleet::new(index, kind, options, &mut random));
        }
        Self { random, memory, clock: TimeText::new(), kind_by_draw, fleets }
    }

    /// Appends one whole line, PRI to the end of the message, without a line feed, as sent at `time_ms` (milliseconds
    /// since 1970 UTC; the text is UTC too). Microsecond stamps add up to 999 microseconds to it.
    pub fn line(&mut self, time_ms: i64, out: &mut Vec<u8>) -> SynthLine {
        let kind = self.kind_by_draw[self.random.below(self.kind_by_draw.len() as u32) as usize];
        let fleet = &self.fleets[usize::from(kind)];
        let device = &fleet.devices[self.random.skewed(fleet.devices.len() as u32) as usize];
        let drawn = self.random.below(fleet.line_by_draw.len() as u32);
        let index = usize::from(fleet.line_by_draw[drawn as usize]);
        let line = &KINDS[usize::from(fleet.kind)].lines[index];

        let start = out.len();
        out.push(b'<');
        push_number(out, u64::from(line.facility) * 8 + u64::from(line.severity));
        out.extend_from_slice(if device.rfc5424 { b">1 " } else { b">" });
        let timestamp = out.len() - start;
        if !device.rfc5424 {
            out.extend_from_slice(self.clock.rfc3164(time_ms));
        } else if KINDS[usize::from(fleet.kind)].micros {
            let micros = self.random.below(1000);
            out.extend_from_slice(self.clock.rfc5424_micros(time_ms, micros));
        } else {
            out.extend_from_slice(self.clock.rfc5424_millis(time_ms));
        }
        let timestamp = timestamp..out.len() - start;
        out.push(b' ');
        let host = out.len() - start..out.len() - start + device.name.len();
        out.extend_from_slice(device.name.as_bytes());
        out.push(b' ');
        let body = out.len() - start;

        let clock = self.clock.rfc5424_millis(time_ms);
        if device.rfc5424 {
            push_5424_fields(out, line.tag, line.message_id, device.process_id);
            fleet.structured.render(&mut self.random, &mut self.memory, clock, out);
            out.push(b' ');
        } else {
            push_3164_tag(out, line.tag, device.process_id);
        }
        let message = out.len() - start;
        fleet.templates[index].render(&mut self.random, &mut self.memory, clock, out);
        let end = out.len() - start;
        let (facility, severity) = (line.facility, line.severity);
        SynthLine { facility, severity, timestamp, host, body: body..end, message: message..end }
    }
}

impl Fleet {
    fn new(index: u8, kind: &Kind, options: SynthOptions, random: &mut Random) -> Self {
        let devices = options.devices.min(10_000) * usize::from(kind.devices_percent) / 100;
        let devices = (0..devices.max(1))
            .map(|number| {
                let site = SITES[number % SITES.len()];
                let name = format!("{}-{site}-{:02}", kind.prefix, number / SITES.len() + 1);
                // 32 bits are finer than any share a person writes down.
                let rfc5424 = f64::from(random.bits() as u32) < options.rfc5424_share * 4_294_967_296.0;
                Device { name, rfc5424, process_id: 300 + random.skewed(32_000) }
            })
            .collect();
        let line_by_draw = (0_u8..)
            .zip(kind.lines)
            .flat_map(|(index, line)| std::iter::repeat_n(index, usize::from(line.weight)))
            .collect();
        let templates = kind.lines.iter().map(|line| Template::new(line.text)).collect();
        Self { kind: index, devices, structured: Template::new(kind.structured), templates, line_by_draw }
    }
}

/// `named 711 - ` or `- - - `: everything between host and structured data.
fn push_5424_fields(out: &mut Vec<u8>, tag: &str, message_id: &str, process_id: u32) {
    let app = tag.strip_suffix("[]").unwrap_or(tag);
    out.extend_from_slice(if app.is_empty() { b"-" } else { app.as_bytes() });
    out.push(b' ');
    if app.len() == tag.len() {
        out.push(b'-');
    } else {
        push_number(out, u64::from(process_id));
    }
    out.push(b' ');
    out.extend_from_slice(message_id.as_bytes());
    out.push(b' ');
}

/// `named[711]: `, `sudo: ` or nothing.
fn push_3164_tag(out: &mut Vec<u8>, tag: &str, process_id: u32) {
    let app = tag.strip_suffix("[]").unwrap_or(tag);
    out.extend_from_slice(app.as_bytes());
    if app.len() != tag.len() {
        out.push(b'[');
        push_number(out, u64::from(process_id));
        out.push(b']');
    }
    if !tag.is_empty() {
        out.extend_from_slice(b": ");
    }
}
