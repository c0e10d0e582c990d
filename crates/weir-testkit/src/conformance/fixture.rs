//! What suites share: batches with numbered bodies, channels from options.

use std::path::Path;
use std::sync::Arc;

use weir_engine::channel::Channel;
use weir_engine::receipt::{Receipt, ReceiptTicket};
use weir_engine::registry::{ChannelContext, Registry};
use weir_event::{EventBatch, names};

use crate::agent;

/// Events `range` as a batch: body is the number, `host` tells odd from even, `timestamp` is the number.
#[must_use]
pub fn numbered(range: std::ops::Range<u64>) -> EventBatch {
    let bodies: Vec<String> = range.clone().map(|number| format!("event {number}")).collect();
    let mut batch = EventBatch::from_bodies(&bodies, 1_700_000_000_000);
    batch.set_i64(names::TIMESTAMP, range.map(|number| number as i64).collect());
    batch.set_constant(names::HOST, "fw1");
    batch
}

/// The numbers in the bodies of batches made by [`numbered`].
///
/// # Panics
/// If a body is not one of those.
#[must_use]
pub fn numbers(batches: &[EventBatch]) -> Vec<u64> {
    let of = |batch: &EventBatch, row| {
        let text = std::str::from_utf8(batch.body(row)).expect("bodies are text").to_owned();
        text.strip_prefix("event ").and_then(|number| number.parse().ok()).expect("a numbered body")
    };
    batches.iter().flat_map(|batch| (0..batch.len()).map(move |row| of(batch, row))).collect()
}

/// A channel of `options` (the lines of its section, `type` included), with its state under `folder`, whose last part
/// is also what `{name}` stands for.
///
/// # Panics
/// If it cannot be opened.
#[must_use]
pub fn channel(registry: &Registry, options: &str, folder: &Path) -> Arc<dyn Channel> {
    let name = folder.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let options = options.replace("{name}", &name);
    let toml = format!(
        "[agent]\ndata_dir = '{}'\nmemory = '4 GiB'\n[sources.in]\ntype = 'generate'\nchannels = ['c']\n[channels.c]\n{options}\n[sinks.out]\ntype = 'null'\nchannel = 'c'\n",
        folder.display()
    );
    let plan = agent::plan(&toml, registry);
    let context = ChannelContext { name: "c".into(), data_dir: Some(folder.to_path_buf()) };
    match plan.channels[0].spec.open(&context) {
        Ok(channel) => channel,
        Err(error) => panic!("{error}: {:?}", error.source),
    }
}

/// A ticket whose outcome nobody waits for, and the receipt to look at.
pub fn ticket() -> (ReceiptTicket, Receipt) {
    let receipt = Receipt::new(|_| {});
    let ticket = receipt.ticket();
    receipt.arm();
    (ticket, receipt)
}
