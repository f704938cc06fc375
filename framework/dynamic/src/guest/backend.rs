//! A [`Backend`] as a `larder_backend_vt`.

use std::ffi::c_void;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use larder_abi::call::{Call, Create, Error, Health};
use larder_abi::table::BackendVt;
use larder_abi::value::{self, Key, Lease, Page, Read, Slice};
use larder_abi::{NEVER, Status};
use larder_core::backend::ScanRequest;
use larder_core::plugin::Factory;
use larder_core::{Backend, CacheError, Entry, ErrorKind, Result};

use super::answer::{answer, answer_now, cancel};
use super::instance::{create, destroy};
use super::part::Exported;
use super::reply::Head;
use super::runtime::runtime;
use crate::adapt::output::deadlines;
use crate::{borrow, change};

type S = *mut c_void;
type C = *const Call;
type K = *const Key;
type E = *mut Error;
type Plugin = dyn Backend;

/// The table of the backend that a config type builds.
pub(super) const fn table<X: Exported>() -> BackendVt {
    BackendVt {
        struct_size: size_of::<BackendVt>() as u32,
        flags: 0,
        create: Some(make::<X>),
        destroy: Some(destroy::<Plugin>),
        get: Some(get),
        set: Some(set),
        remove: Some(remove),
        clear: Some(clear),
        exists: Some(exists),
        get_many: None,
        set_many: None,
        remove_many: None,
        touch: Some(touch),
        scan: Some(scan),
        put_if_newer: Some(put_if_newer),
        lease: Some(lease),
        fill: Some(fill),
        release: Some(release),
        get_head: Some(get_head),
        health: Some(health),
        start: Some(start),
        flush: Some(flush),
        close: Some(close),
        cancel: Some(cancel::<Plugin>),
    }
}

unsafe extern "C" fn make<X: Exported>(args: *const Create, this: *mut S, error: E) -> Status {
    // SAFETY: the host keeps the rules of the header.
    unsafe {
        create::<Plugin>((args, this, error), |order| {
            let Factory::Backend(factory) = X::DESCRIPTOR.factory else {
                return Err(CacheError::new(ErrorKind::Plugin, "it is no backend"));
            };
            runtime().block_on(factory.build(order.options.clone(), &order.context))
        })
    }
}

/// What the backend has at hand takes no future and no copy of the key.
unsafe extern "C" fn get(this: S, call: C, key: K, out: *mut Read, error: E) -> Status {
    let ask = |backend: &Plugin| {
        // SAFETY: the host keeps the rules of the header.
        match unsafe { lent_text(key) } {
            Ok(key) => backend.get_now(key),
            Err(unusable) => Some(Err(unusable)),
        }
    };
    // SAFETY: the host keeps the rules of the header.
    let answered = unsafe { answer_now((this, call, out, error), ask) };
    // SAFETY: as above; if there is no answer yet nothing was put out.
    answered.unwrap_or_else(|| unsafe { get_later(this, call, key, out, error) })
}

/// A key, for the time of its call.
///
/// # Safety
///
/// It must be one of a call of the header.
unsafe fn lent_text<'a>(key: K) -> Result<&'a str> {
    let unusable = || CacheError::new(ErrorKind::Key, "the key is no text");
    // SAFETY: the caller says so.
    let key = unsafe { key.as_ref() }.ok_or_else(unusable)?;
    // SAFETY: the caller says so.
    let bytes = unsafe { borrow::slice(&Slice { ptr: key.ptr, len: key.len }, "the key") };
    let bytes = bytes.map_err(|_| unusable())?;
    std::str::from_utf8(bytes).map_err(|_| unusable())
}

/// A copy of a key.
///
/// # Safety
///
/// It must be one of a call of the header.
unsafe fn text(key: K) -> Result<String> {
    // SAFETY: the caller says so.
    unsafe { lent_text(key) }.map(str::to_owned)
}

/// The entry of a call that stores one, whose bytes are kept if they have an owner.
///
/// # Safety
///
/// It must be one of a call of the header.
unsafe fn opened(entry: *const value::Entry) -> Result<Entry> {
    let unusable = || CacheError::new(ErrorKind::Serialization, "the entry is no envelope");
    // SAFETY: the caller says so.
    let entry = unsafe { entry.as_ref() }.ok_or_else(unusable)?;
    // SAFETY: the caller says so.
    unsafe { change::entry(entry) }.map_err(|_| unusable())
}

