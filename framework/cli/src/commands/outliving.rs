//! Caches whose entries are there after the process that stored them is gone: the only ones that
//! a command can look into.

use larder::Registry;
use larder::config::model::{CacheSpec, Config, TierSource};
use larder::config::suggest::closest;
use larder::plugin::key::glob_matches;
use larder::plugin::{Capabilities, Slot};

use crate::exit::{Exit, Failure};

/// How often one cache may lead to another as its tier. The checks refuse cycles already.
const MAX_DEPTH: usize = 16;

/// The names of all caches that outlive a process, or that of the chosen one if it does.
pub(super) fn chosen(
    config: &Config,
    name: Option<&str>,
    registry: &Registry,
) -> Result<Vec<String>, Failure> {
    if let Some(name) = name {
        require(config, name, registry)?;
        return Ok(vec![name.to_owned()]);
    }
    let caches = config.caches.values();
    let caches = caches.filter(|cache| outlives(config, cache, registry, 0));
    Ok(caches.map(|cache| cache.name.clone()).collect())
}

/// Refuses a cache that is not there, or of which another process sees nothing.
pub(super) fn require(config: &Config, name: &str, registry: &Registry) -> Result<(), Failure> {
    let hint = "ask the application for its statistics, or add a tier that outlives the process, \
                such as `file`";
    require_or(config, name, registry, |_| hint.to_owned())
}

/// The same, with what to do for who wants to copy entries.
pub(super) fn require_to_copy(
    config: &Config,
    name: &str,
    registry: &Registry,
) -> Result<(), Failure> {
    require_or(config, name, registry, |spec| match &spec.persist {
        Some(persist) => format!(
            "the application saves them to `{}`, which is a snapshot: copy that file, or put \
             one there before the application starts",
            persist.path.display()
        ),
        None => "let the application save them with `persist = { path = \"…\" }`: that file is a \
                 snapshot"
            .to_owned(),
    })
}

fn require_or(
    config: &Config,
    name: &str,
    registry: &Registry,
    hint: impl FnOnce(&CacheSpec) -> String,
) -> Result<(), Failure> {
    let by_pattern = || {
        let mut patterns = config.patterns.iter();
        let pattern = patterns.find(|pattern| glob_matches(&pattern.pattern, name));
        pattern.map(|pattern| &pattern.cache)
    };
    let spec = config.caches.get(name).or_else(by_pattern);
    let Some(spec) = spec else { return Err(unknown(config, name)) };
    if outlives(config, spec, registry, 0) {
        return Ok(());
    }
    let kinds: Vec<String> = spec
        .tiers
        .iter()
        .filter_map(|tier| match &tier.source {
            TierSource::Backend(backend) => Some(format!("`{}`", backend.kind)),
            TierSource::Cache(_) => None,
        })
        .collect();
    let message = format!(
        "the entries of cache `{name}` live in the memory of the process that stores them ({}), so \
         this command would only see an empty cache; hint: {}",
        kinds.join(", "),
        hint(spec)
    );
    Err(Failure::new(Exit::No, message))
}

fn unknown(config: &Config, name: &str) -> Failure {
    let names = config.caches.keys().map(String::as_str);
    let hint = match (closest(name, names.clone()), config.caches.is_empty()) {
        (Some(nearest), _) => format!("did you mean `{nearest}`?"),
        (None, true) => "the config declares none".to_owned(),
        (None, false) => {
            let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
            format!("there are {}", names.join(", "))
        }
    };
    Failure::new(Exit::No, format!("there is no cache `{name}`; hint: {hint}"))
}

/// Whether one of its tiers keeps entries outside of the process.
fn outlives(config: &Config, cache: &CacheSpec, registry: &Registry, depth: usize) -> bool {
    cache.tiers.iter().any(|tier| match &tier.source {
        TierSource::Backend(backend) => {
            let plugin = registry.find(Slot::Backend, &backend.kind);
            let lasting = Capabilities::PERSIST | Capabilities::SHARED;
            plugin.is_some_and(|plugin| plugin.descriptor.capabilities.intersects(lasting))
        }
        TierSource::Cache(name) => {
            let next = config.caches.get(name).filter(|_| depth < MAX_DEPTH);
            next.is_some_and(|next| outlives(config, next, registry, depth + 1))
        }
    })
}
