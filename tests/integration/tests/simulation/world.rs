//! The nodes of a simulation and what they do: random operations over links that fail.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use larder::{Cache, CacheManager, Clock, Format, ManualClock, Result, SetOptions};
use tokio::task::{JoinHandle, yield_now};

use super::history::{Bounds, Change, History, Question, Source, Value};
use super::network::{Link, Network, Sabotage};

pub(crate) const KEYS: [&str; 4] = ["a:1", "a:2", "b:1", "b:2"];
const TAGS: [&str; 2] = ["t", "u"];

/// What the caches of a simulation are expected to do for more than themselves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Promises {
    /// A load under a lease on one node is fenced off by changes on another one.
    pub(crate) leases: bool,
    /// A change that did not reach a tier is made up for before that tier is used again.
    pub(crate) recovery: bool,
}

/// What a simulation is made of.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// The options of the cache, with `{network}` where the shared tier stands.
    pub(crate) config: String,
    pub(crate) nodes: usize,
    pub(crate) bounds: Bounds,
    pub(crate) promises: Promises,
    /// Whether links break and loaders hang.
    pub(crate) has_faults: bool,
    pub(crate) sabotage: Sabotage,
}

/// What all tasks share.
pub(crate) struct World {
    pub(crate) layout: Layout,
    pub(crate) network: Arc<Network>,
    pub(crate) clock: ManualClock,
    number: u64,
    seed: u64,
    history: Mutex<History>,
    rng: Mutex<fastrand::Rng>,
    failure: Mutex<Option<String>>,
    /// What happened lately, to be shown with a failure.
    log: Mutex<VecDeque<String>>,
}

/// How many lines of what happened lead to a failure, as a rule.
const LINES: usize = 60;

/// A process: a manager of its own, and what runs in it.
pub(crate) struct Node {
    pub(crate) cache: Cache<String, u64>,
    _manager: CacheManager,
    tasks: Vec<JoinHandle<()>>,
}

impl World {
    pub(crate) fn new(number: u64, seed: u64, layout: Layout) -> Arc<Self> {
        let network = Network::new(number, layout.nodes, seed, layout.sabotage);
        Arc::new(Self {
            clock: network.clock.clone(),
            network,
            number,
            seed,
            history: Mutex::default(),
            rng: Mutex::new(fastrand::Rng::with_seed(seed)),
            failure: Mutex::default(),
            log: Mutex::default(),
            layout,
        })
    }

    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn draw(&self, below: u64) -> u64 {
        self.rng.lock().unwrap().u64(..below)
    }

    /// Remembers what happened.
    pub(crate) fn note(&self, what: impl fmt::Display) {
        let mut log = self.log.lock().unwrap();
        if log.len() == LINES {
            log.pop_front();
        }
        let now = self.clock.now().as_nanos() / 1_000_000;
        log.push_back(format!("{now:>6} {what}"));
    }

    /// What happened lately.
    pub(crate) fn story(&self) -> String {
        Vec::from(self.log.lock().unwrap().clone()).join("\n")
    }

    /// The first thing that was wrong.
    pub(crate) fn fail(&self, what: impl fmt::Display) {
        self.failure.lock().unwrap().get_or_insert_with(|| what.to_string());
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap().clone()
    }

    /// Moves the time on, by at most what is between two faults.
    pub(crate) fn advance(&self, millis: u64) {
        let mut history = self.history();
        history.now += millis;
        if self.network.quiet().is_none() {
            history.last_fault = Some(history.now);
        }
        drop(history);
        self.clock.advance(Duration::from_millis(millis));
    }

    pub(crate) async fn start(&self, node: usize) -> Node {
        let network =
            format!("{{ kind = \"test.network\", number = {}, node = {node} }}", self.number);
        let config = self.layout.config.replace("{network}", &network);
        let builder = CacheManager::builder().text("caches.toml", Format::Toml, config);
        let clock = Arc::new(self.clock.clone());
        let manager = builder.clock(clock).seed(self.seed).build().await.unwrap();
        Node { cache: manager.cache("values").unwrap(), _manager: manager, tasks: Vec::new() }
    }

    /// Lets others run, and now and then some time pass.
    async fn dawdle(&self, longest: u64) {
        for _ in 0..self.draw(6) {
            yield_now().await;
        }
        if self.draw(3) == 0 {
            let millis = 1 + self.draw(longest);
            self.clock.sleep(Duration::from_millis(millis)).await;
        }
    }
}

