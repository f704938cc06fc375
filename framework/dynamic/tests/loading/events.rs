//! What is heard of libraries.

use std::sync::{Arc, Mutex};

use larder_core::telemetry;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::support::plugin;

/// The names of the events of this thread.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Names {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        event.record(&mut self.clone());
    }
}

impl Visit for Names {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0.lock().unwrap().push(format!("{value:?}"));
        }
    }
}

#[test]
fn a_library_is_heard_of_once_and_so_is_what_it_has_too_much() {
    let names = Names::default();
    let _guard =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(names.clone()));
    let made = plugin("acme.heard", &["-DMORE=&future"]);
    made.open().unwrap();
    made.open().unwrap();
    let heard = names.0.lock().unwrap().clone();
    assert_eq!(heard, [telemetry::PLUGIN_SKIPPED, telemetry::PLUGIN_LOADED]);
    plugin("acme.heard", &["-DCAPS=0"]).open().unwrap();
    let heard = names.0.lock().unwrap().split_off(2);
    assert_eq!(heard, [telemetry::PLUGIN_LOADED, telemetry::PLUGIN_REPLACED]);
}
