//! Text and JSON lines.

use std::io::{self, BufRead, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::{Limits, Progress, ReadError, StoredEvent, damage, input};

/// What a line is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lines {
    /// The body; one with line feeds in it is several lines, and so several events here.
    Text,
    /// An object with the body.
    Json,
}

/// A line of a file in JSON; headers are not read.
#[derive(Deserialize)]
struct Event {
    body: Option<String>,
    body_base64: Option<String>,
}

/// Calls `each` with the body of every line.
///
/// # Errors
/// [`ReadError`].
pub fn lines(
    layout: Lines,
    file: impl Read,
    limits: Limits,
    each: &mut dyn FnMut(StoredEvent<'_>),
) -> Result<(), ReadError> {
    let mut progress = Progress::default();
    read(layout, file, limits, &mut progress, each).map_err(|error| progress.failed(error))
}

fn read(
    layout: Lines,
    file: impl Read,
    limits: Limits,
    progress: &mut Progress,
    each: &mut dyn FnMut(StoredEvent<'_>),
) -> io::Result<()> {
    let mut file = input::buffered(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        file.by_ref().take(limits.event_bytes_max as u64).read_until(b'\n', &mut line)?;
        let Some((end, content)) = line.split_last() else { return Ok(()) };
        if *end != b'\n' {
            let max = limits.event_bytes_max;
            return Err(damage(format!("the line does not end: it is cut off, or longer than {max} bytes")));
        }
        match layout {
            Lines::Text => each(StoredEvent::of_body(content)),
            Lines::Json => each(StoredEvent::of_body(&body(content)?)),
        }
        progress.events += 1;
        progress.at += line.len() as u64;
    }
}

fn body(line: &[u8]) -> io::Result<Vec<u8>> {
    match serde_json::from_slice(line).map_err(|error| damage(format!("the line is no event: {error}")))? {
        Event { body: Some(body), .. } => Ok(body.into_bytes()),
        Event { body_base64: Some(text), .. } => {
            STANDARD.decode(text).map_err(|error| damage(format!("its body is not base64: {error}")))
        }
        Event { .. } => Err(damage("the line is an event without a body")),
    }
}
