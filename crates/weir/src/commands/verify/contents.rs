//! What is in each file.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::claims::{Claim, is_older};
use super::digest::Digest;
use super::files::Tree;
use super::progress::Progress;
use super::seam::Seams;
use super::topic::Topic;

/// Files read at once: one is decompressed while the next comes.
const FILES_AT_ONCE: usize = 4;

/// What is in each of `claims`, or why it cannot be read. Files of what `topic` has deleted are not read, and count as empty.
pub(super) async fn read(
    tree: &Tree,
    claims: &[Claim],
    topic: &Topic,
    seams: &Seams,
    progress: &Arc<Progress>,
) -> Vec<Result<Digest, String>> {
    let starts: BTreeMap<u32, u64> = topic.starts();
    let permits = Arc::new(Semaphore::new(FILES_AT_ONCE));
    let mut tasks = JoinSet::new();
    let is_read = |claim: &Claim| claim.log != topic.log || !is_older(claim, &starts);
    for (index, claim) in claims.iter().enumerate().filter(|(_, claim)| is_read(claim)) {
        let (tree, path, permits, progress) = (tree.clone(), claim.path(), Arc::clone(&permits), Arc::clone(progress));
        let seam = seams.of_file(claim, topic.log, &starts);
        tasks.spawn(async move {
            let _permit = permits.acquire_owned().await.expect("the semaphore is never closed");
            let read = tree.hashes(&path, move |hashes| {
                let mut digest = Digest::default();
                let each = &mut |hash| {
                    digest.add(hash);
                    if let Some(seam) = &seam {
                        seam.is_in_a_later_file(hash);
                    }
                };
                hashes(each).map(|()| digest)
            });
            let result = read.await;
            progress.files.add(1);
            progress.lines.add(result.as_ref().map_or(0, |digest| digest.lines));
            (index, result)
        });
    }
    let mut found: Vec<Result<Digest, String>> = claims.iter().map(|_| Ok(Digest::default())).collect();
    while let Some(done) = tasks.join_next().await {
        match done {
            Ok((index, result)) => found[index] = result,
            Err(broken) => std::panic::resume_unwind(broken.into_panic()),
        }
    }
    found
}
