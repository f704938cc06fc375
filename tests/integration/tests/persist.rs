//! A memory cache with `persist` over restarts, orderly ones and others.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use std::{env, fs};

use larder::{
    Cache, CacheManager, CacheOptions, ErrorKind, Format, Life, Lookup, ManualClock, MissCause,
    SetOptions,
};
use larder_integration::strings;

const SECOND: Duration = Duration::from_secs(1);

/// A folder, and a clock that goes on over restarts.
struct World {
    folder: tempfile::TempDir,
    clock: ManualClock,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), clock: ManualClock::new() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("deep/users.snapshot")
    }

    fn text(&self, more: &str) -> String {
        format!(
            "[caches.users]\nttl = \"1h\"\nnegative_ttl = \"1h\"\n{more}\n\
             persist = {{ path = '{}', every = \"5m\" }}\n",
            self.path().display()
        )
    }

    async fn start_with(&self, text: &str) -> CacheManager {
        let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
        builder.clock(Arc::new(self.clock.clone())).build().await.unwrap()
    }

    async fn start(&self) -> CacheManager {
        self.start_with(&self.text("backend = \"memory\"")).await
    }
}

fn users(caches: &CacheManager) -> Cache<String, String> {
    caches.cache("users").unwrap()
}

async fn get(cache: &Cache<String, String>, key: &str) -> Option<String> {
    cache.get(key).await.unwrap()
}

#[tokio::test]
async fn entries_come_back_with_the_life_that_they_have_left() {
    let world = World::new();
    let caches = world.start().await;
    let before = users(&caches);
    before.set("plain", "Ada".into()).await.unwrap();
    let short = SetOptions::new().ttl(60 * SECOND);
    before.set_with("short", "Bob".into(), &short).await.unwrap();
    before.set_with("ever", "Cy".into(), &SetOptions::new().ttl(Life::Never)).await.unwrap();
    before.set_negative("nobody").await.unwrap();
    before.set("deleted", "x".into()).await.unwrap();
    before.delete("deleted").await.unwrap();
    world.clock.advance(20 * SECOND);
    caches.close().await.unwrap();
    world.clock.advance(20 * SECOND);

    let caches = world.start().await;
    let after = users(&caches);
    let restored = caches.restored("users").await.unwrap().unwrap();
    assert_eq!((restored.entries, restored.cache.as_str()), (4, "users"));
    assert_eq!(get(&after, "plain").await.as_deref(), Some("Ada"));
    assert_eq!(after.ttl("plain").await.unwrap(), Some(Life::For(3560 * SECOND)));
    assert_eq!(after.ttl("short").await.unwrap(), Some(Life::For(20 * SECOND)));
    assert_eq!(after.ttl("ever").await.unwrap(), Some(Life::Never));
    assert_eq!(after.lookup("nobody").await.unwrap(), Lookup::Negative);
    assert_eq!(get(&after, "deleted").await, None);
    let stats = after.stats().snapshot();
    assert_eq!((stats.restored, stats.snapshot_failures, stats.loads), (4, 0, 0));
    world.clock.advance(20 * SECOND);
    assert_eq!(after.lookup("short").await.unwrap(), Lookup::Miss(MissCause::Expired));
    caches.close().await.unwrap();

    world.clock.advance(3540 * SECOND);
    let caches = world.start().await;
    let after = users(&caches);
    assert_eq!(get(&after, "plain").await, None, "its hour is over");
    assert_eq!(get(&after, "ever").await.as_deref(), Some("Cy"));
    assert_eq!(caches.restored("users").await.unwrap().unwrap().expired, 2);
}

#[tokio::test]
async fn an_idle_life_goes_on_where_it_was_and_is_renewed_by_a_hit() {
    let world = World::new();
    let caches = world.start().await;
    let idle = SetOptions::new().idle_ttl(100 * SECOND);
    for key in ["read", "unread"] {
        users(&caches).set_with(key, "x".into(), &idle).await.unwrap();
    }
    world.clock.advance(40 * SECOND);
    caches.close().await.unwrap();
    world.clock.advance(40 * SECOND);
    let caches = world.start().await;
    let after = users(&caches);
    world.clock.advance(19 * SECOND);
    assert!(get(&after, "read").await.is_some());
    world.clock.advance(SECOND);
    assert_eq!(get(&after, "unread").await, None, "100 s without a hit, over both processes");
    world.clock.advance(90 * SECOND);
    assert!(get(&after, "read").await.is_some());
}

