//! The redb backend keeps the contract that the conformance kit proves.

use std::sync::Arc;

use larder_conformance::{Place, backend, plugin};
use larder_core::{Backend, PluginConfig, Result};
use larder_redb::{Durability, REDB, RedbConfig};

/// What it does for the disk is looked at in `crash.rs`; here it would only cost time.
async fn open(place: Place) -> Result<Arc<dyn Backend>> {
    let mut config = RedbConfig::new(place.dir());
    config.durability = Durability::None;
    Ok(Arc::new(config.build(&place.context()).await?))
}

backend!(open);
plugin!(REDB);
