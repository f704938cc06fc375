//! Random operations on a cache against a model that says which answers are allowed.
//!
//! A cache may always miss. It must never return a value that was overwritten, deleted, cleared,
//! invalidated or expired before the read began. Operations run as tasks of one thread in an order
//! that the seed decides, over a backend that sometimes fails. `LARDER_SOAK=1` makes it long,
//! `LARDER_SEED=…` repeats a run.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::collections::BTreeSet;
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fastrand::Rng;
use larder::{Cache, CacheManager, Format, ManualClock, SetOptions};
use larder_integration::{Strings, strings};

const KEYS: [&str; 4] = ["a:1", "a:2", "b:1", "b:2"];
const TAGS: [&str; 2] = ["t", "u"];

type Values = Cache<String, u64>;

/// One value that some call tried to store.
#[derive(Clone, Debug)]
struct Written {
    key: usize,
    tag: Option<usize>,
    /// From when on it must not be returned: the end of a call that undid it.
    undone: Option<u64>,
    /// When the call that stores it, or its load, began.
    began: u64,
    /// When that call ended; nobody may undo it for good before.
    ended: Option<u64>,
    deadline: Option<u64>,
}

/// What is known of all values; the value is the index. Time is counted in events.
#[derive(Debug, Default)]
struct Model {
    event: u64,
    seconds: u64,
    written: Vec<Written>,
}

impl Model {
    fn now(&mut self) -> u64 {
        self.event += 1;
        self.event
    }

    fn write(&mut self, key: usize, tag: Option<usize>, deadline: Option<u64>) -> u64 {
        let began = self.now();
        self.written.push(Written { key, tag, undone: None, began, ended: None, deadline });
        self.written.len() as u64 - 1
    }

    fn end_write(&mut self, value: u64) {
        let now = self.now();
        self.written[value as usize].ended = Some(now);
    }

    /// A call that began at `began` has ended and undid what matches: what was stored, or loaded,
    /// before it began. Of what ran beside it nothing is known.
    fn undo(&mut self, began: u64, matches: impl Fn(&Written) -> bool) {
        let now = self.now();
        for written in self.written.iter_mut().filter(|written| written.undone.is_none()) {
            if written.ended.is_some_and(|ended| ended < began) && matches(written) {
                written.undone = Some(now);
            }
        }
    }

    /// A loaded value is undone by a change that began after the load did, even if it is stored
    /// later: that is what the fence is for.
    fn undo_loads(
        &mut self,
        began: u64,
        loading: &BTreeSet<u64>,
        matches: impl Fn(&Written) -> bool,
    ) {
        let now = self.now();
        for &value in loading {
            let written = &mut self.written[value as usize];
            if written.undone.is_none() && written.began < began && matches(written) {
                written.undone = Some(now);
            }
        }
    }

    fn check(&self, key: usize, value: u64, began: u64, seconds: u64) -> Result<(), String> {
        let written = &self.written[value as usize];
        let is_undone = written.undone.is_some_and(|undone| undone < began);
        let is_over = written.deadline.is_some_and(|deadline| deadline <= seconds);
        if written.key != key || is_undone || is_over {
            return Err(format!("read of {key} at {began}/{seconds}s got {value}: {written:?}"));
        }
        Ok(())
    }
}

/// What all tasks of a run share.
struct World {
    model: Mutex<Model>,
    loading: Mutex<BTreeSet<u64>>,
    clock: ManualClock,
    puppets: Vec<Arc<Strings>>,
    /// How often a puppet began or ended to fail.
    turns: AtomicU64,
}

impl World {
    /// Which turn it is; `None` while a puppet fails.
    fn quiet(&self) -> Option<u64> {
        let fails = self.puppets.iter().any(|puppet| puppet.fails.load(SeqCst));
        (!fails).then(|| self.turns.load(SeqCst))
    }

    /// A tier that failed meanwhile may keep what a call undid, so then nothing is known.
    fn undo(&self, (began, quiet): (u64, Option<u64>), matches: impl Fn(&Written) -> bool) {
        if quiet.is_none() || quiet != self.quiet() {
            return;
        }
        let mut model = self.model.lock().unwrap();
        model.undo(began, &matches);
        model.undo_loads(began, &self.loading.lock().unwrap(), &matches);
    }

    fn began(&self) -> (u64, u64) {
        let mut model = self.model.lock().unwrap();
        (model.now(), model.seconds)
    }
}

type Step = Pin<Box<dyn Future<Output = Result<(), String>>>>;

