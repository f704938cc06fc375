//! The file backend keeps the contract that the conformance kit proves.

use std::sync::Arc;

use larder_conformance::{Place, backend, plugin};
use larder_core::{Backend, PluginConfig, Result};
use larder_file::{FILE, FileConfig};

async fn open(place: Place) -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(FileConfig::new(place.dir()).build(&place.context()).await?))
}

backend!(open);
plugin!(FILE);
