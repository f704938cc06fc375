//! From a checked config to running caches.
//!
//! All plugins of all caches are built first, then all are started. When one cannot be, those
//! that were built are closed again, and nothing is left half-started.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use larder_config::model::{CacheSpec, PatternSpec, PersistSpec, PluginNode, TierSource, TierSpec};
use larder_core::backend::InProcess;
use larder_core::plugin::Factory;
use larder_core::{
    Backend, BuildContext, CacheError, Capabilities, Clock, ErrorKind, Life, PolicyFactory,
    Registry, Result, Slot, Tier, telemetry,
};
use larder_store::{Store, StoreOptions};
use tracing::Instrument;

use crate::codec::Codec;
use crate::core::{CacheValue, Core, Key, StoreTier, Weigh};
use crate::deferred::when_free;
use crate::engine::Engine;
use crate::fence::Fence;
use crate::flight::Flights;
use crate::format::{Format, Linked};
use crate::open::{CacheOptions, Listener, Removed};
use crate::rules::Rules;
use crate::settings::Settings;
use crate::stored::{Content, Stored};
use crate::tier::{ByteTier, Lane, Parts};

mod cache_backend;
mod connections;
mod formats;
mod stacked;

use cache_backend::CacheBackend;
pub(crate) use connections::Connections;
use formats::Formats;
pub(crate) use stacked::caches_below;
use stacked::{home, home_of, in_order};

/// The policy of a store when the config names none.
const DEFAULT_POLICY: &str = "auto";

/// The caches there are, for those that use them as tiers.
pub(crate) type Engines = BTreeMap<String, Arc<Engine>>;

/// What caches are assembled with.
#[derive(Debug)]
pub(crate) struct Assembler {
    registry: Registry,
    clock: Arc<dyn Clock>,
    linked: Arc<Linked>,
    connections: Connections,
    /// What stores derive their hashes from, if not from chance.
    seed: Option<u64>,
}

/// A cache without its types: the engine, and what its store will be.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub(crate) engine: Arc<Engine>,
    pub(crate) description: Option<String>,
    pub(crate) persist: Option<PersistSpec>,
    /// The caches that it uses as tiers.
    pub(crate) below: Vec<String>,
    front: Option<Front>,
    format: Arc<Format>,
}

/// The first tier of a cache, when it holds values as they are.
#[derive(Clone, Debug)]
struct Front {
    settings: InProcess,
    kind: String,
    ttl: Option<Life>,
    seed: Option<u64>,
}

impl Assembler {
    pub(crate) async fn new(
        registry: Registry,
        clock: Arc<dyn Clock>,
        connections: Connections,
    ) -> Self {
        let linked = Arc::new(formats::linked(&registry, &clock).await);
        Self { registry, clock, linked, connections, seed: None }
    }

