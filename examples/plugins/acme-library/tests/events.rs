//! What the library says is heard by the program.
//!
//! In a process of its own: libraries are told for the whole process how much anybody listens to.

mod support;

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use larder_conformance::Place;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use support::log;

/// What an event says, with its fields.
#[derive(Clone, Debug, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Heard {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Said(String);
        impl Visit for Said {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                write!(self.0, "{}={value:?} ", field.name()).expect("a string takes any text");
            }
        }
        let mut said = Said(format!("{} ", event.metadata().level()));
        event.record(&mut said);
        self.0.lock().expect("no test panics here").push(said.0);
    }
}

/// Builds the log on this thread, and tells what is heard of the library up to this level.
fn heard_up_to(level: LevelFilter) -> Vec<String> {
    let heard = Heard::default();
    let subscriber = tracing_subscriber::registry().with(heard.clone().with_filter(level));
    tracing::subscriber::with_default(subscriber, || {
        let place = Place::new();
        // Without a runtime the instance is made on this thread.
        let built = log(place.clone()).now_or_never().expect("no runtime is there to wait for");
        drop(built.expect("the log can be opened"));
    });
    let heard = heard.0.lock().expect("no test panics here");
    heard.iter().filter(|said| said.contains("acme")).cloned().collect()
}

#[test]
fn what_it_says_is_heard_with_its_name_if_anybody_listens() {
    assert_eq!(heard_up_to(LevelFilter::WARN), [""; 0]);
    let heard = heard_up_to(LevelFilter::DEBUG);
    let opened: Vec<&String> =
        heard.iter().filter(|said| said.contains("the log is open")).collect();
    let [said] = opened[..] else { panic!("it was heard {} times: {heard:?}", opened.len()) };
    for part in [
        "DEBUG ",
        "plugin=\"acme\"",
        "cache=\"conformance\"",
        "module=\"acme_cache::log::backend\"",
        "path=",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}
