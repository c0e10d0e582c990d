//! `weir verify`: reads a topic and both ends of it, and proves that every offset is in each exactly once, or says what is
//! different.
//!
//! What is compared
//! - *files*: the name of a finished file claims all events of its directory from a first to a last offset. Files of one
//!   directory must not claim an offset twice. Partitions are cut where no file reaches over ([`claims::Piece`]), and each
//!   piece must hold in its files what the topic holds between its ends: the same lines, each as often (number and sum of
//!   128-bit hashes, [`digest::Digest`]). Offsets between pieces are in no file. Pieces that differ are read again and compared
//!   line by line.
//! - files that reach over the oldest offset of a partition begin with events that the topic has deleted; their ends are
//!   compared ([`seam`]). Where that cannot be done, nothing is proven, and what was not compared is said.
//! - files of another log (a file channel stood between the topic and the sink) have offsets of that log in their names. If
//!   all are, topic and files are compared as a whole.
//! - *documents*: an id is `<log>-<partition>-<offset>`, where the log is the identity of the topic: a topic that was deleted
//!   and made again has another one, so that old documents are not taken for new ones. Ids are read shard by shard, so that
//!   one in two shards is seen. Which events a sink selects nobody can tell from here: a selection is proven by its size, or
//!   not at all.
//!
//! The topic is what it was at the beginning, after the files were listed. What its retention deleted cannot be compared,
//! and is said. Memory: 200 bytes per file; 80 bytes per line of files that reach over the oldest offset, 320 MB at most; with
//! Solr two bits per offset.

mod bodies;
mod claims;
mod contents;
mod digest;
mod files;
mod files_report;
mod ids;
mod narrow;
mod offsets;
mod progress;
mod report;
mod seam;
mod solr;
mod solr_report;
mod target;
mod topic;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::claims::{Claim, Piece};
use self::digest::Digest;
use self::files::{Listing, Tree};
use self::files_report::Files;
use self::offsets::OffsetSet;
use self::progress::Progress;
pub(super) use self::report::Report;
use self::report::{TopicReport, Verdict};
use self::seam::{Fit, Seam, Seams, reaches_over};
use self::solr_report::{LeftOut, SolrReport};
use self::target::Target;
use self::topic::Topic;
use crate::cli::VerifyArgs;
use crate::commands::{print, print_json};
use crate::exit::{Exit, Failure};

/// Pieces that are read again.
const NARROWED_MAX: usize = 3;
const RANGES_MAX: usize = 10;
const SEAM_UNCLEAR: &str = "every line of the topic is in the files, but some files begin before the oldest offset of the \
    topic, and which of their lines are older cannot be told: one may be there twice";

/// Runs the command.
pub(super) fn verify(args: &VerifyArgs) -> Result<Exit, Failure> {
    let report = compared(args, &mut |_| {})?;
    if args.json {
        print_json(&report);
    } else {
        print(report.text().trim_end());
    }
    Ok(if report.verdict == Verdict::NotProven { Exit::Ledger } else { Exit::Success })
}

/// What the command finds; `event` gets the body of every event of the topic, once, as it is read. Prints nothing but
/// progress, on standard error.
pub(super) fn compared(args: &VerifyArgs, event: &mut dyn FnMut(&[u8])) -> Result<Report, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::because("the runtime did not start", &error))?;
    runtime.block_on(compare(args, event))
}

/// Offsets of a partition that no file claims.
#[derive(Default)]
struct Unclaimed {
    events: u64,
    /// Partition, first and last offset.
    ranges: Vec<(u32, u64, u64)>,
    /// Index of the range of a partition that its next event goes on with.
    open: BTreeMap<u32, usize>,
}

/// What the topic is read with.
struct Sight<'a> {
    seams: &'a Seams,
    with_offsets: bool,
    progress: &'a Progress,
}

/// What reading the topic gave.
#[derive(Default)]
struct Read {
    events: u64,
    whole: Digest,
    unclaimed: Unclaimed,
    offsets: BTreeMap<u32, OffsetSet>,
}