#[tokio::test]
async fn tags_come_back_and_hold_as_before() {
    let world = World::new();
    let caches = world.start().await;
    let before = users(&caches);
    let tag = |tag: &str| SetOptions::new().tag(tag);
    before.set_with("old", "x".into(), &tag("org:1")).await.unwrap();
    before.invalidate_tag("org:1").await.unwrap();
    before.set_with("new", "x".into(), &tag("org:1")).await.unwrap();
    before.set_with("other", "x".into(), &tag("org:2")).await.unwrap();
    before.namespace("eu").unwrap().set("k", "x".into()).await.unwrap();
    caches.close().await.unwrap();

    let caches = world.start().await;
    let after = users(&caches);
    assert_eq!(get(&after, "old").await, None);
    assert!(get(&after, "new").await.is_some());
    after.invalidate_tag("org:1").await.unwrap();
    assert_eq!(get(&after, "new").await, None, "the tag reaches what came back");
    assert!(get(&after, "other").await.is_some());
    assert!(after.namespace("eu").unwrap().get("k").await.unwrap().is_some());
    after.namespace("eu").unwrap().clear().await.unwrap();
    caches.close().await.unwrap();
    let caches = world.start().await;
    assert_eq!(users(&caches).namespace("eu").unwrap().get("k").await.unwrap(), None);
    assert_eq!(users(&caches).keys("*").await.unwrap(), ["other"]);
}

#[tokio::test]
async fn it_is_saved_at_each_interval_and_when_asked_and_not_only_at_the_end() {
    let world = World::new();
    let caches = world.start().await;
    let cache = users(&caches);
    cache.set("a", "Ada".into()).await.unwrap();
    assert!(!world.path().exists());
    let saved = async {
        while !world.path().exists() {
            tokio::task::yield_now().await;
        }
    };
    // The task sleeps once it was polled.
    while world.clock.sleepers() < 2 {
        tokio::task::yield_now().await;
    }
    world.clock.advance(300 * SECOND);
    saved.await;
    cache.set("b", "Bob".into()).await.unwrap();
    assert_eq!(caches.save("users").await.unwrap().entries, 2);
    // Never closed, as if it were killed.
    drop((cache, caches));
    let caches = world.start().await;
    assert_eq!(users(&caches).keys("*").await.unwrap(), ["a", "b"]);
}

#[tokio::test]
async fn a_second_close_does_not_save_the_empty_store() {
    let world = World::new();
    let caches = world.start().await;
    users(&caches).set("a", "Ada".into()).await.unwrap();
    caches.close().await.unwrap();
    caches.close().await.unwrap();
    assert_eq!(caches.save("users").await.unwrap_err().kind(), ErrorKind::Closed);
    let caches = world.start().await;
    assert!(get(&users(&caches), "a").await.is_some());
    caches.remove("users").await.unwrap();
    assert!(world.path().exists());
}

#[tokio::test]
async fn a_cache_that_nobody_opens_leaves_its_file_alone() {
    let world = World::new();
    let caches = world.start().await;
    users(&caches).set("a", "Ada".into()).await.unwrap();
    caches.close().await.unwrap();
    let before = fs::read(world.path()).unwrap();
    let caches = world.start().await;
    let error = caches.save("users").await.unwrap_err();
    assert_eq!(error.message(), "nobody has opened the cache");
    assert_eq!(caches.restored("users").await.unwrap(), None);
    caches.close().await.unwrap();
    assert_eq!(fs::read(world.path()).unwrap(), before);
}

