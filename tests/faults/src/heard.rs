//! What the caches of this process report.

use std::fmt;
use std::sync::{Mutex, OnceLock};

use larder_core::telemetry;
use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry;

/// One event of a cache.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Event {
    /// Its name.
    pub name: String,
    /// The cache or the connection that reports it.
    pub of: String,
    /// All other fields, as text.
    pub fields: String,
}

/// Begins to note the events of this process; every [`Site`](crate::Site) does it.
pub fn listen() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        // Another subscriber may be there already, and then nothing is heard.
        tracing::subscriber::set_global_default(registry().with(Ear)).ok();
    });
}

/// The events that a cache has reported so far.
#[must_use]
pub fn heard(of: &str) -> Vec<Event> {
    let events = EVENTS.lock().expect("nobody panics with the lock");
    events.iter().filter(|event| event.of == of).cloned().collect()
}

static EVENTS: Mutex<Vec<Event>> = Mutex::new(Vec::new());

struct Ear;

impl<S: Subscriber> Layer<S> for Ear {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.target() == telemetry::TARGET { Interest::always() } else { Interest::never() }
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut noted = Event::default();
        event.record(&mut noted);
        EVENTS.lock().expect("nobody panics with the lock").push(noted);
    }
}

impl Visit for Event {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.name = format!("{value:?}"),
            "cache" | "connection" => self.of = format!("{value:?}"),
            name => self.fields += &format!("{name}={value:?} "),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}
