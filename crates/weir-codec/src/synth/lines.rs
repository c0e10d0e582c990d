//! The lines, by kind of device. `{name}` is a field of `fields.rs`; everything else is literal.
//!
//! The tables are kept from rustfmt: one entry per line is what makes them readable.

/// One line of the table.
pub(super) struct Line {
    /// How often, relative to the other lines of its kind.
    pub(super) weight: u8,
    pub(super) facility: u8,
    pub(super) severity: u8,
    /// TAG or APP-NAME; empty without one, `[]` at the end where a process id goes with it.
    pub(super) tag: &'static str,
    /// MSGID of RFC 5424.
    pub(super) message_id: &'static str,
    pub(super) text: &'static str,
}

/// A kind of device.
pub(super) struct Kind {
    /// Share of the volume, in 1/100 of the lines.
    pub(super) lines_percent: u8,
    /// Share of the devices, in 1/100.
    pub(super) devices_percent: u8,
    /// Start of the device names.
    pub(super) prefix: &'static str,
    /// Structured data of its RFC 5424 lines.
    pub(super) structured: &'static str,
    /// Whether it stamps RFC 5424 lines with microseconds instead of milliseconds.
    pub(super) micros: bool,
    pub(super) lines: &'static [Line],
}

const fn line(
    weight: u8,
    facility: u8,
    severity: u8,
    tag: &'static str,
    message_id: &'static str,
    text: &'static str,
) -> Line {
    Line { weight, facility, severity, tag, message_id, text }
}

#[rustfmt::skip]
pub(super) const KINDS: [Kind; 9] = [
    Kind { lines_percent: 33, devices_percent: 22, prefix: "fw", structured: "-", micros: false, lines: &ASA },
    Kind { lines_percent: 21, devices_percent: 8, prefix: "cgn", structured: "-", micros: false, lines: &CGNAT },
    Kind { lines_percent: 12, devices_percent: 8, prefix: "dns", structured: "-", micros: true, lines: &DNS },
    Kind { lines_percent: 3, devices_percent: 6, prefix: "pan", structured: "-", micros: false, lines: &PAN },
    Kind { lines_percent: 8, devices_percent: 16, prefix: "pe", structured: META, micros: false, lines: &IOS },
    Kind { lines_percent: 8, devices_percent: 14, prefix: "mx", structured: "-", micros: false, lines: &JUNOS },
    Kind { lines_percent: 6, devices_percent: 4, prefix: "aaa", structured: "-", micros: true, lines: &AAA },
    Kind { lines_percent: 5, devices_percent: 4, prefix: "pgw", structured: "-", micros: false, lines: &MOBILE },
    Kind { lines_percent: 4, devices_percent: 18, prefix: "srv", structured: META, micros: true, lines: &LINUX },
];

const META: &str = "[meta sequenceId=\"{sequence}\"]";

