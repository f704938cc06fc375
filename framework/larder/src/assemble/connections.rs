//! Connections that plugins share: one for each section of the config, built when the first
//! plugin names it.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use larder_config::model::PluginNode;
use larder_core::plugin::Factory;
use larder_core::{BuildContext, Registry, Result, Slot};
use serde_json::Value;
use tokio::sync::Mutex;

use super::unregistered;

/// The option by which plugins name a connection.
const OPTION: &str = "connection";

/// The connections of a config, and those of them that are in use.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    nodes: BTreeMap<String, PluginNode>,
    /// Who uses a connection owns it: it ends with the last cache that names it.
    built: Mutex<BTreeMap<String, Weak<dyn Any + Send + Sync>>>,
}

impl Connections {
    pub(crate) fn new(nodes: BTreeMap<String, PluginNode>) -> Self {
        Self { nodes, built: Mutex::default() }
    }

    /// Adds the connection that the options of a plugin name to what the plugin is built with. A
    /// name that the config does not have is left to the plugin, which knows whether it needs one.
    ///
    /// # Errors
    ///
    /// What building the connection says.
    pub(super) async fn lend(
        &self,
        context: BuildContext,
        options: &Value,
        registry: &Registry,
    ) -> Result<BuildContext> {
        let name = options.get(OPTION).and_then(Value::as_str);
        let Some((name, node)) = name.and_then(|name| self.nodes.get_key_value(name)) else {
            return Ok(context);
        };
        let mut built = self.built.lock().await;
        if let Some(connection) = built.get(name).and_then(Weak::upgrade) {
            return Ok(context.connection(name, connection));
        }
        let found = registry.find(Slot::Connection, &node.kind);
        let Some(Factory::Connection(factory)) = found.map(|found| found.descriptor.factory) else {
            return Err(unregistered(node));
        };
        let own = BuildContext::new(&context.cache)
            .clock(Arc::clone(&context.clock))
            .path(node.path.clone());
        let connection = factory.build(node.options.clone(), &own).await;
        let connection = connection
            .map_err(|error| error.with("connection", name).with("option", &node.path))?;
        built.insert(name.clone(), Arc::downgrade(&connection));
        Ok(context.connection(name, connection))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use larder_core::{KeyPath, PluginConfig, async_trait, descriptor};

    use super::*;

    static BUILT: AtomicU32 = AtomicU32::new(0);

    #[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct LineConfig {
        to: String,
    }

    #[derive(Debug)]
    struct Line(String);

    #[async_trait]
    impl PluginConfig for LineConfig {
        const KIND: &'static str = "test.line";
        const SUMMARY: &'static str = "counts how often it is built";
        type Plugin = Line;

        async fn build(self, context: &BuildContext) -> Result<Line> {
            BUILT.fetch_add(1, Ordering::Relaxed);
            Ok(Line(format!("{} at {}", self.to, context.path)))
        }
    }

    fn connections() -> (Connections, Registry) {
        let mut node = PluginNode::bare(Slot::Connection, LineConfig::KIND);
        node.options = serde_json::json!({ "to": "there" });
        node.path = KeyPath::from_segments(["connections", "main"]);
        let registry = Registry::empty().with(descriptor!(connection: LineConfig));
        (Connections::new([("main".to_owned(), node)].into()), registry)
    }

    #[tokio::test]
    async fn a_connection_is_built_once_and_ends_with_those_who_use_it() {
        let (connections, registry) = connections();
        let options = serde_json::json!({ "connection": "main" });
        let lend = async |cache: &str| {
            let context = BuildContext::new(cache);
            connections.lend(context, &options, &registry).await.unwrap()
        };
        let one = lend("users").await.shared::<Line>("main").unwrap();
        let other = lend("orders").await.shared::<Line>("main").unwrap();
        assert_eq!(one.0, "there at connections.main");
        assert!(Arc::ptr_eq(&one, &other));
        assert_eq!(BUILT.load(Ordering::Relaxed), 1);

        drop((one, other));
        lend("users").await.shared::<Line>("main").unwrap();
        assert_eq!(BUILT.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_connection_that_is_not_there_is_missed_by_the_plugin_that_needs_it() {
        let (connections, registry) = connections();
        let options = serde_json::json!({ "connection": "mian" });
        let context = connections.lend(BuildContext::new("users"), &options, &registry).await;
        let error = context.unwrap().shared::<Line>("mian").unwrap_err();
        assert_eq!(error.message(), "there is no such connection");

        let none = connections.lend(BuildContext::new("users"), &Value::Null, &registry).await;
        assert!(none.is_ok());
        let nothing_registered = Registry::empty();
        let options = serde_json::json!({ "connection": "main" });
        let context = BuildContext::new("users");
        let error = connections.lend(context, &options, &nothing_registered).await.unwrap_err();
        assert_eq!(error.message(), "there is no such plugin");
    }
}
