//! Messages of Hadoop's protocols, with the fields that this client needs. Numbers and meaning are those of Hadoop 3.4; the
//! other fields are skipped. Enumerations are kept as numbers: a newer server may know more of them.
//!
//! A field that Hadoop requires is `required` here where its default must be sent too.

/// Head of every call: what is called.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RequestHeader {
    #[prost(string, required, tag = "1")]
    pub(super) method: String,
    #[prost(string, required, tag = "2")]
    pub(super) protocol: String,
    #[prost(uint64, required, tag = "3")]
    pub(super) version: u64,
}

/// Head of a frame to a server.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RpcRequestHeader {
    #[prost(int32, optional, tag = "1")]
    pub(super) kind: Option<i32>,
    #[prost(int32, optional, tag = "2")]
    pub(super) operation: Option<i32>,
    #[prost(sint32, required, tag = "3")]
    pub(super) call_id: i32,
    #[prost(bytes = "vec", required, tag = "4")]
    pub(super) client_id: Vec<u8>,
    #[prost(sint32, optional, tag = "5")]
    pub(super) retry_count: Option<i32>,
}

/// Head of a frame from a server.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RpcResponseHeader {
    #[prost(uint32, required, tag = "1")]
    pub(super) call_id: u32,
    #[prost(int32, required, tag = "2")]
    pub(super) status: i32,
    #[prost(string, optional, tag = "4")]
    pub(super) exception: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub(super) message: Option<String>,
}

/// Who calls.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct UserInformation {
    #[prost(string, optional, tag = "1")]
    pub(super) effective: Option<String>,
}

/// First frame of a connection.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ConnectionContext {
    #[prost(message, optional, tag = "2")]
    pub(super) user: Option<UserInformation>,
    #[prost(string, optional, tag = "3")]
    pub(super) protocol: Option<String>,
}

/// Permission bits.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Permission {
    #[prost(uint32, required, tag = "1")]
    pub(super) bits: u32,
}

/// A block of a file.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Block {
    #[prost(string, required, tag = "1")]
    pub(super) pool: String,
    #[prost(uint64, required, tag = "2")]
    pub(super) id: u64,
    #[prost(uint64, required, tag = "3")]
    pub(super) generation: u64,
    #[prost(uint64, optional, tag = "4")]
    pub(super) bytes: Option<u64>,
}

/// A DataNode's identity.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct DatanodeId {
    #[prost(string, required, tag = "1")]
    pub(super) address: String,
    #[prost(string, required, tag = "2")]
    pub(super) host: String,
    #[prost(string, required, tag = "3")]
    pub(super) uuid: String,
    #[prost(uint32, required, tag = "4")]
    pub(super) port: u32,
    #[prost(uint32, required, tag = "5")]
    pub(super) info_port: u32,
    #[prost(uint32, required, tag = "6")]
    pub(super) ipc_port: u32,
}

/// A DataNode.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Datanode {
    #[prost(message, optional, tag = "1")]
    pub(super) id: Option<DatanodeId>,
    /// Its rack.
    #[prost(string, optional, tag = "8")]
    pub(super) location: Option<String>,
}

/// Leave to touch a block.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Token {
    #[prost(bytes = "vec", required, tag = "1")]
    pub(super) identifier: Vec<u8>,
    #[prost(bytes = "vec", required, tag = "2")]
    pub(super) password: Vec<u8>,
    #[prost(string, required, tag = "3")]
    pub(super) kind: String,
    #[prost(string, required, tag = "4")]
    pub(super) service: String,
}

/// A block and where it is.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct LocatedBlock {
    #[prost(message, optional, tag = "1")]
    pub(super) block: Option<Block>,
    #[prost(uint64, required, tag = "2")]
    pub(super) offset: u64,
    #[prost(message, repeated, tag = "3")]
    pub(super) nodes: Vec<Datanode>,
    #[prost(bool, required, tag = "4")]
    pub(super) is_corrupt: bool,
    #[prost(message, optional, tag = "5")]
    pub(super) token: Option<Token>,
    #[prost(int32, repeated, packed = "false", tag = "7")]
    pub(super) storage_types: Vec<i32>,
    #[prost(string, repeated, tag = "8")]
    pub(super) storage_ids: Vec<String>,
}

