//! Building serializers and what wraps them.

use std::sync::Arc;

use larder_config::model::{PluginNode, SerializerSpec};
use larder_core::plugin::Factory;
use larder_core::{BuildContext, Clock, Registry, Result, Role, Serializer, Slot, Wrapper};

use super::unregistered;
use crate::format::{Format, Linked};

/// The formats of one cache: equal settings become one, so that a value is serialized, and
/// wrapped, once for all tiers that want the same bytes.
#[derive(Debug)]
pub(super) struct Formats<'a> {
    registry: &'a Registry,
    context: BuildContext,
    serializers: Vec<(&'a PluginNode, Arc<dyn Serializer>)>,
    formats: Vec<(&'a SerializerSpec, Arc<Format>)>,
}

impl<'a> Formats<'a> {
    pub(super) fn new(registry: &'a Registry, context: BuildContext) -> Self {
        Self { registry, context, serializers: Vec::new(), formats: Vec::new() }
    }

    /// The format with these settings.
    pub(super) async fn format(&mut self, spec: &'a SerializerSpec) -> Result<Arc<Format>> {
        let known = self.formats.iter().find(|(known, _)| is_same_format(known, spec));
        if let Some((_, format)) = known {
            return Ok(Arc::clone(format));
        }
        let serializer = self.serializer(&spec.node).await?;
        let mut wrappers = Vec::new();
        for node in spec.wrappers() {
            wrappers.push(wrapper(self.registry, node, &self.context).await?);
        }
        let compress_min = usize::try_from(spec.compress_min_bytes).unwrap_or(usize::MAX);
        let format = Arc::new(Format { serializer, wrappers, compress_min });
        self.formats.push((spec, Arc::clone(&format)));
        Ok(format)
    }

    async fn serializer(&mut self, node: &'a PluginNode) -> Result<Arc<dyn Serializer>> {
        let known = self.serializers.iter().find(|(known, _)| is_same(known, node));
        if let Some((_, serializer)) = known {
            return Ok(Arc::clone(serializer));
        }
        let built = serializer(self.registry, node, &self.context).await?;
        self.serializers.push((node, Arc::clone(&built)));
        Ok(built)
    }
}

fn is_same(one: &PluginNode, other: &PluginNode) -> bool {
    one.kind == other.kind && one.options == other.options
}

fn is_same_format(one: &SerializerSpec, other: &SerializerSpec) -> bool {
    one.compress_min_bytes == other.compress_min_bytes
        && one.plugins().count() == other.plugins().count()
        && one.plugins().zip(other.plugins()).all(|(one, other)| is_same(one, other))
}

/// All serializers and wrappers that can be built without options.
pub(super) async fn linked(registry: &Registry, clock: &Arc<dyn Clock>) -> Linked {
    let context = BuildContext::new("").clock(Arc::clone(clock));
    let mut linked = Linked::default();
    // One that needs options cannot be built without; its entries need it configured.
    for registered in registry.of_slot(Slot::Serializer) {
        let node = PluginNode::bare(Slot::Serializer, registered.descriptor.kind);
        if let Ok(built) = serializer(registry, &node, &context).await {
            linked.serializers.insert(built.format(), built);
        }
    }
    for registered in registry.of_slot(Slot::Wrapper) {
        let node = PluginNode::bare(Slot::Wrapper, registered.descriptor.kind);
        if let Ok((role, built)) = wrapper(registry, &node, &context).await {
            linked.wrappers.insert(built.number(), (role, built));
        }
    }
    linked
}

async fn serializer(
    registry: &Registry,
    node: &PluginNode,
    context: &BuildContext,
) -> Result<Arc<dyn Serializer>> {
    match registry.find(Slot::Serializer, &node.kind).map(|found| found.descriptor.factory) {
        Some(Factory::Serializer(factory)) => {
            let context = context.clone().path(node.path.clone());
            factory.build(node.options.clone(), &context).await
        }
        _ => Err(unregistered(node)),
    }
}

async fn wrapper(
    registry: &Registry,
    node: &PluginNode,
    context: &BuildContext,
) -> Result<(Role, Arc<dyn Wrapper>)> {
    match registry.find(Slot::Wrapper, &node.kind).map(|found| found.descriptor.factory) {
        Some(Factory::Wrapper(role, factory)) => {
            let context = context.clone().path(node.path.clone());
            let built = factory.build(node.options.clone(), &context).await;
            let built = built.map_err(|error| error.with("option", &node.path))?;
            Ok((role, built))
        }
        _ => Err(unregistered(node)),
    }
}
