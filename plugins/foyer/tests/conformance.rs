//! The foyer backend keeps the contract that the conformance kit proves.

use std::sync::Arc;

use larder_conformance::{Place, backend, plugin};
use larder_core::{Backend, ByteSize, PluginConfig, Result};
use larder_foyer::{FOYER, FoyerConfig};

async fn open(place: Place) -> Result<Arc<dyn Backend>> {
    let config = FoyerConfig::new(place.dir(), ByteSize(20 * 1024 * 1024));
    Ok(Arc::new(config.build(&place.context()).await?))
}

backend!(open);
plugin!(FOYER);