/// Waits a random number of polls, as a slow loader does.
async fn dawdle(polls: u32) {
    let mut left = polls;
    std::future::poll_fn(|_| {
        left = left.saturating_sub(1);
        if left == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

async fn set(world: Arc<World>, values: Values, key: usize, tag: Option<usize>, ttl: u64) {
    let value = {
        let mut model = world.model.lock().unwrap();
        let deadline = (ttl > 0).then(|| model.seconds + ttl);
        model.write(key, tag, deadline)
    };
    let mut options = SetOptions::new();
    if let Some(tag) = tag {
        options = options.tag(TAGS[tag]);
    }
    if ttl > 0 {
        options = options.ttl(Duration::from_secs(ttl));
    }
    let began = (world.model.lock().unwrap().written[value as usize].began, world.quiet());
    if values.set_with(KEYS[key], value, &options).await.is_ok() {
        world.undo(began, |written| written.key == key);
    }
    world.model.lock().unwrap().end_write(value);
}

async fn load(
    world: Arc<World>,
    values: Values,
    key: usize,
    tag: Option<usize>,
    polls: u32,
) -> Result<(), String> {
    let (began, seconds) = world.began();
    let inner = Arc::clone(&world);
    let loader = move || async move {
        let value = inner.model.lock().unwrap().write(key, tag, None);
        inner.loading.lock().unwrap().insert(value);
        dawdle(polls).await;
        Ok::<_, String>(value)
    };
    let options = tag.map_or_else(SetOptions::new, |tag| SetOptions::new().tag(TAGS[tag]));
    let Ok(value) = values.get_or_load_with(KEYS[key], options, loader).await else {
        return Ok(());
    };
    let mut model = world.model.lock().unwrap();
    let checked = model.check(key, value, began, seconds);
    if world.loading.lock().unwrap().remove(&value) {
        model.end_write(value);
    }
    checked
}

async fn get(world: Arc<World>, values: Values, key: usize) -> Result<(), String> {
    let (began, seconds) = world.began();
    match values.get(KEYS[key]).await {
        Ok(Some(value)) => world.model.lock().unwrap().check(key, value, began, seconds),
        _ => Ok(()),
    }
}

async fn get_many(world: Arc<World>, values: Values) -> Result<(), String> {
    let (began, seconds) = world.began();
    let found = values.get_many(KEYS).await.unwrap_or_default();
    let model = world.model.lock().unwrap();
    let found = found.into_iter().enumerate();
    found
        .filter_map(|(key, value)| Some((key, value?)))
        .try_for_each(|(key, value)| model.check(key, value, began, seconds))
}

async fn remove(world: Arc<World>, values: Values, choice: u8, key: usize) -> Result<(), String> {
    let began = (world.began().0, world.quiet());
    match choice {
        0 if values.delete(KEYS[key]).await.is_ok() => world.undo(began, |old| old.key == key),
        1 if values.clear().await.is_ok() => world.undo(began, |_| true),
        2 if values.delete_pattern("a:*").await.is_ok() => world.undo(began, |old| old.key < 2),
        3 if values.invalidate_tag(TAGS[key % 2]).await.is_ok() => {
            world.undo(began, |old| old.tag == Some(key % 2));
        }
        _ => {}
    }
    Ok(())
}

/// A random operation.
fn step(world: &Arc<World>, values: &Values, rng: &mut Rng) -> Step {
    let (world, values) = (Arc::clone(world), values.clone());
    let (key, tag) = (rng.usize(..KEYS.len()), rng.usize(..4));
    let tag = (tag < TAGS.len()).then_some(tag);
    match rng.u8(..20) {
        0..4 => {
            let ttl = rng.u64(..4);
            Box::pin(async move {
                set(world, values, key, tag, ttl).await;
                Ok(())
            })
        }
        4..9 => Box::pin(load(world, values, key, tag, rng.u32(..20))),
        9..14 => Box::pin(get(world, values, key)),
        14 => Box::pin(get_many(world, values)),
        15 | 16 => Box::pin(remove(world, values, 0, key)),
        17 => Box::pin(remove(world, values, 1 + rng.u8(..2), key)),
        18 => Box::pin(remove(world, values, 3, key)),
        19 if rng.bool() => {
            let (puppet, fails) = (rng.usize(..world.puppets.len()), rng.u8(..3) == 0);
            world.puppets[puppet].fails.store(fails, SeqCst);
            world.turns.fetch_add(1, SeqCst);
            Box::pin(async { Ok(()) })
        }
        _ => Box::pin(async move {
            let mut model = world.model.lock().unwrap();
            model.seconds += 1;
            world.clock.advance(Duration::from_secs(1));
            Ok(())
        }),
    }
}

fn open(world: &World, seed: u64, text: &str) -> (CacheManager, Values) {
    let builder = CacheManager::builder().text("caches.toml", Format::Toml, text).seed(seed);
    let manager = builder.clock(Arc::new(world.clock.clone())).build_blocking().unwrap();
    let values = manager.cache("values").unwrap();
    (manager, values)
}

/// Runs operations side by side, polled in random order, outside of any runtime. Everything follows
/// from the seed: what the caches draw themselves comes from the generator of this thread. Returns
/// what every step of the run came to, as one number.
fn run(seed: u64, text: &str, puppets: &[&str], steps: usize) -> u64 {
    fastrand::seed(seed);
    let mut rng = Rng::with_seed(seed);
    let mut history = DefaultHasher::new();
    let puppets = puppets.iter().map(|name| strings(name)).collect();
    let (model, loading) = (Mutex::default(), Mutex::default());
    let world = Arc::new(World {
        model,
        loading,
        clock: ManualClock::new(),
        puppets,
        turns: AtomicU64::new(0),
    });
    for puppet in &world.puppets {
        puppet.entries.lock().unwrap().clear();
        puppet.yields.store(true, SeqCst);
        puppet.fails.store(false, SeqCst);
    }
    let (mut manager, mut values) = open(&world, seed, text);
    let mut tasks: Vec<Step> = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    for number in 0..steps {
        if tasks.len() < 6 {
            tasks.push(step(&world, &values, &mut rng));
        }
        // Restarts happen when nothing runs, as what a process had begun is not known to the next.
        if rng.u16(..400) == 0 {
            tasks.clear();
            forget_unfinished(&world);
            // Versions are times: no process starts within the microsecond the last one ended in.
            world.model.lock().unwrap().seconds += 1;
            world.clock.advance(Duration::from_secs(1));
            end(&world, &manager);
            (manager, values) = open(&world, seed, text);
            continue;
        }
        let index = rng.usize(..tasks.len());
        let polled = tasks[index].as_mut().poll(&mut context);
        (index, polled.is_ready(), values.stats().snapshot().hits).hash(&mut history);
        if let Poll::Ready(outcome) = polled {
            drop(tasks.swap_remove(index));
            outcome.unwrap_or_else(|error| {
                panic!("LARDER_SEED={seed}, step {number}: {error}\n{text}")
            });
        }
    }
    history.finish()
}

/// Ends a process in order: what it could not tell its tiers yet, it tells them.
fn end(world: &World, manager: &CacheManager) {
    world.puppets.iter().for_each(|puppet| puppet.fails.store(false, SeqCst));
    world.turns.fetch_add(1, SeqCst);
    let mut close = std::pin::pin!(manager.close());
    let mut context = Context::from_waker(Waker::noop());
    while close.as_mut().poll(&mut context).is_pending() {}
}

/// What was dropped half-way may be stored or not.
fn forget_unfinished(world: &World) {
    let mut model = world.model.lock().unwrap();
    let now = model.now();
    for written in model.written.iter_mut().filter(|written| written.ended.is_none()) {
        written.ended = Some(now);
    }
    world.loading.lock().unwrap().clear();
}

/// One config for each arrangement of tiers.
fn texts() -> Vec<String> {
    let tier = |number: u8| {
        format!("l{number}.backend = {{ kind = \"test.puppet\", name = \"model-{number}\" }}\n")
    };
    let memory = "[caches.values]\nl1.backend = { kind = \"memory\", capacity = 3 }\n";
    let alone = format!("[caches.values]\n{}", tier(1));
    let two = format!("{memory}{}", tier(2));
    let three = format!("{two}{}", tier(3));
    vec![memory.to_owned(), two, three, alone]
}

const PUPPETS: [&str; 3] = ["model-1", "model-2", "model-3"];

/// Puppets have their names for all tests of a process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[test]
fn the_same_seed_is_the_same_run() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let seed = fastrand::u64(..);
    for text in texts() {
        let run = || run(seed, &text, &PUPPETS, 3000);
        assert_eq!(run(), run(), "LARDER_SEED={seed}\n{text}");
    }
}

#[test]
fn no_answer_is_older_than_what_was_done_before_the_question() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let first = std::env::var("LARDER_SEED").ok().map(|seed| seed.parse().unwrap());
    let rounds = if std::env::var_os("LARDER_SOAK").is_some() { 2000 } else { 20 };
    let texts = texts();
    let start = first.unwrap_or_else(|| fastrand::u64(..));
    println!("LARDER_SEED={start}");
    for round in 0..rounds {
        for text in &texts {
            run(start.wrapping_add(round), text, &PUPPETS, 1500);
        }
    }
}
