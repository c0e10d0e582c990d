//! Messages with their lengths in front.

use std::io;

use bytes::{Buf, BytesMut};
use prost::Message;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Hadoop's own limit of an answer is 128 MiB; a page of 1,000 paths of 8 KB is 8 MB.
pub(super) const FRAME_BYTES_MAX: usize = 64 << 20;

/// A message that cannot be what the peer meant.
pub(super) fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// Takes one message off the front; `None` if it is not all there yet.
pub(super) fn take<M: Message + Default>(buffer: &mut BytesMut) -> io::Result<Option<M>> {
    let (mut bytes, mut head) = (0_usize, 0);
    loop {
        let Some(byte) = buffer.get(head) else { return Ok(None) };
        bytes |= usize::from(byte & 0x7f) << (7 * head);
        head += 1;
        if byte & 0x80 == 0 {
            break;
        }
        // 7 x 4 bits are 256 MiB.
        if head == 4 {
            return Err(invalid("a message is longer than any that Hadoop sends"));
        }
    }
    if bytes > FRAME_BYTES_MAX {
        return Err(invalid(format!("a message of {bytes} bytes is longer than any that Hadoop sends")));
    }
    if buffer.len() < head + bytes {
        return Ok(None);
    }
    buffer.advance(head);
    M::decode(buffer.split_to(bytes)).map(Some).map_err(|error| invalid(error.to_string()))
}

/// Reads until a message is there. Cancelled, it leaves in `buffer` what came.
pub(super) async fn read<M: Message + Default>(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
) -> io::Result<M> {
    loop {
        if let Some(message) = take(buffer)? {
            return Ok(message);
        }
        fill(stream, buffer).await?;
    }
}

/// Reads at least one byte more.
pub(super) async fn fill(stream: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> io::Result<()> {
    if stream.read_buf(buffer).await? == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::wire::Block;

    /// Scenario: a message of 200 bytes (a length of two bytes) arrives byte by byte, with the next one's first byte.
    /// Guarantees: it is taken once, when its last byte is there; what follows stays; an endless length is refused.
    #[test]
    fn messages_come_in_pieces() {
        let block = Block { pool: "p".repeat(190), id: 7, generation: 9, bytes: Some(5) };
        let mut bytes = block.encode_length_delimited_to_vec();
        bytes.push(1);
        let mut buffer = BytesMut::new();
        for (index, byte) in bytes.iter().enumerate() {
            buffer.extend_from_slice(&[*byte]);
            let taken = take::<Block>(&mut buffer).unwrap();
            assert_eq!(taken.is_some(), index + 2 == bytes.len());
        }
        assert_eq!(buffer[..], [1]);
        assert!(take::<Block>(&mut BytesMut::from(&[0xff; 9][..])).is_err());
    }
}