#[rustfmt::skip]
const ASA: [Line; 14] = [
    line(28, 20, 6, "", "-", "%ASA-6-302013: Built outbound TCP connection {connection} for outside:{outside}/{service} ({same_outside}/{same_service}) to inside:{inside}/{port} ({nat}/{same_port})"),
    line(26, 20, 6, "", "-", "%ASA-6-302014: Teardown TCP connection {connection} for outside:{outside}/{service} to inside:{inside}/{port} duration {duration} bytes {bytes} TCP FINs from inside"),
    line(16, 20, 6, "", "-", "%ASA-6-302015: Built outbound UDP connection {connection} for outside:{outside}/53 ({same_outside}/53) to inside:{inside}/{port} ({nat}/{same_port})"),
    line(15, 20, 6, "", "-", "%ASA-6-302016: Teardown UDP connection {connection} for outside:{outside}/53 to inside:{inside}/{port} duration 0:00:{second} bytes {bytes}"),
    line(12, 20, 4, "", "-", "%ASA-4-106023: Deny tcp src outside:{outside}/{port} dst inside:{nat}/{service} by access-group \"{acl}\" [0x{hex8}, 0x0]"),
    line(6, 20, 6, "", "-", "%ASA-6-106100: access-list {acl} permitted tcp inside/{inside}({port}) -> outside/{outside}({service}) hit-cnt {small} 300-second interval [0x{hex8}, 0x{hex8}]"),
    line(6, 20, 6, "", "-", "%ASA-6-305011: Built dynamic TCP translation from inside:{inside}/{port} to outside:{nat}/{same_port}"),
    line(4, 20, 6, "", "-", "%ASA-6-106015: Deny TCP (no connection) from {outside}/{service} to {nat}/{port} flags RST ACK on interface outside"),
    line(3, 20, 5, "", "-", "%ASA-5-304001: {inside} Accessed URL {outside}:http://{domain}/v2/objects/{hex8}/{hex8}?session={hex8}&page={small}&region={site}"),
    line(3, 20, 4, "", "-", "%ASA-4-733100: [ Scanning] drop rate-1 exceeded. Current burst rate is {small} per second, max configured rate is 10; Current average rate is {small} per second, max configured rate is 5; Cumulative total count is {bytes}"),
    line(2, 20, 4, "", "-", "%ASA-4-722051: Group <Staff-VPN> User <{user}> IP <{outside}> IPv4 Address <{inside}> IPv6 address <::> assigned to session"),
    line(2, 20, 6, "", "-", "%ASA-6-113039: Group <Staff-VPN> User <{user}> IP <{outside}> AnyConnect parent session started."),
    line(1, 20, 6, "", "-", "%ASA-6-605005: Login permitted from {management}/{port} to management:{management}/ssh for user \"{user}\""),
    line(1, 20, 5, "", "-", "%ASA-5-111010: User '{user}', running 'CLI' from IP {management}, executed 'show conn address {inside} detail'"),
];

#[rustfmt::skip]
const PAN: [Line; 5] = [
    line(12, 1, 6, "", "-", "1,{pantime},0123010{serial},TRAFFIC,end,2561,{pantime},{inside},{outside},{nat},{same_outside},{rule},example\\{user},,{app},vsys1,trust,untrust,ethernet1/{small},ethernet1/2,fwd-siem,{pantime},{connection},1,{port},{service},{port},{same_service},0x400053,tcp,allow,{bytes},{bytes},{bytes},{small},{pantime},{small},any,0,{sequence},0x8000000000000000,10.0.0.0-10.255.255.255,{country},0,{small},{small},tcp-fin"),
    line(4, 1, 6, "", "-", "1,{pantime},0123010{serial},TRAFFIC,drop,2561,{pantime},{outside},{nat},0.0.0.0,0.0.0.0,deny-all-log,,,not-applicable,vsys1,untrust,trust,ethernet1/2,,fwd-siem,{pantime},0,1,{port},{service},0,0,0x0,tcp,deny,{small},{small},0,1,{pantime},0,any,0,{sequence},0x0,{country},{country},0,1,0,policy-deny"),
    line(2, 1, 4, "", "-", "1,{pantime},0123010{serial},THREAT,url,2561,{pantime},{inside},{outside},{nat},{same_outside},{rule},example\\{user},,web-browsing,vsys1,trust,untrust,ethernet1/1,ethernet1/2,fwd-siem,{pantime},{connection},1,{port},{service},{port},{same_service},0x40b000,tcp,alert,\"{domain}/content/{hex8}\",(9999),content-delivery-networks,informational,client-to-server,{sequence},0x8000000000000000,{country},{country},0,text/html"),
    line(1, 1, 3, "", "-", "1,{pantime},0123010{serial},THREAT,vulnerability,2561,{pantime},{outside},{inside},{outside},{nat},{rule},,,web-browsing,vsys1,untrust,dmz,ethernet1/2,ethernet1/{small},fwd-siem,{pantime},{connection},1,{port},80,{port},8080,0x2000,tcp,reset-both,\"login.php\",HTTP Unauthorized Brute-force Attack(40031),any,high,client-to-server,{sequence},0x8000000000000000,{country},{country},0,,"),
    line(1, 1, 6, "", "-", "1,{pantime},0123010{serial},SYSTEM,globalprotect,0,{pantime},,globalprotectgateway-auth-succ,GP-Gateway,0,0,general,informational,\"GlobalProtect gateway user authentication succeeded. Login from: {outside}, User name: {user}, Auth type: profile, Client OS version: Microsoft Windows 11 Enterprise, 64-bit.\",{sequence},0x8000000000000000"),
];

