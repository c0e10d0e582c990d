//! What anybody would look at first: a folder of HDFS, by WebHDFS, and a query of Solr. With nothing but HTTP.

use std::io;
use std::net::SocketAddr;

use serde::Serialize;
use serde_json::Value;
use weir_servers::{hdfs, http, solr};

use super::config::{COLLECTION, FOLDER};
use crate::text::grouped;

/// Files that are shown.
const FILES_MAX: usize = 5;
/// Of a document.
const FIELDS: &str = "id,ts,host,app,severity,message";

/// A look at both ends.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Look {
    hdfs: Listing,
    solr: Search,
}

impl Look {
    /// `query` is what Solr is asked for.
    pub(super) fn take(hdfs: &hdfs::Cluster, solr: &solr::Cluster, query: &str) -> Result<Self, String> {
        let listing = list(hdfs).map_err(|error| format!("HDFS cannot be listed: {error}"))?;
        let found = search(solr, query, 1).map_err(|error| format!("Solr cannot be asked: {error}"))?;
        Ok(Self { hdfs: listing, solr: found })
    }

    pub(super) fn text(&self) -> String {
        let Self { hdfs, solr } = self;
        let mut out = format!("HDFS   {}: {} files\n", hdfs.url, grouped(hdfs.files));
        for file in &hdfs.first {
            out.push_str(&format!("  {:>11} bytes x {}  {}\n", grouped(file.bytes), file.replicas, file.path));
        }
        if hdfs.files > hdfs.first.len() as u64 {
            out.push_str("  ...\n");
        }
        out.push_str(&format!("Solr   {}: {} hits\n", solr.url, grouped(solr.hits)));
        solr.first.iter().for_each(|document| out.push_str(&format!("  {document}\n")));
        out
    }
}

/// Files below a folder.
#[derive(Clone, Debug, Serialize)]
struct Listing {
    url: String,
    files: u64,
    /// The first of them.
    first: Vec<FileFound>,
}

#[derive(Clone, Debug, Serialize)]
struct FileFound {
    path: String,
    bytes: u64,
    replicas: u64,
}

/// What a query found.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Search {
    url: String,
    pub(super) hits: u64,
    /// As many documents as were asked for, the newest first.
    first: Vec<Value>,
}

/// The address of a listing.
pub(super) fn listing_url(web: SocketAddr) -> String {
    format!("http://{web}{}", listing_path(FOLDER))
}

fn listing_path(folder: &str) -> String {
    format!("/webhdfs/v1{folder}?op=LISTSTATUS")
}

/// The address of a query, the newest document first.
pub(super) fn search_url(node: &str, query: &str, rows: usize) -> String {
    format!("{node}{}", search_path(query, rows))
}

fn search_path(query: &str, rows: usize) -> String {
    let query = query.replace(' ', "%20").replace('[', "%5B").replace(']', "%5D");
    format!("/{COLLECTION}/select?q={query}&sort=ts%20desc&rows={rows}&fl={FIELDS}")
}

/// Asks the first node.
pub(super) fn search(cluster: &solr::Cluster, query: &str, rows: usize) -> io::Result<Search> {
    let answer: Value = serde_json::from_slice(&cluster.get(1, &search_path(query, rows))?.ok()?.body)?;
    let found = &answer["response"];
    Ok(Search {
        url: search_url(&cluster.url(1), query, rows),
        hits: found["numFound"].as_u64().ok_or_else(|| io::Error::other("it does not say how many it found"))?,
        first: found["docs"].as_array().cloned().unwrap_or_default(),
    })
}

/// Lists all folders, in the order of names; files in progress are hidden.
fn list(cluster: &hdfs::Cluster) -> io::Result<Listing> {
    let web = cluster.web_address();
    let mut listing = Listing { url: format!("{}{FOLDER}", cluster.url()), files: 0, first: Vec::new() };
    let mut folders = vec![FOLDER.to_owned()];
    while let Some(folder) = folders.pop() {
        let answer: Value = serde_json::from_slice(&http::get(web, &listing_path(&folder))?.ok()?.body)?;
        let entries = answer["FileStatuses"]["FileStatus"].as_array().map(Vec::as_slice).unwrap_or_default();
        // The last of the folders is the next to be looked at.
        for entry in entries.iter().rev() {
            let name = entry["pathSuffix"].as_str().unwrap_or_default();
            if entry["type"] == "DIRECTORY" && !name.starts_with('.') {
                folders.push(format!("{folder}/{name}"));
            }
        }
        for entry in entries.iter().filter(|entry| entry["type"] == "FILE") {
            listing.files += 1;
            if listing.first.len() < FILES_MAX {
                listing.first.push(FileFound {
                    path: format!("{folder}/{}", entry["pathSuffix"].as_str().unwrap_or_default()),
                    bytes: entry["length"].as_u64().unwrap_or(0),
                    replicas: entry["replication"].as_u64().unwrap_or(0),
                });
            }
        }
    }
    Ok(listing)
}
