//! Entries carried from one cache to another.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use larder::{
    Cache, CacheManager, CacheOptions, ErrorKind, Format, ImportMode, Imported, Life, Lookup,
    ManualClock, MissCause, SetOptions, SnapshotFile,
};
use larder_integration::strings;

const SECOND: Duration = Duration::from_secs(1);

async fn manager(text: &str, clock: &ManualClock) -> CacheManager {
    CacheManager::builder()
        .text("caches.toml", Format::Toml, text)
        .clock(Arc::new(clock.clone()))
        .build()
        .await
        .unwrap()
}

/// Two caches of each kind.
fn caches(dir: &Path) -> String {
    let cache = |name: &str| {
        let file = |tier| format!("{{ kind = \"file\", dir = '{}' }}", dir.join(tier).display());
        let (alone, below) = (file(format!("{name}-alone")), file(format!("{name}-below")));
        format!(
            "[caches.memory-{name}]\nttl = \"1h\"\nbackend = \"memory\"\n\
             [caches.file-{name}]\nttl = \"1h\"\nbackend = {alone}\n\
             [caches.both-{name}]\nttl = \"1h\"\n\
             l1.backend = \"memory\"\nl2.backend = {below}\n"
        )
    };
    ["one", "two"].map(cache).concat()
}

async fn world() -> (CacheManager, ManualClock, tempfile::TempDir) {
    let (dir, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
    (manager(&caches(dir.path()), &clock).await, clock, dir)
}

type Texts = Cache<String, String>;

async fn export(cache: &Texts) -> Vec<u8> {
    cache.export(Vec::new()).await.unwrap().1
}

async fn import(cache: &Texts, bytes: &[u8], mode: ImportMode) -> Imported {
    cache.import(Cursor::new(bytes.to_vec()), mode).await.unwrap()
}

#[tokio::test]
async fn entries_of_any_cache_go_into_any_other() {
    for from in ["memory-one", "file-one", "both-one"] {
        for to in ["memory-two", "file-two", "both-two"] {
            let (caches, clock, _dir) = world().await;
            let (one, two): (Texts, Texts) =
                (caches.cache(from).unwrap(), caches.cache(to).unwrap());
            one.set("plain", "Ada".into()).await.unwrap();
            let tagged = SetOptions::new().ttl(90 * SECOND).tag("org:1");
            one.set_with("tagged", "Bob".into(), &tagged).await.unwrap();
            one.set_with("gone", "x".into(), &SetOptions::new().tag("org:2")).await.unwrap();
            one.invalidate_tag("org:2").await.unwrap();
            one.set_with("brief", "x".into(), &SetOptions::new().ttl(5 * SECOND)).await.unwrap();
            clock.advance(2 * SECOND);
            let bytes = export(&one).await;
            clock.advance(8 * SECOND);
            let imported = import(&two, &bytes, ImportMode::KeepNewer).await;
            assert_eq!((imported.entries, imported.expired), (2, 1), "{from} to {to}");
            assert_eq!(imported.cache, from);
            assert_eq!(two.keys("*").await.unwrap(), ["plain", "tagged"], "{from} to {to}");
            assert_eq!(two.get("plain").await.unwrap().as_deref(), Some("Ada"));
            assert_eq!(two.get("tagged").await.unwrap().as_deref(), Some("Bob"));
            assert_eq!(two.ttl("tagged").await.unwrap(), Some(Life::For(80 * SECOND)));
            two.invalidate_tag("org:1").await.unwrap();
            assert_eq!(two.get("tagged").await.unwrap(), None, "{from} to {to}");
            assert!(one.get("tagged").await.unwrap().is_some(), "{from} to {to}");
        }
    }
}

#[tokio::test]
async fn what_is_newer_stays_unless_it_is_to_be_replaced() {
    for name in ["memory-one", "file-one", "both-one"] {
        let (caches, clock, _dir) = world().await;
        let cache: Texts = caches.cache(name).unwrap();
        cache.set("changed", "old".into()).await.unwrap();
        cache.set("deleted", "old".into()).await.unwrap();
        let bytes = export(&cache).await;
        clock.advance(SECOND);
        cache.set("changed", "new".into()).await.unwrap();
        cache.delete("deleted").await.unwrap();
        let kept = import(&cache, &bytes, ImportMode::KeepNewer).await;
        assert_eq!((kept.entries, kept.older), (1, 1), "{name}");
        assert_eq!(cache.get("changed").await.unwrap().as_deref(), Some("new"), "{name}");
        assert_eq!(cache.get("deleted").await.unwrap().as_deref(), Some("old"), "{name}");
        let replaced = import(&cache, &bytes, ImportMode::Replace).await;
        assert_eq!((replaced.entries, replaced.older), (2, 0), "{name}");
        assert_eq!(cache.get("changed").await.unwrap().as_deref(), Some("old"), "{name}");
    }
}

#[tokio::test]
async fn a_tag_that_was_invalidated_since_keeps_its_entries_out() {
    for name in ["memory-one", "file-one", "both-one"] {
        let (caches, clock, _dir) = world().await;
        let cache: Texts = caches.cache(name).unwrap();
        for (key, tag) in [("a", "org:1"), ("b", "org:2")] {
            cache.set_with(key, "x".into(), &SetOptions::new().tag(tag)).await.unwrap();
        }
        let bytes = export(&cache).await;
        cache.invalidate_tag("org:1").await.unwrap();
        clock.advance(SECOND);
        cache.delete("b").await.unwrap();
        let imported = import(&cache, &bytes, ImportMode::Replace).await;
        assert_eq!((imported.entries, imported.invalidated), (1, 1), "{name}");
        let looked = cache.lookup("a").await.unwrap();
        assert!(matches!(looked, Lookup::Miss(MissCause::Tag)), "{name}: {looked:?}");
        assert!(cache.get("b").await.unwrap().is_some(), "{name}");
    }
}

#[tokio::test]
async fn a_tag_of_a_time_that_has_not_come_keeps_its_entries_out() {
    for to in ["memory-two", "file-two"] {
        let (ahead, clock, _dir) = world().await;
        clock.advance(3600 * SECOND);
        let from: Texts = ahead.cache("file-one").unwrap();
        from.set_with("tagged", "x".into(), &SetOptions::new().tag("t")).await.unwrap();
        from.set("plain", "x".into()).await.unwrap();
        let (caches, _, _dir) = world().await;
        let to: Texts = caches.cache(to).unwrap();
        let imported = import(&to, &export(&from).await, ImportMode::KeepNewer).await;
        assert_eq!((imported.entries, imported.invalidated), (1, 1));
        assert!(to.get("plain").await.unwrap().is_some());
    }
}

#[tokio::test]
async fn only_keys_that_match_are_exported_and_no_marker_of_a_tag() {
    for name in ["memory-one", "file-one"] {
        let (caches, _, _dir) = world().await;
        let cache: Texts = caches.cache(name).unwrap();
        for key in ["user:1", "user:2", "order:1"] {
            cache.set_with(key, "x".into(), &SetOptions::new().tag("t")).await.unwrap();
        }
        assert_eq!(cache.export(Vec::new()).await.unwrap().0.entries, 3, "{name}");
        let (exported, bytes) = cache.export_matching("user:*", Vec::new()).await.unwrap();
        assert_eq!((exported.entries, exported.skipped), (2, 0), "{name}");
        cache.clear().await.unwrap();
        import(&cache, &bytes, ImportMode::KeepNewer).await;
        assert_eq!(cache.keys("*").await.unwrap(), ["user:1", "user:2"], "{name}");
    }
}

#[tokio::test]
async fn many_and_large_entries_pass_through_in_parts() {
    let (caches, _, dir) = world().await;
    let (one, two): (Texts, Texts) =
        (caches.cache("file-one").unwrap(), caches.cache("memory-two").unwrap());
    for key in 0..300 {
        let value = "x".repeat(key * 37);
        one.set(key.to_string().as_str(), value).await.unwrap();
    }
    let path = dir.path().join("one.snapshot");
    let (exported, file) = one.export(SnapshotFile::create(&path).unwrap()).await.unwrap();
    file.commit().unwrap();
    assert_eq!(exported.entries, 300);
    let file = std::fs::File::open(&path).unwrap();
    assert_eq!(two.import(file, ImportMode::KeepNewer).await.unwrap().entries, 300);
    for key in 0..300 {
        let value = two.get(key.to_string().as_str()).await.unwrap();
        assert_eq!(value.map(|value| value.len()), Some(key * 37));
    }
}

#[tokio::test]
async fn damage_stops_an_import_and_says_where_and_after_how_much() {
    for name in ["memory", "file"] {
        let (caches, _, _dir) = world().await;
        let one: Texts = caches.cache(&format!("{name}-one")).unwrap();
        let two: Texts = caches.cache(&format!("{name}-two")).unwrap();
        for key in ["a", "b", "c"] {
            one.set(key, "x".repeat(100)).await.unwrap();
        }
        let mut bytes = export(&one).await;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        let error = two.import(Cursor::new(bytes), ImportMode::KeepNewer).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Serialization, "{error}");
        assert_eq!(error.context("record"), Some("2"), "{error}");
        assert_eq!(error.context("imported"), Some("1"), "{error}");
        assert_eq!(two.keys("*").await.unwrap().len(), 1);
        let foreign = two.import(Cursor::new(b"{}"), ImportMode::Replace).await.unwrap_err();
        assert_eq!(foreign.message(), "this is no snapshot");
    }
}

