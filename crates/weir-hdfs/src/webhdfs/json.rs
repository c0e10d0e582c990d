//! Answers of servers, as far as they are used.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::{Space, Status};

#[derive(Deserialize)]
pub(super) struct Location {
    #[serde(rename = "Location")]
    pub(super) location: String,
}

#[derive(Deserialize)]
pub(super) struct Done {
    pub(super) boolean: bool,
}

#[derive(Deserialize)]
pub(super) struct One {
    #[serde(rename = "FileStatus")]
    pub(super) status: FileStatus,
}

#[derive(Deserialize)]
pub(super) struct Batch {
    #[serde(rename = "DirectoryListing")]
    pub(super) listing: Listing,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listing {
    pub(super) partial_listing: Partial,
    pub(super) remaining_entries: u64,
}

#[derive(Deserialize)]
pub(super) struct Partial {
    #[serde(rename = "FileStatuses")]
    pub(super) statuses: Statuses,
}

#[derive(Deserialize)]
pub(super) struct Statuses {
    #[serde(rename = "FileStatus", default)]
    pub(super) all: Vec<FileStatus>,
}

/// HttpFS leaves out what its file system does not say.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileStatus {
    #[serde(default)]
    pub(super) path_suffix: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    length: u64,
    #[serde(default)]
    modification_time: i64,
    #[serde(default)]
    owner: String,
    #[serde(default)]
    permission: String,
    #[serde(default)]
    replication: u16,
    #[serde(default)]
    block_size: u64,
}

impl FileStatus {
    /// As the trait has it; `name` where the answer is about the path itself.
    pub(super) fn status(self, name: Option<&str>) -> Status {
        Status {
            name: name.map_or(self.path_suffix, str::to_owned),
            is_directory: self.kind == "DIRECTORY",
            bytes: self.length,
            modified_ms: self.modification_time,
            owner: self.owner,
            permission: u16::from_str_radix(&self.permission, 8).unwrap_or_default(),
            replication: self.replication,
            block_bytes: self.block_size,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Blocks {
    #[serde(rename = "LocatedBlocks")]
    pub(super) blocks: LocatedBlocks,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LocatedBlocks {
    pub(super) is_under_construction: bool,
    last_located_block: Option<LocatedBlock>,
}

#[derive(Deserialize)]
struct LocatedBlock {
    #[serde(default)]
    locations: Vec<IgnoredAny>,
}

impl LocatedBlocks {
    /// Copies of the last block that the NameNode knows of; `None` for a file without any.
    pub(super) fn copies_of_last(&self) -> Option<usize> {
        self.last_located_block.as_ref().map(|block| block.locations.len())
    }
}

#[derive(Deserialize)]
pub(super) struct Summary {
    #[serde(rename = "FsStatus")]
    pub(super) status: FsStatus,
}

#[derive(Deserialize)]
pub(super) struct FsStatus {
    capacity: u64,
    used: u64,
    remaining: u64,
}

/// What the NameNode's own metrics say.
#[derive(Deserialize)]
pub(super) struct Beans {
    pub(super) beans: Vec<Bean>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Bean {
    capacity_total: u64,
    capacity_used: u64,
    capacity_remaining: u64,
}

impl From<FsStatus> for Space {
    fn from(status: FsStatus) -> Self {
        Self { bytes: status.capacity, used_bytes: status.used, remaining_bytes: status.remaining }
    }
}

impl From<Bean> for Space {
    fn from(bean: Bean) -> Self {
        Self { bytes: bean.capacity_total, used_bytes: bean.capacity_used, remaining_bytes: bean.capacity_remaining }
    }
}
