//! Backends over real servers, for the tests of this crate.

use std::any::Any;
use std::sync::Arc;

use larder_core::{Backend, BuildContext, PluginConfig, Result};
use larder_redis::{
    ReadFrom, RedisBackend, RedisClusterConfig, RedisConfig, RedisConnectionConfig,
};
use serde_json::{Value, json};

/// A backend over a connection of its own, as another process has it: to one server, or to the
/// cluster of several.
pub(crate) async fn open(
    urls: &[String],
    prefix: &str,
    context: BuildContext,
) -> Result<RedisBackend> {
    open_with(urls, prefix, ReadFrom::Primary, context).await
}

/// The same, with gets from these servers.
pub(crate) async fn open_with(
    urls: &[String],
    prefix: &str,
    read_from: ReadFrom,
    context: BuildContext,
) -> Result<RedisBackend> {
    let connection = match urls {
        [url] => built::<RedisConnectionConfig>(patient(json!({ "url": url })), &context).await?,
        nodes => built::<RedisClusterConfig>(patient(json!({ "nodes": nodes })), &context).await?,
    };
    let context = context.connection("main", connection);
    let backend =
        RedisConfig::new("main").prefix(prefix).read_from(read_from).build(&context).await?;
    backend.start().await?;
    Ok(backend)
}

/// Limits that a busy machine keeps.
fn patient(mut options: Value) -> Value {
    options["connect_timeout"] = "10s".into();
    options["timeout"] = "10s".into();
    options
}

async fn built<C>(options: Value, context: &BuildContext) -> Result<Arc<dyn Any + Send + Sync>>
where
    C: PluginConfig<Plugin: Send + Sync>,
{
    let config: C = serde_json::from_value(options).expect("the options are right");
    Ok(Arc::new(config.build(context).await?))
}
