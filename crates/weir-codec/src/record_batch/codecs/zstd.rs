//! Zstandard, by the C library.

use std::io::Cursor;
use std::ops::RangeInclusive;

use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd::zstd_safe::{CCtx, CParameter, DCtx, compress_bound, get_error_name, get_frame_content_size, is_error_kind};

use super::decompressor::Stop;

/// Kafka's bounds.
pub(super) const LEVELS: RangeInclusive<i32> = -131_072..=22;
/// The library's own, and Kafka's.
pub(super) const LEVEL_DEFAULT: i32 = 3;

/// What the default level makes of syslog, rounded up: a start for frames that do not say their size.
const RATIO_GUESS: usize = 8;
/// Least room for a second try.
const STEP_BYTES: usize = 128 << 10;

pub(super) struct Compressor(CCtx<'static>);

impl Compressor {
    pub(super) fn new(level: i32) -> Self {
        let mut context = CCtx::create();
        context
            .set_parameter(CParameter::CompressionLevel(level))
            .expect("every level is clamped by the library, none refused");
        Self(context)
    }

    pub(super) fn compress(&mut self, records: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        out.reserve(compress_bound(records.len()));
        let mut room = Cursor::new(out);
        room.set_position(room.get_ref().len() as u64);
        self.0.compress2(&mut room, records).map(|_| ()).map_err(get_error_name)
    }
}

pub(super) struct Decompressor(DCtx<'static>);

impl Decompressor {
    pub(super) fn new() -> Self {
        Self(DCtx::create())
    }

    /// Reads all frames of `source` into the empty `out`.
    ///
    /// In one step even where a streaming writer left the size out: the output then is the window, while the library's
    /// stream would set aside a window of up to 128 MiB that no limit of ours counts.
    pub(super) fn decompress(&mut self, source: &[u8], out: &mut Vec<u8>, bytes_max: usize) -> Result<(), Stop> {
        let guess = match get_frame_content_size(source) {
            Ok(Some(size)) if size > bytes_max as u64 => return Err(Stop::TooLarge),
            Ok(Some(size)) => size as usize,
            Ok(None) => source.len().saturating_mul(RATIO_GUESS).min(bytes_max),
            Err(_) => return Err(Stop::Malformed("no zstd frame")),
        };
        out.reserve_exact(guess);
        loop {
            match self.0.decompress(&mut *out, source) {
                Ok(_) => return Ok(()),
                Err(code) if is_error_kind(code, ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall) => {
                    out.clear();
                    let room_bytes = out.capacity();
                    if room_bytes >= bytes_max {
                        return Err(Stop::TooLarge);
                    }
                    out.reserve_exact(room_bytes.saturating_mul(2).max(STEP_BYTES).min(bytes_max));
                }
                Err(code) => return Err(Stop::Malformed(get_error_name(code))),
            }
        }
    }
}