/// Blocks of a part of a file.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct LocatedBlocks {
    #[prost(uint64, required, tag = "1")]
    pub(super) bytes: u64,
    #[prost(message, repeated, tag = "2")]
    pub(super) blocks: Vec<LocatedBlock>,
    #[prost(bool, required, tag = "3")]
    pub(super) is_open: bool,
    #[prost(message, optional, tag = "4")]
    pub(super) last: Option<LocatedBlock>,
    #[prost(bool, required, tag = "5")]
    pub(super) is_last_complete: bool,
}

/// What is known of a path.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct FileStatus {
    #[prost(int32, required, tag = "1")]
    pub(super) kind: i32,
    #[prost(bytes = "vec", required, tag = "2")]
    pub(super) path: Vec<u8>,
    #[prost(uint64, required, tag = "3")]
    pub(super) bytes: u64,
    #[prost(message, optional, tag = "4")]
    pub(super) permission: Option<Permission>,
    #[prost(string, required, tag = "5")]
    pub(super) owner: String,
    #[prost(string, required, tag = "6")]
    pub(super) group: String,
    #[prost(uint64, required, tag = "7")]
    pub(super) modified_ms: u64,
    #[prost(uint64, required, tag = "8")]
    pub(super) accessed_ms: u64,
    #[prost(uint32, optional, tag = "10")]
    pub(super) replication: Option<u32>,
    #[prost(uint64, optional, tag = "11")]
    pub(super) block_bytes: Option<u64>,
    #[prost(uint64, optional, tag = "13")]
    pub(super) file_id: Option<u64>,
}

/// Of `create`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct CreateRequest {
    #[prost(string, required, tag = "1")]
    pub(super) path: String,
    #[prost(message, optional, tag = "2")]
    pub(super) masked: Option<Permission>,
    #[prost(string, required, tag = "3")]
    pub(super) client: String,
    #[prost(uint32, required, tag = "4")]
    pub(super) flags: u32,
    #[prost(bool, required, tag = "5")]
    pub(super) parents: bool,
    #[prost(uint32, required, tag = "6")]
    pub(super) replication: u32,
    #[prost(uint64, required, tag = "7")]
    pub(super) block_bytes: u64,
}

/// Of `create`, `getFileInfo`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct FileAnswer {
    #[prost(message, optional, tag = "1")]
    pub(super) file: Option<FileStatus>,
}

/// Of `addBlock`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AddBlockRequest {
    #[prost(string, required, tag = "1")]
    pub(super) path: String,
    #[prost(string, required, tag = "2")]
    pub(super) client: String,
    #[prost(message, optional, tag = "3")]
    pub(super) previous: Option<Block>,
    #[prost(message, repeated, tag = "4")]
    pub(super) excluded: Vec<Datanode>,
    #[prost(uint64, optional, tag = "5")]
    pub(super) file_id: Option<u64>,
}

/// Of `addBlock`, `updateBlockForPipeline`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct BlockAnswer {
    #[prost(message, optional, tag = "1")]
    pub(super) block: Option<LocatedBlock>,
}

/// Of `abandonBlock`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AbandonBlockRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) block: Option<Block>,
    #[prost(string, required, tag = "2")]
    pub(super) path: String,
    #[prost(string, required, tag = "3")]
    pub(super) client: String,
    #[prost(uint64, optional, tag = "4")]
    pub(super) file_id: Option<u64>,
}

/// Of `complete`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct CompleteRequest {
    #[prost(string, required, tag = "1")]
    pub(super) path: String,
    #[prost(string, required, tag = "2")]
    pub(super) client: String,
    #[prost(message, optional, tag = "3")]
    pub(super) last: Option<Block>,
    #[prost(uint64, optional, tag = "4")]
    pub(super) file_id: Option<u64>,
}

/// Answers of one flag.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Flag {
    #[prost(bool, required, tag = "1")]
    pub(super) is: bool,
}

/// Nothing.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Empty {}

/// Of `rename2`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RenameRequest {
    #[prost(string, required, tag = "1")]
    pub(super) from: String,
    #[prost(string, required, tag = "2")]
    pub(super) to: String,
    #[prost(bool, required, tag = "3")]
    pub(super) overwrite: bool,
}

