//! Packets: what a block is sent as.

use std::io;

use bytes::{Bytes, BytesMut};
use prost::Message;

use super::frame::invalid;
use super::wire::PacketHeader;

/// Bytes that each have a checksum; Hadoop's default.
pub(super) const CHUNK_BYTES: usize = 512;
/// Data of a packet, a multiple of chunks; with checksums and head just above Java's 64 KiB, far below its limit of 16 MiB.
pub(super) const PACKET_BYTES: usize = 64 << 10;
/// Java's `PacketReceiver` takes at most this.
const PACKET_BYTES_MAX: usize = 16 << 20;

/// A packet that was made and is not yet acknowledged.
#[derive(Clone)]
pub(super) struct Packet {
    pub(super) sequence: i64,
    /// Bytes of the block with it.
    pub(super) end: u64,
    /// Bytes that no packet before it had.
    pub(super) new_bytes: usize,
    pub(super) is_last: bool,
    /// Whether it is acknowledged only when the block is on disk so far.
    pub(super) is_synced: bool,
    /// As it is sent.
    pub(super) wire: Bytes,
}

/// Frames `data`, which begins at `offset` of the block.
pub(super) fn encode(sequence: i64, offset: u64, data: &[u8], is_last: bool, sync: bool) -> Bytes {
    let header = PacketHeader { offset: offset as i64, sequence, is_last, bytes: data.len() as i32, sync: Some(sync) };
    let chunks = data.len().div_ceil(CHUNK_BYTES);
    let header_bytes = header.encoded_len();
    let payload = 4 + chunks * 4 + data.len();
    let mut wire = BytesMut::with_capacity(6 + header_bytes + payload);
    wire.extend_from_slice(&(payload as u32).to_be_bytes());
    wire.extend_from_slice(&(header_bytes as u16).to_be_bytes());
    header.encode(&mut wire).expect("a BytesMut takes everything");
    for chunk in data.chunks(CHUNK_BYTES) {
        wire.extend_from_slice(&crc32c::crc32c(chunk).to_be_bytes());
    }
    wire.extend_from_slice(data);
    wire.freeze()
}

/// Takes a packet off the front: its head, its checksums, its data. `None` if it is not all there.
pub(super) fn take(buffer: &mut BytesMut) -> io::Result<Option<(PacketHeader, Bytes, Bytes)>> {
    let Some((head, _)) = buffer.split_first_chunk::<6>() else { return Ok(None) };
    let payload = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let header_bytes = usize::from(u16::from_be_bytes([head[4], head[5]]));
    if !(4..=PACKET_BYTES_MAX).contains(&payload) {
        return Err(invalid(format!("a packet of {payload} bytes")));
    }
    let all = 6 + header_bytes + payload - 4;
    if buffer.len() < all {
        buffer.reserve(all - buffer.len());
        return Ok(None);
    }
    let mut packet = buffer.split_to(all).freeze();
    let header = PacketHeader::decode(packet.slice(6..6 + header_bytes)).map_err(|error| invalid(error.to_string()))?;
    let mut rest = packet.split_off(6 + header_bytes);
    let data_bytes = usize::try_from(header.bytes).map_err(|_| invalid("a packet of negative length"))?;
    if data_bytes > rest.len() {
        return Err(invalid("a packet shorter than it says"));
    }
    let data = rest.split_off(rest.len() - data_bytes);
    Ok(Some((header, rest, data)))
}

/// Whether each chunk has its checksum.
pub(super) fn verify(checksums: &[u8], data: &[u8], chunk_bytes: usize) -> bool {
    let expected = checksums.chunks(4);
    expected.len() == data.len().div_ceil(chunk_bytes)
        && data.chunks(chunk_bytes).zip(expected).all(|(chunk, sum)| crc32c::crc32c(chunk).to_be_bytes() == *sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: packets of no, one, a chunk's, one more and many bytes are taken from their frames; a bit is changed.
    /// Guarantees: the data comes back with sums that match; a changed bit does not match; an incomplete frame waits.
    #[test]
    fn packets_come_back() {
        for bytes in [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, PACKET_BYTES] {
            let data: Vec<u8> = (0..bytes).map(|index| index as u8).collect();
            let wire = encode(3, 1024, &data, bytes == 0, true);
            assert!(take(&mut BytesMut::from(&wire[..wire.len() - 1])).unwrap().is_none());
            let (header, sums, got) = take(&mut BytesMut::from(&wire[..])).unwrap().unwrap();
            assert_eq!((header.sequence, header.offset, header.is_last), (3, 1024, bytes == 0));
            assert!(got == data && verify(&sums, &got, CHUNK_BYTES));
            if bytes > 0 {
                let mut bad = got.to_vec();
                bad[bytes / 2] ^= 1;
                assert!(!verify(&sums, &bad, CHUNK_BYTES));
            }
        }
    }
}
