//! Templates: a line of the table, cut into literals and fields once.

use super::values::{self, Random, address, push_address, push_hex, push_number};

/// What a `{name}` stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Field {
    AccessList,
    Apn,
    Application,
    Asn,
    Bytes,
    Connection,
    Country,
    Digit,
    Domain,
    Duration,
    Hex8,
    Imsi,
    Inside,
    Interface,
    Mac,
    Management,
    Nat,
    Outside,
    PanTime,
    Pid,
    Port,
    Router,
    Rule,
    SameDomain,
    SameOutside,
    SamePort,
    SameService,
    Second,
    Sequence,
    Serial,
    Service,
    Site,
    Small,
    Subscriber,
    User,
    Vlan,
}

const NAMES: [(&str, Field); 36] = [
    ("acl", Field::AccessList),
    ("apn", Field::Apn),
    ("app", Field::Application),
    ("asn", Field::Asn),
    ("bytes", Field::Bytes),
    ("connection", Field::Connection),
    ("country", Field::Country),
    ("digit", Field::Digit),
    ("domain", Field::Domain),
    ("duration", Field::Duration),
    ("hex8", Field::Hex8),
    ("imsi", Field::Imsi),
    ("inside", Field::Inside),
    ("interface", Field::Interface),
    ("mac", Field::Mac),
    ("management", Field::Management),
    ("nat", Field::Nat),
    ("outside", Field::Outside),
    ("pantime", Field::PanTime),
    ("pid", Field::Pid),
    ("port", Field::Port),
    ("router", Field::Router),
    ("rule", Field::Rule),
    ("same_domain", Field::SameDomain),
    ("same_outside", Field::SameOutside),
    ("same_port", Field::SamePort),
    ("same_service", Field::SameService),
    ("second", Field::Second),
    ("sequence", Field::Sequence),
    ("serial", Field::Serial),
    ("service", Field::Service),
    ("site", Field::Site),
    ("small", Field::Small),
    ("subscriber", Field::Subscriber),
    ("user", Field::User),
    ("vlan", Field::Vlan),
];

#[derive(Clone, Copy, Debug)]
enum Piece {
    Literal(&'static str),
    Field(Field),
}

/// A text with fields.
#[derive(Clone, Debug)]
pub(super) struct Template(Vec<Piece>);

/// What a stream of lines remembers: memory that only go up, and values that a line says twice.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    connection: u64,
    sequence: u64,
    domain: u32,
    outside: u32,
    port: u32,
    service: u32,
}

impl Memory {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            connection: 1_000_000 + random.bits() % 1_000_000,
            sequence: 100_000 + random.bits() % 100_000,
            domain: 0,
            outside: 0,
            port: 0,
            service: 0,
        }
    }
}

impl Template {
    /// # Panics
    /// If `text` names an unknown field or does not close a brace.
    pub(super) fn new(text: &'static str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').expect("a test compiles every line of the table");
            let field = NAMES.iter().find(|(known, _)| *known == name).map(|(_, field)| *field);
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal));
            }
            pieces.push(Piece::Field(field.expect("a test compiles every line of the table")));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest));
        }
        Self(pieces)
    }

    /// Appends the text with fresh values. `clock` is the time as RFC 5424 text.
    pub(super) fn render(&self, random: &mut Random, memory: &mut Memory, clock: &[u8; 24], out: &mut Vec<u8>) {
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Field(field) => field.render(random, memory, clock, out),
            }
        }
    }
}

impl Field {
    fn render(self, random: &mut Random, memory: &mut Memory, clock: &[u8; 24], out: &mut Vec<u8>) {
        match self {
            Self::Inside | Self::Management | Self::Nat | Self::Outside | Self::Router | Self::Subscriber => {
                push_address(out, self.draw_address(random, memory));
            }
            Self::AccessList => out.extend_from_slice(random.pick(&values::ACCESS_LISTS).as_bytes()),
            Self::Apn => out.extend_from_slice(random.pick(&values::APNS).as_bytes()),
            Self::Application => out.extend_from_slice(random.pick(&values::APPLICATIONS).as_bytes()),
            Self::Country => out.extend_from_slice(random.pick(&values::COUNTRIES).as_bytes()),
            Self::Interface => out.extend_from_slice(random.pick(&values::INTERFACES).as_bytes()),
            Self::Rule => out.extend_from_slice(random.pick(&values::RULES).as_bytes()),
            Self::Site => out.extend_from_slice(random.pick(&values::SITES).as_bytes()),
            Self::SameOutside => push_address(out, memory.outside),
            Self::Domain => {
                memory.domain = random.skewed(3200);
                push_domain(memory.domain, out);
            }
            Self::SameDomain => push_domain(memory.domain, out),
            Self::User => push_user(random, out),
            Self::Mac => push_mac(random, out),
            Self::Hex8 => push_hex(out, random.bits() as u32, 8),
            Self::PanTime => push_pan_time(clock, out),
            Self::Duration => {
                let seconds = random.skewed(7200);
                push_number(out, u64::from(seconds / 3600));
                for part in [seconds / 60 % 60, seconds % 60] {
                    out.push(b':');
                    push_padded(out, part, 2);
                }
            }
            Self::Second => push_padded(out, random.below(60), 2),
            Self::Serial => push_padded(out, random.below(100_000), 5),
            Self::Imsi => {
                // 234 is the UK; 15 digits in all.
                out.extend_from_slice(b"2341500");
                push_padded(out, random.skewed(200_000) * 487 % 100_000_000, 8);
            }
            _ => push_number(out, self.draw_number(random, memory)),
        }
    }

