use proptest::prelude::*;

use super::*;

const SMALL: FramingSpec = FramingSpec { frame_bytes_max: 8, octet_count_max: 40, overlong: Overlong::Split };
const WHOLE: FrameKind = FrameKind::Whole;
const CUT: FrameKind = FrameKind::Cut;

/// What a connection gives: frames, the error that ended it, bytes discarded.
#[derive(Debug, PartialEq)]
struct Outcome {
    frames: Vec<(Vec<u8>, FrameKind)>,
    error: Option<FrameError>,
    discarded_bytes: u64,
}

/// Runs a stream that arrives in chunks of these sizes (the last one repeats), with the arena at an odd place.
fn run(spec: FramingSpec, stream: &[u8], chunks: &[usize]) -> Outcome {
    const BASE: usize = 13;
    let mut framer = Framer::new(spec);
    let mut frames = Vec::new();
    let mut out = |frame: Frame| {
        let start = frame.span.start as usize - BASE;
        frames.push((stream[start..frame.span.end() - BASE].to_vec(), frame.kind));
    };
    let (mut consumed, mut read, mut turn) = (0, 0, 0);
    let mut error = None;
    while read < stream.len() && error.is_none() {
        read = stream.len().min(read + chunks[turn.min(chunks.len() - 1)].max(1));
        turn += 1;
        match framer.frames(&stream[consumed..read], BASE + consumed, &mut out) {
            Ok(bytes) => consumed += bytes,
            Err(found) => error = Some(found),
        }
        assert!(error.is_some() || read - consumed <= spec.frame_bytes_max + 11, "carries {}", read - consumed);
    }
    framer.finish(&stream[consumed..read], BASE + consumed, &mut out);
    Outcome { frames, error, discarded_bytes: framer.discarded_bytes() }
}

fn frames(spec: FramingSpec, stream: &[u8]) -> Vec<(String, FrameKind)> {
    let outcome = run(spec, stream, &[usize::MAX / 2]);
    outcome.frames.into_iter().map(|(bytes, kind)| (String::from_utf8_lossy(&bytes).into_owned(), kind)).collect()
}

fn expect(spec: FramingSpec, stream: &[u8], expected: &[(&str, FrameKind)]) {
    let expected: Vec<_> = expected.iter().map(|(text, kind)| ((*text).to_owned(), *kind)).collect();
    assert_eq!(frames(spec, stream), expected, "{}", stream.escape_ascii());
    for bytes in 1..4 {
        assert_eq!(run(spec, stream, &[bytes]), run(spec, stream, &[stream.len()]), "in chunks of {bytes}");
    }
}

/// Scenario: lines with LF, CR LF, NUL trailers, blank lines between them, and none at the end.
/// Guarantees: each is one whole frame without its trailer; blank lines are none.
#[test]
fn lines_end_at_lf() {
    let spec = FramingSpec::default();
    expect(
        spec,
        b"<1>a\n\n\r\n<2>b\r\n<3>c\0\n\0<4>d\n<5>e",
        &[("<1>a", WHOLE), ("<2>b", WHOLE), ("<3>c", WHOLE), ("<4>d", WHOLE), ("<5>e", WHOLE)],
    );
    expect(spec, b"\n\r\n\0", &[]);
    expect(spec, b"a\r\r\r\n", &[("a\r", WHOLE)]);
    expect(spec, b"189\n<2>b\n", &[("189", WHOLE), ("<2>b", WHOLE)]);
    expect(spec, b"12 monkeys\n4 <1>a\n", &[("12 monkeys", WHOLE), ("4 <1>a", WHOLE)]);
    expect(spec, b"99999999999 <1>a\n", &[("99999999999 <1>a", WHOLE)]);
}