impl Node {
    /// Begins a random operation on this node.
    pub(crate) fn begin(&mut self, world: &Arc<World>, node: usize) {
        self.tasks.retain(|task| !task.is_finished());
        if self.tasks.len() < 4 {
            let (world, cache) = (Arc::clone(world), self.cache.clone());
            self.tasks.push(tokio::spawn(async move { operate(&world, &cache, node).await }));
        }
    }

    /// Lets all that runs end, while time passes.
    pub(crate) async fn settle(&mut self, world: &World) {
        for _ in 0..2000 {
            self.tasks.retain(|task| !task.is_finished());
            if self.tasks.is_empty() {
                return;
            }
            breathe().await;
            world.advance(50);
        }
        world.fail(format_args!("{} operations hang", self.tasks.len()));
    }

    /// The process ends in the middle of what it does.
    pub(crate) async fn kill(&self, world: &World, node: usize) {
        world.note(format_args!("{node}: dies"));
        world.network.kill(node);
        for task in &self.tasks {
            task.abort();
        }
        breathe().await;
        world.history().restart(node);
    }
}

/// Lets everything run that can.
pub(crate) async fn breathe() {
    for _ in 0..40 {
        yield_now().await;
    }
}

/// Waits for something while time passes.
pub(crate) async fn while_time_passes<F: Future>(world: &World, future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| {
        let polled = future.as_mut().poll(context);
        if polled.is_pending() {
            world.advance(1);
            context.waker().wake_by_ref();
        }
        polled
    })
    .await
}

/// One operation.
async fn operate(world: &Arc<World>, cache: &Cache<String, u64>, node: usize) {
    let key = world.draw(KEYS.len() as u64) as usize;
    match world.draw(20) {
        0..4 => set(world, cache, (node, key)).await,
        4..10 => load(world, cache, (node, key)).await,
        10..14 => get(world, cache, (node, key)).await,
        14 => get_many(world, cache, node).await,
        _ => remove(world, cache, (node, key)).await,
    }
}

/// A tag for about half of the values.
fn some_tag(world: &World) -> Option<usize> {
    let tag = world.draw(4) as usize;
    (tag < TAGS.len()).then_some(tag)
}

fn options(tag: Option<usize>) -> SetOptions {
    tag.map_or_else(SetOptions::new, |tag| SetOptions::new().tag(TAGS[tag]))
}

async fn set(world: &World, cache: &Cache<String, u64>, (node, key): (usize, usize)) {
    let tag = some_tag(world);
    let ttl = Some(200 + world.draw(4000)).filter(|_| world.draw(2) == 0);
    let running = Running::begin(world, cache, node);
    let value = world.history().make((node, key), tag, Source::Set, ttl);
    let options = options(tag);
    let options = match ttl {
        Some(ttl) => options.ttl(Duration::from_millis(ttl)),
        None => options,
    };
    world.note(format_args!("{node}: set {}={value} {options:?}", KEYS[key]));
    let outcome = cache.set_with(KEYS[key], value, &options).await;
    world.note(format_args!("{node}: has set {}={value}: {outcome:?}", KEYS[key]));
    if outcome.is_ok() {
        running.acknowledge(|old| old.key == key);
    }
    drop(running);
    world.history().end(value);
}

async fn load(world: &Arc<World>, cache: &Cache<String, u64>, (node, key): (usize, usize)) {
    let tag = some_tag(world);
    let question = world.history().ask(node, key);
    let inner = Arc::clone(world);
    let loader = move || async move {
        let _running = Loading::begin(&inner, question, tag);
        let is_leased = inner.layout.promises.leases && inner.network.has_lease(node, KEYS[key]);
        let value = inner.history().make((node, key), tag, Source::Load { is_leased }, None);
        inner.note(format_args!("{node}: loads {}={value} with {tag:?}", KEYS[key]));
        let can_hang = inner.layout.has_faults;
        match inner.draw(16) {
            0 if can_hang => std::future::pending().await,
            1 if can_hang => return Err("the source is away"),
            _ => inner.dawdle(300).await,
        }
        Ok(value)
    };
    let outcome = cache.get_or_load_with(KEYS[key], options(tag), loader).await;
    world.note(format_args!("{node}: got or loaded {}: {outcome:?}", KEYS[key]));
    if let Ok(value) = outcome {
        check(world, question, value);
        world.history().end(value);
    }
}

