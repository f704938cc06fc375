//! What is said here, by the plugin or about it, told to the program, which says it in its log.

use std::fmt::{Debug, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use larder_core::telemetry::{PLUGIN_LOADED, TARGET};
use larder_dynamic::process::wire::{Log, Outbox, Tell};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, SetGlobalDefaultError};
use tracing::{Event, Metadata, Subscriber};

/// More that waits to be told is lost: answers go first.
const MOST_WAITING: usize = 256 * 1024;

/// No text is longer.
const LONGEST: usize = 16 * 1024;

/// Up to which level the program listens.
#[derive(Clone, Debug)]
pub(crate) struct Level(Arc<AtomicU8>);

impl Level {
    /// The program says how much it wants to hear.
    pub(crate) fn set(&self, level: u8) {
        if self.0.swap(level, Ordering::Relaxed) != level {
            tracing::callsite::rebuild_interest_cache();
        }
    }

    fn filter(&self) -> LevelFilter {
        match self.0.load(Ordering::Relaxed) {
            0 => LevelFilter::OFF,
            1 => LevelFilter::ERROR,
            2 => LevelFilter::WARN,
            3 => LevelFilter::INFO,
            4 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        }
    }
}

/// Tells the program from now on.
pub(crate) fn install(outbox: Arc<Outbox>) -> Result<Level, SetGlobalDefaultError> {
    let level = Level(Arc::new(AtomicU8::new(0)));
    let teller = Teller { outbox, level: level.clone() };
    tracing::subscriber::set_global_default(teller)?;
    Ok(level)
}

struct Teller {
    outbox: Arc<Outbox>,
    level: Level,
}

impl Subscriber for Teller {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match metadata.target() == TARGET {
            true => Interest::sometimes(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET
            && metadata.is_event()
            && *metadata.level() <= self.level.filter()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level.filter())
    }

    fn event(&self, event: &Event<'_>) {
        let mut said = Said(Log { level: rank(*event.metadata().level()), ..Log::default() });
        event.record(&mut said);
        // The program says that itself.
        if said.0.message != PLUGIN_LOADED {
            drop(self.outbox.push_below(&Tell::Log(said.0), MOST_WAITING));
        }
    }

    // Spans stay here: there is nobody to see them.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn rank(level: tracing::Level) -> u8 {
    match level {
        tracing::Level::ERROR => 1,
        tracing::Level::WARN => 2,
        tracing::Level::INFO => 3,
        tracing::Level::DEBUG => 4,
        tracing::Level::TRACE => 5,
    }
}

/// What an event says, field by field.
struct Said(Log);

impl Said {
    fn take(&mut self, field: &Field, mut text: String) {
        let end = (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        let Log { message, component, cache, module, error, fields, .. } = &mut self.0;
        match field.name() {
            "message" => *message = text,
            "component" => *component = Some(text),
            "cache" => *cache = Some(text),
            "module" => *module = Some(text),
            "error" => *error = Some(text),
            // The program knows whom it talks to.
            "plugin" => {}
            "fields" if text.is_empty() => {}
            "fields" => *fields = text,
            name => {
                let gap = if fields.is_empty() { "" } else { " " };
                write!(fields, "{gap}{name}={text}").expect("a string takes any text");
            }
        }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.take(field, format!("{value:?}"));
    }
}