#[tokio::test]
async fn a_program_that_only_looks_leaves_the_file_alone() {
    let world = World::new();
    let caches = world.start().await;
    users(&caches).set("a", "Ada".into()).await.unwrap();
    caches.close().await.unwrap();
    let before = fs::read(world.path()).unwrap();
    let text = world.text("backend = \"memory\"");
    let builder = CacheManager::builder().text("caches.toml", Format::Toml, text);
    let caches = builder.without_persist().build().await.unwrap();
    assert_eq!(get(&users(&caches), "a").await, None);
    assert_eq!(caches.save("users").await.unwrap_err().message(), "the cache has no `persist`");
    caches.close().await.unwrap();
    assert_eq!(fs::read(world.path()).unwrap(), before);
}

#[tokio::test]
async fn types_that_cannot_be_saved_are_refused_with_what_to_do() {
    let world = World::new();
    let caches = world.start().await;
    let error = caches.cache::<&'static str, u32>("users").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("from_text"), "{error}");
    let error = caches.local_cache::<u64, u32>("users", CacheOptions::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(caches.cache::<(u64, String), u32>("users").is_ok());
}

#[tokio::test]
async fn whatever_is_wrong_with_the_file_the_cache_starts_and_no_value_is_wrong() {
    let world = World::new();
    let caches = world.start().await;
    let keys = ["a", "b", "c"];
    for key in keys {
        users(&caches).set(key, format!("value of {key}")).await.unwrap();
    }
    caches.close().await.unwrap();
    let whole = fs::read(world.path()).unwrap();
    let flipped = (0..whole.len() * 8).step_by(5).map(|bit| {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    let cut = (0..whole.len()).map(|length| whole[..length].to_vec());
    let foreign = [b"{}".to_vec(), vec![0; 1000]];
    let mut starts = [0; 4];
    for (number, bytes) in flipped.chain(cut).chain(foreign).enumerate() {
        fs::write(world.path(), bytes).unwrap();
        let caches = world.start().await;
        let cache = users(&caches);
        let mut found = 0;
        for key in keys {
            if let Some(value) = get(&cache, key).await {
                assert_eq!(value, format!("value of {key}"), "{number}");
                found += 1;
            }
        }
        starts[found] += 1;
        let stats = cache.stats().snapshot();
        assert_eq!((stats.snapshot_failures, stats.restored), (1, found as u64), "{number}");
    }
    assert!(starts.iter().all(|count| *count > 0), "cold, and with each part: {starts:?}");
}

#[tokio::test]
async fn a_file_of_other_types_or_another_serializer_is_taken_as_far_as_it_can_be_read() {
    let world = World::new();
    let caches = world.start().await;
    users(&caches).set("1", "Ada".into()).await.unwrap();
    users(&caches).set("x", "Bob".into()).await.unwrap();
    caches.close().await.unwrap();
    let whole = fs::read(world.path()).unwrap();

    let json = world.text("backend = \"memory\"\nserializer = \"json\"");
    let caches = world.start_with(&json).await;
    assert_eq!(users(&caches).keys("*").await.unwrap(), ["1", "x"], "linked, so readable");
    fs::write(world.path(), &whole).unwrap();
    let caches = world.start().await;
    let numbers = caches.cache::<u64, String>("users").unwrap();
    assert_eq!(numbers.get(&1).await.unwrap().as_deref(), Some("Ada"));
    assert_eq!(caches.restored("users").await.unwrap().unwrap().refused, 1);
    assert_eq!(numbers.stats().snapshot().snapshot_failures, 1, "which is told");
    let caches = world.start().await;
    let other = caches.cache::<String, u64>("users").unwrap();
    assert_eq!(other.keys("*").await.unwrap(), Vec::<String>::new());
    assert_eq!(caches.restored("users").await.unwrap().unwrap().refused, 2);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_told_and_the_cache_goes_on() {
    let world = World::new();
    fs::write(world.folder.path().join("deep"), "a file where the folder should be").unwrap();
    let caches = world.start().await;
    let cache = users(&caches);
    cache.set("a", "Ada".into()).await.unwrap();
    assert_eq!(caches.save("users").await.unwrap_err().kind(), ErrorKind::Connection);
    assert!(get(&cache, "a").await.is_some());
    assert_eq!(cache.stats().snapshot().snapshot_failures, 2, "read at the start, and written");
    assert_eq!(caches.close().await.unwrap_err().kind(), ErrorKind::Connection);
}

#[tokio::test]
async fn with_tiers_below_memory_is_filled_from_them_and_not_from_an_old_file() {
    let world = World::new();
    let dir = world.folder.path().join("entries");
    let tiers = format!(
        "l1.backend = \"memory\"\nl2.backend = {{ kind = \"file\", dir = '{}' }}",
        dir.display()
    );
    let text = world.text(&tiers);
    let caches = world.start_with(&text).await;
    let before = users(&caches);
    for key in ["same", "changed", "deleted", "tagged"] {
        before.set_with(key, "old".into(), &SetOptions::new().tag(key)).await.unwrap();
    }
    caches.save("users").await.unwrap();
    before.set("changed", "new".into()).await.unwrap();
    before.delete("deleted").await.unwrap();
    before.invalidate_tag("tagged").await.unwrap();
    // Killed here: the file says what was before.
    drop((before, caches));

    let caches = world.start_with(&text).await;
    let after = users(&caches);
    let restored = caches.restored("users").await.unwrap().unwrap();
    assert_eq!((restored.entries, restored.invalidated), (2, 2));
    fs::remove_dir_all(&dir).unwrap();
    assert_eq!(get(&after, "same").await.as_deref(), Some("old"), "from memory");
    assert_eq!(get(&after, "changed").await.as_deref(), Some("new"), "from memory");
    assert_eq!(after.stats().snapshot().hits, 2, "filling counts as no hit");
    assert_eq!(get(&after, "deleted").await, None);
    assert_eq!(get(&after, "tagged").await, None);
}

#[test]
fn programs_without_a_runtime_are_saved_when_they_close() {
    let world = World::new();
    let text = world.text("backend = \"memory\"");
    let open = || {
        let builder = CacheManager::builder().text("caches.toml", Format::Toml, text.as_str());
        builder.build_blocking().unwrap()
    };
    let caches = open();
    caches.cache::<u64, u64>("users").unwrap().blocking().set(&1, 7).unwrap();
    caches.close_blocking().unwrap();
    assert_eq!(open().cache::<u64, u64>("users").unwrap().blocking().get(&1).unwrap(), Some(7));
}

const KILLED: &str = "LARDER_PERSIST_TEST_PATH";
const ENTRIES: u64 = 500;

/// The value of a key in a round; a mixture of rounds in one file is one of its own.
fn value(round: u64, key: u64) -> String {
    format!("{round}:{key}:{}", "x".repeat(usize::try_from(key * 7919 % 300).unwrap()))
}

fn killed_config(path: &Path) -> String {
    let path = path.display();
    format!("[caches.users]\nbackend = \"memory\"\npersist = {{ path = '{path}' }}\n")
}

/// Not a test by itself: what a child does. Changes everything and saves, until it is killed.
#[tokio::test]
async fn child_saves() {
    let Ok(path) = env::var(KILLED) else { return };
    let text = killed_config(Path::new(&path));
    let caches = CacheManager::from_str(Format::Toml, &text).await.unwrap();
    let cache = caches.cache::<u64, String>("users").unwrap();
    let mut out = std::io::stdout();
    for round in 1.. {
        for key in 0..ENTRIES {
            cache.set(&key, value(round, key)).await.unwrap();
        }
        caches.save("users").await.unwrap();
        writeln!(out, "\nsaved {round}").unwrap();
    }
}

#[test]
fn after_kill_9_the_file_is_that_of_one_whole_save_and_no_older_than_was_said() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.snapshot");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for number in 0..40 {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "child_saves", "--nocapture"])
            .env(KILLED, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let wanted = random.u64(1..8);
        let mut said = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let round = line.unwrap().strip_prefix("saved ").and_then(|it| it.parse().ok());
            said = round.unwrap_or(said).max(said);
            if said == wanted {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let text = killed_config(&path);
        let caches = CacheManager::from_str(Format::Toml, &text);
        let cache = runtime.block_on(caches).unwrap().cache::<u64, String>("users").unwrap();
        assert_eq!(cache.stats().snapshot().snapshot_failures, 0, "{number}");
        let cache = cache.blocking();
        let first = cache.get(&0).unwrap().unwrap();
        let round: u64 = first.split(':').next().unwrap().parse().unwrap();
        assert!(round >= said, "{number}: {round} after {said} was said");
        for key in 0..ENTRIES {
            assert_eq!(cache.get(&key).unwrap(), Some(value(round, key)), "{number}: {key}");
        }
    }
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert!(left <= 2, "at most the file of the last kill is left behind, not {left}");
}

/// Memory over a puppet.
fn over_puppet(world: &World, name: &str) -> String {
    world.text(&format!(
        "l1.backend = \"memory\"\nl2.backend = {{ kind = \"test.puppet\", name = \"{name}\" }}"
    ))
}

/// Lets tasks go on until they wait.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_save_that_waited_while_the_file_was_read_does_not_replace_it_by_a_part() {
    const NAME: &str = "persist-queued";
    let (world, puppet) = (World::new(), strings(NAME));
    let text = over_puppet(&world, NAME);
    let caches = world.start_with(&text).await;
    for key in 0..100 {
        users(&caches).set(key.to_string().as_str(), "x".into()).await.unwrap();
    }
    caches.close().await.unwrap();
    let whole = fs::read(world.path()).unwrap();

    puppet.hang_in("get");
    let caches = world.start_with(&text).await;
    let cache = users(&caches);
    puppet.hangs().await;
    let save = tokio::spawn({
        let caches = caches.clone();
        async move { caches.save("users").await }
    });
    settle().await;
    let close = tokio::spawn({
        let caches = caches.clone();
        async move { caches.close().await }
    });
    settle().await;
    puppet.hang_in(None);
    puppet.go_on.notify_waiters();
    assert_eq!(save.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    close.await.unwrap().unwrap();
    assert!(fs::read(world.path()).unwrap() == whole, "the file is as it was");
    drop(cache);
    let caches = world.start_with(&text).await;
    users(&caches);
    assert_eq!(caches.restored("users").await.unwrap().unwrap().entries, 100);
}

#[tokio::test]
async fn who_closes_at_the_same_time_does_not_empty_the_store_before_it_is_saved() {
    const NAME: &str = "persist-closed-twice";
    let (world, puppet) = (World::new(), strings(NAME));
    let text = over_puppet(&world, NAME);
    let caches = world.start_with(&text).await;
    users(&caches).set("a", "x".into()).await.unwrap();
    caches.close().await.unwrap();

    puppet.hang_in("get");
    let caches = world.start_with(&text).await;
    let cache = users(&caches);
    puppet.hangs().await;
    cache.set("b", "x".into()).await.unwrap();
    let close = || {
        let caches = caches.clone();
        tokio::spawn(async move { caches.close().await })
    };
    let (first, second) = (close(), close());
    settle().await;
    puppet.hang_in(None);
    puppet.go_on.notify_waiters();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    let caches = world.start_with(&text).await;
    users(&caches);
    assert_eq!(caches.restored("users").await.unwrap().unwrap().entries, 2);
}

#[tokio::test]
async fn a_tier_that_is_down_at_the_start_costs_no_file() {
    const NAME: &str = "persist-down";
    let (world, puppet) = (World::new(), strings(NAME));
    let text = over_puppet(&world, NAME);
    let caches = world.start_with(&text).await;
    for key in ["a", "b"] {
        users(&caches).set(key, "x".into()).await.unwrap();
    }
    caches.close().await.unwrap();
    let whole = fs::read(world.path()).unwrap();

    puppet.fails.store(true, SeqCst);
    let caches = world.start_with(&text).await;
    let cache = users(&caches);
    assert_eq!(caches.restored("users").await.unwrap(), None);
    puppet.fails.store(false, SeqCst);
    assert_eq!(cache.stats().snapshot().snapshot_failures, 1, "which is told");
    cache.set("c", "x".into()).await.unwrap();
    let error = caches.save("users").await.unwrap_err();
    assert_eq!(error.message(), "the file was not read to its end");
    caches.close().await.unwrap();
    assert_eq!(fs::read(world.path()).unwrap(), whole);

    let caches = world.start_with(&text).await;
    users(&caches);
    let restored = caches.restored("users").await.unwrap().unwrap();
    assert_eq!((restored.entries, restored.invalidated), (2, 0));
}