/// Scenario: octet-counted frames back to back, with line ends inside, behind and between them.
/// Guarantees: the count decides; a counted line end is stripped, a line end between frames is nothing.
#[test]
fn octet_counts_are_followed() {
    let spec = FramingSpec::default();
    expect(
        spec,
        b"8 <13>one!7 <13>a\nb5 <1>a\n\n5 <1>b\n",
        &[("<13>one!", WHOLE), ("<13>a\nb", WHOLE), ("<1>a", WHOLE), ("<1>b", WHOLE)],
    );
    assert_eq!(frames(spec, b"4 <1>a")[0], ("<1>a".to_owned(), WHOLE));
}

/// Scenario: an octet-counted connection carries frames without a count.
/// Guarantees: those are lines; the next count is followed again.
#[test]
fn a_frame_without_a_count_is_a_line() {
    expect(
        FramingSpec::default(),
        b"4 <1>a<2>stray\n4 <3>c012 zero\n4 <5>e7up\n4 <6>f",
        &[
            ("<1>a", WHOLE),
            ("<2>stray", WHOLE),
            ("<3>c", WHOLE),
            ("012 zero", WHOLE),
            ("<5>e", WHOLE),
            ("7up", WHOLE),
            ("<6>f", WHOLE),
        ],
    );
}

/// Scenario: a line of exactly the limit, and lines beyond it.
/// Guarantees: every byte is in a frame, pieces of at most the limit, all of them flagged.
#[test]
fn over_long_lines_are_split() {
    expect(SMALL, b"<1>45678\n<1>45678\r\n<1>4567\r\n", &[("<1>45678", WHOLE), ("<1>45678", CUT), ("<1>4567", WHOLE)]);
    expect(SMALL, b"<1>456789abcdefghi\n<2>x\n", &[("<1>45678", CUT), ("9abcdefg", CUT), ("hi", CUT), ("<2>x", WHOLE)]);
    expect(SMALL, b"<1>456789ab", &[("<1>45678", CUT), ("9ab", CUT)]);
    expect(SMALL, b"4 <1>a<2>456789ab\n4 <3>c", &[("<1>a", WHOLE), ("<2>45678", CUT), ("9ab", CUT), ("<3>c", WHOLE)]);
}

/// Scenario: the same with the rest discarded.
/// Guarantees: the first piece is kept, the rest counted, the next frame untouched.
#[test]
fn over_long_frames_can_be_discarded() {
    let spec = FramingSpec { overlong: Overlong::Discard, ..SMALL };
    expect(spec, b"<1>456789abcdefghi\n<2>x\n", &[("<1>45678", CUT), ("<2>x", WHOLE)]);
    assert_eq!(run(spec, b"<1>456789abcdefghi\n<2>x\n", &[3]).discarded_bytes, 10);
    expect(spec, b"12 <1>456789abc4 <2>x", &[("<1>45678", CUT), ("<2>x", WHOLE)]);
    assert_eq!(run(spec, b"12 <1>456789abc4 <2>x", &[5]).discarded_bytes, 4);
}

/// Scenario: counts beyond the frame limit, beyond the count limit, with too many digits, and frames cut by the end.
/// Guarantees: a large count is split, an absurd one ends the connection with what was there flagged.
#[test]
fn large_counts_are_split_and_absurd_ones_break() {
    expect(
        SMALL,
        b"20 <1>456789abcdefghijk4 <2>x",
        &[("<1>45678", CUT), ("9abcdefg", CUT), ("hijk", CUT), ("<2>x", WHOLE)],
    );
    for (stream, count) in [(&b"4 <1>a2147483648 <2>b"[..], 1 << 31), (b"41 <1>", 41), (b"4 <1>a12345678901", u64::MAX)]
    {
        let outcome = run(SMALL, stream, &[stream.len()]);
        assert_eq!(outcome.error, Some(FrameError::CountTooLarge { count, limit: 40 }));
        let text: Vec<u8> = outcome.frames.concat_bytes(CUT);
        assert!(stream.ends_with(&text) && !text.is_empty(), "{text:?}");
    }
    expect(SMALL, b"4 <1>a7 <2>b", &[("<1>a", WHOLE), ("<2>b", CUT)]);
    expect(SMALL, b"4 <1>a7", &[("<1>a", WHOLE), ("7", CUT)]);
    expect(SMALL, b"4 <1>a7 ", &[("<1>a", WHOLE)]);
    expect(SMALL, b"4 <1>a1234567890", &[("<1>a", WHOLE), ("12345678", CUT), ("90", CUT)]);
    expect(SMALL, b"1234567890", &[("12345678", CUT), ("90", CUT)]);
}

