//! Backends over real servers, for the tests of this crate.

use std::sync::Arc;

use larder_core::{Backend, BuildContext, PluginConfig, Result};
use larder_redis::{RedisBackend, RedisConfig, RedisConnectionConfig};

/// A backend over a connection of its own, as another process has it.
pub(crate) async fn open(url: &str, prefix: &str, context: BuildContext) -> Result<RedisBackend> {
    let options = serde_json::json!({ "url": url });
    let connection: RedisConnectionConfig = serde_json::from_value(options).expect("options");
    let connection = Arc::new(connection.build(&context).await?);
    build(prefix, context.connection("main", connection)).await
}

async fn build(prefix: &str, context: BuildContext) -> Result<RedisBackend> {
    let backend = RedisConfig::new("main").prefix(prefix).build(&context).await?;
    backend.start().await?;
    Ok(backend)
}