async fn compare(args: &VerifyArgs, event: &mut dyn FnMut(&[u8])) -> Result<Report, Failure> {
    let target = Target::of(args)?;
    let (tree, collection) = (target.tree.as_ref(), target.collection.as_ref());
    let progress = Arc::new(Progress::default());
    let _shown = progress.show();
    // Before the ends of the topic are asked for: so no file is newer than they.
    let listing = match tree {
        Some((_, tree)) => Some(tree.list().await?),
        None => None,
    };
    let topic = Topic::open(target.cluster.clone(), &target.topic).await?;
    let claims = listing.as_ref().map(|listing| listing.claims.as_slice()).unwrap_or_default();
    let mut pieces = claims::pieces(claims, topic.log, &topic.starts());
    let seams = match tree {
        Some((_, tree)) => Seams::read(tree, claims, &topic, &mut pieces).await,
        None => Seams::default(),
    };
    let contents = async {
        match tree {
            Some((_, tree)) => contents::read(tree, claims, &topic, &seams, &progress).await,
            None => Vec::new(),
        }
    };
    let sight = Sight { seams: &seams, with_offsets: collection.is_some(), progress: &progress };
    let (read, contents) = tokio::join!(read(&topic, &mut pieces, &sight, event), contents);
    let read = read?;
    let searchable = match collection {
        Some((_, collection)) => Some(collection.compare(&topic, &read.offsets, &progress).await?),
        None => None,
    };
    let files = match (tree, listing) {
        (Some((_, tree)), Some(listing)) => Some(judge(&topic, tree, &listing, pieces, &contents, &seams, &read).await),
        _ => None,
    };
    let topic_report = TopicReport::of(&topic, &read);
    let left_out = match args.left_out {
        None if args.selective => LeftOut::Some,
        count => LeftOut::Events(count.unwrap_or(0)),
    };
    let files = tree.zip(files).map(|((url, _), files)| files.of_url(url));
    let solr = collection.zip(searchable).map(|((url, collection), found)| {
        SolrReport::new(url, found, left_out, collection.id_prefix().map(str::to_owned))
    });
    Ok(Report::new(topic_report, files, solr))
}

/// Reads the topic once: into its pieces, and into a set of offsets if Solr is asked.
async fn read(
    topic: &Topic,
    pieces: &mut BTreeMap<u32, Vec<Piece>>,
    sight: &Sight<'_>,
    tell: &mut dyn FnMut(&[u8]),
) -> Result<Read, Failure> {
    let Sight { seams, with_offsets, progress } = *sight;
    let mut read = Read::default();
    let mut at: BTreeMap<u32, usize> = topic.partitions.iter().map(|extent| (extent.partition, 0)).collect();
    let mut each = |partition: u32, offset: u64, body: &[u8]| {
        tell(body);
        read.events += 1;
        if with_offsets {
            read.offsets.entry(partition).or_default().insert(offset);
        }
        let (own, at) = (pieces.entry(partition).or_default(), at.entry(partition).or_default());
        // Offsets ascend, and so do pieces.
        while own.get(*at).is_some_and(|piece| piece.last < offset) {
            *at += 1;
        }
        let seam = seams.of_partition(partition).filter(|_| *at == 0);
        let piece = own.get_mut(*at).filter(|piece| piece.first <= offset);
        let mut event = Digest::default();
        for line in digest::lines(body) {
            let hash = digest::hash(line);
            event.add(hash);
            if let Some(seam) = seam.filter(|_| piece.is_some()) {
                seam.is_in_topic(hash);
            }
        }
        read.whole += event;
        match piece {
            Some(piece) => {
                piece.in_topic += event;
                read.unclaimed.open.remove(&partition);
            }
            None => read.unclaimed.add(partition, offset),
        }
    };
    topic.read(&topic.partitions, progress, &mut each).await?;
    Ok(read)
}

impl Unclaimed {
    fn add(&mut self, partition: u32, offset: u64) {
        self.events += 1;
        if let Some(index) = self.open.get(&partition) {
            self.ranges[*index].2 = offset;
        } else if self.ranges.len() < RANGES_MAX {
            self.open.insert(partition, self.ranges.len());
            self.ranges.push((partition, offset, offset));
        }
    }
}

