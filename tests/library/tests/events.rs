//! What the library says, from wherever it says it, is heard by the program.
//!
//! In a process of its own: libraries are told for the whole process how much anybody listens to.
#![cfg(target_os = "linux")]

mod support;

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use support::{ask, bare_runtime, restless};

/// What the library says, with the span it is heard in. How much it listens to can be changed.
#[derive(Clone, Default)]
struct Heard {
    said: Arc<Mutex<Vec<String>>>,
    wants_all: Arc<AtomicBool>,
}

impl Heard {
    fn up_to(&self) -> LevelFilter {
        match self.wants_all.load(Ordering::SeqCst) {
            true => LevelFilter::INFO,
            false => LevelFilter::WARN,
        }
    }

    /// All that was said with this text, which is forgotten.
    fn take(&self, text: &str) -> Vec<String> {
        let mut said = self.said.lock().expect("no test panics here");
        let (these, others) = said.drain(..).partition(|one| one.contains(text));
        *said = others;
        these
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, "{}={value:?} ", field.name()).expect("a string takes any text");
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Heard {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.is_span() || *metadata.level() <= self.up_to()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.up_to())
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        for span in context.event_scope(event).into_iter().flatten() {
            write!(text.0, "in={} ", span.name()).expect("a string takes any text");
        }
        self.said.lock().expect("no test panics here").push(text.0);
    }
}

fn assert_said(heard: &Heard, text: &str, parts: &[&str]) {
    let said = heard.take(text);
    let [said] = &said[..] else { panic!("`{text}` was heard {} times: {said:?}", said.len()) };
    for part in ["plugin=\"tested-restless\"", "cache=\"restless\"", "larder_test_library"]
        .iter()
        .chain(parts)
    {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}

#[test]
fn events_of_calls_tasks_and_threads_are_heard_with_their_name_once_anybody_listens() {
    let heard = Heard::default();
    let subscriber = tracing_subscriber::registry().with(heard.clone());
    tracing::subscriber::set_global_default(subscriber).expect("nobody else listens here");
    let runtime = bare_runtime();
    let backend = restless(&runtime);
    let say = || {
        let span = tracing::error_span!("request");
        for key in ["says", "says later", "thread"] {
            // On this thread, which is in the span.
            span.in_scope(|| runtime.block_on(ask(&*backend, key)));
        }
    };
    say();
    assert!(heard.take("call").is_empty() && heard.take("thread").is_empty());

    heard.wants_all.store(true, Ordering::SeqCst);
    tracing::callsite::rebuild_interest_cache();
    say();
    assert_said(&heard, "during the call", &["answer=42", "in=request"]);
    assert_said(&heard, "after the call", &[]);
    assert_said(&heard, "from a thread", &[]);
    assert!(heard.take("in detail").is_empty(), "nobody listens to that much");
}
