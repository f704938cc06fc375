//! A backend that needs nothing but the mirror of the header, to be compiled in many ways.

use std::collections::HashMap;
use std::ffi::c_void;
use std::panic::catch_unwind;
use std::sync::{Arc, RwLock};

use larder_abi::call::{Call, Create, Error};
use larder_abi::descriptor::{Component, Plugin};
use larder_abi::table::{BackendVt, cap, kind};
use larder_abi::value::{Bytes, BytesVt, Entry, Key, Read, Slice};
use larder_abi::{ABI_MAJOR, ABI_MINOR, Host, Stamp, Status};

const NAME: &str = env!("PLUGIN_NAME");

#[used]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".larder_stamp")]
pub static larder_stamp_v1: Stamp = Stamp::new(NAME, "here", 0);

/// Hands out addresses that no other allocator knows: whoever frees memory of the other side ends
/// the process.
#[cfg(own_allocator)]
mod own_allocator {
    use std::alloc::{GlobalAlloc, Layout, System};

    struct Shifted;

    fn shifted(layout: Layout) -> (Layout, usize) {
        let shift = layout.align().max(32);
        (Layout::from_size_align(layout.size() + shift, shift).expect("it is small"), shift)
    }

    // SAFETY: it hands out what the system does, and so much further on that there is room.
    unsafe impl GlobalAlloc for Shifted {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let (layout, shift) = shifted(layout);
            let whole = unsafe { System.alloc(layout) };
            if whole.is_null() { whole } else { unsafe { whole.add(shift) } }
        }

        unsafe fn dealloc(&self, part: *mut u8, layout: Layout) {
            let (layout, shift) = shifted(layout);
            unsafe { System.dealloc(part.sub(shift), layout) }
        }
    }

    #[global_allocator]
    static ALLOCATOR: Shifted = Shifted;
}

struct Kept {
    value: Arc<[u8]>,
    soft_us: i64,
    hard_us: i64,
}

#[derive(Default)]
struct Shelf(RwLock<HashMap<Vec<u8>, Kept>>);

static VT: BytesVt = BytesVt { retain: Some(retain), release: Some(release) };

unsafe extern "C" fn retain(owner: *mut c_void) {
    unsafe { Arc::increment_strong_count(owner.cast::<Arc<[u8]>>().cast_const()) };
}

unsafe extern "C" fn release(owner: *mut c_void) {
    drop(unsafe { Arc::from_raw(owner.cast::<Arc<[u8]>>().cast_const()) });
}

/// The bytes with an owner of their own.
fn give(value: &Arc<[u8]>) -> Bytes {
    let owner = Arc::into_raw(Arc::new(Arc::clone(value)));
    Bytes { ptr: value.as_ptr(), len: value.len(), owner: owner.cast_mut().cast(), vt: &VT }
}

fn text(bytes: &'static str) -> Bytes {
    Bytes { ptr: bytes.as_ptr(), len: bytes.len(), owner: std::ptr::null_mut(), vt: &raw const NO }
}

static NO: BytesVt = BytesVt { retain: None, release: None };

unsafe fn slice<'a>(ptr: *const u8, len: usize) -> &'a [u8] {
    if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(ptr, len) } }
}

/// Runs a function on the shelf; a panic is a status.
unsafe fn on(this: *mut c_void, error: *mut Error, run: impl FnOnce(&Shelf) -> Status) -> Status {
    let shelf = unsafe { &*this.cast::<Shelf>() };
    catch_unwind(std::panic::AssertUnwindSafe(|| run(shelf))).unwrap_or_else(|_| {
        if let Some(error) = unsafe { error.as_mut() } {
            error.message = text("it was asked to");
        }
        Status::PANICKED
    })
}

unsafe extern "C" fn create(_: *const Create, this: *mut *mut c_void, _: *mut Error) -> Status {
    unsafe { this.write(Box::into_raw(Box::<Shelf>::default()).cast()) };
    Status::OK
}

