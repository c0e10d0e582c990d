//! A connection to a DataNode: one operation each.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use prost::Message;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::frame;
use super::wire::{BaseHeader, Block, BlockAnswerOfNode, ClientHeader, DatanodeId, ReadBlock, Token};

/// Version of the data transfer protocol, of all Hadoop 2 and 3.
const VERSION: u16 = 28;
pub(super) const WRITE: u8 = 80;
pub(super) const READ: u8 = 81;

/// An open connection, and what came of it that was not taken yet.
pub(super) struct Link {
    pub(super) stream: TcpStream,
    pub(super) received: BytesMut,
}

/// `host:port` of a node.
pub(super) fn address(node: &DatanodeId, by_hostname: bool) -> String {
    format!("{}:{}", if by_hostname { &node.host } else { &node.address }, node.port)
}

pub(super) fn client_header(block: &Block, token: Option<&Token>, client: &str) -> ClientHeader {
    let token = Some(token.cloned().unwrap_or_default());
    ClientHeader { base: Some(BaseHeader { block: Some(block.clone()), token }), client: client.to_owned() }
}

/// Asks; the answer's first message. Without a deadline of its own.
pub(super) async fn ask(address: &str, operation: u8, request: &impl Message) -> io::Result<(Link, BlockAnswerOfNode)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut bytes = VERSION.to_be_bytes().to_vec();
    bytes.push(operation);
    bytes.extend(request.encode_length_delimited_to_vec());
    stream.write_all(&bytes).await?;
    let mut received = BytesMut::with_capacity(16 << 10);
    let answer = frame::read(&mut stream, &mut received).await?;
    Ok((Link { stream, received }, answer))
}

/// Whether a node answers anything within the time.
pub(super) async fn lives(address: &str, block: &Block, token: Option<&Token>, timeout: Duration) -> bool {
    let request =
        ReadBlock { header: Some(client_header(block, token, "weir")), offset: 0, bytes: 0, checksums: Some(false) };
    let asked = tokio::time::timeout(timeout, ask(address, READ, &request)).await;
    match asked {
        Ok(Ok(_)) => true,
        // It closed the connection instead of an answer: alive.
        Ok(Err(error)) => error.kind() == io::ErrorKind::UnexpectedEof,
        Err(_) => false,
    }
}
