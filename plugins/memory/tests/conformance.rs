//! The memory backend keeps the contract that the conformance kit proves.

use std::sync::Arc;

use larder_conformance::{Place, backend, plugin};
use larder_core::{Backend, PluginConfig, PolicyConfig, Result};
use larder_memory::{MEMORY, MemoryConfig};
use larder_policies::LruConfig;

async fn open(place: Place) -> Result<Arc<dyn Backend>> {
    let context = place.context().policy(Some(LruConfig::default().into_factory()));
    Ok(Arc::new(MemoryConfig::default().build(&context).await?))
}

backend!(open);
plugin!(MEMORY);