/// Scenario: a framer whose connection is broken is asked again.
/// Guarantees: the same error, no frames.
#[test]
fn a_broken_connection_stays_broken() {
    let mut framer = Framer::new(SMALL);
    let mut count = 0;
    let error = framer.frames(b"99 <1>", 0, &mut |_| count += 1);
    assert_eq!(framer.method(), Some(Method::OctetCount));
    assert_eq!(framer.frames(b"<1>a\n", 0, &mut |_| count += 1), error);
    framer.finish(b"<1>a", 0, &mut |_| count += 1);
    assert_eq!(count, 1);
}

trait ConcatBytes {
    fn concat_bytes(&self, kind: FrameKind) -> Vec<u8>;
}

impl ConcatBytes for Vec<(Vec<u8>, FrameKind)> {
    fn concat_bytes(&self, kind: FrameKind) -> Vec<u8> {
        self.iter().filter(|frame| frame.1 == kind).flat_map(|frame| frame.0.iter().copied()).collect()
    }
}

/// Bytes that are likely to be framing.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![&b"<1>a"[..], b"4 <1>a", b"8 <1>a\nb\r\n", b"\n", b"\r\n", b"\0"])
            .prop_map(<[u8]>::to_vec),
        1 => prop::sample::select(vec![&b"13 <"[..], b"30 ", b"41 <1>", b"4 <", b"1234567890123"])
            .prop_map(<[u8]>::to_vec),
        2 => "[0-9 <>a-c\n\r]{0,20}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..30),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// Scenario: any stream, chopped anywhere, with either policy for over-long frames.
    /// Guarantees: frames, error and discarded bytes are those of the stream in one piece; no frame is empty or above
    /// the limit; frames are disjoint and in order.
    #[test]
    fn chopping_changes_nothing(
        stream in stream(),
        chunks in prop::collection::vec(1_usize..12, 1..20),
        discard in any::<bool>(),
    ) {
        let spec = FramingSpec { overlong: if discard { Overlong::Discard } else { Overlong::Split }, ..SMALL };
        let mut whole = run(spec, &stream, &[stream.len()]);
        let mut chopped = run(spec, &stream, &chunks);
        prop_assert!(whole.frames.iter().all(|(bytes, _)| !bytes.is_empty() && bytes.len() <= 8));
        let total: usize = whole.frames.iter().map(|frame| frame.0.len()).sum();
        prop_assert!(total + whole.discarded_bytes as usize <= stream.len());
        if whole.error.is_some() {
            // What is reported with the error is what had been read by then.
            for outcome in [&mut whole, &mut chopped] {
                while outcome.frames.last().is_some_and(|frame| frame.1 == CUT) {
                    outcome.frames.pop();
                }
            }
        }
        prop_assert_eq!(whole, chopped);
    }

    /// Scenario: newline-framed streams without blanks at line ends.
    /// Guarantees: nothing but line ends is missing from the frames.
    #[test]
    fn nothing_is_lost(lines in prop::collection::vec("<[a-z ]{0,30}", 0..20)) {
        let stream = lines.join("\n");
        let outcome = run(SMALL, stream.as_bytes(), &[5]);
        let text: Vec<u8> = outcome.frames.into_iter().flat_map(|frame| frame.0).collect();
        prop_assert_eq!(String::from_utf8_lossy(&text), lines.concat());
    }
}