/// Of `delete`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct DeleteRequest {
    #[prost(string, required, tag = "1")]
    pub(super) path: String,
    #[prost(bool, required, tag = "2")]
    pub(super) recursive: bool,
}

/// Of `mkdirs`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct MakeRequest {
    #[prost(string, required, tag = "1")]
    pub(super) path: String,
    #[prost(message, optional, tag = "2")]
    pub(super) masked: Option<Permission>,
    #[prost(bool, required, tag = "3")]
    pub(super) parents: bool,
}

/// Of `getListing`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ListRequest {
    #[prost(string, required, tag = "1")]
    pub(super) path: String,
    #[prost(bytes = "vec", required, tag = "2")]
    pub(super) after: Vec<u8>,
    #[prost(bool, required, tag = "3")]
    pub(super) locations: bool,
}

/// A page of a directory.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Listing {
    #[prost(message, repeated, tag = "1")]
    pub(super) entries: Vec<FileStatus>,
    #[prost(uint32, required, tag = "2")]
    pub(super) remaining: u32,
}

/// Of `getListing`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ListAnswer {
    #[prost(message, optional, tag = "1")]
    pub(super) listing: Option<Listing>,
}

/// Of `getFileInfo`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PathRequest {
    #[prost(string, required, tag = "1")]
    pub(super) path: String,
}

/// Of `recoverLease`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PathClientRequest {
    #[prost(string, required, tag = "1")]
    pub(super) path: String,
    #[prost(string, required, tag = "2")]
    pub(super) client: String,
}

/// Of `renewLease`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ClientRequest {
    #[prost(string, required, tag = "1")]
    pub(super) client: String,
}

/// Of `getFsStats`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Stats {
    #[prost(uint64, required, tag = "1")]
    pub(super) bytes: u64,
    #[prost(uint64, required, tag = "2")]
    pub(super) used: u64,
    #[prost(uint64, required, tag = "3")]
    pub(super) remaining: u64,
}

/// Of `fsync`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct FsyncRequest {
    #[prost(string, required, tag = "1")]
    pub(super) path: String,
    #[prost(string, required, tag = "2")]
    pub(super) client: String,
    #[prost(sint64, optional, tag = "3")]
    pub(super) last_bytes: Option<i64>,
    #[prost(uint64, optional, tag = "4")]
    pub(super) file_id: Option<u64>,
}

/// Of `updateBlockForPipeline`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct UpdateBlockRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) block: Option<Block>,
    #[prost(string, required, tag = "2")]
    pub(super) client: String,
}

/// Of `updatePipeline`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct UpdatePipelineRequest {
    #[prost(string, required, tag = "1")]
    pub(super) client: String,
    #[prost(message, optional, tag = "2")]
    pub(super) old: Option<Block>,
    #[prost(message, optional, tag = "3")]
    pub(super) new: Option<Block>,
    #[prost(message, repeated, tag = "4")]
    pub(super) nodes: Vec<DatanodeId>,
    #[prost(string, repeated, tag = "5")]
    pub(super) storage_ids: Vec<String>,
}

/// Of `getBlockLocations`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct LocationsRequest {
    #[prost(string, required, tag = "1")]
    pub(super) path: String,
    #[prost(uint64, required, tag = "2")]
    pub(super) offset: u64,
    #[prost(uint64, required, tag = "3")]
    pub(super) bytes: u64,
}

/// Of `getBlockLocations`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct LocationsAnswer {
    #[prost(message, optional, tag = "1")]
    pub(super) blocks: Option<LocatedBlocks>,
}

/// Defaults of the server.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Defaults {
    #[prost(uint64, required, tag = "1")]
    pub(super) block_bytes: u64,
    #[prost(uint32, required, tag = "2")]
    pub(super) chunk_bytes: u32,
    #[prost(uint32, required, tag = "3")]
    pub(super) packet_bytes: u32,
    #[prost(uint32, required, tag = "4")]
    pub(super) replication: u32,
    #[prost(bool, optional, tag = "6")]
    pub(super) is_encrypted: Option<bool>,
}

/// Of `getServerDefaults`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct DefaultsAnswer {
    #[prost(message, optional, tag = "1")]
    pub(super) defaults: Option<Defaults>,
}

