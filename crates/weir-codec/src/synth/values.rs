//! Random numbers and the pools that field values are drawn from.

/// A 64-bit generator of our own: a registry crate may change its sequence between releases, our lines may not.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        // Seeds 0, 1, 2 are likely; spread them before the first draw.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    /// 64 random bits: a counter with an odd step, mixed by a widening multiplication. 1 ns.
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0xa076_1d64_78bd_642f);
        let wide = u128::from(self.0) * u128::from(self.0 ^ 0xe703_7ed1_a0b4_28db);
        (wide >> 64) as u64 ^ wide as u64
    }

    /// Uniform in `0..below`.
    pub(super) fn below(&mut self, below: u32) -> u32 {
        (((self.bits() >> 32) * u64::from(below)) >> 32) as u32
    }

    /// In `0..below`, small values far more often: the product of three uniform draws. As in networks, a tenth of the
    /// values makes up two thirds of what is drawn, and the others do occur.
    pub(super) fn skewed(&mut self, below: u32) -> u32 {
        let bits = self.bits();
        let (a, b, c) = (bits & 0x1f_ffff, (bits >> 21) & 0x1f_ffff, bits >> 43);
        let product = (((a * b) >> 21) * c) >> 21;
        ((product * u64::from(below)) >> 21) as u32
    }

    /// One of `items`, the first ones far more often.
    pub(super) fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.skewed(items.len() as u32) as usize]
    }
}

/// Address `index` of a pool inside a range: spread over it by an odd factor, so that neighbours in rank are not
/// neighbours in the network.
pub(super) const fn address(base: u32, host_bits: u32, index: u32) -> u32 {
    base | (index.wrapping_mul(0x9e37_79b1) >> (32 - host_bits))
}

/// Dotted form.
pub(super) fn push_address(out: &mut Vec<u8>, address: u32) {
    let [a, b, c, d] = address.to_be_bytes();
    push_number(out, u64::from(a));
    for byte in [b, c, d] {
        out.push(b'.');
        push_number(out, u64::from(byte));
    }
}

/// Decimal form without padding.
pub(super) fn push_number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Lower-case hexadecimal of the low `digits` digits of `value`.
pub(super) fn push_hex(out: &mut Vec<u8>, value: u32, digits: u32) {
    for place in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(value >> (4 * place)) as usize & 15]);
    }
}

/// Sites of the network, loudest first.
pub(super) const SITES: [&str; 20] = [
    "lon", "man", "bir", "lee", "gla", "bri", "new", "car", "bel", "edi", "she", "lei", "not", "sou", "rea", "cam",
    "oxf", "yor", "exe", "abe",
];
pub(super) const COUNTRIES: [&str; 12] = [
    "United Kingdom",
    "United States",
    "Germany",
    "Netherlands",
    "Ireland",
    "France",
    "10.0.0.0-10.255.255.255",
    "Spain",
    "Singapore",
    "Brazil",
    "Poland",
    "India",
];
pub(super) const APPLICATIONS: [&str; 16] = [
    "ssl",
    "dns",
    "web-browsing",
    "quic",
    "ms-update",
    "ntp",
    "office365",
    "sip",
    "smtp",
    "ssh",
    "snmp",
    "ldap",
    "kerberos",
    "ms-rdp",
    "bittorrent",
    "unknown-tcp",
];
pub(super) const RULES: [&str; 12] = [
    "allow-web-out",
    "allow-dns",
    "core-to-dc",
    "oss-mgmt",
    "partner-vpn",
    "voice-signalling",
    "deny-all-log",
    "guest-internet",
    "backup-replication",
    "lab-isolated",
    "roaming-gre",
    "cdn-cache-fill",
];
pub(super) const ACCESS_LISTS: [&str; 6] = ["outside_in", "inside_out", "dmz_in", "mgmt_in", "oam_in", "gi_in"];
pub(super) const INTERFACES: [&str; 12] = [
    "GigabitEthernet0/0/1",
    "TenGigE0/1/0/3",
    "GigabitEthernet0/2",
    "HundredGigE0/0/0/0",
    "xe-0/0/3",
    "ae12",
    "et-0/1/0",
    "TenGigE0/0/0/7",
    "Bundle-Ether20",
    "ge-1/0/5",
    "irb.210",
    "Tunnel118",
];
pub(super) const APNS: [&str; 6] =
    ["internet", "ims", "wap.example", "iot.example", "corp-vpn.example", "m2m.metering.example"];
pub(super) const GIVEN: [&str; 24] = [
    "adavis",
    "jsmith",
    "bpatel",
    "svc-backup",
    "kmoreau",
    "tfischer",
    "oss-poller",
    "lgarcia",
    "nchen",
    "rjones",
    "netops",
    "mwilson",
    "admin",
    "hkhan",
    "dtaylor",
    "svc-ansible",
    "pevans",
    "cmurphy",
    "gbrown",
    "sroberts",
    "root",
    "ywalker",
    "fthomas",
    "oracle",
];
pub(super) const SERVICES: [u32; 16] =
    [443, 53, 80, 123, 8080, 5060, 22, 25, 3389, 161, 445, 8443, 993, 5228, 3478, 853];
pub(super) const DOMAIN_WORDS: [&str; 32] = [
    "cdn",
    "api",
    "static",
    "update",
    "mail",
    "img",
    "edge",
    "video",
    "login",
    "push",
    "sync",
    "telemetry",
    "time",
    "shop",
    "news",
    "maps",
    "ads",
    "auth",
    "play",
    "music",
    "store",
    "chat",
    "cloud",
    "assets",
    "metrics",
    "download",
    "portal",
    "events",
    "media",
    "gw",
    "search",
    "beacon",
];
pub(super) const TOP: [&str; 5] = ["example.com", "example.net", "example.org", "example", "test"];