/// A function of the header: its arguments besides those that all have, what of them is read at
/// once, and what it asks of the trait.
macro_rules! functions {
    ($(
        $name:ident($($arg:ident: $type:ty),*) -> $out:tt,
        reads [$($read:ident = $reader:ident),*],
        |$backend:ident| $ask:expr;
    )*) => {$(
        functions! { @one $name, [$($arg: $type),*], $out, [$($read = $reader),*], $backend, $ask }
    )*};
    (@one $name:ident, [$($arg:ident: $type:ty),*], (), [$($read:ident = $reader:ident),*],
     $backend:ident, $ask:expr) => {
        unsafe extern "C" fn $name(this: S, call: C, $($arg: $type,)* error: E) -> Status {
            let begin = |$backend: Arc<Plugin>| {
                // SAFETY: the host keeps the rules of the header.
                $(let $read = unsafe { $reader($read) }?;)*
                Ok(async move { $ask.await }.boxed())
            };
            // SAFETY: the host keeps the rules of the header.
            unsafe { answer((this, call, std::ptr::null_mut(), error), begin) }
        }
    };
    (@one $name:ident, [$($arg:ident: $type:ty),*], $out:tt, [$($read:ident = $reader:ident),*],
     $backend:ident, $ask:expr) => {
        unsafe extern "C" fn $name(
            this: S,
            call: C,
            $($arg: $type,)*
            out: *mut $out,
            error: E,
        ) -> Status {
            let begin = |$backend: Arc<Plugin>| {
                // SAFETY: the host keeps the rules of the header.
                $(let $read = unsafe { $reader($read) }?;)*
                Ok(async move { $ask.await }.boxed())
            };
            // SAFETY: the host keeps the rules of the header.
            unsafe { answer((this, call, out, error), begin) }
        }
    };
}

functions! {
    get_later(key: K) -> Read, reads [key = text], |backend| backend.get(&key);
    set(key: K, entry: *const value::Entry) -> (), reads [key = text, entry = opened],
        |backend| backend.set(&key, entry);
    remove(key: K) -> (), reads [key = text], |backend| backend.delete(&key);
    clear() -> (), reads [], |backend| backend.clear();
    exists(key: K) -> (), reads [key = text], |backend| backend.exists(&key);
    touch(key: K, soft_us: i64, hard_us: i64) -> (), reads [key = text],
        |backend| backend.touch(&key, deadlines(soft_us, hard_us));
    scan(prefix: *const Slice, cursor: *const Slice, limit: usize) -> Page,
        reads [prefix = lent, cursor = lent], |backend| {
            let cursor = (!cursor.is_empty()).then_some(cursor);
            backend.scan(ScanRequest::all().prefix(prefix).limit(limit).from_cursor(cursor))
        };
    put_if_newer(key: K, entry: *const value::Entry) -> (), reads [key = text, entry = opened],
        |backend| backend.put_if_newer(&key, entry);
    lease(key: K, duration_us: i64) -> Lease, reads [key = text],
        |backend| backend.lease(&key, micros(duration_us));
    fill(key: K, entry: *const value::Entry, token: u64) -> (),
        reads [key = text, entry = opened], |backend| backend.fill(&key, entry, token);
    release(key: K, token: u64) -> (), reads [key = text],
        |backend| backend.release(&key, token);
    get_head(key: K, _len: usize) -> Read, reads [key = text],
        |backend| backend.meta(&key).map(|meta| meta.map(Head));
    health() -> Health, reads [], |backend| backend.health();
    start() -> (), reads [], |backend| backend.start();
    flush() -> (), reads [], |backend| backend.flush();
    close() -> (), reads [], |backend| backend.close();
}

fn micros(duration_us: i64) -> Duration {
    match duration_us {
        NEVER => Duration::MAX,
        _ => Duration::from_micros(u64::try_from(duration_us).unwrap_or(0)),
    }
}

/// A copy of a text.
///
/// # Safety
///
/// It must be one of a call of the header.
unsafe fn lent(text: *const Slice) -> Result<String> {
    // SAFETY: the caller says so.
    Ok(unsafe { borrow::text(text, borrow::MOST_BYTES) }.into_owned())
}