unsafe extern "C" fn destroy(this: *mut c_void) {
    drop(unsafe { Box::from_raw(this.cast::<Shelf>()) });
}

unsafe extern "C" fn get(
    this: *mut c_void,
    call: *const Call,
    key: *const Key,
    out: *mut Read,
    error: *mut Error,
) -> Status {
    let (key, now) = unsafe { (slice((*key).ptr, (*key).len), (*call).now_us) };
    unsafe {
        on(this, error, |shelf| {
            if key == b"panic" {
                // Without the hook: its backtrace is long, and known.
                std::panic::resume_unwind(Box::new(()));
            }
            let entries = shelf.0.read().unwrap();
            let Some(kept) = entries.get(key).filter(|kept| kept.hard_us > now) else {
                return Status::MISS;
            };
            let entry = &mut (*out).entry;
            (entry.soft_us, entry.hard_us) = (kept.soft_us, kept.hard_us);
            entry.value = give(&kept.value);
            Status::OK
        })
    }
}

unsafe extern "C" fn set(
    this: *mut c_void,
    _: *const Call,
    key: *const Key,
    entry: *const Entry,
    error: *mut Error,
) -> Status {
    let (key, entry) = unsafe { (slice((*key).ptr, (*key).len), &*entry) };
    let value = unsafe { slice(entry.value.ptr, entry.value.len) };
    unsafe {
        on(this, error, |shelf| {
            let kept = Kept { value: value.into(), soft_us: entry.soft_us, hard_us: entry.hard_us };
            shelf.0.write().unwrap().insert(key.to_vec(), kept);
            Status::OK
        })
    }
}

unsafe extern "C" fn remove(
    this: *mut c_void,
    call: *const Call,
    key: *const Key,
    error: *mut Error,
) -> Status {
    let (key, now) = unsafe { (slice((*key).ptr, (*key).len), (*call).now_us) };
    unsafe {
        on(this, error, |shelf| match shelf.0.write().unwrap().remove(key) {
            Some(kept) if kept.hard_us > now => Status::OK,
            _ => Status::MISS,
        })
    }
}

unsafe extern "C" fn clear(this: *mut c_void, _: *const Call, error: *mut Error) -> Status {
    unsafe {
        on(this, error, |shelf| {
            shelf.0.write().unwrap().clear();
            Status::OK
        })
    }
}

/// The entry of the library.
///
/// # Safety
///
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_entry_v1(
    _: *const Host,
    out: *mut *const Plugin,
    _: *mut Error,
) -> Status {
    let mut table: BackendVt = unsafe { std::mem::zeroed() };
    table.struct_size = size_of::<BackendVt>() as u32;
    table.create = Some(create);
    table.destroy = Some(destroy);
    table.get = Some(get);
    table.set = Some(set);
    table.remove = Some(remove);
    table.clear = Some(clear);
    let table: *const BackendVt = Box::leak(Box::new(table));
    let component: *const Component = Box::leak(Box::new(Component {
        struct_size: size_of::<Component>() as u32,
        kind: kind::BACKEND,
        caps: cap::SYNC,
        name: Slice::new(NAME.as_bytes()),
        summary: Slice::new(b"keeps entries in memory"),
        vtable: table.cast(),
        config_schema: None,
        validate: None,
    }));
    let components: &'static [*const Component] = Box::leak(Box::new([component]));
    let plugin = Box::leak(Box::new(Plugin {
        struct_size: size_of::<Plugin>() as u32,
        abi_major: ABI_MAJOR,
        abi_minor: ABI_MINOR,
        requires_host_minor: 0,
        flags: 0,
        reserved: 0,
        name: Slice::new(NAME.as_bytes()),
        version: Slice::new(b"1.0.0"),
        build_json: Slice::new(b"{}"),
        components: components.as_ptr(),
        n_components: 1,
        shutdown: None,
        query: None,
    }));
    unsafe { out.write(plugin) };
    Status::OK
}
