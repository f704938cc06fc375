//! Spans and events: every name is in the table, and a hit has none.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder::{CacheManager, Format, ManualClock};
use larder_core::telemetry;
use larder_integration::{strings, until};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Writes down the names of spans and events of Larder.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<Vec<String>>>);

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl<S: tracing::Subscriber> Layer<S> for Names {
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        _: &tracing::span::Id,
        _: Context<'_, S>,
    ) {
        if attributes.metadata().target() == telemetry::TARGET {
            self.0.lock().unwrap().push(attributes.metadata().name().to_owned());
        }
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == telemetry::TARGET {
            let mut message = Message(String::new());
            event.record(&mut message);
            self.0.lock().unwrap().push(message.0);
        }
    }
}

impl Names {
    fn take(&self) -> BTreeSet<String> {
        self.0.lock().unwrap().drain(..).collect()
    }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn every_step_is_heard_of_and_a_hit_is_not() {
    let names = Names::default();
    let subscriber = tracing_subscriber::registry().with(names.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let puppet = strings("heard");
        let text = "[reload]\nwatch = true\n[caches.users]\nl1.backend = \"memory\"\n\
                    l2.backend = { kind = \"test.puppet\", name = \"heard\" }\n";
        let manager = CacheManager::from_str(Format::Toml, text).await.unwrap();
        let built =
            ["config.load", "cache.build", "manager.start", "cache.ready", "config.warning"];
        assert_eq!(names.take(), set(&built));

        let users = manager.cache::<u64, String>("users").unwrap();
        users.set(&1, "Ada".into()).await.unwrap();
        users.get(&1).await.unwrap();
        users.get(&2).await.unwrap();
        assert_eq!(names.take(), set(&[]), "neither on a hit nor on a plain miss");

        users.get_or_load(&3, || async { Err::<String, _>("away") }).await.unwrap_err();
        assert_eq!(names.take(), set(&["cache.load", "load.failed"]));

        puppet.fails.store(true, SeqCst);
        users.get(&4).await.unwrap();
        assert_eq!(names.take(), set(&["tier.failed"]));
        users.set(&5, "x".into()).await.unwrap();
        assert_eq!(names.take(), set(&["tier.failed", "store.failed", "recovery.pending"]));
        manager.ttl_manager().cleanup();
        assert_eq!(names.take(), set(&["ttl.sweep"]));
        manager.close().await.unwrap_err();
        let closed = ["manager.close", "tier.failed", "close.failed", "recovery.lost"];
        assert_eq!(names.take(), set(&closed));
    });
}