#[rustfmt::skip]
const CGNAT: [Line; 5] = [
    line(40, 16, 6, "nat44[]", "SADD", "SESSION_CREATE vrf={site} proto=6 inside={subscriber}:{port} nat={nat}:{port} dst={outside}:{service} session={connection} imsi={imsi}"),
    line(40, 16, 6, "nat44[]", "SDEL", "SESSION_DELETE vrf={site} proto=6 inside={subscriber}:{port} nat={nat}:{port} dst={outside}:{service} session={connection} up={bytes} down={bytes} seconds={small}"),
    line(12, 16, 6, "nat44[]", "SADD", "SESSION_CREATE vrf={site} proto=17 inside={subscriber}:{port} nat={nat}:{port} dst={outside}:443 session={connection} imsi={imsi}"),
    line(6, 16, 6, "nat44[]", "PBA", "PORT_BLOCK_ALLOC vrf={site} inside={subscriber} nat={nat} ports={port}+512 subscriber={imsi} policy=residential-fair-use"),
    line(1, 16, 4, "nat44[]", "POOL", "POOL_HIGH_WATER vrf={site} pool=cgn-pool-{small} used_percent=9{digit} blocks_free={small} subscribers={bytes}"),
];

#[rustfmt::skip]
const DNS: [Line; 7] = [
    line(40, 3, 6, "named[]", "-", "client @0x7f{hex8} {subscriber}#{port} ({domain}): query: {same_domain} IN A + ({management})"),
    line(24, 3, 6, "named[]", "-", "client @0x7f{hex8} {subscriber}#{port} ({domain}): query: {same_domain} IN AAAA +E(0)K ({management})"),
    line(8, 3, 6, "named[]", "-", "client @0x7f{hex8} {subscriber}#{port} ({domain}): query: {same_domain} IN HTTPS +E(0) ({management})"),
    line(5, 3, 4, "named[]", "-", "client @0x7f{hex8} {subscriber}#{port} ({domain}): rpz QNAME NXDOMAIN rewrite {same_domain}/A/IN via {same_domain}.rpz.example"),
    line(4, 3, 6, "named[]", "-", "client @0x7f{hex8} {outside}#{port} ({domain}): query (cache) '{same_domain}/ANY/IN' denied (allow-query-cache did not match)"),
    line(3, 3, 5, "named[]", "-", "lame-servers: info: connection refused resolving '{domain}/AAAA/IN': {outside}#53 while answering a recursive client"),
    line(2, 3, 5, "unbound[]", "-", "[{pid}:{digit}] info: {subscriber} {domain}. TYPE65 IN SERVFAIL 2.{small}0417 0 {small} validation failure <{same_domain}. A IN>: signature expired from {outside}"),
];

