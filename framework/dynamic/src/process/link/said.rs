//! What a plugin in a runner says goes to `tracing`, with the name of the plugin.

use larder_core::telemetry::TARGET;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::process::wire::Log;

/// Up to which level somebody listens: 0 for nobody, 5 for all.
pub(super) fn wanted() -> u8 {
    match LevelFilter::current().into_level() {
        None => 0,
        Some(Level::ERROR) => 1,
        Some(Level::WARN) => 2,
        Some(Level::INFO) => 3,
        Some(Level::DEBUG) => 4,
        Some(Level::TRACE) => 5,
    }
}

/// Says what a runner tells.
pub(super) fn say(plugin: &str, log: &Log) {
    let Log { level, message, .. } = log;
    let component = log.component.as_deref();
    let cache = log.cache.as_deref();
    let module = log.module.as_deref();
    let error = log.error.as_deref();
    let fields = (!log.fields.is_empty()).then_some(log.fields.as_str());
    macro_rules! at {
        ($level:expr) => {
            tracing::event!(
                target: TARGET, $level,
                plugin, component, cache, module, error, fields, "{message}"
            )
        };
    }
    match level {
        1 => at!(Level::ERROR),
        2 => at!(Level::WARN),
        3 => at!(Level::INFO),
        4 => at!(Level::DEBUG),
        _ => at!(Level::TRACE),
    }
}