async fn get(world: &World, cache: &Cache<String, u64>, (node, key): (usize, usize)) {
    let question = world.history().ask(node, key);
    let outcome = cache.get(KEYS[key]).await;
    world.note(format_args!("{node}: got {}: {outcome:?}", KEYS[key]));
    if let Ok(Some(value)) = outcome {
        check(world, question, value);
    }
}

async fn get_many(world: &World, cache: &Cache<String, u64>, node: usize) {
    let questions: Vec<_> = (0..KEYS.len()).map(|key| world.history().ask(node, key)).collect();
    let answers = cache.get_many(KEYS).await.unwrap_or_default();
    world.note(format_args!("{node}: got {answers:?}"));
    for (question, answer) in questions.into_iter().zip(answers) {
        if let Some(value) = answer {
            check(world, question, value);
        }
    }
}

async fn remove(world: &World, cache: &Cache<String, u64>, (node, key): (usize, usize)) {
    let running = Running::begin(world, cache, node);
    let (name, tag) = (KEYS[key], key % 2);
    let (what, outcome): (_, Result<()>) = match world.draw(8) {
        0 => ("clear", cache.clear().await),
        1 => ("delete a:*", cache.delete_pattern("a:*").await.map(drop)),
        2 | 3 => (TAGS[tag], cache.invalidate_tag(TAGS[tag]).await),
        _ => (name, cache.delete(name).await.map(drop)),
    };
    world.note(format_args!("{node}: undid {what}: {outcome:?}"));
    if outcome.is_ok() {
        running.acknowledge(|old| match what {
            "clear" => true,
            "delete a:*" => old.key < 2,
            what if what == name => old.key == key,
            _ => old.tag == Some(tag),
        });
    }
}

fn check(world: &World, question: Question, value: u64) {
    let checked = world.history().check(question, value, &world.layout.bounds);
    if let Err(violation) = checked {
        world.fail(violation);
    }
}

/// Whether no tier is left alone, or has yet to hear of a change.
fn is_in_order(cache: &Cache<String, u64>) -> bool {
    let tiers = cache.stats().snapshot().tiers;
    let is_used = |breaker: &str| ["closed", "off"].contains(&breaker);
    tiers.iter().all(|tier| tier.pending == 0 && is_used(&tier.breaker))
}

/// A change that runs.
struct Running<'a> {
    world: &'a World,
    cache: &'a Cache<String, u64>,
    change: Change,
    quiet: Option<u64>,
}

impl<'a> Running<'a> {
    fn begin(world: &'a World, cache: &'a Cache<String, u64>, node: usize) -> Self {
        // Stamps are times: what follows on another node must not share its instant.
        world.advance(1);
        let quiet = world.network.quiet().filter(|_| is_in_order(cache));
        Self { world, cache, change: world.history().begin_change(node), quiet }
    }

    /// The change succeeded. While a link is not up, or the shared tier has yet to be told of a
    /// change, that counts only if the cache promises to make up for it.
    fn acknowledge(&self, matches: impl Fn(&Value) -> bool) {
        let was_quiet = self.quiet.is_some()
            && self.quiet == self.world.network.quiet()
            && is_in_order(self.cache);
        if was_quiet || self.world.layout.promises.recovery {
            self.world.history().end_change(self.change, was_quiet, matches);
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.world.history().forget_change();
    }
}

/// A loader that runs.
struct Loading {
    world: Arc<World>,
    question: Question,
}

impl Loading {
    fn begin(world: &Arc<World>, question: Question, tag: Option<usize>) -> Self {
        if let Err(violation) = world.history().begin_load(question, tag) {
            world.fail(violation);
        }
        Self { world: Arc::clone(world), question }
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        self.world.history().end_load(self.question);
    }
}

/// Breaks a link, or mends one.
pub(crate) fn change_links(world: &World) {
    let node = world.draw(world.layout.nodes as u64) as usize;
    let link = match world.draw(6) {
        0 => Link::Down,
        1 => Link::BlackHole,
        2 => Link::Deaf,
        _ => Link::Up,
    };
    if link != Link::Up {
        let now = world.history().now;
        world.history().last_fault = Some(now);
    }
    world.note(format_args!("{node}: the link is {link:?}"));
    world.network.set_link(node, link);
}
