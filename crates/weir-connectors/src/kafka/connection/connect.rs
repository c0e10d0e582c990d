//! Connecting, however long the cluster is away.

use std::time::Duration;

use weir_kafka::{Cluster, ClusterError, ClusterOptions};

/// Longest pause between attempts: what a cluster that came back waits for us at most.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Connects to a cluster, and tries on while no broker answers; `failed` is told of each attempt that did not work, to
/// count it and say so. Cancel safe.
///
/// # Errors
/// [`ClusterError`] if trying again cannot help because of the options: a certificate that is none, a bad address.
pub async fn connect(options: &ClusterOptions, mut failed: impl FnMut(&ClusterError)) -> Result<Cluster, ClusterError> {
    let mut pause = options.retry_pause;
    loop {
        let error = match Cluster::connect(options.clone()).await {
            Ok(cluster) => return Ok(cluster),
            Err(error @ (ClusterError::Tls(_) | ClusterError::Address { .. })) => return Err(error),
            Err(error) => error,
        };
        failed(&error);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
