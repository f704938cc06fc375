//! What [`export_plugin!`](crate::export_plugin) makes of config types. Not to be used by hand.

use std::ffi::c_void;
use std::fmt;
use std::marker::PhantomData;

use larder_abi::call::Error;
use larder_abi::table::{cap, kind};
use larder_abi::value::Slice;
use larder_abi::{ABI_MAJOR, ABI_MINOR, Component, Host, Plugin, Status};
use larder_core::invalidator::Invalidator;
use larder_core::plugin::Factory;
use larder_core::replicator::Replicator;
use larder_core::warmer::Warmer;
use larder_core::{
    Backend, Descriptor, PluginConfig, PolicyConfig, Serializer, Wrapper, WrapperConfig,
};

use super::{backend as backend_table, policy as policy_table};
use super::{bridge, options, reply, runtime};
use super::{invalidator as invalidator_table, replicator as replicator_table};
use super::{serializer as serializer_table, warmer as warmer_table, wrapper as wrapper_table};
use crate::guard::guard;

/// A component of this library.
pub trait Exported: 'static {
    /// What it would be registered as if it were linked in.
    const DESCRIPTOR: Descriptor;
}

/// A component as the header has it.
pub struct Part(Component);

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Part").finish_non_exhaustive()
    }
}

impl Part {
    /// The component; what it points to stays for ever.
    #[cfg(test)]
    pub(crate) fn component(&self) -> &Component {
        &self.0
    }
}

/// What the table of a backend has functions for, of what can be declared. The host refuses a
/// library that declares more, and does the rest by itself.
const OF_BACKENDS: u64 = cap::TTL
    | cap::TOUCH
    | cap::TAGS
    | cap::SCAN
    | cap::PERSIST
    | cap::SHARED
    | cap::PUT_IF_NEWER
    | cap::LEASE
    | cap::HEADER_READ;

struct BackendOf<C>(PhantomData<C>);
struct PolicyOf<C>(PhantomData<C>);
struct SerializerOf<C>(PhantomData<C>);
struct WrapperOf<C>(PhantomData<C>);
struct InvalidatorOf<C>(PhantomData<C>);
struct ReplicatorOf<C>(PhantomData<C>);
struct WarmerOf<C>(PhantomData<C>);

impl<C: PluginConfig<Plugin: Backend>> Exported for BackendOf<C> {
    const DESCRIPTOR: Descriptor = Descriptor::backend::<C>("", "");
}

impl<C: PolicyConfig> Exported for PolicyOf<C> {
    const DESCRIPTOR: Descriptor = Descriptor::policy::<C>("", "");
}

impl<C: PluginConfig<Plugin: Serializer>> Exported for SerializerOf<C> {
    const DESCRIPTOR: Descriptor = Descriptor::serializer::<C>("", "");
}

impl<C: WrapperConfig<Plugin: Wrapper>> Exported for WrapperOf<C> {
    const DESCRIPTOR: Descriptor = Descriptor::wrapper::<C>("", "");
}

impl<C: PluginConfig<Plugin: Invalidator>> Exported for InvalidatorOf<C> {
    const DESCRIPTOR: Descriptor = Descriptor::invalidator::<C>("", "");
}

impl<C: PluginConfig<Plugin: Replicator>> Exported for ReplicatorOf<C> {
    const DESCRIPTOR: Descriptor = Descriptor::replicator::<C>("", "");
}

impl<C: PluginConfig<Plugin: Warmer>> Exported for WarmerOf<C> {
    const DESCRIPTOR: Descriptor = Descriptor::warmer::<C>("", "");
}

/// The backend that a config type builds.
#[must_use]
pub fn backend<C: PluginConfig<Plugin: Backend>>() -> Part {
    let mut part = part::<BackendOf<C>, _>(kind::BACKEND, backend_table::table::<BackendOf<C>>());
    part.0.caps &= OF_BACKENDS;
    part
}

/// The backend that a config type builds, which never waits: each of its futures is ready when it
/// is polled for the first time. The host asks it where callers wait for memory only, and its
/// [`get_now`](Backend::get_now) answers there without a future.
#[must_use]
pub fn sync_backend<C: PluginConfig<Plugin: Backend>>() -> Part {
    let mut part = backend::<C>();
    part.0.caps |= cap::SYNC;
    part
}

