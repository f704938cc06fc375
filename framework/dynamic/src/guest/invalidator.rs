//! An [`Invalidator`] as a `larder_invalidator_vt`.

use std::ffi::c_void;
use std::sync::Arc;

use futures_util::FutureExt;
use larder_abi::Status;
use larder_abi::call::{Call, Create, Error};
use larder_abi::table::InvalidatorVt;
use larder_abi::value::{self, Slice};
use larder_core::invalidator::Invalidator;
use larder_core::plugin::Factory;
use larder_core::{CacheError, ErrorKind};

use super::answer::{answer, cancel};
use super::instance::{Here, create, destroy, guest, or_say};
use super::part::Exported;
use super::runtime::runtime;
use super::sink::{Remote, WithSink};
use crate::borrow;
use crate::change;
use crate::guard::guard;

type S = *mut c_void;
type C = *const Call;
type E = *mut Error;
type Plugin = WithSink<dyn Invalidator>;

/// The table of the invalidator that a config type builds.
pub(super) const fn table<X: Exported>() -> InvalidatorVt {
    InvalidatorVt {
        struct_size: size_of::<InvalidatorVt>() as u32,
        flags: 0,
        create: Some(make::<X>),
        destroy: Some(destroy::<Plugin>),
        start: Some(start),
        publish: Some(publish),
        stop: Some(stop),
        matches: Some(matches),
        cancel: Some(cancel::<Plugin>),
    }
}

unsafe extern "C" fn make<X: Exported>(args: *const Create, this: *mut S, error: E) -> Status {
    // SAFETY: the host keeps the rules of the header.
    unsafe {
        create::<Plugin>((args, this, error), |order| {
            let Factory::Invalidator(factory) = X::DESCRIPTOR.factory else {
                return Err(CacheError::new(ErrorKind::Plugin, "it is no invalidator"));
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

unsafe extern "C" fn publish(
    this: S,
    call: C,
    event: *const value::Invalidation,
    error: E,
) -> Status {
    let begin = |plugin: Arc<Plugin>| {
        // SAFETY: the host keeps the rules of the header.
        let read = unsafe { change::invalidations(event, 1) };
        let unusable = || CacheError::new(ErrorKind::Invalidation, "the event cannot be read");
        let event = read.ok().and_then(|mut events| events.pop()).ok_or_else(unusable)?;
        Ok(async move { plugin.plugin.publish(&event).await }.boxed())
    };
    // SAFETY: the host keeps the rules of the header.
    unsafe { answer((this, call, std::ptr::null_mut(), error), begin) }
}

unsafe extern "C" fn stop(this: S, call: C, error: E) -> Status {
    let begin = |plugin: Arc<Plugin>| Ok(async move { plugin.plugin.stop().await }.boxed());
    // SAFETY: the host keeps the rules of the header.
    unsafe { answer((this, call, std::ptr::null_mut(), error), begin) }
}

unsafe extern "C" fn matches(this: S, pattern: *const Slice, key: *const Slice) -> i32 {
    // SAFETY: the host keeps the rules of the header.
    let guest = unsafe { guest::<Plugin>(this) };
    let asked = guard(|| {
        let _here = Here::new(guest.number);
        // SAFETY: the host keeps the rules of the header.
        let pattern = unsafe { borrow::text(pattern, borrow::MOST_BYTES) };
        // SAFETY: the host keeps the rules of the header.
        let key = unsafe { borrow::text(key, borrow::MOST_BYTES) };
        guest.plugin.plugin.matches(&pattern, &key)
    });
    match asked {
        Ok(is_match) => i32::from(is_match),
        Err(panic) => {
            or_say(guest.number, Err(panic));
            // What cannot be found out is taken for a match.
            1
        }
    }
}
