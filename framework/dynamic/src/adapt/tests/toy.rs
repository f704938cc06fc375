//! A backend of this process that does what the key says, right or wrong.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use larder_abi::call::{Call, Create, Error};
use larder_abi::table::BackendVt;
use larder_abi::value::{Bytes, BytesVt, Key, Read, Reads, Slice};
use larder_abi::{Host, Status};
use larder_core::{Entry, EntryMeta};

use crate::host;
use crate::testing::EMPTY_BACKEND;

/// An instance, as the test sees it.
#[derive(Debug, Default)]
pub(super) struct Toy {
    /// Operations that wait for the test.
    pub(super) ops: Mutex<Vec<u64>>,
    pub(super) cancelled: Mutex<Vec<u64>>,
    pub(super) released: AtomicUsize,
    pub(super) started: AtomicUsize,
    pub(super) number: Mutex<u64>,
    /// How often `get` was called.
    pub(super) called: AtomicUsize,
    /// While this is so, `hang` does.
    pub(super) is_stuck: AtomicBool,
    /// While this is so, `destroy` and `cancel` do not return.
    pub(super) ends_never: AtomicBool,
    pub(super) is_destroyed: AtomicBool,
    /// What op_complete said.
    pub(super) said: Mutex<Vec<Status>>,
}

type Toys = HashMap<String, Vec<Arc<Toy>>>;
static TOYS: LazyLock<Mutex<Toys>> = LazyLock::new(Mutex::default);

/// The instances that were made for a cache.
pub(super) fn of(cache: &str) -> Vec<Arc<Toy>> {
    TOYS.lock().unwrap().get(cache).cloned().unwrap_or_default()
}

/// The last of them.
pub(super) fn last(cache: &str) -> Arc<Toy> {
    of(cache).pop().expect("one was made")
}

pub(super) static TABLE: BackendVt = BackendVt {
    create: Some(create),
    destroy: Some(destroy),
    get: Some(get),
    start: Some(start),
    cancel: Some(cancel),
    remove: Some(remove),
    get_many: Some(get_many),
    remove_many: Some(remove_many),
    ..EMPTY_BACKEND
};

fn host() -> &'static Host {
    host::table()
}

/// A long value whose bytes are an entry, owned by the toy.
fn owned(toy: &Arc<Toy>, len: usize) -> Bytes {
    static VALUE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let value = bytes::Bytes::from(vec![7; 5000]);
        let mut envelope = Vec::new();
        let entry = Entry { value, meta: EntryMeta::default() };
        larder_core::envelope::encode(&entry, &mut envelope).unwrap();
        envelope
    });
    static VT: BytesVt = BytesVt { retain: None, release: Some(release) };
    let len = if len == 0 { VALUE.len() } else { len };
    let owner = Arc::into_raw(Arc::clone(toy)).cast_mut().cast();
    Bytes { ptr: VALUE.as_ptr(), len, owner, vt: &raw const VT }
}

unsafe extern "C" fn release(owner: *mut c_void) {
    // SAFETY: `owned` made it.
    let toy = unsafe { Arc::from_raw(owner.cast::<Toy>().cast_const()) };
    toy.released.fetch_add(1, Ordering::SeqCst);
}

unsafe extern "C" fn create(args: *const Create, this: *mut *mut c_void, _: *mut Error) -> Status {
    // SAFETY: as the header says.
    let args = unsafe { &*args };
    // SAFETY: as the header says.
    let cache = unsafe { crate::borrow::text(&raw const args.cache, 100) }.into_owned();
    let toy = Arc::new(Toy::default());
    *toy.number.lock().unwrap() = args.instance;
    let mut toys = TOYS.lock().unwrap();
    let made = toys.entry(cache.clone()).or_default();
    if cache.starts_with("comes-back-late") && made.len() == 1 {
        made.push(toy);
        return Status::CONNECTION;
    }
    let is_held = made.iter().any(|toy| !toy.is_destroyed.load(Ordering::SeqCst));
    if cache.starts_with("exclusive") && is_held {
        made.push(toy);
        return Status::CONNECTION;
    }
    made.push(Arc::clone(&toy));
    // SAFETY: as the header says.
    unsafe { this.write(Arc::into_raw(toy).cast_mut().cast()) };
    Status::OK
}

unsafe extern "C" fn destroy(this: *mut c_void) {
    // SAFETY: `create` made it.
    let toy = unsafe { Arc::from_raw(this.cast::<Toy>().cast_const()) };
    hang(&toy.ends_never);
    toy.is_destroyed.store(true, Ordering::SeqCst);
}

unsafe extern "C" fn start(this: *mut c_void, _: *const Call, _: *mut Error) -> Status {
    // SAFETY: `create` made it.
    unsafe { &*this.cast::<Toy>() }.started.fetch_add(1, Ordering::SeqCst);
    Status::OK
}

unsafe extern "C" fn cancel(this: *mut c_void, token: u64) {
    // SAFETY: `create` made it.
    let toy = unsafe { &*this.cast::<Toy>() };
    toy.cancelled.lock().unwrap().push(token);
    hang(&toy.ends_never);
}

unsafe extern "C" fn remove(
    _: *mut c_void,
    _: *const Call,
    _: *const Key,
    _: *mut Error,
) -> Status {
    Status::MISS
}

/// Does not return before the test says so.
fn hang(is_stuck: &AtomicBool) -> Status {
    while is_stuck.load(Ordering::SeqCst) {
        std::thread::park_timeout(std::time::Duration::from_millis(1));
    }
    Status::MISS
}