/// The policy that a config type builds.
#[must_use]
pub fn policy<C: PolicyConfig>() -> Part {
    part::<PolicyOf<C>, _>(kind::POLICY, policy_table::table::<PolicyOf<C>>())
}

/// The serializer that a config type builds.
#[must_use]
pub fn serializer<C: PluginConfig<Plugin: Serializer>>() -> Part {
    part::<SerializerOf<C>, _>(kind::CODEC, serializer_table::table::<SerializerOf<C>>())
}

/// The wrapper that a config type builds.
#[must_use]
pub fn wrapper<C: WrapperConfig<Plugin: Wrapper>>() -> Part {
    part::<WrapperOf<C>, _>(kind::CODEC, wrapper_table::table::<WrapperOf<C>>(C::ROLE))
}

/// The invalidator that a config type builds.
#[must_use]
pub fn invalidator<C: PluginConfig<Plugin: Invalidator>>() -> Part {
    let table = invalidator_table::table::<InvalidatorOf<C>>();
    part::<InvalidatorOf<C>, _>(kind::INVALIDATOR, table)
}

/// The replicator that a config type builds.
#[must_use]
pub fn replicator<C: PluginConfig<Plugin: Replicator>>() -> Part {
    let table = replicator_table::table::<ReplicatorOf<C>>();
    part::<ReplicatorOf<C>, _>(kind::REPLICATOR, table)
}

/// The warmer that a config type builds.
#[must_use]
pub fn warmer<C: PluginConfig<Plugin: Warmer>>() -> Part {
    let mut part = part::<WarmerOf<C>, _>(kind::WARMER, warmer_table::table::<WarmerOf<C>>());
    part.0.caps |= cap::BLOCKING;
    part
}

fn part<X: Exported, V>(kind: u32, table: V) -> Part {
    let descriptor = X::DESCRIPTOR;
    let table: *const V = Box::leak(Box::new(table));
    Part(Component {
        struct_size: size_of::<Component>() as u32,
        kind,
        caps: descriptor.capabilities.bits().into(),
        name: Slice::new(descriptor.kind.as_bytes()),
        summary: Slice::new(descriptor.summary.as_bytes()),
        vtable: table.cast::<c_void>(),
        config_schema: Some(schema::<X>),
        validate: Some(validate::<X>),
    })
}

fn factory<X: Exported>() -> Factory {
    X::DESCRIPTOR.factory
}

unsafe extern "C" fn schema<X: Exported>(out: *mut Slice) -> Status {
    // SAFETY: the host keeps the rules of the header.
    unsafe { options::schema(factory::<X>().config(), out) }
}

unsafe extern "C" fn validate<X: Exported>(json: *const Slice, error: *mut Error) -> Status {
    // SAFETY: the host keeps the rules of the header.
    unsafe { options::validate(factory::<X>().config(), json, error) }
}

/// The entry of a library: remembers the host, sends `tracing` events there, and puts out what
/// the library has.
///
/// # Safety
///
/// The pointers must be those of `larder_entry_v1`.
pub unsafe fn enter(
    name: &'static str,
    version: &'static str,
    parts: impl FnOnce() -> Vec<Part>,
    (host, out, error): (*const Host, *mut *const Plugin, *mut Error),
) -> Status {
    let entered = guard(|| {
        // SAFETY: the caller says so.
        unsafe { runtime::remember(host) };
        bridge::install();
        let components: Vec<*const Component> =
            parts().into_iter().map(|part| &raw const *Box::leak(Box::new(part.0))).collect();
        let components = components.leak();
        let plugin: &'static Plugin = Box::leak(Box::new(Plugin {
            struct_size: size_of::<Plugin>() as u32,
            abi_major: ABI_MAJOR,
            abi_minor: ABI_MINOR,
            requires_host_minor: 0,
            flags: 0,
            reserved: 0,
            name: Slice::new(name.as_bytes()),
            version: Slice::new(version.as_bytes()),
            build_json: Slice::new(b"{\"language\": \"Rust\"}"),
            components: components.as_ptr(),
            n_components: components.len(),
            shutdown: None,
            query: None,
        }));
        &raw const *plugin
    });
    match entered {
        Ok(plugin) => {
            // SAFETY: the caller says that it is a place for the plugin.
            unsafe { out.write(plugin) };
            Status::OK
        }
        // SAFETY: the caller says so.
        Err(panic) => unsafe { reply::panicked(error, panic) },
    }
}
