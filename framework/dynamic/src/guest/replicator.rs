//! A [`Replicator`] as a `larder_replicator_vt`.

use std::ffi::c_void;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use larder_abi::call::{Call, Create, Error};
use larder_abi::table::ReplicatorVt;
use larder_abi::value::{self, Bytes};
use larder_abi::{NEVER, Status, read_extensible};
use larder_core::plugin::Factory;
use larder_core::replicator::{Replicator, TargetStatus};
use larder_core::{CacheError, ErrorKind};
use serde_json::{Value, json};

use super::answer::{answer, cancel};
use super::instance::{Here, create, destroy, guest};
use super::part::Exported;
use super::reply::own;
use super::runtime::runtime;
use super::sink::{Remote, WithSink};
use crate::change;
use crate::guard::guard;

type S = *mut c_void;
type C = *const Call;
type E = *mut Error;
type Plugin = WithSink<dyn Replicator>;

/// The table of the replicator that a config type builds.
pub(super) const fn table<X: Exported>() -> ReplicatorVt {
    ReplicatorVt {
        struct_size: size_of::<ReplicatorVt>() as u32,
        flags: 0,
        create: Some(make::<X>),
        destroy: Some(destroy::<Plugin>),
        start: Some(start),
        send: Some(send),
        status: Some(status),
        stop: Some(stop),
        cancel: Some(cancel::<Plugin>),
    }
}

unsafe extern "C" fn make<X: Exported>(args: *const Create, this: *mut S, error: E) -> Status {
    // SAFETY: the host keeps the rules of the header.
    unsafe {
        create::<Plugin>((args, this, error), |order| {
            let Factory::Replicator(factory) = X::DESCRIPTOR.factory else {
                return Err(CacheError::new(ErrorKind::Plugin, "it is no replicator"));
            };
            let built = factory.build(order.options.clone(), &order.context);
            let plugin = runtime().block_on(built)?;
            Ok(Arc::new(WithSink { sink: Remote(order.args.sink), plugin }))
        })
    }
}

unsafe extern "C" fn start(this: S, call: C, error: E) -> Status {
    let begin = |plugin: Arc<Plugin>| {
        Ok(async move { plugin.plugin.start(Arc::new(plugin.sink)).await }.boxed())
    };
    // SAFETY: the host keeps the rules of the header.
    unsafe { answer((this, call, std::ptr::null_mut(), error), begin) }
}

unsafe extern "C" fn send(
    this: S,
    call: C,
    mutations: *const value::Mutation,
    n: usize,
    error: E,
) -> Status {
    let begin = |plugin: Arc<Plugin>| {
        // SAFETY: the host keeps the rules of the header.
        let batch = unsafe { change::mutations(mutations, n) }.map_err(|status| {
            CacheError::new(ErrorKind::Serialization, format!("a change is `{status}`"))
        })?;
        Ok(async move { plugin.plugin.send(batch).await }.boxed())
    };
    // SAFETY: the host keeps the rules of the header.
    unsafe { answer((this, call, std::ptr::null_mut(), error), begin) }
}

unsafe extern "C" fn status(this: S, out: *mut Bytes) -> Status {
    let asked = guard(|| {
        // SAFETY: the host keeps the rules of the header.
        let guest = unsafe { guest::<Plugin>(this) };
        let _here = Here::new(guest.number);
        let targets: Value = guest.plugin.plugin.status().iter().map(listed).collect();
        targets.to_string()
    });
    let Ok(json) = asked else { return Status::PANICKED };
    // SAFETY: the host keeps the rules of the header.
    unsafe { out.write(own(json.into_bytes())) };
    Status::OK
}

/// A target as the header lists it.
fn listed(target: &TargetStatus) -> Value {
    json!({
        "target": target.target,
        "queued": target.queued,
        "lag_us": u64::try_from(target.lag.as_micros()).unwrap_or(u64::MAX),
        "dirty": target.dirty,
        "error": target.error,
    })
}

unsafe extern "C" fn stop(this: S, call: C, error: E) -> Status {
    let begin = |plugin: Arc<Plugin>| {
        // SAFETY: the host keeps the rules of the header.
        let known = unsafe { read_extensible(call) };
        let limit = known.map_or(Duration::ZERO, |call| match call.deadline_us {
            NEVER => Duration::MAX,
            deadline => {
                let left = deadline.saturating_sub(call.now_us);
                Duration::from_micros(u64::try_from(left).unwrap_or(0))
            }
        });
        Ok(async move { plugin.plugin.stop(limit).await }.boxed())
    };
    // SAFETY: the host keeps the rules of the header.
    unsafe { answer((this, call, std::ptr::null_mut(), error), begin) }
}