    fn draw_address(self, random: &mut Random, memory: &mut Memory) -> u32 {
        match self {
            Self::Inside => address(0x0a14_0000, 14, random.skewed(4000)), // 10.20.0.0/18
            Self::Management => address(0x0aff_0800, 8, random.skewed(200)), // 10.255.8.0/24
            Self::Nat => address(0xcb00_7100, 8, random.skewed(240)),      // 203.0.113.0/24, documentation
            Self::Router => address(0xc0a8_f000, 10, random.skewed(500)),  // 192.168.240.0/22
            Self::Subscriber => address(0x6440_0000, 22, random.skewed(50_000)), // 100.64.0.0/10, shared
            _ => {
                memory.outside = address(0xc612_0000, 17, random.skewed(20_000)); // 198.18.0.0/15, benchmarks
                memory.outside
            }
        }
    }

    fn draw_number(self, random: &mut Random, memory: &mut Memory) -> u64 {
        let number = match self {
            Self::Asn => 64_512 + random.skewed(400),
            // Three decades, small ones most: drawn as a mantissa and a shift.
            Self::Bytes => (40 + random.below(1460)) << random.skewed(11),
            Self::Digit => random.below(10),
            Self::Pid => 300 + random.skewed(32_000),
            Self::Port => {
                memory.port = 1024 + random.below(64_512);
                memory.port
            }
            Self::SamePort => memory.port,
            Self::Service => {
                memory.service = values::SERVICES[random.skewed(16) as usize];
                memory.service
            }
            Self::SameService => memory.service,
            Self::Vlan => 100 + random.skewed(900),
            Self::Connection => {
                memory.connection += u64::from(1 + random.skewed(6));
                return memory.connection;
            }
            Self::Sequence => {
                memory.sequence += 1;
                return memory.sequence;
            }
            _ => 1 + random.skewed(60),
        };
        u64::from(number)
    }
}

fn push_padded(out: &mut Vec<u8>, value: u32, digits: usize) {
    let at = out.len();
    out.resize(at + digits, b'0');
    super::time_text::write_digits(&mut out[at..], value);
}

/// One of 3200 names: `cdn-17.video.example.net`.
fn push_domain(index: u32, out: &mut Vec<u8>) {
    let (word, rest) = (index % 32, index / 32);
    let words = &values::DOMAIN_WORDS;
    out.extend_from_slice(words[word as usize].as_bytes());
    if rest > 4 {
        out.push(b'-');
        push_number(out, u64::from(rest));
    }
    out.push(b'.');
    out.extend_from_slice(words[(word * 7 + rest) as usize % 32].as_bytes());
    out.push(b'.');
    out.extend_from_slice(values::TOP[index as usize % values::TOP.len()].as_bytes());
}

/// One of 400 users.
fn push_user(random: &mut Random, out: &mut Vec<u8>) {
    let index = random.skewed(400) as usize;
    out.extend_from_slice(values::GIVEN[index % values::GIVEN.len()].as_bytes());
    if index >= values::GIVEN.len() {
        push_number(out, (index / values::GIVEN.len()) as u64);
    }
}

/// One of 6000 locally administered addresses, in Cisco's form.
fn push_mac(random: &mut Random, out: &mut Vec<u8>) {
    let low = random.skewed(6000).wrapping_mul(0x9e37_79b1);
    out.extend_from_slice(b"025e.");
    push_hex(out, low >> 16, 4);
    out.push(b'.');
    push_hex(out, low, 4);
}

/// `2025/11/22 10:00:00` from `2025-11-22T10:00:00.123Z`.
fn push_pan_time(clock: &[u8; 24], out: &mut Vec<u8>) {
    let at = out.len();
    out.extend_from_slice(&clock[..19]);
    out[at + 4] = b'/';
    out[at + 7] = b'/';
    out[at + 10] = b' ';
}
