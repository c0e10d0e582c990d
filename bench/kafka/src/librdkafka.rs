//! librdkafka at its best: whole batches at a time through `rd_kafka_produce_batch` and `rd_kafka_consume_batch_queue`,
//! which the crate `rdkafka` does not offer, without copies of payloads, without callbacks or reports per message.
//!
//! That every event arrived is not taken from the library: the bench counts the topic afterwards.

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;

use rdkafka_sys as sys;

use crate::job::{Failure, Job, Stopwatch, Work};
use crate::lines::{BATCH_EVENTS, Lines, PARTITIONS};
use crate::settings;

/// Messages taken from the queue at a time; more are not faster.
const TAKEN_MAX: usize = 10_000;
/// A flush that takes longer has failed: ten times the time of a run.
const FLUSH_MS: c_int = 300_000;

pub(crate) fn run(job: &Job) -> Result<(), Failure> {
    match job.work {
        Work::Produce { lz4, acks_all } => produce(job, lz4, acks_all),
        Work::Consume => consume(job),
    }
}

/// The version of the library.
pub(crate) fn version() -> String {
    // SAFETY: no preconditions; the text is static and ends with a zero.
    unsafe { CStr::from_ptr(sys::rd_kafka_version_str()) }.to_string_lossy().into_owned()
}

/// A client of the library; destroyed on drop.
struct Handle(*mut sys::rd_kafka_t);

impl Handle {
    fn new(kind: sys::rd_kafka_type_t, settings: &[(&str, &str)]) -> Result<Self, Failure> {
        let mut complaint = [0 as c_char; 512];
        // SAFETY: no preconditions; freed by rd_kafka_new below, or leaked by an error that ends the process.
        let conf = unsafe { sys::rd_kafka_conf_new() };
        for (name, value) in settings {
            let (name, value) = (CString::new(*name)?, CString::new(*value)?);
            // SAFETY: `conf` is valid, both texts end with a zero, the complaint has the length given.
            let set = unsafe {
                sys::rd_kafka_conf_set(conf, name.as_ptr(), value.as_ptr(), complaint.as_mut_ptr(), complaint.len())
            };
            if set != sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
                return Err(text(&complaint).into());
            }
        }
        // SAFETY: `conf` is valid and given away here; the complaint has the length given.
        let handle = unsafe { sys::rd_kafka_new(kind, conf, complaint.as_mut_ptr(), complaint.len()) };
        if handle.is_null() { Err(text(&complaint).into()) } else { Ok(Self(handle)) }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: valid, and not used after.
        unsafe { sys::rd_kafka_destroy(self.0) }
    }
}

fn text(complaint: &[c_char]) -> String {
    // SAFETY: the library ends what it writes with a zero, and the buffer was zeros before.
    unsafe { CStr::from_ptr(complaint.as_ptr()) }.to_string_lossy().into_owned()
}

fn check(what: &str, error: sys::rd_kafka_resp_err_t) -> Result<(), Failure> {
    if error == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Ok(());
    }
    // SAFETY: any code has a static text that ends with a zero.
    let text = unsafe { CStr::from_ptr(sys::rd_kafka_err2str(error)) };
    Err(format!("{what}: {}", text.to_string_lossy()).into())
}

fn produce(job: &Job, lz4: bool, acks_all: bool) -> Result<(), Failure> {
    let lines = Lines::new();
    let bytes = lines.bytes(job.events);
    let producer = Handle::new(sys::rd_kafka_type_t::RD_KAFKA_PRODUCER, &settings::producer(job, lz4, acks_all))?;
    let name = CString::new(job.topic.as_str())?;
    // SAFETY: the handle is valid, the name ends with a zero; without settings of its own the topic takes the handle's.
    let topic = unsafe { sys::rd_kafka_topic_new(producer.0, name.as_ptr(), ptr::null_mut()) };
    let mut watch = Stopwatch::start()?;
    for (index, partition) in (0..job.events / BATCH_EVENTS).zip((0..PARTITIONS).cycle()) {
        let batch = lines.batch(index);
        let mut messages: Vec<sys::rd_kafka_message_t> = (0..batch.len()).map(|row| message(batch.body(row))).collect();
        hand_over(&producer, topic, partition, &mut messages)?;
        watch.progress(index * BATCH_EVENTS)?;
    }
    // SAFETY: the handle is valid.
    check("flush", unsafe { sys::rd_kafka_flush(producer.0, FLUSH_MS) })?;
    watch.stop(job.events, bytes)?;
    // SAFETY: valid, and not used after. `lines` is dropped last, after the producer that points into it.
    unsafe { sys::rd_kafka_topic_destroy(topic) };
    drop(producer);
    drop(lines);
    Ok(())
}

