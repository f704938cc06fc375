//! From a config struct to trait objects: what a [`Descriptor`] holds.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::{BuildContext, Descriptor, PluginConfig, PolicyConfig, Resource, Slot, WrapperConfig};
use crate::backend::Backend;
use crate::capabilities::Capabilities;
use crate::error::{CacheError, ErrorKind, Result};
use crate::invalidator::Invalidator;
use crate::policy::{Capacity, Policy, PolicyFactory};
use crate::problem::{KeyPath, Problem, Problems};
use crate::replicator::Replicator;
use crate::serializer::Serializer;
use crate::warmer::Warmer;
use crate::wrapper::{Role, Wrapper};

/// What every plugin can do with its options before anything is built.
#[async_trait]
pub trait ConfigCheck: Send + Sync {
    /// The JSON schema (draft-07) of the options, without `kind`.
    fn schema(&self) -> Schema;

    /// Decodes and validates the options.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them.
    fn check(&self, options: &Value, at: &KeyPath) -> Result<(), Problems>;

    /// What no other cache may use at the same time; empty when the options cannot be decoded.
    fn resources(&self, options: &Value) -> Vec<Resource>;

    /// Tries what the options say, and says what is doubtful; see [`PluginConfig::probe`].
    ///
    /// # Errors
    ///
    /// Everything that keeps the plugin from being used.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    async fn probe(&self, options: Value, context: &BuildContext) -> Result<Problems, Problems> {
        let (_, _) = (options, context);
        Ok(Problems::new())
    }
}

/// How a plugin of each slot is built from its options.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Factory {
    /// Builds a [`Backend`].
    Backend(&'static dyn BoxFactory<dyn Backend>),
    /// Builds a connection that other plugins share.
    Connection(&'static dyn BoxFactory<dyn Any + Send + Sync>),
    /// Builds an [`Invalidator`].
    Invalidator(&'static dyn BoxFactory<dyn Invalidator>),
    /// Builds a [`PolicyFactory`].
    Policy(&'static dyn BuildPolicy),
    /// Builds a [`Replicator`].
    Replicator(&'static dyn BoxFactory<dyn Replicator>),
    /// Builds a [`Serializer`].
    Serializer(&'static dyn BoxFactory<dyn Serializer>),
    /// Builds a [`Warmer`].
    Warmer(&'static dyn BoxFactory<dyn Warmer>),
    /// Builds a [`Wrapper`] that does this to bytes.
    Wrapper(Role, &'static dyn BoxFactory<dyn Wrapper>),
}

impl Factory {
    /// The slot of what it builds.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        match self {
            Self::Backend(_) => Slot::Backend,
            Self::Connection(_) => Slot::Connection,
            Self::Invalidator(_) => Slot::Invalidator,
            Self::Policy(_) => Slot::Policy,
            Self::Replicator(_) => Slot::Replicator,
            Self::Serializer(_) => Slot::Serializer,
            Self::Warmer(_) => Slot::Warmer,
            Self::Wrapper(..) => Slot::Wrapper,
        }
    }

    /// The part that every slot has.
    #[must_use]
    pub fn config(&self) -> &'static dyn ConfigCheck {
        match *self {
            Self::Backend(factory) => factory.config(),
            Self::Connection(factory) => factory.config(),
            Self::Invalidator(factory) => factory.config(),
            Self::Policy(factory) => factory.config(),
            Self::Replicator(factory) => factory.config(),
            Self::Serializer(factory) => factory.config(),
            Self::Warmer(factory) => factory.config(),
            Self::Wrapper(_, factory) => factory.config(),
        }
    }
}

impl fmt::Debug for Factory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Factory")
    }
}

/// Builds a trait object from options.
#[async_trait]
pub trait BoxFactory<T: ?Sized>: Send + Sync {
    /// Schema and checks.
    fn config(&self) -> &'static dyn ConfigCheck;

    /// Builds the plugin.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when the options cannot be decoded; else what the plugin says.
    async fn build(&self, options: Value, context: &BuildContext) -> Result<Arc<T>>;
}

/// Builds a [`PolicyFactory`].
pub trait BuildPolicy: Send + Sync {
    /// Schema and checks.
    fn config(&self) -> &'static dyn ConfigCheck;

    /// Decodes the options.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when they cannot be decoded.
    fn build(&self, options: Value) -> Result<Arc<dyn PolicyFactory>>;
}

/// The factories of a config type.
struct Typed<C>(PhantomData<fn() -> C>);

impl<C> fmt::Debug for Typed<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Typed<{}>", std::any::type_name::<C>())
    }
}

