//! [`Bridge`]: `tracing` events of the plugin go to the host.
//!
//! A library has a copy of `tracing` of its own, whose events nobody hears if it does not send
//! them on.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use larder_abi::call::level;
use larder_abi::value::{Kv, Slice};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

use super::instance::current;
use super::runtime::host;

thread_local! {
    static IS_SPEAKING: Cell<bool> = const { Cell::new(false) };
}

/// A subscriber that sends events on. Spans have no number with the host, and are left out.
pub(crate) struct Bridge;

/// Sends events and panics of this library to the host, from now on.
pub(crate) fn install() {
    // A program that has a subscriber in this copy of `tracing` keeps it.
    if tracing::subscriber::set_global_default(Bridge).is_ok() {
        std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    }
}

/// Up to which level the host listens.
fn max_level() -> u32 {
    let Some(at) = host().map(|host| host.max_log_level) else { return 0 };
    if at.is_null() || !at.is_aligned() {
        return 0;
    }
    // SAFETY: by the header the number stays as long as the process lives, and may change, which
    // hosts do as with an atomic.
    unsafe { AtomicU32::from_ptr(at.cast_mut()) }.load(Ordering::Relaxed)
}

fn number_of(level: &Level) -> u32 {
    match *level {
        Level::ERROR => level::ERROR,
        Level::WARN => level::WARN,
        Level::INFO => level::INFO,
        Level::DEBUG => level::DEBUG,
        Level::TRACE => level::TRACE,
    }
}

impl Subscriber for Bridge {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // What the host wants to hear may change.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && number_of(metadata.level()) <= max_level()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        // What the host does with an event must not lead back here for ever.
        if IS_SPEAKING.try_with(|speaking| speaking.replace(true)).unwrap_or(true) {
            return;
        }
        send(event);
        IS_SPEAKING.try_with(|speaking| speaking.set(false)).ok();
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The fields of an event as texts.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            name => self.others.push((name, text)),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

fn send(event: &Event<'_>) {
    let Some(log) = host().and_then(|host| host.log) else { return };
    let mut fields = Fields::default();
    event.record(&mut fields);
    let target = Slice::new(event.metadata().target().as_bytes());
    let message = Slice::new(fields.message.as_bytes());
    let pairs: Vec<Kv> = fields
        .others
        .iter()
        .map(|(name, text)| Kv {
            key: Slice::new(name.as_bytes()),
            value: Slice::new(text.as_bytes()),
        })
        .collect();
    let level = number_of(event.metadata().level());
    let (target, message) = (&raw const target, &raw const message);
    // SAFETY: all texts live during the call.
    unsafe { log(current(), level, target, message, pairs.as_ptr(), pairs.len()) };
}
