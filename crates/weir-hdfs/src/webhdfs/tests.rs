//! Scripted servers: what a real cluster does not do when it is asked to.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{WebHdfs, WebHdfsOptions};
use crate::{CreateOptions, FileSystem, HdfsErrorKind};

/// What is answered to one request, in the order of the script.
#[derive(Clone)]
enum Answer {
    Status(u16, String),
    /// The connection is closed instead.
    Cut,
    /// The body is never read, and nothing is said.
    Silence,
    /// The body is read only after so long; then it is well.
    Late(Duration),
}

/// A server of one answer per connection.
struct Scripted {
    address: SocketAddr,
    /// First lines of the requests.
    seen: Arc<Mutex<Vec<String>>>,
    script: Arc<Mutex<VecDeque<Answer>>>,
}

impl Scripted {
    async fn start(script: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = Self {
            address: listener.local_addr().expect("it is bound"),
            seen: Arc::default(),
            script: Arc::new(Mutex::new(script.into_iter().collect())),
        };
        let (seen, script) = (Arc::clone(&server.seen), Arc::clone(&server.script));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&seen), Arc::clone(&script)));
            }
        });
        server
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no panic").clone()
    }
}

async fn serve(mut socket: TcpStream, seen: Arc<Mutex<Vec<String>>>, script: Arc<Mutex<VecDeque<Answer>>>) {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut buffer = [0; 1024];
        match socket.read(&mut buffer).await {
            // Somebody only looked whether there is anybody.
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
    }
    let line = String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned();
    seen.lock().expect("no panic").push(line);
    let answer = script.lock().expect("no panic").pop_front();
    match answer {
        Some(Answer::Status(status, body)) => {
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = socket.write_all(format!("{head}{body}").as_bytes()).await;
            // Until the client has read it: an unread body would reset the connection.
            let mut rest = [0; 4096];
            while matches!(socket.read(&mut rest).await, Ok(count) if count > 0) {}
        }
        Some(Answer::Cut) | None => {}
        Some(Answer::Silence) => std::future::pending().await,
        Some(Answer::Late(time)) => {
            tokio::time::sleep(time).await;
            let (mut body, mut buffer) = (request, [0; 4096]);
            // A body in pieces ends with an empty one.
            while !body.ends_with(b"\r\n0\r\n\r\n") {
                let count = socket.read(&mut buffer).await.expect("the body");
                body.extend_from_slice(&buffer[..count]);
            }
            let _ = socket.write_all(b"HTTP/1.1 201 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
        }
    }
}

fn ok(body: &str) -> Answer {
    Answer::Status(200, body.to_owned())
}

fn exception(class: &str, message: &str) -> Answer {
    let body =
        format!(r#"{{"RemoteException":{{"exception":"{class}","javaClassName":"x.{class}","message":"{message}"}}}}"#);
    Answer::Status(403, body)
}

fn client(servers: &[&Scripted]) -> WebHdfs {
    client_with(servers, |_| {})
}

fn client_with(servers: &[&Scripted], change: impl FnOnce(&mut WebHdfsOptions)) -> WebHdfs {
    let addresses = servers.iter().map(|server| server.address.to_string()).collect();
    let mut options = WebHdfsOptions::new(addresses, false);
    options.user = Some("weir".to_owned());
    (options.write_timeout, options.queue_bytes) = (Duration::from_millis(300), 64 << 10);
    (options.namenode_timeout, options.excluded_time) = (Duration::from_secs(5), Duration::from_secs(60));
    change(&mut options);
    WebHdfs::new(options).expect("a client")
}

const FILE: &str =
    r#"{"FileStatus":{"length":7,"type":"FILE","pathSuffix":"","permission":"644","modificationTime":5}}"#;

/// Scenario: the first NameNode is standby, then does not exist any more; the second is active.
/// Guarantees: the call is answered; the next goes to the active one at once.
#[tokio::test]
async fn the_active_namenode_is_found() {
    let standby = Scripted::start([exception("StandbyException", "Operation category READ is not supported")]).await;
    let active = Scripted::start([ok(FILE), ok(FILE)]).await;
    let files = client(&[&standby, &active]);
    let status = files.status("/a b/c+d").await.expect("answered").expect("there");
    assert_eq!((status.name.as_str(), status.bytes, status.permission, status.modified_ms), ("c+d", 7, 0o644, 5));
    assert!(files.status("/x").await.expect("answered").is_some());
    assert_eq!(standby.seen().len(), 1);
    assert_eq!(active.seen()[0], "GET /webhdfs/v1/a%20b/c%2Bd?op=GETFILESTATUS&user.name=weir HTTP/1.1");
}

/// Scenario: a rename is done and its answer lost; asked again, the server says that there is nothing to rename.
/// Guarantees: the caller hears that it is done.
#[tokio::test]
async fn a_rename_whose_answer_was_lost_is_done() {
    let missing = || exception("FileNotFoundException", "rename source /a is not found.");
    let server = Scripted::start([Answer::Cut, missing(), missing(), ok(FILE)]).await;
    client(&[&server]).rename("/a", "/b").await.expect("done");
    let seen = server.seen();
    assert!(seen[2].starts_with("GET /webhdfs/v1/a?") && seen[3].starts_with("GET /webhdfs/v1/b?"), "{seen:?}");
}

/// Scenario: a rename that HttpFS answers with false; the new name is taken.
/// Guarantees: the error says so.
#[tokio::test]
async fn a_false_is_explained() {
    let server = Scripted::start([ok(r#"{"boolean":false}"#), ok(FILE), ok(FILE)]).await;
    let error = client(&[&server]).rename("/a", "/b").await.expect_err("not renamed");
    assert_eq!(error.kind, HdfsErrorKind::AlreadyExists);
    assert_eq!(error.to_string(), format!("cannot rename /a to /b at {}: the new name is taken", server.address));
}

/// Scenario: a DataNode takes the connection and then nothing; the NameNode names it again, then another one.
/// Guarantees: the file fails within the deadline, and the next one goes to the other DataNode.
#[tokio::test]
async fn a_body_that_stands_still_ends_in_time() {
    let (silent, good) =
        (Scripted::start([Answer::Silence]).await, Scripted::start([Answer::Status(201, String::new())]).await);
    let at = |node: &Scripted| ok(&format!(r#"{{"Location":"http://{}/webhdfs/v1/f?op=CREATE"}}"#, node.address));
    let missing = || exception("FileNotFoundException", "File does not exist: /f");
    let script = [missing(), at(&silent), missing(), at(&silent), at(&silent), at(&good)];
    let namenode = Scripted::start(script).await;
    let files = client(&[&namenode]);
    let mut writer = files.create("/f", &CreateOptions::default()).await.expect("begun");
    let error = loop {
        if let Err(error) = writer.write(Bytes::from(vec![0; 64 << 10])).await {
            break error;
        }
    };
    assert_eq!(error.kind, HdfsErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains(&silent.address.to_string()), "{error}");
    let mut writer = files.create("/f", &CreateOptions::default()).await.expect("begun");
    writer.write(Bytes::from_static(b"seven b")).await.expect("queued");
    assert_eq!(writer.close().await.expect("closed"), 7);
    assert!(namenode.seen().last().expect("asked").contains("excludedatanodes=127.0.0.1"), "{:?}", namenode.seen());
}

/// Scenario: a DataNode takes nothing of a body for a while, but answers when it is asked anything: one behind it is silent.
/// Guarantees: it is waited for, and the file is written; where that takes too long the file fails, and the DataNode is not
/// left out for what it did not do.
#[tokio::test]
async fn a_datanode_that_answers_has_time() {
    let late = Answer::Late(Duration::from_millis(1500));
    let answers = std::iter::repeat_n(Answer::Status(400, String::new()), 64);
    let busy = Scripted::start([late].into_iter().chain(answers.clone())).await;
    let stuck = Scripted::start([Answer::Silence].into_iter().chain(answers)).await;
    let at = |node: &Scripted| ok(&format!(r#"{{"Location":"http://{}/webhdfs/v1/f?op=CREATE"}}"#, node.address));
    let missing = || exception("FileNotFoundException", "File does not exist: /f");
    let namenode = Scripted::start([missing(), at(&busy), missing(), at(&stuck), missing(), at(&stuck)]).await;
    let files = client_with(&[&namenode], |options| options.namenode_timeout = Duration::from_millis(500));
    let mut writer = files.create("/f", &CreateOptions::default()).await.expect("begun");
    writer.write(Bytes::from_static(b"seven b")).await.expect("queued");
    assert_eq!(writer.close().await.expect("closed"), 7);
    let files = client_with(&[&namenode], |options| options.pipeline_timeout = Duration::from_millis(900));
    let mut writer = files.create("/f", &CreateOptions::default()).await.expect("begun");
    let error = loop {
        if let Err(error) = writer.write(Bytes::from(vec![0; 64 << 10])).await {
            break error;
        }
    };
    assert_eq!(error.kind, HdfsErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("though it answers"), "{error}");
    files.create("/f", &CreateOptions::default()).await.expect("begun");
    assert!(!namenode.seen().iter().any(|line| line.contains("excludedatanodes")), "{:?}", namenode.seen());
}

/// Scenario: every copy of a block is on DataNodes that were left out, so that the NameNode names none.
/// Guarantees: it is asked without leaving anybody out, and the file is opened.
#[tokio::test]
async fn the_last_copy_is_read_from_whoever_has_it() {
    let node = Scripted::start([Answer::Status(200, "seven b".to_owned())]).await;
    let at = ok(&format!(r#"{{"Location":"http://{}/webhdfs/v1/f?op=OPEN"}}"#, node.address));
    let nobody = exception("IOException", "No active nodes contain this block");
    let namenode = Scripted::start(std::iter::repeat_n(nobody, 7).chain([at])).await;
    let mut reader = client(&[&namenode]).open("/f", 0).await.expect("opened");
    assert_eq!(reader.read().await.expect("read").as_deref(), Some(&b"seven b"[..]));
}

/// Scenario: a NameNode closes every connection.
/// Guarantees: the search for a DataNode ends with the time of one call, not of as many as there are picks.
#[tokio::test]
async fn a_search_for_a_datanode_ends_in_time() {
    let namenode = Scripted::start([]).await;
    let files = client_with(&[&namenode], |options| options.namenode_timeout = Duration::from_millis(300));
    let options = CreateOptions { overwrite: true, ..CreateOptions::default() };
    let error = files.create("/f", &options).await.err().expect("nobody answers");
    assert_eq!(error.kind, HdfsErrorKind::Unavailable, "{error}");
    assert!(namenode.seen().len() < 8, "{:?}", namenode.seen());
}

/// Scenario: a file is appended to after a flush, from a runtime that stops as soon as the bytes are queued.
/// Guarantees: they are sent all the same, from the runtime that the client was made on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_move_on_the_clients_runtime() {
    let node = Scripted::start([Answer::Late(Duration::ZERO), Answer::Late(Duration::ZERO)]).await;
    let at = |op: &str| ok(&format!(r#"{{"Location":"http://{}/webhdfs/v1/f?op={op}"}}"#, node.address));
    let namenode = Scripted::start([at("CREATE"), exception("FileNotFoundException", ""), at("APPEND")]).await;
    let files = client(&[&namenode]);
    let options = CreateOptions { overwrite: true, ..CreateOptions::default() };
    let mut writer = files.create("/f", &options).await.expect("begun");
    writer.write(Bytes::from_static(b"one")).await.expect("queued");
    writer.flush().await.expect("flushed");
    let other = tokio::task::spawn_blocking(move || {
        let other = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        other.block_on(writer.write(Bytes::from_static(b"two"))).expect("queued");
        (other, writer)
    });
    let (other, writer) = other.await.expect("no panic");
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !node.seen().iter().any(|line| line.starts_with("POST")) {
        assert!(std::time::Instant::now() < deadline, "nothing was sent: {:?}", node.seen());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(writer.close().await.expect("closed"), 6);
    other.shutdown_background();
}

/// Scenario: a file of three copies is flushed and written on four times; the NameNode hears of the last copy late, then at
/// once, then it does not say.
/// Guarantees: an APPEND waits until all are known, for half of what a write may take, and not again after it was in vain.
#[tokio::test]
async fn an_append_waits_for_all_copies() {
    let node = Scripted::start(std::iter::repeat_n(Answer::Late(Duration::ZERO), 5)).await;
    let at = |op: &str| ok(&format!(r#"{{"Location":"http://{}/webhdfs/v1/f?op={op}"}}"#, node.address));
    let status = ok(r#"{"FileStatus":{"type":"FILE","replication":3}}"#);
    let known = |copies: usize| {
        let last = format!(r#"{{"locations":[{}]}}"#, vec![r#"{"name":"127.0.0.1:9866"}"#; copies].join(","));
        ok(&format!(r#"{{"LocatedBlocks":{{"isUnderConstruction":false,"lastLocatedBlock":{last}}}}}"#))
    };
    let late = [at("CREATE"), status, known(1), known(2), known(3), at("APPEND")];
    let rest = [known(3), at("APPEND"), Answer::Silence, at("APPEND"), at("APPEND")];
    let namenode = Scripted::start(late.into_iter().chain(rest)).await;
    let files = client_with(&[&namenode], |options| options.write_timeout = Duration::from_secs(6));
    let options = CreateOptions { overwrite: true, ..CreateOptions::default() };
    let mut writer = files.create("/f", &options).await.expect("begun");
    for part in ["one", "two", "three", "four", "five"] {
        writer.write(Bytes::from_static(part.as_bytes())).await.expect("queued");
        writer.flush().await.expect("flushed");
    }
    assert_eq!(writer.close().await.expect("closed"), 19);
    let seen = namenode.seen();
    let asked = |part: &str| seen.iter().filter(|line| line.contains(part)).count();
    assert_eq!((asked("=GETFILESTATUS"), asked("=GET_BLOCK_LOCATIONS"), asked("=APPEND")), (1, 5, 4), "{seen:?}");
    assert_eq!((asked("offset=2&"), asked("offset=5&"), asked("offset=10&")), (3, 1, 1), "{seen:?}");
}

/// Scenario: a DataNode refuses in the middle of a body; another answers with something that is no exception.
/// Guarantees: the server's own words arrive, with their kind, without waiting for the end of the body.
#[tokio::test]
async fn an_early_refusal_is_told() {
    let node =
        Scripted::start([exception("DSQuotaExceededException", "The DiskSpace quota of / is exceeded\\nmore")]).await;
    let location = format!(r#"{{"Location":"http://{}/webhdfs/v1/f?op=CREATE"}}"#, node.address);
    let namenode = Scripted::start([exception("FileNotFoundException", ""), ok(&location)]).await;
    let files = client(&[&namenode]);
    let mut writer = files.create("/f", &CreateOptions::default()).await.expect("begun");
    let error = loop {
        if let Err(error) = writer.write(Bytes::from(vec![0; 16 << 10])).await {
            break error;
        }
    };
    assert_eq!(error.kind, HdfsErrorKind::NoSpace, "{error}");
    assert!(error.to_string().ends_with("DSQuotaExceededException: The DiskSpace quota of / is exceeded"), "{error}");
    let gateway = Scripted::start([Answer::Status(401, "<html>".to_owned())]).await;
    let error = client(&[&gateway]).status("/f").await.expect_err("not let in");
    assert_eq!(error.kind, HdfsErrorKind::PermissionDenied);
    assert!(error.to_string().contains("the server wants proof of who we are"), "{error}");
}

/// Scenario: nobody listens at any address.
/// Guarantees: the call ends within its deadline and names the peer.
#[tokio::test]
async fn an_outage_ends_in_time() {
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound");
    let mut options = WebHdfsOptions::new(vec![gone.to_string()], false);
    options.namenode_timeout = Duration::from_millis(300);
    let error = WebHdfs::new(options).expect("a client").list("/a").await.expect_err("nobody is there");
    assert_eq!(error.kind, HdfsErrorKind::Unavailable, "{error}");
    assert!(error.to_string().starts_with(&format!("cannot list /a at {gone}: ")), "{error}");
}

/// Scenario: a token for a service behind a gateway.
/// Guarantees: it is in every request, and in no message.
#[tokio::test]
async fn a_token_is_sent_and_not_shown() {
    let server = Scripted::start(std::iter::repeat_n(Answer::Cut, 64)).await;
    let mut options = WebHdfsOptions::new(vec![server.address.to_string()], false);
    options.authentication = super::Authentication::Token("SeCrEt".to_owned());
    options.namenode_timeout = Duration::from_millis(200);
    let error = WebHdfs::new(options).expect("a client").status("/a").await.expect_err("cut");
    assert!(server.seen()[0].contains("delegation=SeCrEt"));
    assert!(!error.to_string().contains("SeCrEt"), "{error}");
}