    /// Sets what stores derive their hashes from.
    pub(crate) const fn seed(mut self, seed: Option<u64>) -> Self {
        self.seed = seed;
        self
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Builds and starts all caches, or none.
    ///
    /// `patterns` are not built, but may use these caches as tiers.
    pub(crate) async fn assemble_all(
        &self,
        specs: &BTreeMap<String, CacheSpec>,
        patterns: &[PatternSpec],
    ) -> Result<BTreeMap<String, Assembled>> {
        let patterns = patterns.iter().map(|pattern| &pattern.cache);
        let below = specs.values().chain(patterns).flat_map(caches_below).collect();
        self.assemble_over(specs, &below, Engines::new()).await
    }

    /// Builds and starts one more cache, which may use caches there are already as tiers.
    pub(crate) async fn assemble_one(
        &self,
        spec: &CacheSpec,
        others: Engines,
    ) -> Result<Assembled> {
        let specs = [(spec.name.clone(), spec.clone())].into();
        let mut all = self.assemble_over(&specs, &BTreeSet::new(), others).await?;
        all.remove(&spec.name).ok_or_else(|| {
            CacheError::new(ErrorKind::Config, "the cache was not built").with("cache", &spec.name)
        })
    }

    async fn assemble_over(
        &self,
        specs: &BTreeMap<String, CacheSpec>,
        below: &BTreeSet<&str>,
        others: Engines,
    ) -> Result<BTreeMap<String, Assembled>> {
        let mut built = BTreeMap::new();
        let outcome = self.build_all(specs, below, others, &mut built).await;
        let span = tracing::info_span!(target: telemetry::TARGET, "manager.start");
        let outcome = match outcome {
            Ok(()) => async { start_all(built.values()).await }.instrument(span).await,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            for assembled in built.values() {
                // The first error is what the operator needs; closing says its own in the log.
                assembled.engine.close().await.ok();
            }
            return Err(error);
        }
        Ok(built)
    }

    async fn build_all(
        &self,
        specs: &BTreeMap<String, CacheSpec>,
        below: &BTreeSet<&str>,
        mut engines: Engines,
        built: &mut BTreeMap<String, Assembled>,
    ) -> Result<()> {
        for spec in in_order(specs) {
            let assembled = self.build(spec, below.contains(spec.name.as_str()), &engines).await?;
            engines.insert(spec.name.clone(), Arc::clone(&assembled.engine));
            built.insert(spec.name.clone(), assembled);
        }
        Ok(())
    }

    async fn build(
        &self,
        spec: &CacheSpec,
        is_tier_of_another: bool,
        others: &Engines,
    ) -> Result<Assembled> {
        let span = tracing::info_span!(
            target: telemetry::TARGET, "cache.build", cache = %spec.name
        );
        async {
            let name: Arc<str> = spec.name.as_str().into();
            let context = BuildContext::new(&spec.name)
                .clock(Arc::clone(&self.clock))
                .max_value_bytes(spec.greatest_value_bytes());
            let mut formats = Formats::new(&self.registry, context);
            let format = formats.format(&spec.serializer).await?;
            let home = home(spec, others);
            let (mut front, mut tiers) = (None, Vec::new());
            for tier in &spec.tiers {
                let backend = self.backend(spec, tier, others).await?;
                let kind = kind_of(tier);
                match backend.in_process() {
                    // A cache that is a tier of another one is used by both as bytes.
                    Some(settings) if tier.tier == Tier::L1 && !is_tier_of_another => {
                        let (ttl, seed) = (tier.ttl, self.seed);
                        front = Some(Front { settings, kind, ttl, seed });
                    }
                    _ => {
                        let format = match &tier.serializer {
                            Some(own) => formats.format(own).await?,
                            None => Arc::clone(&format),
                        };
                        let home = match &tier.source {
                            TierSource::Cache(other) => home_of(other, others),
                            TierSource::Backend(_) => Arc::clone(&home),
                        };
                        let parts = Parts {
                            kind,
                            cache: Arc::clone(&name),
                            home,
                            backend,
                            format,
                            clock: Arc::clone(&self.clock),
                            owned: matches!(tier.source, TierSource::Backend(_)),
                        };
                        tiers.push(ByteTier::new(tier, parts));
                    }
                }
            }
            let linked = Arc::clone(&self.linked);
            let clock = Arc::clone(&self.clock);
            let settings = (Settings::new(spec), Rules::new(spec));
            let engine = Arc::new(Engine::new(name, settings, tiers, linked, clock));
            let (description, persist) = (spec.description.clone(), spec.persist.clone());
            let below = caches_below(spec).map(str::to_owned).collect();
            Ok(Assembled { engine, description, persist, below, front, format })
        }
        .instrument(span)
        .await
    }

    async fn backend(
        &self,
        spec: &CacheSpec,
        tier: &TierSpec,
        others: &Engines,
    ) -> Result<Arc<dyn Backend>> {
        let node = match &tier.source {
            TierSource::Backend(node) => node,
            TierSource::Cache(other) => {
                let other = others.get(other).ok_or_else(|| {
                    CacheError::new(ErrorKind::Config, "a tier names a cache that is not there")
                        .with("cache", &spec.name)
                        .with("tier", tier.tier)
                        .with("names", other)
                })?;
                return Ok(Arc::new(CacheBackend::new(Arc::clone(other))));
            }
        };
        let (factory, capabilities) = match self.registry.find(Slot::Backend, &node.kind) {
            Some(found) => match found.descriptor.factory {
                Factory::Backend(factory) => (factory, found.descriptor.capabilities),
                _ => return Err(unregistered(node)),
            },
            None => return Err(unregistered(node)),
        };
        let policy = match &tier.policy {
            Some(policy) => Some(self.policy(policy)?),
            None if capabilities.contains(Capabilities::TYPED) => {
                Some(self.policy(&PluginNode::bare(Slot::Policy, DEFAULT_POLICY))?)
            }
            None => None,
        };
        let context = BuildContext::new(&spec.name)
            .clock(Arc::clone(&self.clock))
            .tier(tier.tier)
            .path(node.path.clone())
            .policy(policy)
            .max_value_bytes(spec.greatest_value_bytes());
        let context = self.connections.lend(context, &node.options, &self.registry).await?;
        let built = factory.build(node.options.clone(), &context).await;
        built.map_err(|error| {
            error.with("cache", &spec.name).with("tier", tier.tier).with("option", &node.path)
        })
    }

    fn policy(&self, node: &PluginNode) -> Result<Arc<dyn PolicyFactory>> {
        match self.registry.find(Slot::Policy, &node.kind).map(|found| found.descriptor.factory) {
            Some(Factory::Policy(factory)) => factory.build(node.options.clone()),
            _ => Err(unregistered(node)),
        }
    }
}

/// Starts the backends of all caches; the caller closes all when one fails.
async fn start_all(built: impl Iterator<Item = &Assembled>) -> Result<()> {
    for assembled in built {
        for tier in assembled.engine.tiers.iter().filter(|tier| tier.owned) {
            tier.call(Lane::Direct, "start", tier.backend.start()).await?;
        }
        tracing::debug!(
            target: telemetry::TARGET,
            cache = %assembled.engine.name,
            tiers = assembled.tier_names().join(", "),
            "{}", telemetry::CACHE_READY
        );
    }
    Ok(())
}

fn unregistered(node: &PluginNode) -> CacheError {
    CacheError::new(ErrorKind::Config, "there is no such plugin")
        .with("slot", node.slot)
        .with("kind", &node.kind)
        .with("option", &node.path)
        .hint("see `larder plugins list` for what is linked into the program")
}

fn kind_of(tier: &TierSpec) -> String {
    match &tier.source {
        TierSource::Backend(node) => node.kind.clone(),
        TierSource::Cache(name) => format!("cache {name}"),
    }
}

impl Assembled {
    /// The tiers and their backends, such as `l1 memory`.
    pub(crate) fn tier_names(&self) -> Vec<String> {
        let front = self.front.iter().map(|front| format!("{} {}", Tier::L1, front.kind));
        let tiers = self.engine.tiers.iter().map(|tier| format!("{} {}", tier.tier, tier.kind));
        front.chain(tiers).collect()
    }

