//! Versions of entries: what is written after something was read is newer than it.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{Cache, CacheManager, Clock, Format, LoadOptions, ManualClock};
use larder_core::clock::Sleep;
use larder_core::{Entry, Moment, Stamp, Timestamp};
use larder_integration::{Strings, strings};

/// A cache over a puppet, on a machine with a clock of its own.
async fn machine(puppet: &str, clock: &ManualClock) -> Cache<String, String> {
    let backend = format!("backend = {{ kind = \"test.puppet\", name = \"{puppet}\" }}");
    let manager = CacheManager::builder()
        .text("caches.toml", Format::Toml, format!("[caches.users]\n{backend}\n"))
        .clock(Arc::new(clock.clone()))
        .build()
        .await
        .unwrap();
    manager.cache("users").unwrap()
}

fn stamp_of(puppet: &Strings, key: &str) -> Stamp {
    let entries = puppet.entries.lock().unwrap();
    let Entry { meta, .. } = &entries[key];
    meta.stamp
}

/// Two machines, of which the second is ahead of the first.
async fn two(puppet: &str, ahead: Duration) -> (Cache<String, String>, Cache<String, String>) {
    let (first, second) = (ManualClock::new(), ManualClock::new());
    second.advance(ahead);
    (machine(puppet, &first).await, machine(puppet, &second).await)
}

#[tokio::test]
async fn an_answer_is_newer_than_what_it_answers() {
    let puppet = strings("answer");
    let (behind, ahead) = two("answer", Duration::from_millis(900)).await;
    ahead.set("question", "why?".into()).await.unwrap();
    behind.get("question").await.unwrap().unwrap();
    behind.set("answer", "because".into()).await.unwrap();
    assert!(stamp_of(&puppet, "answer") > stamp_of(&puppet, "question"));
}

#[tokio::test]
async fn a_clock_that_is_wrong_does_not_move_the_others() {
    let puppet = strings("wrong clock");
    let (right, wrong) = two("wrong clock", Duration::from_secs(600)).await;
    wrong.set("question", "when?".into()).await.unwrap();
    assert_eq!(right.get("question").await.unwrap().as_deref(), Some("when?"), "it is served");
    right.set("answer", "now".into()).await.unwrap();
    assert!(stamp_of(&puppet, "answer") < stamp_of(&puppet, "question"));
}

/// Two processes over a puppet that compares versions, on one machine.
async fn processes(puppet: &str, clock: &Arc<dyn Clock>) -> [Cache<String, String>; 2] {
    let text = format!(
        "[caches.users]\nttl = \"10s\"\nl1.backend = \"memory\"\n\
         l2.backend = {{ kind = \"test.puppet\", name = \"{puppet}\", knows_versions = true }}\n"
    );
    let open = async || {
        let builder = CacheManager::builder().text("caches.toml", Format::Toml, text.clone());
        let manager = builder.clock(Arc::clone(clock)).build().await.unwrap();
        manager.cache("users").unwrap()
    };
    [open().await, open().await]
}

#[tokio::test]
async fn a_load_that_began_before_another_process_set_the_key_is_not_stored_over_it() {
    for is_batch in [false, true] {
        let clock = ManualClock::new();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let [first, second] = processes(&format!("load and set {is_batch}"), &shared).await;
        let load = move || async move {
            clock.advance(Duration::from_millis(1));
            second.set("a", "new".into()).await.unwrap();
            Ok::<_, String>("old".to_owned())
        };
        if is_batch {
            let load = Arc::new(std::sync::Mutex::new(Some(load)));
            let load = move |_| {
                let load = load.lock().unwrap().take().unwrap();
                async move { load().await.map(|value| [("a".to_owned(), value)]) }
            };
            let found = first.get_many_or_load(["a"], LoadOptions::new(), load).await.unwrap();
            assert_eq!(found, [Some("old".to_owned())]);
        } else {
            assert_eq!(first.get_or_load("a", load).await.unwrap(), "old", "what it loaded");
        }
        assert_eq!(first.get("a").await.unwrap().as_deref(), Some("new"), "batch: {is_batch}");
        assert_eq!(first.stats().snapshot().fenced, 1);
    }
}

/// A clock on whose wall the time can be set back.
#[derive(Clone, Debug, Default)]
struct SetBack {
    clock: ManualClock,
    by: Arc<AtomicU64>,
}

impl Clock for SetBack {
    fn now(&self) -> Moment {
        self.clock.now()
    }

    fn wall(&self) -> Timestamp {
        let by = self.by.load(Ordering::SeqCst);
        Timestamp::from_micros(self.clock.wall().as_micros() - by)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.clock.sleep(duration)
    }
}

#[tokio::test]
async fn what_is_loaded_lives_from_the_end_of_its_load_even_if_the_clock_goes_back() {
    for set_back in [0, 3_600_000_000] {
        let clock = SetBack::default();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let [first, second] = processes(&format!("set back {set_back}"), &shared).await;
        for value in ["one", "two"] {
            let during = clock.clone();
            let load = move || async move {
                during.clock.advance(Duration::from_secs(20));
                during.by.fetch_add(set_back, Ordering::SeqCst);
                Ok::<_, String>(value.to_owned())
            };
            assert_eq!(first.get_or_load("a", load).await.unwrap(), value);
            clock.clock.advance(Duration::from_millis(9_999));
            assert_eq!(second.get("a").await.unwrap().as_deref(), Some(value));
            clock.clock.advance(Duration::from_millis(1));
            assert_eq!(
                (first.get("a").await.unwrap(), second.get("a").await.unwrap()),
                (None, None)
            );
        }
    }
}