#[test]
fn what_cannot_be_kept_or_read_is_heard_of() {
    let names = Names::default();
    let subscriber = tracing_subscriber::registry().with(names.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("users");
    let text =
        format!("[caches.users]\nbackend = {{ kind = \"file\", dir = '{}' }}\n", root.display());
    // Without a runtime files are read on this thread, where the names are written down.
    let open = || {
        let builder = CacheManager::builder().text("caches.toml", Format::Toml, text.as_str());
        builder.build_blocking().unwrap()
    };
    let texts = open().cache::<u64, String>("users").unwrap().blocking();
    texts.set(&1, "not a number".into()).unwrap();
    texts.set(&2, "Ada".into()).unwrap();
    let load = || {
        texts.delete(&3).unwrap();
        Ok::<_, String>("loaded before the delete".to_owned())
    };
    names.take();
    texts.get_or_load(&3, load).unwrap();
    assert_eq!(names.take(), set(&["cache.load", "load.fenced"]));

    let numbers = open().cache::<u64, u64>("users").unwrap().blocking();
    names.take();
    assert_eq!(numbers.get(&1).unwrap(), None);
    assert_eq!(names.take(), set(&["decode.failed"]));

    let below = |folder: PathBuf| {
        let items = std::fs::read_dir(folder).unwrap();
        items.map(|item| item.unwrap().path()).collect::<Vec<_>>()
    };
    let epochs = below(root.join("v1/d"));
    for file in epochs.into_iter().flat_map(below).flat_map(below) {
        std::fs::write(file, b"damaged").unwrap();
    }
    assert_eq!(texts.get(&2).unwrap(), None);
    assert_eq!(names.take(), set(&["file.corrupt"]));
}

#[test]
fn what_becomes_of_the_file_of_a_cache_is_heard_of() {
    let names = Names::default();
    let subscriber = tracing_subscriber::registry().with(names.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("users.snapshot");
    let text =
        format!("[caches.users]\nbackend = \"memory\"\npersist.path = '{}'\n", path.display());
    let builder = CacheManager::builder().text("caches.toml", Format::Toml, text.as_str());
    let caches = builder.build_blocking().unwrap();
    names.take();
    caches.cache::<u64, u64>("users").unwrap();
    assert_eq!(names.take(), set(&["cache.restored"]), "nothing, as there is no file yet");
    std::fs::create_dir(&path).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(caches.save("users")).unwrap_err();
    assert_eq!(names.take(), set(&["save.failed"]));

    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, b"damaged").unwrap();
    let builder = CacheManager::builder().text("caches.toml", Format::Toml, text.as_str());
    let caches = builder.build_blocking().unwrap();
    names.take();
    caches.cache::<u64, u64>("users").unwrap();
    caches.cache::<u64, u64>("users").unwrap();
    let heard: Vec<String> = names.0.lock().unwrap().drain(..).collect();
    assert_eq!(heard, ["restore.failed"], "once");
}

#[test]
fn what_a_breaker_and_a_replay_do_is_heard_of() {
    let names = Names::default();
    let subscriber = tracing_subscriber::registry().with(names.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (clock, puppet) = (ManualClock::new(), strings("breaks"));
        let text = "[caches.users]\nbackend = { kind = \"test.puppet\", name = \"breaks\" }\n";
        let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
        let manager = builder.clock(Arc::new(clock.clone())).build().await.unwrap();
        let users = manager.cache::<u64, String>("users").unwrap();
        puppet.fails.store(true, SeqCst);
        names.take();
        for key in 0..5 {
            users.get(&key).await.unwrap();
        }
        assert_eq!(names.take(), set(&["tier.failed", "breaker.open"]));
        for pattern in 0..256 {
            users.delete_pattern(&format!("{pattern}*")).await.unwrap();
        }
        assert_eq!(names.take(), set(&["recovery.pending"]), "no event for each skipped call");
        users.delete_pattern("256*").await.unwrap();
        assert_eq!(names.take(), set(&["recovery.overflow"]));
        puppet.fails.store(false, SeqCst);
        let mut heard = BTreeSet::new();
        until("the replay", || {
            clock.advance(Duration::from_secs(1));
            heard.append(&mut names.take());
            heard.contains("breaker.closed")
        })
        .await;
        assert_eq!(heard, set(&["breaker.half_open", "recovery.done", "breaker.closed"]));
    });
}

#[test]
fn a_clock_that_is_ahead_is_heard_of_once() {
    let names = Names::default();
    let subscriber = tracing_subscriber::registry().with(names.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let text = "[caches.users]\nbackend = { kind = \"test.puppet\", name = \"ahead\" }\n";
        let manager = CacheManager::from_str(Format::Toml, text).await.unwrap();
        let users = manager.cache::<u64, String>("users").unwrap();
        users.set(&1, "Ada".into()).await.unwrap();
        let puppet = strings("ahead");
        for entry in puppet.entries.lock().unwrap().values_mut() {
            entry.meta.stamp.time = entry.meta.stamp.time.after(Duration::from_secs(3600));
        }
        names.take();
        users.get(&1).await.unwrap().unwrap();
        assert_eq!(names.take(), set(&["clock.drift"]));
        users.get(&1).await.unwrap().unwrap();
        assert_eq!(names.take(), set(&[]), "the same writer is not reported again");
    });
}

#[test]
fn the_table_in_the_docs_has_every_name() {
    let table = include_str!("../../../docs/telemetry.md");
    for (name, description) in telemetry::ALL {
        assert!(
            table.contains(&format!("`{name}`")),
            "docs/telemetry.md lacks `{name}`: {description}"
        );
    }
}