#[rustfmt::skip]
const IOS: [Line; 11] = [
    line(9, 23, 5, "", "-", "{sequence}: %LINEPROTO-5-UPDOWN: Line protocol on Interface {interface}, changed state to down, last input {duration}, carrier transitions {small}"),
    line(9, 23, 3, "", "-", "{sequence}: %LINK-3-UPDOWN: Interface {interface}, changed state to up, negotiated speed 10000 Mbps, full duplex, neighbour pe-{site}-{digit}"),
    line(7, 23, 5, "", "-", "{sequence}: %BGP-5-ADJCHANGE: neighbor {router} Down BGP Notification sent, vpn vrf customer-{small} afi IPv4 Unicast, AS {asn}"),
    line(4, 23, 3, "", "-", "{sequence}: %BGP-3-NOTIFICATION: sent to neighbor {router} 4/0 (hold time expired) 0 bytes, session uptime {duration}, AS {asn}"),
    line(7, 23, 5, "", "-", "{sequence}: %OSPF-5-ADJCHG: Process 1, Nbr {router} on {interface} from LOADING to FULL, Loading Done, area 0.0.0.{digit}"),
    line(18, 23, 6, "", "-", "{sequence}: %SEC-6-IPACCESSLOGP: list {acl} denied tcp {outside}({port}) -> {router}({service}), {small} packets, interface {interface}"),
    line(9, 23, 5, "", "-", "{sequence}: %SYS-5-CONFIG_I: Configured from console by {user} on vty{digit} ({management}), configuration revision {small}, archive flash:/cfg-{hex8}"),
    line(8, 23, 5, "", "-", "{sequence}: %SEC_LOGIN-5-LOGIN_SUCCESS: Login Success [user: {user}] [Source: {management}] [localport: 22] at session {small}, privilege 15"),
    line(5, 23, 4, "", "-", "{sequence}: %SW_MATM-4-MACFLAP_NOTIF: Host {mac} in vlan {vlan} is flapping between port {interface} and port {interface}, moves {small}"),
    line(3, 23, 4, "", "-", "{sequence}: %CDP-4-DUPLEX_MISMATCH: duplex mismatch discovered on {interface} (not half duplex), with sw-{site}-{small}.access.example GigabitEthernet1/0/{small}"),
    line(2, 23, 2, "", "-", "{sequence}: %PLATFORM-2-PF_TEMP_WARNING: inlet sensor {digit} reads 4{digit} C, above its warning threshold of 42 C; fan tray {digit} set to 80 percent"),
];

#[rustfmt::skip]
const JUNOS: [Line; 8] = [
    line(16, 16, 6, "RT_FLOW", "RT_FLOW_SESSION_CREATE", "session created {inside}/{port}->{outside}/{service} 0x0 junos-https {nat}/{same_port}->{same_outside}/{same_service} 0x0 snat-{small} N/A 6 {rule} trust untrust {connection} xe-0/0/{digit}.0"),
    line(16, 16, 6, "RT_FLOW", "RT_FLOW_SESSION_CLOSE", "session closed TCP FIN: {inside}/{port}->{outside}/{service} 0x0 junos-https {nat}/{same_port}->{same_outside}/{same_service} 6 {rule} {connection} {small}({bytes}) {small}({bytes}) {small}"),
    line(12, 16, 5, "RT_FLOW", "RT_FLOW_SESSION_DENY", "session denied {outside}/{port}->{nat}/{service} 0x0 None 6(0) deny-all-log untrust trust UNKNOWN UNKNOWN N/A(N/A) xe-0/0/{digit}.0 No policy reject"),
    line(8, 3, 4, "rpd[]", "BGP_PREFIX_THRESH_EXCEEDED", "{router} (External AS {asn}): Configured maximum prefix-limit threshold({bytes}) exceeded for inet-unicast nlri: {bytes} (instance master)"),
    line(8, 3, 5, "rpd[]", "RPD_OSPF_NBRDOWN", "RPD_OSPF_NBRDOWN: OSPF neighbor {router} (realm ospf-v2 {interface} area 0.0.0.{digit}) state changed from Full to Down due to InActiveTimer"),
    line(8, 3, 5, "mib2d[]", "SNMP_TRAP_LINK_DOWN", "SNMP_TRAP_LINK_DOWN: ifIndex {small}, ifAdminStatus up(1), ifOperStatus down(2), ifName {interface}, ifAlias core link {site} to {site} circuit {hex8}"),
    line(6, 10, 6, "mgd[]", "UI_CMDLINE_READ_LINE", "UI_CMDLINE_READ_LINE: User '{user}', command 'show route receive-protocol bgp {router} table inet.0 extensive | no-more '"),
    line(4, 3, 4, "dcd[]", "-", "{interface}: MTU 9192 of unit {small} lowered to 9178 for encapsulation vlan-ccc, remote end pe-{site}-{digit} advertises {vlan}"),
];