/// The schema that a plugin shows: draft-07, no references, so that each plugin stands alone.
fn schema_of<C: schemars::JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<C>()
}

fn decode<C: serde::de::DeserializeOwned>(
    options: &Value,
) -> Result<C, serde_path_to_error::Error<serde_json::Error>> {
    serde_path_to_error::deserialize(options)
}

fn problem_of(error: &serde_path_to_error::Error<serde_json::Error>, at: &KeyPath) -> Problem {
    let path = error.path().iter().fold(at.clone(), |path, segment| match segment {
        serde_path_to_error::Segment::Seq { index } => path.join(index.to_string()),
        serde_path_to_error::Segment::Map { key } => path.join(key),
        _ => path,
    });
    Problem::new(path, error.inner().to_string())
}

fn undecodable(
    slot: Slot,
    kind: &'static str,
    error: serde_path_to_error::Error<serde_json::Error>,
) -> CacheError {
    CacheError::new(ErrorKind::Config, "the options of the plugin cannot be decoded")
        .with("slot", slot)
        .with("kind", kind)
        .with("option", error.path())
        .caused_by(error.into_inner())
}

#[async_trait]
impl<C: PluginConfig> ConfigCheck for Typed<C> {
    fn schema(&self) -> Schema {
        schema_of::<C>()
    }

    fn check(&self, options: &Value, at: &KeyPath) -> Result<(), Problems> {
        let config: C = decode(options).map_err(|error| problem_of(&error, at))?;
        config.validate(at)
    }

    fn resources(&self, options: &Value) -> Vec<Resource> {
        decode::<C>(options).map(|config| config.resources()).unwrap_or_default()
    }

    async fn probe(&self, options: Value, context: &BuildContext) -> Result<Problems, Problems> {
        let config: C = decode(&options).map_err(|error| problem_of(&error, &context.path))?;
        config.probe(context).await
    }
}

/// Keeps the policy side apart: one type may not implement [`ConfigCheck`] twice.
struct TypedPolicy<C>(PhantomData<fn() -> C>);

impl<C: PolicyConfig> ConfigCheck for TypedPolicy<C> {
    fn schema(&self) -> Schema {
        schema_of::<C>()
    }

    fn check(&self, options: &Value, at: &KeyPath) -> Result<(), Problems> {
        let config: C = decode(options).map_err(|error| problem_of(&error, at))?;
        config.validate(at)
    }

    fn resources(&self, _: &Value) -> Vec<Resource> {
        Vec::new()
    }
}

#[derive(Debug)]
struct ConfiguredPolicy<C> {
    config: C,
    candidates: Vec<Arc<dyn PolicyFactory>>,
}

/// The factory that a config stands for.
pub(super) fn configured<C: PolicyConfig>(config: C) -> Arc<dyn PolicyFactory> {
    let candidates = config.candidates();
    Arc::new(ConfiguredPolicy { config, candidates })
}

impl<C: PolicyConfig> PolicyFactory for ConfiguredPolicy<C> {
    fn kind(&self) -> &str {
        C::KIND
    }

    fn policy(&self, capacity: Capacity) -> Box<dyn Policy> {
        Box::new(self.config.build(capacity))
    }

