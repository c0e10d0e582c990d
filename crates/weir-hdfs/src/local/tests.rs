use bytes::Bytes;
use tempfile::TempDir;

use super::LocalFileSystem;
use crate::{CreateOptions, FileSystem, HdfsErrorKind};

fn folder() -> (TempDir, LocalFileSystem) {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    (folder, LocalFileSystem::new(root))
}

async fn written(files: &LocalFileSystem, path: &str, pieces: &[&'static str]) {
    let mut writer = files.create(path, &CreateOptions::default()).await.expect("made");
    for piece in pieces {
        writer.write(Bytes::from_static(piece.as_bytes())).await.expect("written");
    }
    let expected: usize = pieces.iter().map(|piece| piece.len()).sum();
    assert_eq!(writer.close().await.expect("closed"), expected as u64);
}

async fn content(files: &LocalFileSystem, path: &str, offset: u64) -> String {
    let mut reader = files.open(path, offset).await.expect("opened");
    let mut all = Vec::new();
    while let Some(bytes) = reader.read().await.expect("read") {
        all.extend_from_slice(&bytes);
    }
    String::from_utf8(all).expect("text")
}

/// Scenario: a file is written in a folder that is not there yet, renamed, listed, read from an offset, and deleted.
/// Guarantees: each step is seen by the next; the folder's entries are sorted.
#[tokio::test]
async fn a_file_from_its_making_to_its_end() {
    let (_folder, files) = folder();
    written(&files, "/in/progress/a.tmp", &["one\n", "two\n"]).await;
    files.make_directories("/done", None).await.expect("made");
    files.rename("/in/progress/a.tmp", "/done/b").await.expect("renamed");
    written(&files, "/done/a", &[]).await;
    let names = files.list("/done").await.expect("listed");
    let names: Vec<_> = names.iter().map(|status| (status.name.as_str(), status.bytes)).collect();
    assert_eq!(names, [("a", 0), ("b", 8)]);
    assert_eq!(content(&files, "/done/b", 4).await, "two\n");
    assert!(files.status("/in/progress/a.tmp").await.expect("asked").is_none());
    assert!(files.status("/in").await.expect("asked").expect("there").is_directory);
    assert!(files.recover_lease("/done/b").await.expect("closed"));
    assert!(files.delete("/done", true).await.expect("deleted"));
    assert!(!files.delete("/done", true).await.expect("nothing there"));
    assert!(files.space().await.expect("known").bytes > 0);
}

/// Scenario: names that are taken, missing, or lead out of the root; a folder that is not empty.
/// Guarantees: nothing is overwritten or deleted; the kind of the error says why.
#[tokio::test]
async fn what_is_there_stays() {
    let (_folder, files) = folder();
    written(&files, "/a", &["first"]).await;
    written(&files, "/d/b", &["second"]).await;
    let kind = |error: crate::HdfsError| error.kind;
    let again = files.create("/a", &CreateOptions::default()).await.map(|_| ()).map_err(kind);
    assert_eq!(again, Err(HdfsErrorKind::AlreadyExists));
    assert_eq!(files.rename("/d/b", "/a").await.map_err(kind), Err(HdfsErrorKind::AlreadyExists));
    assert_eq!(files.rename("/d/b", "/none/b").await.map_err(kind), Err(HdfsErrorKind::NotFound));
    assert_eq!(files.rename("/none", "/c").await.map_err(kind), Err(HdfsErrorKind::NotFound));
    assert!(files.delete("/d", false).await.is_err());
    assert!(files.status("/../a").await.is_err());
    assert_eq!(content(&files, "/a", 0).await, "first");
    assert_eq!(content(&files, "/d/b", 0).await, "second");
    let text = files.open("/none", 0).await.map(|_| ()).expect_err("not there").to_string();
    assert!(text.starts_with("cannot open /none"), "{text}");
    let options = CreateOptions { overwrite: true, ..CreateOptions::default() };
    let writer = files.create("/a", &options).await.expect("replaced");
    assert_eq!(writer.close().await.expect("closed"), 0);
}