#[tokio::test]
async fn a_cache_takes_what_it_can_and_counts_the_rest() {
    let (clock, dir) = (ManualClock::new(), tempfile::tempdir().unwrap());
    let file = format!("{{ kind = \"file\", dir = '{}' }}", dir.path().display());
    let text = format!(
        "[caches.from]\nbackend = \"memory\"\n\
         [caches.small]\nmax_value_size = \"10B\"\nbackend = \"memory\"\n\
         [caches.files]\nmax_value_size = \"10B\"\nbackend = {file}\n\
         [caches.full]\nbackend = {{ kind = \"memory\", capacity = 1, on_full = \"reject\" }}\n"
    );
    let caches = manager(&text, &clock).await;
    let from: Texts = caches.cache("from").unwrap();
    from.set("large", "x".repeat(100)).await.unwrap();
    from.set("1", "x".into()).await.unwrap();
    let bytes = export(&from).await;
    for name in ["small", "files", "full"] {
        let imported = import(&caches.cache(name).unwrap(), &bytes, ImportMode::Replace).await;
        assert_eq!((imported.entries, imported.refused), (1, 1), "{name}");
    }
    let numbers = caches.cache::<u64, String>("from");
    assert!(numbers.is_err(), "it has other types");
}

#[tokio::test]
async fn caches_that_cannot_be_copied_say_why() {
    let text = "[caches.a]\nbackend = \"memory\"\n[caches.b]\nbackend = \"memory\"\n\
                [caches.c]\nl1.backend = \"memory\"\n\
                l2.backend = { kind = \"test.puppet\", name = \"copied\" }\n";
    let caches = manager(text, &ManualClock::new()).await;
    let local = caches.local_cache::<u64, u64>("a", CacheOptions::new()).unwrap();
    local.set(&1, 1).await.unwrap();
    let error = local.export(Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("has no serde"), "{error}");

    let unread = caches.cache::<&'static str, u64>("b").unwrap();
    unread.set(&"k", 1).await.unwrap();
    let bytes = unread.export(Vec::new()).await.unwrap().1;
    let error = unread.import(Cursor::new(bytes), ImportMode::Replace).await.unwrap_err();
    assert!(error.to_string().contains("from_text"), "{error}");

    let failing: Texts = caches.cache("c").unwrap();
    failing.set("k", "x".into()).await.unwrap();
    strings("copied").fails.store(true, SeqCst);
    assert_eq!(failing.export(Vec::new()).await.unwrap_err().kind(), ErrorKind::Connection);
    caches.close().await.ok();
    assert_eq!(local.export(Vec::new()).await.unwrap_err().kind(), ErrorKind::Closed);
    let nothing = Cursor::new(Vec::new());
    let error = local.import(nothing, ImportMode::Replace).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

#[test]
fn without_a_runtime_a_copy_is_made_on_this_thread() {
    let text = "[caches.a]\nbackend = \"memory\"";
    let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
    let caches = builder.build_blocking().unwrap();
    let cache = caches.cache::<u64, u64>("a").unwrap().blocking();
    cache.set(&1, 7).unwrap();
    let (exported, bytes) = cache.export(Vec::new()).unwrap();
    assert_eq!(exported.entries, 1);
    cache.clear().unwrap();
    assert_eq!(cache.import(Cursor::new(bytes), ImportMode::KeepNewer).unwrap().entries, 1);
    assert_eq!(cache.get(&1).unwrap(), Some(7));
}

/// Stops at its first byte until the test goes on.
struct Stuck {
    is_stuck: Option<std::sync::mpsc::Sender<()>>,
    go_on: std::sync::mpsc::Receiver<()>,
}

impl std::io::Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if let Some(is_stuck) = self.is_stuck.take() {
            is_stuck.send(()).unwrap();
            self.go_on.recv().unwrap();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_writer_that_is_slow_holds_up_nobody() {
    for name in ["memory-one", "file-one"] {
        let (caches, _, _dir) = world().await;
        let cache: Texts = caches.cache(name).unwrap();
        for key in 0..100 {
            cache.set(key.to_string().as_str(), "x".repeat(10_000)).await.unwrap();
        }
        let (is_stuck, stuck) = std::sync::mpsc::channel();
        let (goes_on, go_on) = std::sync::mpsc::channel();
        let writer = Stuck { is_stuck: Some(is_stuck), go_on };
        let copied = cache.clone();
        let export = tokio::spawn(async move { copied.export(writer).await.unwrap().0 });
        tokio::task::spawn_blocking(move || stuck.recv().unwrap()).await.unwrap();
        for key in 0..100 {
            let key = key.to_string();
            assert!(cache.get(key.as_str()).await.unwrap().is_some());
            cache.set(key.as_str(), "new".into()).await.unwrap();
        }
        goes_on.send(()).unwrap();
        assert_eq!(export.await.unwrap().entries, 100, "{name}");
    }
}

#[test]
fn an_export_takes_no_more_memory_than_a_few_entries_do() {
    let text = "[caches.a]\nbackend = \"memory\"";
    let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
    let caches = builder.build_blocking().unwrap();
    let cache = caches.cache::<u64, String>("a").unwrap().blocking();
    for key in 0..3000 {
        cache.set(&key, "x".repeat(10_000)).unwrap();
    }
    let mut exported = 0;
    let measured = allocation_counter::measure(|| {
        exported = cache.export(std::io::sink()).unwrap().0.entries;
    });
    assert_eq!(exported, 3000);
    assert!(measured.bytes_max < 2 << 20, "of 30 MB: {}", measured.bytes_max);
}

#[test]
fn an_export_of_a_tier_takes_no_more_memory_than_a_few_entries_do() {
    let dir = tempfile::tempdir().unwrap();
    let text =
        format!("[caches.a]\nbackend = {{ kind = \"file\", dir = '{}' }}", dir.path().display());
    let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
    let caches = builder.build_blocking().unwrap();
    let cache = caches.cache::<u64, String>("a").unwrap().blocking();
    for key in 0..40 {
        cache.set(&key, "x".repeat(1 << 20)).unwrap();
    }
    let mut exported = 0;
    let measured = allocation_counter::measure(|| {
        exported = cache.export(std::io::sink()).unwrap().0.entries;
    });
    assert_eq!(exported, 40);
    assert!(measured.bytes_max < 16 << 20, "of 40 MiB: {}", measured.bytes_max);
}

#[tokio::test]
async fn an_import_that_is_dropped_half_way_leaves_no_two_values() {
    let text = "[caches.users]\nl1.backend = \"memory\"\n\
                l2.backend = { kind = \"test.puppet\", name = \"import-dropped\" }\n";
    let puppet = strings("import-dropped");
    let cache: Texts = manager(text, &ManualClock::new()).await.cache("users").unwrap();
    for key in ["a", "b"] {
        cache.set(key, "old".into()).await.unwrap();
    }
    let bytes = export(&cache).await;
    for key in ["a", "b"] {
        cache.set(key, "new".into()).await.unwrap();
    }
    puppet.hang_in("set");
    let task = tokio::spawn({
        let cache = cache.clone();
        async move { import(&cache, &bytes, ImportMode::Replace).await }
    });
    puppet.hangs().await;
    puppet.go_on.notify_one();
    puppet.hangs().await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(cache.get("a").await.unwrap().as_deref(), Some("old"), "it was imported");
    assert_eq!(cache.get("b").await.unwrap().as_deref(), Some("new"), "it was not");
}

/// Notes how much it is given at once at most.
struct Largest(usize);

impl std::io::Write for Largest {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.max(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_export_of_memory_collects_bytes_and_not_entries() {
    let (caches, _, _dir) = world().await;
    let cache: Texts = caches.cache("memory-one").unwrap();
    for key in 0..64 {
        cache.set(key.to_string().as_str(), "x".repeat(200 << 10)).await.unwrap();
    }
    let (exported, largest) = cache.export(Largest(0)).await.unwrap();
    assert_eq!(exported.entries, 64);
    assert!(largest.0 < 512 << 10, "{} bytes of values of 200 KiB", largest.0);
}