#[rustfmt::skip]
const AAA: [Line; 5] = [
    line(20, 3, 6, "radiusd[]", "-", "({sequence}) Login OK: [{imsi}@{apn}] (from client ggsn-{site}-{digit} port {port} cli 4477009{serial}) framed-ip {subscriber} session {hex8}{hex8}"),
    line(30, 3, 6, "radiusd[]", "-", "Accounting-Request Interim user={imsi}@{apn} nas={router} framed-ip={subscriber} octets-in={bytes} octets-out={bytes} seconds={bytes} session={hex8}{hex8}"),
    line(6, 3, 5, "radiusd[]", "-", "({sequence}) Login incorrect (eap_aka: identity not found in subscriber store): [{imsi}@{apn}] (from client wlc-{site}-{digit} port {small} cli {mac})"),
    line(8, 4, 5, "tac_plus[]", "-", "{router} {user} tty{digit} {management} stop task_id={sequence} timezone=UTC service=shell priv-lvl=15 cmd=show interfaces {interface} counters errors <cr>"),
    line(3, 4, 4, "tac_plus[]", "-", "login failure: user={user} nas={router} port=tty{digit} rem_addr={management} reason=\"password expired {small} days ago\" failures={digit}"),
];

#[rustfmt::skip]
const MOBILE: [Line; 4] = [
    line(20, 17, 6, "smf[]", "SESSION", "pdu-session establish imsi={imsi} dnn={apn} ue-ip={subscriber} upf={router} qfi=9 ambr-ul=50M ambr-dl=150M cell=234-15-{hex8} cause=accepted"),
    line(20, 17, 6, "smf[]", "SESSION", "pdu-session release imsi={imsi} dnn={apn} ue-ip={subscriber} upf={router} uplink-bytes={bytes} downlink-bytes={bytes} duration-s={bytes} cell=234-15-{hex8} cause=user-inactivity"),
    line(8, 17, 4, "amf[]", "MM", "registration reject imsi={imsi} gnb={router} tac={vlan} cause=\"PLMN not allowed\" retry-timer-s={small} access=3GPP slice=01-{hex8}"),
    line(3, 17, 3, "upf[]", "N4", "pfcp association lost peer={router} interface={interface} missed-heartbeats={digit} sessions-affected={bytes} action=reselect standby=upf-{site}-{digit}"),
];

#[rustfmt::skip]
const LINUX: [Line; 9] = [
    line(14, 10, 6, "sshd[]", "-", "Failed password for invalid user {user} from {outside} port {port} ssh2"),
    line(8, 10, 6, "sshd[]", "-", "Accepted publickey for {user} from {management} port {port} ssh2: ED25519 SHA256:{hex8}{hex8}{hex8}{hex8}{hex8}abc"),
    line(14, 3, 6, "dhcpd[]", "-", "DHCPACK on {inside} to {mac} (handset-{serial}) via {interface} relay {router} lease-duration {bytes} offered-by dhcp-{site}-{digit}"),
    line(8, 3, 6, "dhcpd[]", "-", "DHCPDISCOVER from {mac} (cpe-{serial}) via {router}: network {site}-residential: no free leases in pool {small}"),
    line(10, 0, 4, "kernel", "-", "[{bytes}.{serial}] nft-drop: IN=bond0.{vlan} OUT= MAC={mac} SRC={outside} DST={management} LEN=60 TOS=0x00 PREC=0x00 TTL=5{digit} ID={port} DF PROTO=TCP SPT={port} DPT={service} WINDOW=64240 RES=0x00 SYN URGP=0"),
    line(8, 9, 6, "CRON[]", "-", "({user}) CMD (/usr/local/bin/collect-counters --site {site} --interval {small} --output /var/spool/counters/{hex8}.csv)"),
    line(6, 3, 6, "systemd[]", "-", "session-{small}.scope: Deactivated successfully. Consumed {small}.{serial}s CPU time, {small}M memory peak, 0B memory swap peak."),
    line(6, 3, 4, "chronyd[]", "-", "Selected source {outside} (ntp{digit}.{site}.example), system clock offset 0.000{serial} s, root dispersion 0.00{small} s"),
    line(4, 10, 5, "sudo", "-", "   {user} : TTY=pts/{digit} ; PWD=/home/{user} ; USER=root ; COMMAND=/usr/bin/journalctl -u named --since -{small}m"),
];
