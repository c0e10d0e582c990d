//! Consumer groups.

use std::collections::BTreeSet;
use std::time::Duration;

use libtest_mimic::Failed;
use weir_kafka::{Cluster, ClusterOptions, Commit, GroupEvent, GroupMember, GroupOptions, Place};
use weir_servers::kafka::{self, Version};

use crate::account::on_runtime;

fn join(cluster: &Cluster) -> GroupMember {
    let heartbeat_interval = Duration::from_millis(200);
    let session_timeout = Duration::from_secs(10);
    GroupMember::join(cluster, GroupOptions { heartbeat_interval, session_timeout, ..GroupOptions::new("g", ["t"]) })
}

/// Takes events until the member has `count` partitions, committing what is to be given up.
async fn until(member: &mut GroupMember, held: &mut BTreeSet<Place>, count: usize) -> Result<(), Failed> {
    while held.len() != count {
        match member.next().await.ok_or("the membership ended")? {
            GroupEvent::Assigned(places) => held.extend(places),
            GroupEvent::Lost(places) => held.retain(|place| !places.contains(place)),
            GroupEvent::Revoke(places) => {
                let commit = |place: &Place| Commit { place: place.clone(), offset: 0, metadata: None };
                member.commit(&places.iter().map(commit).collect::<Vec<_>>()).await?;
                held.retain(|place| !places.contains(place));
                member.revoked().await;
            }
            GroupEvent::Failed(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Scenario: one member has six partitions; a second comes, commits an offset with text and leaves; a third comes and is
/// dropped without a word.
/// Guarantees: each rebalance ends with even shares and disjoint sets; what is to be given up can still be committed; the
/// offset is read back, and Kafka's own tool shows it; a silent member's partitions come back after its session timeout.
pub(crate) fn members_share(version: Version) -> Result<(), Failed> {
    let options = kafka::ClusterOptions { version, ..kafka::ClusterOptions::default() };
    kafka::Cluster::with(options, |server| {
        server.create_topic(&kafka::Topic { partitions: 6, ..kafka::Topic::new("t") })?;
        on_runtime(async {
            let cluster = Cluster::connect(ClusterOptions::new(server.bootstrap().split(','))).await?;
            let (mut first, mut held_first) = (join(&cluster), BTreeSet::new());
            until(&mut first, &mut held_first, 6).await?;
            let (mut second, mut held_second) = (join(&cluster), BTreeSet::new());
            let both = tokio::join!(until(&mut first, &mut held_first, 3), until(&mut second, &mut held_second, 3));
            both.0.and(both.1)?;
            assert!(held_first.is_disjoint(&held_second));
            let place = held_second.first().cloned().ok_or("no partition")?;
            let note = Some("note".to_owned());
            second.commit(&[Commit { place: place.clone(), offset: 0, metadata: note.clone() }]).await?;
            let committed = first.committed(std::slice::from_ref(&place)).await?;
            assert_eq!(committed.first().map(|found| (found.offset, found.metadata.clone())), Some((Some(0), note)));
            let shown = server.tools().groups(&["--describe", "--group", "g"])?.text();
            assert!(shown.lines().any(|line| line.contains(" t ")), "{shown}");
            second.leave().await;
            until(&mut first, &mut held_first, 6).await?;
            let (mut third, mut held_third) = (join(&cluster), BTreeSet::new());
            let both = tokio::join!(until(&mut first, &mut held_first, 3), until(&mut third, &mut held_third, 3));
            both.0.and(both.1)?;
            drop(third);
            until(&mut first, &mut held_first, 6).await?;
            first.leave().await;
            Ok(())
        })
    })
}