fn message(body: &[u8]) -> sys::rd_kafka_message_t {
    sys::rd_kafka_message_t {
        err: sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR,
        rkt: ptr::null_mut(),
        partition: 0,
        // Only read from: neither flag that gives the library the payload is set.
        payload: body.as_ptr().cast_mut().cast(),
        len: body.len(),
        key: ptr::null_mut(),
        key_len: 0,
        offset: 0,
        _private: ptr::null_mut(),
    }
}

/// Hands all `messages` over, in order, waiting while the queue is full.
fn hand_over(
    producer: &Handle,
    topic: *mut sys::rd_kafka_topic_t,
    partition: i32,
    messages: &mut [sys::rd_kafka_message_t],
) -> Result<(), Failure> {
    let mut rest = messages;
    loop {
        let count = rest.len() as c_int;
        // SAFETY: the topic is valid; so are the messages, whose payloads outlive the producer. No flag: no copy is made.
        let taken = unsafe { sys::rd_kafka_produce_batch(topic, partition, 0, rest.as_mut_ptr(), count) };
        let refused = rest.iter().find(|message| message.err != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR);
        match refused.map(|message| message.err) {
            None => return Ok(()),
            Some(sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__QUEUE_FULL) => {}
            Some(error) => check("produce", error)?,
        }
        // It takes them in order, and none after the first that finds the queue full.
        rest = &mut rest[usize::try_from(taken)?..];
        // SAFETY: the handle is valid.
        unsafe { sys::rd_kafka_poll(producer.0, 5) };
    }
}

fn consume(job: &Job) -> Result<(), Failure> {
    let consumer = Handle::new(sys::rd_kafka_type_t::RD_KAFKA_CONSUMER, &settings::consumer(job))?;
    let name = CString::new(job.topic.as_str())?;
    let mut taken: Vec<*mut sys::rd_kafka_message_t> = vec![ptr::null_mut(); TAKEN_MAX];
    let (mut events, mut bytes) = (0, 0);
    let mut watch = Stopwatch::start()?;
    // SAFETY: the handle is valid, the name ends with a zero; the list is copied by the assignment and freed after it.
    let queue = unsafe {
        check("consume", sys::rd_kafka_poll_set_consumer(consumer.0))?;
        let list = sys::rd_kafka_topic_partition_list_new(PARTITIONS);
        for partition in 0..PARTITIONS {
            (*sys::rd_kafka_topic_partition_list_add(list, name.as_ptr(), partition)).offset = 0;
        }
        let assigned = sys::rd_kafka_assign(consumer.0, list);
        sys::rd_kafka_topic_partition_list_destroy(list);
        check("assign", assigned)?;
        sys::rd_kafka_queue_get_consumer(consumer.0)
    };
    while events < job.events {
        // SAFETY: the queue is valid, the vector has room for the number given.
        let count = unsafe { sys::rd_kafka_consume_batch_queue(queue, 100, taken.as_mut_ptr(), taken.len()) };
        for message in &taken[..usize::try_from(count)?] {
            // SAFETY: the first `count` pointers are messages that belong to us until they are destroyed, here.
            let (error, len) = unsafe {
                let read = ((**message).err, (**message).len);
                sys::rd_kafka_message_destroy(*message);
                read
            };
            check("consume", error)?;
            events += 1;
            bytes += len as u64;
        }
        watch.progress(events)?;
    }
    watch.stop(events, bytes)?;
    // SAFETY: valid, and not used after.
    unsafe {
        sys::rd_kafka_queue_destroy(queue);
        check("close", sys::rd_kafka_consumer_close(consumer.0))
    }
}
