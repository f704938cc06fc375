//! The Redis backend keeps the contract that the conformance kit proves, over real servers.

use std::sync::{Arc, LazyLock};

use larder_conformance::{Place, backend, plugin};
use larder_core::{Backend, Result};
use larder_redis::REDIS;
use larder_servers::{Cluster, Redis};

mod common;

static SERVER: LazyLock<Redis> = LazyLock::new(Redis::start);

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start(3, 0));

async fn open(place: Place) -> Result<Arc<dyn Backend>> {
    open_at(place, || vec![SERVER.url()]).await
}

async fn open_cluster(place: Place) -> Result<Arc<dyn Backend>> {
    open_at(place, || CLUSTER.nodes().iter().map(Redis::url).collect()).await
}

/// No two places share a prefix.
async fn open_at(place: Place, urls: fn() -> Vec<String>) -> Result<Arc<dyn Backend>> {
    let urls = tokio::task::spawn_blocking(urls).await.expect("the servers start");
    let prefix = format!("{}:", place.dir().display());
    Ok(Arc::new(common::open(&urls, &prefix, place.context()).await?))
}

backend!(open);
backend!(open_cluster as backend_conformance_of_a_cluster);
plugin!(REDIS);
