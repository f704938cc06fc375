//! What a plugin tells the framework about itself: [`PluginConfig`], [`PolicyConfig`],
//! [`Descriptor`].

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::capabilities::Capabilities;
use crate::clock::{Clock, SystemClock};
use crate::error::{CacheError, ErrorKind, Result};
use crate::policy::{Capacity, Policy, PolicyFactory};
use crate::problem::{KeyPath, Problems};
use crate::wrapper::Role;

mod descriptor;
mod factory;

pub use descriptor::Descriptor;
pub use factory::{BoxFactory, BuildPolicy, ConfigCheck, Factory};

/// What role a plugin plays. The slot is the namespace of kinds: `redis` the backend and `redis`
/// the connection do not clash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Slot {
    /// A place that keeps bytes.
    Backend,
    /// A connection that several plugins share.
    Connection,
    /// Turns outside facts into invalidations (`invalidation.backplane`).
    Invalidator,
    /// Which entry has to go.
    Policy,
    /// Carries changes to other sites.
    Replicator,
    /// Values to bytes and back.
    Serializer,
    /// Entries that are there before anybody asks.
    Warmer,
    /// Bytes to other bytes and back, around a serializer.
    Wrapper,
}

impl Slot {
    /// Every slot, in the order in which lists show them.
    pub const ALL: [Self; 8] = [
        Self::Backend,
        Self::Policy,
        Self::Serializer,
        Self::Wrapper,
        Self::Invalidator,
        Self::Warmer,
        Self::Replicator,
        Self::Connection,
    ];

    /// The slot as one lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backend => "backend",
            Self::Connection => "connection",
            Self::Invalidator => "invalidator",
            Self::Policy => "policy",
            Self::Replicator => "replicator",
            Self::Serializer => "serializer",
            Self::Warmer => "warmer",
            Self::Wrapper => "wrapper",
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which tier of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the config language has three tiers")]
pub enum Tier {
    /// Looked up first.
    L1,
    /// Looked up second.
    L2,
    /// Looked up last.
    L3,
}

impl Tier {
    /// All tiers in the order in which they are looked up.
    pub const ALL: [Self; 3] = [Self::L1, Self::L2, Self::L3];

    /// The name of the tier in config files, metrics and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::L1 => "l1",
            Self::L2 => "l2",
            Self::L3 => "l3",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Something that only one cache may use, for the check that no two do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Resource {
    /// A directory and all below it. Compared after resolving `.`, `..` and symlinks.
    Directory {
        /// Which option names it.
        option: String,
        /// The directory.
        path: PathBuf,
    },
    /// Keys of a server that start with the name of the cache and a suffix, as by default.
    CacheKeyPrefix {
        /// Which option would name another prefix.
        option: String,
        /// The connection.
        connection: String,
        /// What follows the name of the cache.
        suffix: String,
    },
    /// Keys of a server that start with a prefix; conflicts with a prefix of it.
    KeyPrefix {
        /// Which option names it.
        option: String,
        /// The connection.
        connection: String,
        /// The prefix.
        prefix: String,
    },
}

/// The options of a plugin as a struct: at once factory, schema and manual.
///
/// The doc comments of its fields become the reference manual, the editor completion and the
/// notes of error messages, so write them for an operator. Mark options with
/// `#[schemars(extend(…))]`:
///
/// | mark | meaning |
/// |---|---|
/// | `"x-aliases" = ["size", …]` | names that people bring from elsewhere, for suggestions |
/// | `"x-path" = true` | a path; relative ones are relative to the config file |
/// | `"x-reload" = "live"` | a change does `live`, `migrate`, `swap`, `rebuild` or `restart` |
/// | `"x-secret" = true` | never shown; [`Secret`](crate::Secret) has it already |
///
/// Derive `Deserialize` with `deny_unknown_fields` and give every option but the required ones a
/// serde default. Avoid `flatten` and `untagged`: both lose the position of errors.
///
/// The framework calls `validate` on all plugins before it `build`s any, and builds all before
/// [`Backend::start`](crate::Backend::start) begins background work in any, so a config that
/// cannot work leaves nothing half-started.
#[async_trait]
pub trait PluginConfig: DeserializeOwned + JsonSchema + fmt::Debug + Send + Sync + 'static {
    /// The kind as the config names it: kebab-case; third parties write `vendor.kind`.
    const KIND: &'static str;

    /// One sentence for lists: what it is, lower case, no full stop.
    const SUMMARY: &'static str;

    /// What the plugin will be able to do, as far as that is known without building it.
    const CAPABILITIES: Capabilities = Capabilities::empty();

    /// What is built: something that implements the trait of the slot.
    type Plugin;

    /// Checks what the schema cannot express. Pure: no I/O, no clock.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, each with the path of its option below `at`.
    fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
        let _ = at;
        Ok(())
    }

    /// What no other cache may use at the same time.
    fn resources(&self) -> Vec<Resource> {
        Vec::new()
    }

    /// Tries what the options say, when somebody asks for that: connects, looks and changes
    /// nothing. Says what is doubtful. Must end by itself, whatever answers or does not. Default:
    /// there is nothing to try.
    ///
    /// # Errors
    ///
    /// Everything that keeps the plugin from being used, each with the path of the option that has
    /// to do with it, below that of the context.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    async fn probe(self, context: &BuildContext) -> Result<Problems, Problems> {
        let _ = context;
        Ok(Problems::new())
    }

    /// Builds the plugin. May do I/O; must not begin background work.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for what an operator has to change; any other kind as it fits.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind but files and directories it created.
    async fn build(self, context: &BuildContext) -> Result<Self::Plugin>;
}

