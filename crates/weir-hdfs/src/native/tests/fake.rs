//! A NameNode and DataNodes that do as they are told.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::native::wire::{
    BlockAnswerOfNode, Checksum, ChecksumInfo, Datanode, DatanodeId, PacketHeader, PipelineAck, ReadBlock,
    RequestHeader, RpcRequestHeader, RpcResponseHeader, WriteBlock,
};
use crate::native::{datanode, frame, packet};

/// What a NameNode says to a call.
pub(super) enum Said {
    Answer(Vec<u8>),
    Refusal(&'static str, &'static str),
    Nothing,
}

/// A message as an answer.
pub(super) fn answer(message: &impl Message) -> Said {
    Said::Answer(message.encode_to_vec())
}

/// Method, how many calls of it came before, the request.
type Script = dyn Fn(&str, usize, Bytes) -> Said + Send + Sync;

pub(super) struct NameNode {
    pub(super) address: SocketAddr,
    pub(super) connections: Arc<AtomicUsize>,
    calls: Arc<Mutex<HashMap<String, Vec<Bytes>>>>,
}

impl NameNode {
    pub(super) async fn start(script: impl Fn(&str, usize, Bytes) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let node = Self { address, connections: Arc::default(), calls: Arc::default() };
        let (script, calls, connections): (Arc<Script>, _, _) =
            (Arc::new(script), Arc::clone(&node.calls), Arc::clone(&node.connections));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(calls_of(socket, Arc::clone(&script), Arc::clone(&calls)));
            }
        });
        node
    }

    /// All requests of a method.
    pub(super) fn calls<M: Message + Default>(&self, method: &str) -> Vec<M> {
        let calls = self.calls.lock().expect("no panic");
        let all = calls.get(method).into_iter().flatten();
        all.map(|request| M::decode_length_delimited(&request[..]).expect("a request")).collect()
    }
}

async fn calls_of(mut socket: TcpStream, script: Arc<Script>, calls: Arc<Mutex<HashMap<String, Vec<Bytes>>>>) {
    let mut first = [0; 7];
    if socket.read_exact(&mut first).await.is_err() {
        return;
    }
    while let Ok(bytes) = socket.read_u32().await {
        let mut call = vec![0; bytes as usize];
        socket.read_exact(&mut call).await.expect("the rest of a frame");
        let mut call = Bytes::from(call);
        let header = RpcRequestHeader::decode_length_delimited(&mut call).expect("a head");
        if header.call_id < 0 {
            continue;
        }
        let what = RequestHeader::decode_length_delimited(&mut call).expect("what is called");
        let before = {
            let mut calls = calls.lock().expect("no panic");
            let all = calls.entry(what.method.clone()).or_default();
            all.push(call.clone());
            all.len() - 1
        };
        let ok = RpcResponseHeader { call_id: header.call_id as u32, status: 0, exception: None, message: None };
        let mut body = Vec::new();
        match script(&what.method, before, call) {
            Said::Nothing => continue,
            Said::Answer(answer) => {
                body.extend(ok.encode_length_delimited_to_vec());
                prost::encoding::encode_varint(answer.len() as u64, &mut body);
                body.extend(answer);
            }
            Said::Refusal(class, message) => {
                let (exception, message) = (Some(format!("x.{class}")), Some(message.to_owned()));
                body.extend(RpcResponseHeader { status: 1, exception, message, ..ok }.encode_length_delimited_to_vec());
            }
        }
        let _ = socket.write_all(&[&(body.len() as u32).to_be_bytes()[..], &body[..]].concat()).await;
    }
}

/// What a DataNode does with the packets of a block.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Acks {
    AtOnce,
    /// Each after so long.
    After(Duration),
    /// Those that are to be on disk after so long.
    SyncedAfter(Duration),
    Never,
}

/// What is in a copy, and whether it fits its sums.
#[derive(Clone)]
pub(super) struct Copy {
    pub(super) data: Bytes,
    pub(super) is_good: bool,
}

