//! [`CacheManagerBuilder`], every choice there is before caches are built.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use larder_config::check::{CheckEnvironment, Checked, check};
use larder_config::loader::Loader;
use larder_config::model::CacheSpec;
use larder_core::library::LibraryLoader;
use larder_core::{
    CacheError, Clock, Descriptor, ErrorKind, Registry, Result, SystemClock, telemetry,
};
use tracing::dispatcher::{get_default, with_default};
use tracing::{Dispatch, Instrument};

use super::CacheManager;
use crate::assemble::{Assembler, Connections, caches_below};
use crate::block::{block_on, offload};

/// Chooses files, layers, plugins and the clock of a [`CacheManager`].
///
/// ```
/// # async fn example() -> larder::Result<()> {
/// let caches = larder::CacheManager::builder()
///     .text("caches.toml", larder::Format::Toml, "[caches.users]\nbackend = \"memory\"")
///     .set("caches.users.ttl=30s")
///     .build()
///     .await?;
/// assert_eq!(caches.list(), ["users"]);
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "call `build`"]
pub struct CacheManagerBuilder {
    loader: Loader,
    registry: Registry,
    checks: CheckEnvironment,
    clock: Arc<dyn Clock>,
    file: Option<PathBuf>,
    only: Option<BTreeSet<String>>,
    is_persistent: bool,
    seed: Option<u64>,
}

impl CacheManagerBuilder {
    pub(super) fn new() -> Self {
        Self {
            loader: Loader::new(),
            registry: crate::registry(),
            checks: crate::environment(),
            clock: SystemClock::shared(),
            file: None,
            only: None,
            is_persistent: true,
            seed: None,
        }
    }

    /// Reads a file: TOML, YAML or JSON, by its ending. Files are read in the order in which they
    /// are added. The environment is not asked, unlike by [`CacheManager::from_file`], until
    /// [`process_environment`](Self::process_environment) is called as well.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.file.get_or_insert_with(|| path.clone());
        self.loader = self.loader.file(path);
        self
    }

    /// Reads a text; messages name it `name`.
    pub fn text(
        mut self,
        name: impl Into<String>,
        format: crate::Format,
        text: impl Into<String>,
    ) -> Self {
        self.loader = self.loader.text(name, format, text);
        self
    }

    /// Lays a provider of figment over the files.
    pub fn provider(mut self, provider: impl figment::Provider) -> Self {
        self.loader = self.loader.provider(provider);
        self
    }

    /// Applies the section `[profile.NAME]`.
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.loader = self.loader.profile(Some(profile.into()));
        self
    }

    /// Uses these environment variables, for `LARDER__…`, `LARDER_PROFILE` and `${env:…}`.
    /// Without this call there are none.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.loader = self.loader.environment(variables);
        self
    }

    /// Uses the environment variables of the process; those that are not UTF-8 are left out.
    pub fn process_environment(self) -> Self {
        let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        self.environment(std::env::vars_os().filter_map(utf8))
    }

    /// Sets one option, over everything else: `caches.users.ttl=1h`.
    pub fn set(mut self, argument: impl Into<String>) -> Self {
        self.loader = self.loader.set(argument);
        self
    }

    /// Adds a plugin by hand; see [`descriptor!`](larder_core::descriptor).
    pub fn plugin(mut self, descriptor: Descriptor) -> Self {
        self.registry = self.registry.with(descriptor);
        self
    }

    /// Uses these plugins and no others. Default: [`registry`](crate::registry).
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// Loads the libraries that the config names with this loader. Default: with the feature
    /// `dynamic` one that takes them from everywhere; without
    /// it none are loaded, and the config gets a warning.
    pub fn libraries(mut self, loader: Arc<dyn LibraryLoader>) -> Self {
        self.checks = self.checks.libraries(loader);
        self
    }

    /// Uses this clock. Default: the time of the system.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// What hashes of keys, and the choices of policies that follow from them, derive from. Only
    /// for tests that have to run the same way twice: who knows it can choose keys that collide.
    /// Default: random.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Builds these caches only, and those they use as tiers. The whole config is checked all the
    /// same; a name that it does not have is left out.
    pub fn only<I, S>(mut self, names: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.only = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Leaves the files of `persist` alone: nothing is read from them or saved to them. For
    /// programs that look into caches which belong to another one.
    pub fn without_persist(mut self) -> Self {
        self.is_persistent = false;
        self
    }

    /// Like [`build`](Self::build), for programs without a runtime. Backends that need one say so.
    ///
    /// # Errors
    ///
    /// As [`CacheManager::from_file`].
    pub fn build_blocking(self) -> Result<CacheManager> {
        block_on(self.build())
    }

    /// Checks the config, builds all caches and starts them.
    ///
    /// # Errors
    ///
    /// As [`CacheManager::from_file`]; and [`ErrorKind::Config`] when two plugins register the
    /// same kind.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing running but the check of the config, if it is not over.
    pub async fn build(self) -> Result<CacheManager> {
        if let Some(conflict) = self.registry.conflicts().first() {
            return Err(CacheError::transparent(ErrorKind::Config, conflict.clone()));
        }
        let file = self.file.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
        let span = tracing::info_span!(target: telemetry::TARGET, "config.load", file);
        let checked = checked(self.loader, self.registry, self.checks).instrument(span.clone());
        let (mut config, registry) = checked.await?;
        if let Some(names) = self.only {
            keep_only(&mut config.caches, names);
        }
        if !self.is_persistent {
            config.caches.values_mut().for_each(|cache| cache.persist = None);
        }
        let connections = Connections::new(config.connections);
        let assembler = Assembler::new(registry, self.clock, connections).await.seed(self.seed);
        CacheManager::assemble(assembler, config.caches, config.patterns).instrument(span).await
    }
}

/// Leaves the named caches and, level by level, those below them.
fn keep_only(caches: &mut BTreeMap<String, CacheSpec>, names: BTreeSet<String>) {
    let mut wanted = names;
    loop {
        let known = wanted.len();
        let below: Vec<String> = wanted
            .iter()
            .filter_map(|name| caches.get(name))
            .flat_map(caches_below)
            .map(str::to_owned)
            .collect();
        wanted.extend(below);
        if wanted.len() == known {
            break;
        }
    }
    caches.retain(|name, _| wanted.contains(name));
}

/// The config, when it can be used, and the plugins for it; its warnings go to the log.
///
/// Files are read for it, libraries loaded and their plugins asked about options: all that may
/// take its time, and holds up no thread of the runtime.
pub(super) async fn checked(
    loader: Loader,
    registry: Registry,
    environment: CheckEnvironment,
) -> Result<(larder_config::model::Config, Registry)> {
    let (listener, span) = (get_default(Dispatch::clone), tracing::Span::current());
    let check = move || span.in_scope(|| checked_here(loader, &registry, &environment));
    offload(move || with_default(&listener, check)).await
}

fn checked_here(
    loader: Loader,
    registry: &Registry,
    environment: &CheckEnvironment,
) -> Result<(larder_config::model::Config, Registry)> {
    let mut checked: Checked = check(&loader.resolve(), registry, environment);
    let registry = std::mem::take(&mut checked.registry);
    let (config, report) =
        checked.into_config().map_err(|error| CacheError::transparent(ErrorKind::Config, error))?;
    for warning in report.diagnostics() {
        let path = warning.path.as_ref().map(ToString::to_string).unwrap_or_default();
        tracing::warn!(
            target: telemetry::TARGET,
            code = warning.code, path, problem = warning.message, "{}", telemetry::CONFIG_WARNING
        );
    }
    Ok((config, registry))
}