/// The options of an eviction policy. Like [`PluginConfig`], but built once per shard of a store
/// and without I/O.
pub trait PolicyConfig: DeserializeOwned + JsonSchema + fmt::Debug + Send + Sync + 'static {
    /// The kind as the config names it: kebab-case; third parties write `vendor.kind`.
    const KIND: &'static str;

    /// One sentence for lists: what it is, lower case, no full stop.
    const SUMMARY: &'static str;

    /// The policy.
    type Policy: Policy;

    /// Checks what the schema cannot express.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, each with the path of its option below `at`.
    fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
        let _ = at;
        Ok(())
    }

    /// A policy for a shard of this capacity.
    fn build(&self, capacity: Capacity) -> Self::Policy;

    /// The policies among which the store chooses; see
    /// [`PolicyFactory::candidates`]. Default: none.
    fn candidates(&self) -> Vec<Arc<dyn PolicyFactory>> {
        Vec::new()
    }

    /// The factory of the policies with these options.
    fn into_factory(self) -> Arc<dyn PolicyFactory>
    where
        Self: Sized,
    {
        factory::configured(self)
    }
}

/// The options of a wrapper.
pub trait WrapperConfig: PluginConfig {
    /// What it does to bytes, and so which option of a serializer takes it.
    const ROLE: Role;
}

/// What a plugin is told while it is built.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BuildContext {
    /// The name of the cache.
    pub cache: String,
    /// The tier it is built for; `None` for plugins that belong to no tier.
    pub tier: Option<Tier>,
    /// Where its options stand in the config.
    pub path: KeyPath,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The policy the config wants, for backends with [`Capabilities::POLICY`].
    pub policy: Option<Arc<dyn PolicyFactory>>,
    /// The greatest value that is stored, in bytes of its serialized form.
    pub max_value_bytes: Option<u64>,
    connections: BTreeMap<String, Arc<dyn Any + Send + Sync>>,
}

impl BuildContext {
    /// A context for a cache, with the clock of the system and nothing else.
    #[must_use]
    pub fn new(cache: impl Into<String>) -> Self {
        Self {
            cache: cache.into(),
            tier: None,
            path: KeyPath::root(),
            clock: SystemClock::shared(),
            policy: None,
            max_value_bytes: None,
            connections: BTreeMap::new(),
        }
    }

    /// Sets the clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the tier.
    #[must_use]
    pub const fn tier(mut self, tier: Tier) -> Self {
        self.tier = Some(tier);
        self
    }

    /// Sets where the options stand.
    #[must_use]
    pub fn path(mut self, path: KeyPath) -> Self {
        self.path = path;
        self
    }

    /// Sets the policy.
    #[must_use]
    pub fn policy(mut self, policy: Option<Arc<dyn PolicyFactory>>) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the greatest value that is stored.
    #[must_use]
    pub const fn max_value_bytes(mut self, bytes: Option<u64>) -> Self {
        self.max_value_bytes = bytes;
        self
    }

    /// Adds a connection that plugins share.
    #[must_use]
    pub fn connection(
        mut self,
        name: impl Into<String>,
        connection: Arc<dyn Any + Send + Sync>,
    ) -> Self {
        self.connections.insert(name.into(), connection);
        self
    }

    /// The shared connection of this name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when there is none, or it is of another kind.
    pub fn shared<T: Any + Send + Sync>(&self, name: &str) -> Result<Arc<T>> {
        let Some(connection) = self.connections.get(name) else {
            return Err(CacheError::new(ErrorKind::Config, "there is no such connection")
                .with("connection", name)
                .with("cache", &self.cache));
        };
        Arc::clone(connection).downcast::<T>().map_err(|_| {
            CacheError::new(ErrorKind::Config, "the connection is of another kind")
                .with("connection", name)
                .with("expected", std::any::type_name::<T>())
                .with("cache", &self.cache)
        })
    }
}

/// Registers plugins of this crate at link time, through `inventory`.
///
/// `register!(policy: SieveConfig);` is the last line of the plugin's file; the example at the top
/// of this crate has one. The left side is the slot: `backend`, `policy`, `serializer`,
/// `wrapper`, `invalidator`, `warmer`, `replicator` or `connection`. A crate that no code of the
/// program names is not linked, and then this does nothing: write `use the_crate as _;` in the
/// program.
#[macro_export]
macro_rules! register {
    ($slot:ident: $config:ty) => {
        $crate::__inventory::submit! {
            $crate::registry::Registration($crate::descriptor!($slot: $config))
        }
    };
}

/// The [`Descriptor`] of a plugin of this crate, for explicit registration:
/// `pub const SIEVE: Descriptor = descriptor!(policy: SieveConfig);`
#[macro_export]
macro_rules! descriptor {
    ($slot:ident: $config:ty) => {
        $crate::Descriptor::$slot::<$config>(
            ::core::env!("CARGO_PKG_NAME"),
            ::core::env!("CARGO_PKG_VERSION"),
        )
    };
}
