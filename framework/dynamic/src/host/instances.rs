//! Instances by number: who says something, and who is given up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use larder_abi::value::Slice;

use super::{LONGEST_TEXT, log};
use crate::borrow;
use crate::guard::guard;

/// What is known of an instance outside of it.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The name of the plugin.
    pub(crate) plugin: &'static str,
    /// The name of the component.
    pub(crate) component: &'static str,
    /// The cache it works for.
    pub(crate) cache: String,
    is_poisoned: AtomicBool,
}

impl Identity {
    pub(crate) fn new(plugin: &'static str, component: &'static str, cache: &str) -> Self {
        let is_poisoned = AtomicBool::new(false);
        Self { plugin, component, cache: cache.to_owned(), is_poisoned }
    }

    /// Gives the instance up: it panicked, and nobody knows in what state it is.
    pub(crate) fn poison(&self) {
        self.is_poisoned.store(true, Ordering::Release);
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.is_poisoned.load(Ordering::Acquire)
    }
}

type Living = HashMap<u64, Arc<Identity>>;

fn living() -> MutexGuard<'static, Living> {
    static LIVING: LazyLock<Mutex<Living>> = LazyLock::new(Mutex::default);
    LIVING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number for a new instance. Never used again.
pub(crate) fn register(identity: Arc<Identity>) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    living().insert(number, identity);
    number
}

/// The instance is gone.
pub(crate) fn unregister(number: u64) {
    living().remove(&number);
}

/// How many live of a library, by its name: not the text counts, for other libraries may have the
/// same, but where it stands, which is a place for each library.
pub(crate) fn count(plugin: &'static str) -> usize {
    let is_of = |identity: &&Arc<Identity>| std::ptr::eq(identity.plugin, plugin);
    living().values().filter(is_of).count()
}

/// The instance of this number, if it lives.
pub(crate) fn get(number: u64) -> Option<Arc<Identity>> {
    living().get(&number).cloned()
}

pub(super) unsafe extern "C" fn panicked(instance: u64, message: *const Slice) {
    // Nothing can be said about a failure to say something.
    let _said = guard(|| {
        // SAFETY: by the header the message is null or lent for the time of this call.
        let message = unsafe { borrow::text(message, LONGEST_TEXT) };
        if let Some(identity) = get(instance) {
            identity.poison();
            log::panicked(&identity, &message);
        }
    });
}
