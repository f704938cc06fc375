//! What every plugin crate should have: the contracts of Larder, proved for its plugins.

use std::sync::Arc;

use acme_cache::log::{LOG, LogConfig};
use acme_cache::lru_k::{LRU_K, LruKConfig};
use acme_cache::terse::{TERSE, TerseConfig};
use futures_util::FutureExt;
use larder_conformance::{Place, backend, plugin, policy, serializer};
use larder_core::{
    Backend, BuildContext, ByteSize, PluginConfig, PolicyConfig, PolicyFactory, Result, Serializer,
};

async fn log(place: Place) -> Result<Arc<dyn Backend>> {
    let config = LogConfig::new(place.dir().join("acme.log")).max_bytes(ByteSize(32 << 20));
    Ok(Arc::new(config.build(&place.context()).await?))
}

fn lru_k() -> Arc<dyn PolicyFactory> {
    LruKConfig::default().into_factory()
}

fn terse() -> impl Serializer {
    let built = TerseConfig::new(["id", "name", "plans"])
        .build(&BuildContext::new("conformance"))
        .now_or_never();
    built.expect("it waits for nothing").expect("these are names")
}

backend!(log as the_log_keeps_the_contract);
plugin!(LOG as the_log_says_what_it_is);
policy!(lru_k as lru_k_keeps_the_contract);
plugin!(LRU_K as lru_k_says_what_it_is);
serializer!(terse, All as terse_keeps_the_contract);
plugin!(TERSE as terse_says_what_it_is);
