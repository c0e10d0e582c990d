//! `weir send`.

use std::net::TcpListener;

use crate::support::{Running, done, eventually, folder, free_port, status, weir, write};

/// Scenario: nobody listens at the target.
/// Guarantees: exit code 1; the message names the target.
#[test]
fn a_closed_port_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let target = format!("tcp://127.0.0.1:{free}");
    let sent = done(&mut weir(&["send", &target, "--events", "10"]));
    assert_eq!(sent.code, Some(1));
    assert!(sent.err.contains(&target) && sent.err.contains("refused"), "{}", sent.err);
}

/// Scenario: another machine as the target, without permission.
/// Guarantees: nothing is sent; the message says why.
#[test]
fn another_machine_needs_permission() {
    // 192.0.2.0/24 is reserved for documentation: there is nobody.
    let sent = done(&mut weir(&["send", "udp://192.0.2.1:5140", "--events", "1"]));
    assert_eq!(sent.code, Some(1));
    assert!(sent.err.contains("not this machine"), "{}", sent.err);
}

/// Scenario: the lines of a file, over two connections, to a running agent.
/// Guarantees: exactly as many events arrive as were to be sent, and the report says so.
#[test]
fn a_file_is_replayed() {
    let folder = folder();
    let port = free_port();
    let text = format!(
        "[sources.in]\ntype = \"syslog\"\nlisten = [\"tcp://127.0.0.1:{port}\"]\nchannels = [\"buffer\"]\n\
         [channels.buffer]\ntype = \"memory\"\n[sinks.out]\ntype = \"null\"\nchannel = \"buffer\"\n"
    );
    let file = write(folder.path(), "agent.toml", &text);
    let lines = write(
        folder.path(),
        "lines.log",
        "<13>1 2026-01-02T03:04:05.000Z a b - - - one\n<13>1 2026-01-02T03:04:05.000Z a b - - - two\n",
    );
    let mut agent = Running::start(&[&file], &[]);
    let address = agent.admin();
    let target = format!("tcp://127.0.0.1:{port}");
    let args = ["send", &target, "--connections", "2", "--events", "1k", "--stamp", "--json", "--input"];
    let sent = done(weir(&args).arg(&lines));
    assert_eq!(sent.code, Some(0), "{}", sent.err);
    assert_eq!(sent.json()["events"], 1000);
    eventually("the events", || (status(&address)["sources"][0]["received"] == 1000).then_some(()));
    assert_eq!(agent.stop().code, Some(0));
}
