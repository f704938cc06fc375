//! The functions of a `larder_backend_vt`, called with [`Args`]. A function that is not there is
//! not called: the status says so, or that there was nothing to do.

use std::ffi::c_void;

use larder_abi::call::{Call, Error, Health};
use larder_abi::table::BackendVt;
use larder_abi::value::{Key, Lease, Page, Read, Reads};
use larder_abi::{NEVER, Status};

use crate::adapt::args::{Args, Sealed};
use crate::host::lend;

type S = *mut c_void;
type C = *const Call;
type E = *mut Error;
type A<'a, 'b> = &'a Args<'b>;
type Vt = BackendVt;

pub(super) fn get(vt: &Vt, this: S, call: C, args: A<'_, '_>, out: *mut Read, error: E) -> Status {
    get_one(vt, this, call, args.lend_key(), (out, error))
}

/// The same, without a copy of the key for the time that a thread may have to be waited for.
#[inline]
pub(super) fn get_one(vt: &Vt, this: S, call: C, key: Key, (out, error): (*mut Read, E)) -> Status {
    let Some(run) = vt.get else { return Status::UNSUPPORTED };
    // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
    unsafe { run(this, call, &raw const key, out, error) }
}

pub(super) fn set(vt: &Vt, this: S, call: C, args: A<'_, '_>, _: *mut (), error: E) -> Status {
    let Some(run) = vt.set else { return Status::UNSUPPORTED };
    let key: Key = args.lend_key();
    let entry = args.entry();
    // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
    unsafe { run(this, call, &raw const key, &raw const entry, error) }
}

pub(super) fn remove(vt: &Vt, this: S, call: C, args: A<'_, '_>, _: *mut (), error: E) -> Status {
    let Some(run) = vt.remove else { return Status::UNSUPPORTED };
    let key: Key = args.lend_key();
    // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
    unsafe { run(this, call, &raw const key, error) }
}

pub(super) fn clear(vt: &Vt, this: S, call: C, _: A<'_, '_>, _: *mut (), error: E) -> Status {
    let Some(run) = vt.clear else { return Status::UNSUPPORTED };
    // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
    unsafe { run(this, call, error) }
}

pub(super) fn exists(vt: &Vt, this: S, call: C, args: A<'_, '_>, _: *mut (), error: E) -> Status {
    let Some(run) = vt.exists else { return Status::UNSUPPORTED };
    let key: Key = args.lend_key();
    // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
    unsafe { run(this, call, &raw const key, error) }
}

pub(super) fn get_many(
    vt: &Vt,
    this: S,
    call: C,
    args: A<'_, '_>,
    out: *mut Reads,
    error: E,
) -> Status {
    let Some(run) = vt.get_many else { return Status::UNSUPPORTED };
    let keys = args.lend_keys();
    // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
    unsafe { run(this, call, keys.as_ptr(), out, error) }
}

pub(super) fn set_many(vt: &Vt, this: S, call: C, args: A<'_, '_>, _: *mut (), error: E) -> Status {
    let Some(run) = vt.set_many else { return Status::UNSUPPORTED };
    let keys = args.lend_keys();
    let entries: Vec<_> = args.entries.iter().map(Sealed::lend).collect();
    // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
    unsafe { run(this, call, keys.as_ptr(), entries.as_ptr(), keys.len(), error) }
}

pub(super) fn remove_many(
    vt: &Vt,
    this: S,
    call: C,
    args: A<'_, '_>,
    out: *mut u64,
    error: E,
) -> Status {
    let Some(run) = vt.remove_many else { return Status::UNSUPPORTED };
    let keys = args.lend_keys();
    // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
    unsafe { run(this, call, keys.as_ptr(), keys.len(), out, error) }
}

pub(super) fn touch(vt: &Vt, this: S, call: C, args: A<'_, '_>, _: *mut (), error: E) -> Status {
    let Some(run) = vt.touch else { return Status::UNSUPPORTED };
    let key: Key = args.lend_key();
    // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
    unsafe { run(this, call, &raw const key, args.soft_us, args.hard_us, error) }
}

pub(super) fn scan(vt: &Vt, this: S, call: C, args: A<'_, '_>, out: *mut Page, error: E) -> Status {
    let Some(run) = vt.scan else { return Status::UNSUPPORTED };
    let (prefix, cursor) = (lend(&args.prefix), lend(&args.cursor));
    let limit = usize::try_from(args.amount).unwrap_or(usize::MAX);
    // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
    unsafe { run(this, call, &raw const prefix, &raw const cursor, limit, out, error) }
}

pub(super) fn put_if_newer(
    vt: &Vt,
    this: S,
    call: C,
    args: A<'_, '_>,
    _: *mut (),
    error: E,
) -> Status {
    let Some(run) = vt.put_if_newer else { return Status::UNSUPPORTED };
    let key: Key = args.lend_key();
    let entry = args.entry();
    // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
    unsafe { run(this, call, &raw const key, &raw const entry, error) }
}

pub(super) fn lease(
    vt: &Vt,
    this: S,
    call: C,
    args: A<'_, '_>,
    out: *mut Lease,
    error: E,
) -> Status {
    let Some(run) = vt.lease else { return Status::UNSUPPORTED };
    let key: Key = args.lend_key();
    let duration = i64::try_from(args.amount).unwrap_or(NEVER);
    // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
    unsafe { run(this, call, &raw const key, duration, out, error) }
}

pub(super) fn fill(vt: &Vt, this: S, call: C, args: A<'_, '_>, _: *mut (), error: E) -> Status {
    let Some(run) = vt.fill else { return Status::UNSUPPORTED };
    let key: Key = args.lend_key();
    let entry = args.entry();
    // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
    unsafe { run(this, call, &raw const key, &raw const entry, args.token, error) }
}

pub(super) fn release(vt: &Vt, this: S, call: C, args: A<'_, '_>, _: *mut (), error: E) -> Status {
    let Some(run) = vt.release else { return Status::UNSUPPORTED };
    let key: Key = args.lend_key();
    // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
    unsafe { run(this, call, &raw const key, args.token, error) }
}

pub(super) fn get_head(
    vt: &Vt,
    this: S,
    call: C,
    args: A<'_, '_>,
    out: *mut Read,
    error: E,
) -> Status {
    let Some(run) = vt.get_head else { return Status::UNSUPPORTED };
    let key: Key = args.lend_key();
    let length = usize::try_from(args.amount).unwrap_or(usize::MAX);
    // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
    unsafe { run(this, call, &raw const key, length, out, error) }
}

pub(super) fn health(
    vt: &Vt,
    this: S,
    call: C,
    _: A<'_, '_>,
    out: *mut Health,
    error: E,
) -> Status {
    let Some(run) = vt.health else { return Status::UNSUPPORTED };
    // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
    unsafe { run(this, call, out, error) }
}

pub(super) fn flush(vt: &Vt, this: S, call: C, _: A<'_, '_>, _: *mut (), error: E) -> Status {
    let Some(run) = vt.flush else { return Status::OK };
    // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
    unsafe { run(this, call, error) }
}

pub(super) fn close(vt: &Vt, this: S, call: C, _: A<'_, '_>, _: *mut (), error: E) -> Status {
    let Some(run) = vt.close else { return Status::OK };
    // SAFETY: the table was checked when it was loaded; what is passed lives during the call.
    unsafe { run(this, call, error) }
}