/// Says that more were removed than were asked for.
unsafe extern "C" fn remove_many(
    _: *mut c_void,
    _: *const Call,
    _: *const Key,
    _: usize,
    removed: *mut u64,
    _: *mut Error,
) -> Status {
    // SAFETY: as the header says.
    unsafe { removed.write(u64::MAX) };
    Status::OK
}

/// Does with the arrays what the first key says. Nothing of this may be followed.
unsafe extern "C" fn get_many(
    _: *mut c_void,
    call: *const Call,
    keys: *const Key,
    out: *mut Reads,
    _: *mut Error,
) -> Status {
    // SAFETY: as the header says, here and below.
    let key = unsafe { &*keys };
    // SAFETY: as above.
    let key = unsafe { std::slice::from_raw_parts(key.ptr, key.len) };
    // SAFETY: as above.
    let out = unsafe { &mut *out };
    match key {
        b"too many" => out.n = 1 << 16,
        b"other arrays" => out.reads = std::ptr::without_provenance_mut(64),
        b"too many later" => {
            let n = 1 << 16;
            let mut later = Reads { n, ..*out };
            // SAFETY: as above.
            let op = unsafe { host().op_defer.unwrap()(call, 1) };
            let later = (&raw mut later).cast();
            // SAFETY: as above.
            unsafe { host().op_complete.unwrap()(op, Status::OK, later, std::ptr::null()) };
            return Status::PENDING;
        }
        _ => {}
    }
    Status::OK
}

/// Answers an operation with a long value; the toy releases it if it is refused.
pub(super) fn complete(toy: &Arc<Toy>, op: u64, status: Status) -> Status {
    let mut read = super::super::output::blank_read((std::ptr::null_mut(), 0));
    read.entry.value = owned(toy, 0);
    let out = (&raw mut read).cast();
    // SAFETY: as the header says.
    let said = unsafe { host().op_complete.unwrap()(op, status, out, std::ptr::null()) };
    if said != Status::OK {
        // SAFETY: it was not taken over.
        unsafe { release(read.entry.value.owner) };
    }
    toy.said.lock().unwrap().push(said);
    said
}

fn text(bytes: &'static [u8]) -> Bytes {
    Bytes::borrowed(Slice::new(bytes))
}

unsafe extern "C" fn get(
    this: *mut c_void,
    call: *const Call,
    key: *const Key,
    out: *mut Read,
    error: *mut Error,
) -> Status {
    // SAFETY: as the header says, here and below.
    let key = unsafe { &*key };
    // SAFETY: as above.
    let out = unsafe { &mut *out };
    // SAFETY: as above.
    let error = unsafe { &mut *error };
    // SAFETY: as above.
    let key = unsafe { std::slice::from_raw_parts(key.ptr, key.len) };
    let this = this.cast::<Toy>().cast_const();
    // SAFETY: one reference more to what `create` made.
    unsafe { Arc::increment_strong_count(this) };
    // SAFETY: this is that reference.
    let toy = unsafe { Arc::from_raw(this) };
    // SAFETY: as above.
    let defer = || unsafe { host().op_defer.unwrap()(call, 77) };
    let value = &mut out.entry.value;
    toy.called.fetch_add(1, Ordering::SeqCst);
    match key {
        b"now" => *value = owned(&toy, 0),
        b"null" => *value = Bytes { ptr: std::ptr::null(), len: 9, ..owned(&toy, 0) },
        b"huge" => *value = owned(&toy, usize::MAX),
        b"garbage" => *value = text(b"no envelope"),
        b"beyond the scratch" => *value = Bytes { ptr: out.scratch, len: 1 << 20, ..Bytes::EMPTY },
        b"miss" => return Status::MISS,
        b"hang" => return hang(&toy.is_stuck),
        b"panic" => return Status::PANICKED,
        b"silent panic" => {
            let (number, said) = (*toy.number.lock().unwrap(), Slice::new(b"in a thread"));
            // SAFETY: as above.
            unsafe { host().panicked.unwrap()(number, &raw const said) };
            return Status::MISS;
        }
        b"unknown" => return Status(-99),
        b"unknown success" => return Status(99),
        b"inside the scratch" => {
            // SAFETY: the scratch is larger than that.
            let ptr = unsafe { out.scratch.add(16) };
            *value = Bytes { ptr, len: out.scratch_cap, ..Bytes::EMPTY };
            out.scratch_cap = usize::MAX;
        }
        b"miss with a value" => {
            *value = owned(&toy, 0);
            return Status::MISS;
        }
        b"error with a value" => {
            *value = owned(&toy, 0);
            error.message = owned(&toy, 3);
            return Status::CONNECTION;
        }
        b"value with an error" => {
            *value = owned(&toy, 0);
            error.message = owned(&toy, 3);
        }
        b"error" => {
            (error.message, error.hint) = (text(b"the shelf fell down"), text(b"get a hammer"));
            return Status::CONNECTION;
        }
        b"pending without defer" => return Status::PENDING,
        b"defer without pending" => {
            toy.ops.lock().unwrap().push(defer());
            *value = owned(&toy, 0);
        }
        b"defer twice" => {
            let first = defer();
            assert_eq!(defer(), 0, "once a call");
            complete(&toy, first, Status::OK);
            return Status::PENDING;
        }
        b"before it returns" => {
            complete(&toy, defer(), Status::OK);
            return Status::PENDING;
        }
        b"no output" => {
            // SAFETY: as above; the output is missing.
            unsafe {
                let complete = host().op_complete.unwrap();
                complete(defer(), Status::OK, std::ptr::null_mut(), std::ptr::null());
            }
            return Status::PENDING;
        }
        b"later" => {
            toy.ops.lock().unwrap().push(defer());
            return Status::PENDING;
        }
        _ => return Status::UNSUPPORTED,
    }
    Status::OK
}