/// What the files have, against what was read.
async fn judge(
    topic: &Topic,
    tree: &Tree,
    listing: &Listing,
    mut pieces: BTreeMap<u32, Vec<Piece>>,
    contents: &[Result<Digest, String>],
    seams: &Seams,
    read: &Read,
) -> Files {
    let claims = &listing.claims;
    let starts = topic.starts();
    let mut files = Files::of(listing);
    let mut whole = Digest::default();
    for content in contents {
        match content {
            Ok(digest) => whole += *digest,
            Err(error) => files.unreadable.push(error.clone()),
        }
    }
    files.lines = whole.lines;
    let own = claims.iter().filter(|claim| claim.log == topic.log);
    files.older = own.clone().filter(|claim| claims::is_older(claim, &starts)).count() as u64;
    files.of_other_logs = (claims.len() - own.clone().count()) as u64;
    if own.count() == 0 && !claims.is_empty() {
        files.is_equal_as_a_whole = Some(whole == read.whole && files.unreadable.is_empty());
        return files;
    }
    let (count, overlaps) = claims::overlaps(claims, RANGES_MAX);
    files.overlaps(count, &overlaps);
    files.unclaimed(&read.unclaimed);
    let mut narrowed = 0;
    for (partition, pieces) in &mut pieces {
        let start = starts.get(partition).copied().unwrap_or(0);
        for piece in pieces {
            files.pieces += 1;
            match fit(piece, claims, contents, start, seams.of_partition(*partition)) {
                Fit::Whole => {}
                Fit::Unclear => files.unchecked(*partition, piece, start),
                Fit::Different => {
                    narrowed += 1;
                    let difference = match narrowed <= NARROWED_MAX {
                        true => narrow::compare(topic, tree, claims, *partition, piece).await,
                        false => Err(format!("{NARROWED_MAX} others are")),
                    };
                    files.different(*partition, piece, start, difference);
                }
            }
        }
    }
    files
}

/// Whether the files of a piece hold what the topic has of it; says why, if that cannot be told.
fn fit(
    piece: &mut Piece,
    claims: &[Claim],
    contents: &[Result<Digest, String>],
    start: u64,
    seam: Option<&Arc<Seam>>,
) -> Fit {
    let mut later = Digest::default();
    for index in &piece.files {
        match &contents[*index] {
            Ok(digest) => {
                piece.in_files += *digest;
                if !reaches_over(&claims[*index], start) {
                    later += *digest;
                }
            }
            Err(_) => piece.unknown = Some("a file of them cannot be read".to_owned()),
        }
    }
    match (&piece.unknown, seam.filter(|_| piece.first < start)) {
        (Some(_), _) => Fit::Unclear,
        (None, None) if piece.in_topic == piece.in_files => Fit::Whole,
        (None, None) => Fit::Different,
        (None, Some(seam)) => {
            let fit = seam.fit(piece.in_topic, later);
            if fit == Fit::Unclear {
                piece.unknown = Some(SEAM_UNCLEAR.to_owned());
            }
            fit
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_kafka::fake::FakeCluster;

    use super::*;

    /// Scenario: a piece differs, and its file is gone when it is to be read again.
    /// Guarantees: the difference is told all the same, with why it is not told closer.
    #[tokio::test]
    async fn a_difference_that_cannot_be_narrowed_is_told() {
        let brokers = FakeCluster::start(1).await;
        brokers.create_topic("events", 1);
        let topic = Topic::open(weir_kafka::ClusterOptions::new(brokers.bootstrap()), "events").await.expect("a topic");
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("file://{}", folder.path().display());
        let tree = files::open(&url, None, None).expect("a folder");
        let name = format!("events.{:016x}-0.{:020}-{:020}.log", topic.log, 0, 9);
        let (log, partition, first, last) = claims::parse(&name).expect("a name of ours");
        let directory = folder.path().display().to_string();
        let claim = Claim { log, partition, first, last, directory, name, bytes: 10 };
        let mut content = Digest::default();
        content.add(1);
        let pieces = claims::pieces(std::slice::from_ref(&claim), topic.log, &topic.starts());
        let listing = Listing { claims: vec![claim], ..Listing::default() };
        let files = judge(&topic, &tree, &listing, pieces, &[Ok(content)], &Seams::default(), &Read::default()).await;
        let report = serde_json::to_value(&files).expect("JSON");
        assert_eq!(report["different"][0]["lines_in_files"], 1, "{report}");
        let why = report["different"][0]["not_narrowed"].as_str().expect("a reason");
        assert!(why.contains(&listing.claims[0].name), "{why}");
        assert!(!files.is_proven());
    }
}
