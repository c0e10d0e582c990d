//! What the names of files claim, and how that cuts a partition into pieces that can be compared.

use std::collections::BTreeMap;

use super::digest::Digest;

const LOG_DIGITS: usize = 16;
const OFFSET_DIGITS: usize = 20;
/// What Hadoop puts beside a file of a mounted folder: `.NAME.crc`.
const CHECKSUM_SUFFIX: &str = ".crc";

/// A finished file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Claim {
    pub(super) log: u64,
    pub(super) partition: u32,
    pub(super) first: u64,
    pub(super) last: u64,
    /// Path without the name.
    pub(super) directory: String,
    pub(super) name: String,
    pub(super) bytes: u64,
}

impl Claim {
    pub(super) fn path(&self) -> String {
        format!("{}/{}", self.directory.trim_end_matches('/'), self.name)
    }

    /// What stands before the log id: the prefix of the sink.
    fn prefix(&self) -> &str {
        let stem = format!(".{:016x}-{}.{:020}-", self.log, self.partition, self.first);
        self.name.split(&stem).next().unwrap_or_default()
    }
}

/// Whether somebody is writing a file of this name: our sinks, or `hdfs dfs -put`.
pub(super) fn is_in_progress(name: &str) -> bool {
    name.ends_with(".tmp") || name.ends_with("._COPYING_")
}

/// Reads a name: `events.00f1e2d3c4b5a697-0.00000000000000001200-00000000000000001999.log`, with any prefix. Gives log,
/// partition, first and last offset; `None` for anything else.
pub(super) fn parse(name: &str) -> Option<(u64, u32, u64, u64)> {
    if is_in_progress(name) || (name.starts_with('.') && name.ends_with(CHECKSUM_SUFFIX)) {
        return None;
    }
    // Prefixes may have dots: the first place where the rest fits.
    name.match_indices('.').find_map(|(dot, _)| parse_behind(&name[dot + 1..]))
}

fn parse_behind(rest: &str) -> Option<(u64, u32, u64, u64)> {
    let (log, rest) = rest.split_at_checked(LOG_DIGITS)?;
    let is_hex = log.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let log = u64::from_str_radix(log, 16).ok().filter(|_| is_hex)?;
    let (partition, rest) = rest.strip_prefix('-')?.split_once('.')?;
    let partition = number(partition)?.try_into().ok()?;
    let (first, rest) = rest.split_at_checked(OFFSET_DIGITS)?;
    let (last, rest) = rest.strip_prefix('-')?.split_at_checked(OFFSET_DIGITS)?;
    let (first, last) = (number(first)?, number(last)?);
    ((rest.is_empty() || rest.starts_with('.')) && first <= last).then_some((log, partition, first, last))
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Two files of one directory and prefix that claim the same offsets: what they share is there twice.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Overlap {
    pub(super) one: String,
    pub(super) other: String,
    pub(super) first: u64,
    pub(super) last: u64,
}

/// All overlaps of neighbours, `max` at most, and how many there are.
pub(super) fn overlaps(claims: &[Claim], max: usize) -> (u64, Vec<Overlap>) {
    let mut sorted: Vec<&Claim> = claims.iter().collect();
    let key = |claim: &Claim| (claim.directory.clone(), claim.prefix().to_owned(), claim.log, claim.partition);
    sorted.sort_by_cached_key(|claim| (key(claim), claim.first, claim.last));
    let (mut count, mut found) = (0, Vec::new());
    let mut longest: Option<&Claim> = None;
    for claim in sorted {
        let before = longest.filter(|before| key(before) == key(claim));
        if let Some(before) = before.filter(|before| claim.first <= before.last) {
            count += 1;
            if found.len() < max {
                let last = claim.last.min(before.last);
                found.push(Overlap { one: before.path(), other: claim.path(), first: claim.first, last });
            }
        }
        longest = Some(before.filter(|before| before.last > claim.last).unwrap_or(claim));
    }
    (count, found)
}

/// A run of offsets that no file reaches over the ends of: what the topic has in it is what its files have together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    pub(super) first: u64,
    pub(super) last: u64,
    /// Indices of its files.
    pub(super) files: Vec<usize>,
    pub(super) in_topic: Digest,
    pub(super) in_files: Digest,
    /// Why it cannot be compared, if so.
    pub(super) unknown: Option<String>,
}

/// Whether a file holds nothing but what the topic has deleted: `starts` are the oldest offsets of its partitions.
pub(super) fn is_older(claim: &Claim, starts: &BTreeMap<u32, u64>) -> bool {
    starts.get(&claim.partition).is_some_and(|start| claim.last < *start)
}