/// Of `getReplicaVisibleLength`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct BlockRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) block: Option<Block>,
}

/// Of `getReplicaVisibleLength`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct LengthAnswer {
    #[prost(uint64, required, tag = "1")]
    pub(super) bytes: u64,
}

/// Head of what is asked of a DataNode.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct BaseHeader {
    #[prost(message, optional, tag = "1")]
    pub(super) block: Option<Block>,
    #[prost(message, optional, tag = "2")]
    pub(super) token: Option<Token>,
}

/// The same with a client's name.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ClientHeader {
    #[prost(message, optional, tag = "1")]
    pub(super) base: Option<BaseHeader>,
    #[prost(string, required, tag = "2")]
    pub(super) client: String,
}

/// How data is protected.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Checksum {
    #[prost(int32, required, tag = "1")]
    pub(super) kind: i32,
    #[prost(uint32, required, tag = "2")]
    pub(super) chunk_bytes: u32,
}

/// Left to the DataNode.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct CachingStrategy {}

/// Begins or goes on with a block.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WriteBlock {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<ClientHeader>,
    #[prost(message, repeated, tag = "2")]
    pub(super) targets: Vec<Datanode>,
    #[prost(int32, required, tag = "4")]
    pub(super) stage: i32,
    #[prost(uint32, required, tag = "5")]
    pub(super) nodes: u32,
    #[prost(uint64, required, tag = "6")]
    pub(super) bytes_min: u64,
    #[prost(uint64, required, tag = "7")]
    pub(super) bytes_max: u64,
    #[prost(uint64, required, tag = "8")]
    pub(super) generation: u64,
    #[prost(message, optional, tag = "9")]
    pub(super) checksum: Option<Checksum>,
    #[prost(message, optional, tag = "10")]
    pub(super) caching: Option<CachingStrategy>,
    #[prost(int32, optional, tag = "11")]
    pub(super) storage_type: Option<i32>,
    #[prost(int32, repeated, packed = "false", tag = "12")]
    pub(super) storage_types: Vec<i32>,
    #[prost(string, optional, tag = "16")]
    pub(super) storage_id: Option<String>,
    #[prost(string, repeated, tag = "17")]
    pub(super) storage_ids: Vec<String>,
}

/// Reads of a block.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ReadBlock {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<ClientHeader>,
    #[prost(uint64, required, tag = "2")]
    pub(super) offset: u64,
    #[prost(uint64, required, tag = "3")]
    pub(super) bytes: u64,
    #[prost(bool, optional, tag = "4")]
    pub(super) checksums: Option<bool>,
}

/// What follows in answer to a read.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ChecksumInfo {
    #[prost(message, optional, tag = "1")]
    pub(super) checksum: Option<Checksum>,
    #[prost(uint64, required, tag = "2")]
    pub(super) chunk_offset: u64,
}

/// A DataNode's answer.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct BlockAnswerOfNode {
    #[prost(int32, required, tag = "1")]
    pub(super) status: i32,
    #[prost(string, optional, tag = "2")]
    pub(super) first_bad: Option<String>,
    #[prost(message, optional, tag = "4")]
    pub(super) checksum: Option<ChecksumInfo>,
    #[prost(string, optional, tag = "5")]
    pub(super) message: Option<String>,
}

/// Head of a packet.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PacketHeader {
    #[prost(sfixed64, required, tag = "1")]
    pub(super) offset: i64,
    #[prost(sfixed64, required, tag = "2")]
    pub(super) sequence: i64,
    #[prost(bool, required, tag = "3")]
    pub(super) is_last: bool,
    #[prost(sfixed32, required, tag = "4")]
    pub(super) bytes: i32,
    #[prost(bool, optional, tag = "5")]
    pub(super) sync: Option<bool>,
}

/// What became of a packet.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PipelineAck {
    #[prost(sint64, required, tag = "1")]
    pub(super) sequence: i64,
    #[prost(int32, repeated, packed = "false", tag = "2")]
    pub(super) replies: Vec<i32>,
    #[prost(uint32, repeated, tag = "4")]
    pub(super) flags: Vec<u32>,
}

/// A reader's thanks.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ReadStatus {
    #[prost(int32, required, tag = "1")]
    pub(super) status: i32,
}