    /// The cache with its types.
    pub(crate) fn core<K: Key, V: CacheValue>(
        &self,
        options: CacheOptions<K, V>,
        codec: Option<Codec<V>>,
    ) -> Core<K, V> {
        let CacheOptions { listener, weigher, ttl_by } = options;
        let is_weighed =
            self.front.as_ref().is_some_and(|front| front.settings.capacity.weight.is_some());
        let weigh = match (weigher, codec) {
            (Some(weigher), _) => Weigh::By(weigher),
            (None, _) if !is_weighed => Weigh::One,
            (None, Some(codec)) => Weigh::Serialized(codec, Arc::clone(&self.format.serializer)),
            (None, None) => Weigh::Shallow,
        };
        let is_plain = matches!(weigh, Weigh::One)
            && ttl_by.is_none()
            && self.front.as_ref().is_some_and(|front| front.ttl.is_none())
            && self.engine.settings.are_plain()
            && self.engine.rules.is_empty();
        let store = self.front.clone().map(|front| self.store(front, listener));
        Core {
            engine: Arc::clone(&self.engine),
            store,
            codec,
            format: Arc::clone(&self.format),
            flights: Flights::new(),
            weigh,
            ttl_by,
            is_plain,
            heat: crate::stats::Heat::new(),
        }
    }

    fn store<K: Key, V: CacheValue>(
        &self,
        front: Front,
        listener: Option<Listener<K, V>>,
    ) -> StoreTier<K, V> {
        // Each entry comes with its idle life, which may be none.
        let options = StoreOptions::new(front.settings, Arc::clone(&self.engine.clock));
        let table = Store::new(match front.seed {
            Some(seed) => options.seed(seed),
            None => options,
        });
        let table = match listener {
            Some(listener) => {
                table.with_listener(Arc::new(move |removed| tell(&listener, &removed)))
            }
            None => table,
        };
        let fence = self.engine.tiers.is_empty().then(Fence::new);
        StoreTier { table, kind: front.kind, ttl: front.ttl, fence }
    }
}

/// Tells the application of a removal once no lock is held. It does not hear of a remembered
/// "there is none".
fn tell<K: Key, V: CacheValue>(
    listener: &Listener<K, V>,
    removed: &larder_store::Removed<'_, K, Stored<V>, larder_store::Split>,
) {
    if let Some(value) = removed.value.value() {
        let (key, value, reason) = (removed.key.clone(), value.clone(), removed.reason);
        let listener = Arc::clone(listener);
        when_free(move || listener(Removed { key, value, reason }));
    }
}
