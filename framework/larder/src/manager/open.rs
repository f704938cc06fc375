//! Handing out caches: typed, dynamic, made from a pattern.

use std::any::type_name;
use std::sync::{Arc, PoisonError};

use larder_config::check::CheckEnvironment;
use larder_config::model::PatternSpec;
use larder_core::key::glob_matches;
use larder_core::{CacheError, ErrorKind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{CacheManager, Named, builder};
use crate::assemble::Engines;
use crate::block::block_on;
use crate::cache::Cache;
use crate::codec::Codec;
use crate::core::{CacheValue, Core, Key};
use crate::open::CacheOptions;
use crate::persist::Persist;

impl CacheManager {
    /// The cache of this name, with keys `K` and values `V`.
    ///
    /// The first call decides the types; handles are cheap to clone, so ask once and keep it. A
    /// name that the config does not have but one of its patterns matches is made now.
    ///
    /// The first call for a cache of memory alone with `persist` reads its file, and takes as long:
    /// make it before you serve.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when there is no such cache (the names there are, are in the
    /// message); [`ErrorKind::TypeMismatch`] when it was asked for with other types, naming both;
    /// [`ErrorKind::Unsupported`] when it has `persist` and its keys cannot be read from text (see
    /// [`CacheKey::from_text`](crate::CacheKey::from_text)).
    pub fn cache<K, V>(&self, name: &str) -> Result<Cache<K, V>>
    where
        K: Key,
        V: CacheValue + Serialize + DeserializeOwned,
    {
        self.cache_with(name, CacheOptions::new())
    }

    /// Like [`cache`](Self::cache), with a removal listener or a weigher. Must be the first call
    /// for this cache.
    ///
    /// # Errors
    ///
    /// As [`cache`](Self::cache); and [`ErrorKind::Config`] when there are options and the cache
    /// is open already.
    pub fn cache_with<K, V>(&self, name: &str, options: CacheOptions<K, V>) -> Result<Cache<K, V>>
    where
        K: Key,
        V: CacheValue + Serialize + DeserializeOwned,
    {
        self.open(name, options, Some(Codec::new()))
    }

    /// The cache of this name, for values that serde does not know. They stay in the process.
    ///
    /// # Errors
    ///
    /// As [`cache_with`](Self::cache_with); [`ErrorKind::Config`] when the cache has tiers that
    /// keep bytes; and [`ErrorKind::Unsupported`] when it has `persist`.
    pub fn local_cache<K, V>(&self, name: &str, options: CacheOptions<K, V>) -> Result<Cache<K, V>>
    where
        K: Key,
        V: CacheValue,
    {
        let named = self.named(name)?;
        if let Some(tier) = named.assembled.engine.tiers.first() {
            return Err(CacheError::new(
                ErrorKind::Config,
                "the cache has a tier that keeps bytes",
            )
            .with("cache", name)
            .with("tier", tier.tier)
            .with("backend", &tier.kind)
            .with("data_type", type_name::<V>())
            .hint("use `cache` with a type that has serde, or only `backend = \"memory\"`"));
        }
        self.open(name, options, None)
    }

    /// The cache of this name with texts as keys and JSON values as values, for programs that
    /// learn the names at run time.
    ///
    /// # Errors
    ///
    /// As [`cache`](Self::cache).
    pub fn dynamic(&self, name: &str) -> Result<crate::DynamicCache> {
        self.cache(name)
    }

    fn open<K: Key, V: CacheValue>(
        &self,
        name: &str,
        options: CacheOptions<K, V>,
        codec: Option<Codec<V>>,
    ) -> Result<Cache<K, V>> {
        let named = self.named(name)?;
        let mut open = named.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(cache) = &*open else {
            let cache = Cache::new(Arc::new(named.assembled.core(options, codec)));
            if let Some(persist) = &named.persist {
                Persist::check(&cache.core)?;
                persist.begin(&cache.core);
            }
            self.inner.ttl.register(&cache);
            *open = Some(Arc::clone(&cache.core) as _);
            return Ok(cache);
        };
        if options.is_some() {
            return Err(CacheError::new(ErrorKind::Config, "the cache is open already")
                .with("cache", name)
                .hint("hand over the options with the first call for this cache"));
        }
        let opened = cache.type_names();
        let any = Arc::clone(cache).into_any();
        any.downcast::<Core<K, V>>().map(Cache::new).map_err(|_| {
            let pair = |(key, value)| format!("{key} -> {value}");
            CacheError::new(ErrorKind::TypeMismatch, "the cache was opened with other types")
                .with("cache", name)
                .with("opened_with", pair(opened))
                .with("asked_for", pair((type_name::<K>(), type_name::<V>())))
                .hint("one cache has one type of keys and one of values; declare a second cache")
        })
    }

    /// The assembled cache of a name, made from a pattern if need be.
    pub(super) fn named(&self, name: &str) -> Result<Arc<Named>> {
        if let Some(named) = self.find(name) {
            return Ok(named);
        }
        let _making = self.inner.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(named) = self.find(name) {
            return Ok(named);
        }
        let mut patterns = self.inner.patterns.iter().enumerate();
        let matching = patterns.find(|(_, pattern)| glob_matches(&pattern.pattern, name));
        let Some((index, pattern)) = matching else {
            return Err(self.unknown(name));
        };
        self.check_instances(index, pattern)?;
        let mut spec = pattern.cache.clone();
        name.clone_into(&mut spec.name);
        // A pattern has no exclusive resources, so this waits for little more than memory.
        let assembled = block_on(self.inner.assembler.assemble_one(&spec, self.engines()))?;
        let named = Arc::new(Named::new(assembled, Some(index)));
        let mut caches = self.inner.caches.write().unwrap_or_else(PoisonError::into_inner);
        caches.insert(name.to_owned(), Arc::clone(&named));
        Ok(named)
    }

    fn engines(&self) -> Engines {
        let caches = self.inner.caches.read().unwrap_or_else(PoisonError::into_inner);
        let engine = |(name, named): (&String, &Arc<Named>)| {
            (name.clone(), Arc::clone(&named.assembled.engine))
        };
        caches.iter().map(engine).collect()
    }

    /// Adds the caches of one more config text; nothing when another caller was first.
    pub(crate) async fn add(&self, name: &str, json: &str) -> Result<()> {
        let loader =
            larder_config::loader::Loader::new().text("get_cache", crate::Format::Json, json);
        let (registry, environment) = (self.registry().clone(), CheckEnvironment::detect());
        let (mut config, _) = builder::checked(loader, registry, environment).await?;
        let Some(spec) = config.caches.remove(name) else {
            return Err(self.unknown(name));
        };
        let assembled = self.inner.assembler.assemble_one(&spec, self.engines()).await?;
        let named = Arc::new(Named::new(assembled, None));
        let is_ours = {
            let mut caches = self.inner.caches.write().unwrap_or_else(PoisonError::into_inner);
            let there = caches.entry(name.to_owned()).or_insert_with(|| Arc::clone(&named));
            Arc::ptr_eq(there, &named)
        };
        if is_ours { Ok(()) } else { named.close().await }
    }

    /// The kind of the backend that is looked up first in a cache.
    pub(crate) fn first_backend(&self, name: &str) -> Option<String> {
        let names = self.find(name)?.assembled.tier_names();
        let (_, kind) = names.first()?.split_once(' ')?;
        Some(kind.to_owned())
    }

    fn check_instances(&self, index: usize, pattern: &PatternSpec) -> Result<()> {
        let caches = self.inner.caches.read().unwrap_or_else(PoisonError::into_inner);
        let instances = caches.values().filter(|named| named.pattern == Some(index)).count() as u64;
        match pattern.max_instances {
            Some(limit) if instances >= limit => {
                Err(CacheError::new(ErrorKind::Capacity, "the pattern has too many caches")
                    .with("pattern", &pattern.pattern)
                    .with("current_size", instances)
                    .with("max_size", limit)
                    .hint("`remove` caches that are not needed, or raise `max_instances`"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<Arc<Named>> {
        let caches = self.inner.caches.read().unwrap_or_else(PoisonError::into_inner);
        caches.get(name).map(Arc::clone)
    }

    pub(super) fn unknown(&self, name: &str) -> CacheError {
        let names = self.list();
        let nearest = larder_config::suggest::closest(name, names.iter().map(String::as_str));
        let error = CacheError::new(ErrorKind::Config, "there is no such cache")
            .with("cache", name)
            .with("caches", names.join(", "));
        match nearest {
            Some(nearest) => error.hint(format!("did you mean `{nearest}`?")),
            None => error.hint(format!("declare it in the config: `[caches.{name}]`")),
        }
    }
}