#[derive(Clone)]
pub(super) struct DataNode {
    pub(super) id: DatanodeId,
    /// Heads of the packets that came.
    pub(super) packets: Arc<Mutex<Vec<PacketHeader>>>,
    /// How often it was read.
    pub(super) reads: Arc<AtomicUsize>,
}

type Behaviour = dyn Fn(&WriteBlock) -> Acks + Send + Sync;

impl DataNode {
    pub(super) async fn start(
        name: &str,
        copy: Option<Copy>,
        behaviour: impl Fn(&WriteBlock) -> Acks + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = u32::from(listener.local_addr().expect("it is bound").port());
        let (address, host, uuid) = ("127.0.0.1".to_owned(), "localhost".to_owned(), name.to_owned());
        let id = DatanodeId { address, host, uuid, port, info_port: 0, ipc_port: 0 };
        let node = Self { id, packets: Arc::default(), reads: Arc::default() };
        let (own, behaviour): (_, Arc<Behaviour>) = (node.clone(), Arc::new(behaviour));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (own, copy, behaviour) = (own.clone(), copy.clone(), Arc::clone(&behaviour));
                tokio::spawn(async move {
                    // The client may go at any time.
                    let _ = own.serve(socket, copy, &*behaviour).await;
                });
            }
        });
        node
    }

    pub(super) fn listed(&self) -> Datanode {
        Datanode { id: Some(self.id.clone()), location: Some("/default-rack".to_owned()) }
    }

    async fn serve(&self, mut socket: TcpStream, copy: Option<Copy>, behaviour: &Behaviour) -> std::io::Result<()> {
        socket.read_u16().await?;
        let mut received = BytesMut::new();
        if socket.read_u8().await? == datanode::READ {
            let request: ReadBlock = frame::read(&mut socket, &mut received).await?;
            return self.read(socket, copy.filter(|_| request.bytes > 0)).await;
        }
        let request: WriteBlock = frame::read(&mut socket, &mut received).await?;
        let ok = BlockAnswerOfNode { status: 0, first_bad: None, checksum: None, message: None };
        socket.write_all(&ok.encode_length_delimited_to_vec()).await?;
        let acks = behaviour(&request);
        loop {
            let Some((head, ..)) = packet::take(&mut received)? else {
                frame::fill(&mut socket, &mut received).await?;
                continue;
            };
            self.packets.lock().expect("no panic").push(head.clone());
            match acks {
                Acks::Never => continue,
                Acks::After(time) => tokio::time::sleep(time).await,
                Acks::SyncedAfter(time) if head.sync == Some(true) => tokio::time::sleep(time).await,
                Acks::AtOnce | Acks::SyncedAfter(_) => {}
            }
            let replies = vec![0; request.nodes as usize];
            let ack = PipelineAck { sequence: head.sequence, replies, flags: Vec::new() };
            socket.write_all(&ack.encode_length_delimited_to_vec()).await?;
        }
    }

    async fn read(&self, mut socket: TcpStream, copy: Option<Copy>) -> std::io::Result<()> {
        let checksum = Some(Checksum { kind: 2, chunk_bytes: packet::CHUNK_BYTES as u32 });
        let checksum = Some(ChecksumInfo { checksum, chunk_offset: 0 });
        let mut answer = BlockAnswerOfNode { status: 0, first_bad: None, checksum, message: None };
        let Some(copy) = copy else {
            answer.status = 1;
            return socket.write_all(&answer.encode_length_delimited_to_vec()).await;
        };
        self.reads.fetch_add(1, Ordering::Relaxed);
        socket.write_all(&answer.encode_length_delimited_to_vec()).await?;
        let mut wire = packet::encode(0, 0, &copy.data, false, false).to_vec();
        if !copy.is_good {
            *wire.last_mut().expect("it has data") ^= 1;
        }
        socket.write_all(&wire).await?;
        let mut rest = [0; 64];
        while socket.read(&mut rest).await? > 0 {}
        Ok(())
    }
}
