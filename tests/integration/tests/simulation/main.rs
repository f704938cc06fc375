//! Several processes with caches over one shared tier, in virtual time: random operations, links
//! that break, loaders that hang, processes that die. What the caches answer is compared with a
//! model of what they may answer, see [`history`].
//!
//! Everything runs on one thread and follows from a seed, which a failure names. `LARDER_SEED=…`
//! repeats a run, `LARDER_SOAK=1` makes many.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use self::history::Bounds;
use self::network::{Network, Sabotage};
use self::world::{KEYS, Layout, Node, Promises, World, breathe, change_links, while_time_passes};

mod history;
mod network;
mod world;

/// Networks have a number of their own.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// How long the outage of a link may be noticed after it ended.
const HEALED: u64 = 120_000;

const MEMORY: &str = "l1.backend = { kind = \"memory\", capacity = 3 }\nl1.ttl = \"1s\"";

/// What is done about loads that fail or are slow, and before they are due.
const RESILIENCE: &str = "refresh_ahead = 0.5\nresilience.soft_timeout = \"50ms\"\n\
                          resilience.stale_for = \"3s\"\nresilience.stale_retry = \"100ms\"";

fn layout(tiers: &str, nodes: usize, stale: u64) -> Layout {
    let resilience = if stale > 0 { RESILIENCE } else { "" };
    let config = format!(
        "[caches.values]\nttl = \"5s\"\nresilience.hard_timeout = \"1s\"\nallow = [\"W0401\"]\n\
         {resilience}\n{tiers}\n"
    );
    // A value may be on its way for as long as two calls of a tier take, and lives on from there.
    let in_flight = 4_000;
    let (coherence, outage) = (1_000 + stale + in_flight, 5_000 + stale + in_flight);
    let bounds = Bounds { coherence, outage, stale, in_flight };
    let promises = Promises { leases: true, recovery: true };
    Layout { config, nodes, bounds, promises, has_faults: true, sabotage: Sabotage::None }
}

fn layouts() -> Vec<Layout> {
    let shared = |tier: &str| format!("{tier}.backend = {{network}}");
    let tiers = format!("{MEMORY}\n{}", shared("l2"));
    vec![
        layout(MEMORY, 1, 0),
        layout(&shared("l1"), 2, 0),
        layout(&tiers, 2, 0),
        layout(&tiers, 3, 0),
        layout(MEMORY, 1, 3_000),
        layout(&tiers, 2, 3_000),
    ]
}

/// Runs a simulation; what happened in it as one number, or what was wrong.
fn run(seed: u64, layout: &Layout, steps: usize) -> Result<u64, String> {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let number = NUMBER.fetch_add(1, SeqCst);
    let world = World::new(number, seed, layout.clone());
    let outcome = runtime.block_on(async {
        let mut nodes = Vec::new();
        for node in 0..layout.nodes {
            nodes.push(world.start(node).await);
        }
        let mut history = DefaultHasher::new();
        for step in 0..steps {
            let node = world.draw(layout.nodes as u64) as usize;
            match world.draw(100) {
                0 if layout.has_faults => {
                    nodes[node].kill(&world, node).await;
                    nodes[node] = world.start(node).await;
                }
                1..5 if layout.has_faults => change_links(&world),
                5..25 => world.advance(1 + world.draw(100)),
                25 => world.advance(world.draw(3_000)),
                26..60 => nodes[node].begin(&world, node),
                _ => tokio::task::yield_now().await,
            }
            let hits = nodes[node].cache.stats().snapshot().hits;
            (world.network.len(), hits).hash(&mut history);
            if let Some(failure) = world.failure() {
                return Err(format!("step {step}: {failure}\n{}", world.story()));
            }
        }
        heal(&world, &mut nodes).await;
        match world.failure() {
            Some(failure) => Err(format!("in the end: {failure}\n{}", world.story())),
            None => Ok(history.finish()),
        }
    });
    Network::end(number);
    outcome
}

/// After all is well again every node answers what the shared tier holds, and nothing is undone.
async fn heal(world: &World, nodes: &mut [Node]) {
    for node in 0..nodes.len() {
        world.network.set_link(node, network::Link::Up);
    }
    for node in &mut *nodes {
        node.settle(world).await;
    }
    for _ in 0..HEALED / 1_000 {
        world.advance(1_000);
        breathe().await;
    }
    for (key, name) in KEYS.iter().enumerate() {
        for (number, node) in nodes.iter().enumerate() {
            let question = world.history().ask(number, key);
            if let Ok(Some(value)) = while_time_passes(world, node.cache.get(*name)).await {
                if world.history().is_undone(value) {
                    world.fail(format_args!("I6: {name} of node {number} is undone: {question:?}"));
                }
                if world.network.peek(name).is_none() && nodes.len() > 1 {
                    world.fail(format_args!("I6: only node {number} has {name}"));
                }
            }
        }
    }
    // Keys, markers of tags, and what Larder keeps for itself.
    if world.network.len() > KEYS.len() + 8 {
        world.fail(format_args!("I8: {} entries in the shared tier", world.network.len()));
    }
}

fn seed() -> (u64, u64) {
    let chosen = std::env::var("LARDER_SEED").ok().map(|seed| seed.parse().unwrap());
    let rounds = if std::env::var_os("LARDER_SOAK").is_some() { 5_000 } else { 8 };
    let seed = chosen.unwrap_or_else(|| fastrand::u64(..));
    (seed, rounds)
}

#[test]
fn no_node_answers_what_it_must_not() {
    let (first, rounds) = seed();
    for round in 0..rounds {
        let seed = first.wrapping_add(round);
        for layout in layouts() {
            if let Err(failure) = run(seed, &layout, 2_000) {
                panic!("LARDER_SEED={seed} {failure}\n{}", layout.config);
            }
        }
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let seed = fastrand::u64(..);
    for layout in layouts() {
        let run = || run(seed, &layout, 1_000);
        assert_eq!(run(), run(), "LARDER_SEED={seed}\n{}", layout.config);
    }
}

/// A model that finds nothing proves nothing.
#[test]
fn a_server_that_does_not_do_what_it_says_is_noticed() {
    for sabotage in [Sabotage::LosesDeletes, Sabotage::FillsWithoutLease] {
        let layout = Layout { sabotage, ..layouts().swap_remove(2) };
        let notices = |seed| run(seed, &layout, 2_000).is_err();
        assert!((0..200).any(notices), "{sabotage:?} was not noticed");
    }
}
