//! A block whose pipeline failed: it goes on with the nodes that are left.

use super::block::OpenBlock;
use super::datanode;
use super::driver::{ATTEMPTS_MAX, Driver};
use super::pipeline::{self, Broken, Stage};
use super::wire::{Block, BlockAnswer, Empty, UpdateBlockRequest, UpdatePipelineRequest};
use crate::{Faults, HdfsError, HdfsErrorKind};

impl Driver {
    async fn find_silent(&self, open: &OpenBlock) -> Option<usize> {
        let probe = self.set_up(Stage::Recovery, &open.located, &open.block, &open.places, 0, (0, 0));
        pipeline::find_silent(&probe).await
    }

    /// The trouble was with the node that was left last: those that were left out before it, by guess, did nothing.
    fn forgive(&self, open: &mut OpenBlock) {
        for node in open.guessed.drain(..) {
            self.client.excluded.forgive(&node);
        }
    }

    /// Goes on with the nodes that are left.
    pub(super) async fn recover(&mut self, broken: Broken) -> Result<(), HdfsError> {
        let Some(mut open) = self.block.take() else { return Ok(()) };
        let mut broken = broken;
        if broken.bad.is_none() {
            broken.bad = self.find_silent(&open).await;
            let is_borne = broken.bad.is_none() && open.is_slow_alone();
            if is_borne && !open.is_known_slow {
                open.is_known_slow = true;
                self.client.exclude(&open.places[0].node, &self.path, &broken.reason);
                self.forgive(&mut open);
            }
            if is_borne || broken.bad.is_none() && open.excuse(self.client.options.sync_timeout) {
                self.block = Some(open);
                return Ok(());
            }
        }
        open.unacked.retain(|packet| packet.sequence >= 0);
        for _ in 0..ATTEMPTS_MAX {
            let is_closing = open.unacked.front().is_some_and(|packet| packet.is_last);
            let stage = if is_closing { Stage::CloseRecovery } else { Stage::Recovery };
            let sent = open.unacked.back().map_or(open.acked, |packet| packet.end.max(open.acked));
            let mut block = Block { bytes: Some(open.acked), ..open.block.clone() };
            let bad = match broken.bad {
                Some(bad) => bad,
                None => match self.find_silent(&open).await {
                    Some(silent) => silent,
                    None => open.guess(),
                },
            };
            if bad < open.places.len() {
                let place = open.places.remove(bad);
                self.client.exclude(&place.node, &self.path, &broken.reason);
            }
            if open.places.is_empty() {
                self.forgive(&mut open);
                break;
            }
            let client = self.client.namenodes.client.clone();
            let request = UpdateBlockRequest { block: Some(block.clone()), client: client.clone() };
            let what = ("write", self.path.as_str());
            let answer: BlockAnswer = self.client.namenodes.call(what, "updateBlockForPipeline", &request).await?;
            let located = answer.block.unwrap_or_default();
            let generation = located.block.as_ref().map_or(0, |block| block.generation);
            let set_up = self.set_up(stage, &located, &block, &open.places, generation, (open.acked, sent));
            let link = match pipeline::set_up(&set_up).await {
                Ok(link) => link,
                Err(next) => {
                    broken = next;
                    continue;
                }
            };
            let old = Some(block.clone());
            block.generation = generation;
            let request = UpdatePipelineRequest {
                client,
                old,
                new: Some(block.clone()),
                nodes: open.places.iter().map(|place| place.node.clone()).collect(),
                storage_ids: open.places.iter().map(|place| place.storage_id.clone()).collect(),
            };
            self.client.namenodes.call::<Empty>(what, "updatePipeline", &request).await?;
            if is_closing {
                open.unacked.clear();
            }
            (open.block, open.located) = (block, located);
            open.resume(link);
            let first = &open.places[0].node;
            let first = datanode::address(first, self.client.options.by_hostname);
            tracing::info!(path = %self.path, nodes = open.places.len(), first, "a block goes on with the nodes that are left");
            self.block = Some(open);
            self.client.options.faults.count(Faults::FEWER_COPIES);
            return Ok(());
        }
        Err(self.error(
            HdfsErrorKind::Unavailable,
            format!("no DataNode of the block is left; the last: {}", broken.reason),
        ))
    }
}