    fn candidates(&self) -> &[Arc<dyn PolicyFactory>] {
        &self.candidates
    }
}

impl<C: PolicyConfig> BuildPolicy for TypedPolicy<C> {
    fn config(&self) -> &'static dyn ConfigCheck {
        const { &Self(PhantomData) }
    }

    fn build(&self, options: Value) -> Result<Arc<dyn PolicyFactory>> {
        let config: C =
            decode(&options).map_err(|error| undecodable(Slot::Policy, C::KIND, error))?;
        Ok(configured(config))
    }
}

/// A plugin that can be stored as `Arc<T>`: lets one impl serve all slots.
macro_rules! box_factory {
    ($($slot:ident => $object:ty where [$($bound:tt)+];)*) => {$(
        #[async_trait]
        impl<C: PluginConfig> BoxFactory<$object> for Typed<C>
        where
            C::Plugin: $($bound)+,
        {
            fn config(&self) -> &'static dyn ConfigCheck {
                const { &Self(PhantomData) }
            }

            async fn build(&self, options: Value, context: &BuildContext) -> Result<Arc<$object>> {
                let config: C =
                    decode(&options).map_err(|error| undecodable(Slot::$slot, C::KIND, error))?;
                Ok(Arc::new(config.build(context).await?))
            }
        }
    )*};
}

box_factory! {
    Backend => dyn Backend where [Backend];
    Connection => dyn Any + Send + Sync where [Any + Send + Sync];
    Invalidator => dyn Invalidator where [Invalidator];
    Replicator => dyn Replicator where [Replicator];
    Serializer => dyn Serializer where [Serializer];
    Warmer => dyn Warmer where [Warmer];
    Wrapper => dyn Wrapper where [Wrapper];
}

/// The constructors of descriptors whose config is a [`PluginConfig`] and nothing more.
macro_rules! descriptors {
    ($($slot:ident: $name:ident where [$($bound:tt)+];)*) => {$(
        impl Descriptor {
            #[doc = concat!("Describes the ", stringify!($name), " that a config type builds.")]
            #[must_use]
            pub const fn $name<C: PluginConfig>(
                origin: &'static str,
                version: &'static str,
            ) -> Self
            where
                C::Plugin: $($bound)+,
            {
                Self {
                    slot: Slot::$slot,
                    kind: C::KIND,
                    summary: C::SUMMARY,
                    origin,
                    version,
                    capabilities: C::CAPABILITIES,
                    factory: Factory::$slot(const { &Typed::<C>(PhantomData) }),
                }
            }
        }
    )*};
}

descriptors! {
    Backend: backend where [Backend];
    Connection: connection where [Any + Send + Sync];
    Invalidator: invalidator where [Invalidator];
    Replicator: replicator where [Replicator];
    Serializer: serializer where [Serializer];
    Warmer: warmer where [Warmer];
}

impl Descriptor {
    /// Describes the wrapper that a config type builds.
    #[must_use]
    pub const fn wrapper<C: WrapperConfig>(origin: &'static str, version: &'static str) -> Self
    where
        C::Plugin: Wrapper,
    {
        Self {
            slot: Slot::Wrapper,
            kind: C::KIND,
            summary: C::SUMMARY,
            origin,
            version,
            capabilities: C::CAPABILITIES,
            factory: Factory::Wrapper(C::ROLE, const { &Typed::<C>(PhantomData) }),
        }
    }

    /// Describes the policy that a config type builds.
    #[must_use]
    pub const fn policy<C: PolicyConfig>(origin: &'static str, version: &'static str) -> Self {
        Self {
            slot: Slot::Policy,
            kind: C::KIND,
            summary: C::SUMMARY,
            origin,
            version,
            capabilities: Capabilities::empty(),
            factory: Factory::Policy(const { &TypedPolicy::<C>(PhantomData) }),
        }
    }
}
