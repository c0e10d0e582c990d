//! Asking a broker for its metadata with a request written by hand, so that the launcher depends on no client: the client
//! is what its users test.
//!
//! Metadata version 1 is the oldest that names replicas the way the newest does and is answered by every broker from 0.10 to
//! 4.x. Strings are i16 length + bytes (-1: null), arrays i32 count + elements (-1: null), all numbers big endian.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const METADATA_KEY: i16 = 3;
const METADATA_VERSION: i16 = 1;
const CORRELATION: i32 = 7;
const CLIENT: &str = "weir-servers";
/// An answer takes milliseconds; a broker that is starting or paused takes longer than anyone wants to wait.
const PATIENCE: Duration = Duration::from_secs(2);
/// Ten thousand partitions fit; anything larger is not an answer to our question.
const ANSWER_BYTES_MAX: u32 = 1 << 20;

/// What a broker knows about its cluster.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Metadata {
    /// The brokers that take part, in no particular order. One that was killed is listed until its session runs out.
    pub brokers: Vec<u32>,
    /// Every partition of every topic, inner topics included.
    pub partitions: Vec<PartitionState>,
}

impl Metadata {
    /// The partition `partition` of `topic`.
    #[must_use]
    pub fn partition(&self, topic: &str, partition: u32) -> Option<&PartitionState> {
        self.partitions.iter().find(|state| state.topic == topic && state.partition == partition)
    }
}

/// Where one partition is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionState {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: u32,
    /// The broker that leads it; none while there is no leader.
    pub leader: Option<u32>,
    /// The brokers it is to be on.
    pub replicas: Vec<u32>,
    /// Those of them that have all of it.
    pub in_sync: Vec<u32>,
}

/// Asks the broker at `address`. Blocks for milliseconds, or 2 s for each step of the exchange.
///
/// # Errors
/// If it does not answer, or not with metadata.
pub(super) fn ask(address: SocketAddr) -> io::Result<Metadata> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&request())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > ANSWER_BYTES_MAX {
        return Err(malformed());
    }
    let mut answer = vec![0; length as usize];
    stream.read_exact(&mut answer)?;
    parse(&answer)
}

fn request() -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(&METADATA_KEY.to_be_bytes());
    body.extend_from_slice(&METADATA_VERSION.to_be_bytes());
    body.extend_from_slice(&CORRELATION.to_be_bytes());
    body.extend_from_slice(&(CLIENT.len() as i16).to_be_bytes());
    body.extend_from_slice(CLIENT.as_bytes());
    // A null array: all topics.
    body.extend_from_slice(&(-1_i32).to_be_bytes());
    let mut frame = (body.len() as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(&body);
    frame
}

pub(super) fn parse(answer: &[u8]) -> io::Result<Metadata> {
    let mut input = Input { rest: answer };
    if input.int32()? != CORRELATION {
        return Err(malformed());
    }
    let mut metadata = Metadata::default();
    for _ in 0..input.count()? {
        metadata.brokers.extend(input.broker()?);
        input.string()?; // host
        input.int32()?; // port
        input.string()?; // rack
    }
    input.int32()?; // controller: in KRaft mode any broker, as good as none
    for _ in 0..input.count()? {
        input.int16()?; // error
        let topic = input.string()?;
        input.take(1)?; // whether it is an inner one
        for _ in 0..input.count()? {
            input.int16()?; // error: that of having no leader shows in the leader
            metadata.partitions.push(PartitionState {
                topic: topic.clone(),
                partition: input.broker()?.ok_or_else(malformed)?,
                leader: input.broker()?,
                replicas: input.brokers()?,
                in_sync: input.brokers()?,
            });
        }
    }
    Ok(metadata)
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer is not a metadata response of version 1")
}

struct Input<'a> {
    rest: &'a [u8],
}

impl Input<'_> {
    fn take(&mut self, count: usize) -> io::Result<&[u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    fn int16(&mut self) -> io::Result<i16> {
        let bytes = self.take(2)?;
        Ok(i16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn int32(&mut self) -> io::Result<i32> {
        let bytes = self.take(4)?;
        Ok(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// Number of elements of an array; null counts as empty.
    fn count(&mut self) -> io::Result<u32> {
        Ok(u32::try_from(self.int32()?).unwrap_or(0))
    }

    /// A number that is not negative, or -1 for none.
    fn broker(&mut self) -> io::Result<Option<u32>> {
        Ok(u32::try_from(self.int32()?).ok())
    }

    fn brokers(&mut self) -> io::Result<Vec<u32>> {
        let count = self.count()?;
        let mut all = Vec::new();
        for _ in 0..count {
            all.extend(self.broker()?);
        }
        Ok(all)
    }

    fn string(&mut self) -> io::Result<String> {
        let length = usize::try_from(self.int16()?).unwrap_or(0);
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }
}
