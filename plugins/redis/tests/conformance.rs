//! The Redis backend keeps the contract that the conformance kit proves, over real servers.

use std::sync::{Arc, LazyLock};

use larder_conformance::{Place, backend, plugin};
use larder_core::{Backend, Result};
use larder_redis::REDIS;
use larder_servers::Redis;

mod common;

static SERVER: LazyLock<Redis> = LazyLock::new(Redis::start);

/// No two places share a prefix.
fn prefix(place: &Place) -> String {
    format!("{}:", place.dir().display())
}

async fn open(place: Place) -> Result<Arc<dyn Backend>> {
    let url = tokio::task::spawn_blocking(|| SERVER.url()).await.expect("a server");
    Ok(Arc::new(common::open(&url, &prefix(&place), place.context()).await?))
}

backend!(open);
plugin!(REDIS);
