//! What libraries say goes to `tracing`, with the name of the plugin.

use std::fmt::Write;
use std::sync::atomic::{AtomicU32, Ordering};

use larder_abi::call::level;
use larder_abi::value::{Kv, Slice};
use larder_core::telemetry::{PLUGIN_PANICKED, TARGET};
use tracing::Level;
use tracing::level_filters::LevelFilter;

use super::LONGEST_TEXT;
use super::instances::{self, Identity};
use crate::borrow;
use crate::guard::guard;

/// More fields of one event are left out.
const MOST_FIELDS: usize = 64;

static MAX_LEVEL: AtomicU32 = AtomicU32::new(0);

/// Where libraries read up to which level anybody listens.
pub(super) fn max_level() -> *const u32 {
    MAX_LEVEL.as_ptr().cast_const()
}

/// Looks again at what the subscriber of the program wants to hear. Two loads if that is what it
/// was, so every call to a library begins with it.
pub(crate) fn refresh() {
    // Again until nothing changed meanwhile: an older answer must not stay over a newer one.
    loop {
        let now = wanted();
        if MAX_LEVEL.load(Ordering::Relaxed) == now {
            return;
        }
        MAX_LEVEL.store(now, Ordering::Relaxed);
    }
}

/// Up to which level the subscribers of the program listen.
fn wanted() -> u32 {
    match LevelFilter::current().into_level() {
        None => 0,
        Some(Level::ERROR) => level::ERROR,
        Some(Level::WARN) => level::WARN,
        Some(Level::INFO) => level::INFO,
        Some(Level::DEBUG) => level::DEBUG,
        Some(Level::TRACE) => level::TRACE,
    }
}

/// An instance panicked where it could return no status.
pub(super) fn panicked(identity: &Identity, message: &str) {
    let Identity { plugin, component, cache, .. } = identity;
    tracing::error!(
        target: TARGET, plugin, component, %cache, error = message, "{PLUGIN_PANICKED}"
    );
}

pub(super) unsafe extern "C" fn log(
    instance: u64,
    level: u32,
    target: *const Slice,
    message: *const Slice,
    fields: *const Kv,
    n_fields: usize,
) {
    // Nothing can be said about a failure to say something.
    let _said = guard(|| {
        refresh();
        if level == 0 || level > MAX_LEVEL.load(Ordering::Relaxed) {
            return;
        }
        // SAFETY: by the header the target is null or lent for the time of this call.
        let target = unsafe { borrow::text(target, LONGEST_TEXT) };
        // SAFETY: the same holds for the message.
        let message = unsafe { borrow::text(message, LONGEST_TEXT) };
        // SAFETY: the same holds for the fields.
        let fields = unsafe { borrow::array(fields, n_fields.min(MOST_FIELDS)) };
        say(instance, level, &target, &message, fields.unwrap_or_default());
    });
}

/// The fields as one text, as in `key=7 way="there and back"`.
fn joined(fields: &[Kv]) -> String {
    let mut text = String::new();
    for field in fields {
        // SAFETY: by the header the name is lent for the time of the call.
        let name = unsafe { borrow::text(&raw const field.key, LONGEST_TEXT) };
        // SAFETY: the same holds for the value.
        let value = unsafe { borrow::text(&raw const field.value, LONGEST_TEXT) };
        let gap = if text.is_empty() { "" } else { " " };
        write!(text, "{gap}{name}={value}").expect("a string takes any text");
    }
    text
}

fn say(instance: u64, level: u32, module: &str, message: &str, fields: &[Kv]) {
    let identity = instances::get(instance);
    // A number that is not 0 and that nobody has is that of an instance that is gone.
    if instance != 0 && identity.is_none() {
        return;
    }
    let plugin = identity.as_ref().map(|identity| identity.plugin);
    let cache = identity.as_ref().map(|identity| identity.cache.as_str());
    let fields = joined(fields);
    macro_rules! at {
        ($level:expr) => {
            tracing::event!(target: TARGET, $level, plugin, cache, module, fields, "{message}")
        };
    }
    match level {
        level::ERROR => at!(Level::ERROR),
        level::WARN => at!(Level::WARN),
        level::INFO => at!(Level::INFO),
        level::DEBUG => at!(Level::DEBUG),
        _ => at!(Level::TRACE),
    }
}