/// The pieces of each partition, in order. A file is in exactly one, but for [those that are older](is_older), which are in
/// none: so files that reach over the oldest offset of a partition are all in the first of its pieces.
pub(super) fn pieces(claims: &[Claim], log: u64, starts: &BTreeMap<u32, u64>) -> BTreeMap<u32, Vec<Piece>> {
    let is_compared = |claim: &Claim| claim.log == log && !is_older(claim, starts);
    let mut sorted: Vec<usize> = (0..claims.len()).filter(|index| is_compared(&claims[*index])).collect();
    sorted.sort_by_key(|index| (claims[*index].partition, claims[*index].first));
    let mut all: BTreeMap<u32, Vec<Piece>> = BTreeMap::new();
    for index in sorted {
        let claim = &claims[index];
        let pieces = all.entry(claim.partition).or_default();
        match pieces.last_mut().filter(|piece| claim.first <= piece.last) {
            Some(piece) => {
                piece.last = piece.last.max(claim.last);
                piece.files.push(index);
            }
            None => pieces.push(Piece {
                first: claim.first,
                last: claim.last,
                files: vec![index],
                in_topic: Digest::default(),
                in_files: Digest::default(),
                unknown: None,
            }),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(directory: &str, partition: u32, first: u64, last: u64) -> Claim {
        let name = format!("events.00000000000000aa-{partition}.{first:020}-{last:020}.log");
        let found = parse(&name).expect("it is one of ours");
        assert_eq!(found, (0xaa, partition, first, last));
        Claim { log: 0xaa, partition, first, last, directory: directory.to_owned(), name, bytes: 1 }
    }

    /// Scenario: names as the sinks document them, with prefixes that have dots, with agents in them; and others, such as those
    /// of Hadoop's checksums and copies under way.
    /// Guarantees: ours are read, others are not.
    #[test]
    fn names_are_read() {
        let tail = "00f1e2d3c4b5a697-3.00000000000000001200-00000000000000001999";
        let read = Some((0x00f1_e2d3_c4b5_a697, 3, 1200, 1999));
        for name in
            [format!("events.{tail}.log"), format!("a.b.{tail}.json.gz"), format!(".{tail}"), format!("e.{tail}")]
        {
            assert_eq!(parse(&name), read, "{name}");
        }
        for name in [format!("e.{tail}.tmp"), tail.to_owned(), format!("e.{tail}x"), "\u{e9}".repeat(40), String::new()]
        {
            assert_eq!(parse(&name), None, "{name}");
        }
        assert_eq!(parse(&format!("e.{}", tail.replace("1999", "1199"))), None);
        for name in [format!(".events.{tail}.log.crc"), format!("events.{tail}.log._COPYING_")] {
            assert_eq!(parse(&name), None, "{name}");
        }
        assert_eq!(parse(&format!("events.{tail}.crc")), read);
        let recovered = "events.00f1e2d3c4b5a697-0.00000000000000001200-recovered.log";
        assert_eq!(parse(recovered), None);
    }

    /// Scenario: two directories that split the same offsets, then one alone; another partition; another log; then the topic
    /// has deleted what one of the files holds, and half of another.
    /// Guarantees: pieces end where no file reaches over, and each file is in one, but for the older one.
    #[test]
    fn pieces_end_where_no_file_reaches_over() {
        let mut claims = vec![
            claim("/a", 0, 0, 9),
            claim("/b", 0, 5, 19),
            claim("/a", 0, 10, 12),
            claim("/a", 0, 20, 29),
            claim("/a", 1, 0, 3),
        ];
        claims.push(Claim { log: 1, ..claim("/a", 0, 0, 99) });
        let of = |partition: u32, start: u64| -> Vec<_> {
            let found = pieces(&claims, 0xaa, &BTreeMap::from([(partition, start)]));
            found[&partition].iter().map(|piece| (piece.first, piece.last, piece.files.clone())).collect()
        };
        assert_eq!(of(0, 0), [(0, 19, vec![0, 1, 2]), (20, 29, vec![3])]);
        assert_eq!(of(0, 10), [(5, 19, vec![1, 2]), (20, 29, vec![3])]);
        assert_eq!(of(1, 0), [(0, 3, vec![4])]);
        assert_eq!(overlaps(&claims, 9), (0, vec![]));
    }

    /// Scenario: files of one directory that claim the same offsets, one of them within another.
    /// Guarantees: each is found, also behind a shorter one in between.
    #[test]
    fn overlaps_are_found() {
        let claims = [claim("/a", 0, 0, 9), claim("/a", 0, 2, 3), claim("/a", 0, 9, 12), claim("/b", 0, 0, 9)];
        let (count, found) = overlaps(&claims, 1);
        assert_eq!((count, found.len()), (2, 1));
        assert_eq!((found[0].first, found[0].last), (2, 3));
        assert!(found[0].one.ends_with("0009.log") && found[0].other.starts_with("/a/events."));
    }
}
