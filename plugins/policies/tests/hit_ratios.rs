//! Every policy has to reach a hit ratio on small workloads that are made here. The floors lie a
//! little below what the policies reach; a policy that is broken falls through.

use larder_core::PolicyConfig;
use larder_core::policy::{Capacity, Policy};
use larder_policies::{
    ArcConfig, ClockConfig, ClockProConfig, FifoConfig, GdsfConfig, LfuConfig, LirsConfig,
    LruConfig, RandomConfig, S3FifoConfig, SieveConfig, SlruConfig, TinyLfuConfig, TwoQConfig,
    WTinyLfuConfig,
};

mod replay;

const SEED: u64 = 20_260_801;
const ENTRIES: usize = 500;

/// Keys by popularity: the second is asked for half as often as the first, the third a third.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(keys: u32) -> Self {
        let sums = (1..=keys).scan(0.0, |sum, rank| {
            *sum += 1.0 / f64::from(rank);
            Some(*sum)
        });
        Self(sums.collect())
    }

    fn draw(&self, random: &mut fastrand::Rng) -> u32 {
        let at = random.f64() * self.0.last().expect("there are keys");
        u32::try_from(self.0.partition_point(|sum| *sum < at)).expect("there are not so many")
    }
}

/// A loop a tenth larger than the cache.
fn looping() -> Vec<u32> {
    (0..550).cycle().take(20_000).collect()
}

/// A few popular keys and many rare ones.
fn popularity() -> Vec<u32> {
    let (zipf, mut random) = (Zipf::new(20_000), fastrand::Rng::with_seed(SEED));
    (0..50_000).map(|_| zipf.draw(&mut random)).collect()
}

/// The same, mixed with scans of keys that are asked for once.
fn scans() -> Vec<u32> {
    let mut next = 20_000;
    let chunks = popularity();
    let mixed = chunks.chunks(500).flat_map(|chunk| {
        next += 1000;
        chunk.iter().copied().chain(next - 1000..next)
    });
    mixed.collect()
}

/// Popular keys that are others after each 10,000 requests.
fn shifting() -> Vec<u32> {
    let (zipf, mut random) = (Zipf::new(20_000), fastrand::Rng::with_seed(SEED));
    (0..50_000).map(|step| zipf.draw(&mut random) + step / 10_000 * 20_000).collect()
}

/// New keys all the time, each of which is asked for five times within a short while.
fn recency() -> Vec<u32> {
    (400..20_400).flat_map(|key| [key, key - 5, key - 15, key - 30, key - 50]).collect()
}

#[test]
fn a_window_that_adapts_grows_where_recency_counts() {
    let ratio = |adaptive| {
        let make = |capacity: Capacity| -> Box<dyn Policy> {
            let mut config = WTinyLfuConfig::default();
            config.adaptive = adaptive;
            Box::new(config.build(capacity))
        };
        replay::hit_ratio(&make, ENTRIES, &recency())
    };
    let (fixed, adaptive) = (ratio(false), ratio(true));
    assert!(adaptive > fixed + 0.2, "{adaptive:.3} is not much more than {fixed:.3}");
}

/// The hit ratios on the four workloads must be these or better.
#[track_caller]
fn assert_floors<C: PolicyConfig + Default>(floors: [f64; 4]) {
    let workloads = [looping(), popularity(), scans(), shifting()];
    let make = |capacity: Capacity| -> Box<dyn Policy> { Box::new(C::default().build(capacity)) };
    let ratios = workloads.map(|requests| replay::hit_ratio(&make, ENTRIES, &requests));
    let holds = ratios.iter().zip(floors).all(|(ratio, floor)| *ratio >= floor);
    assert!(holds, "{} reaches {ratios:.3?} and not {floors:?}, seed {SEED}", C::KIND);
}

macro_rules! floors {
    ($($policy:ident, $config:ty, $floors:expr;)*) => {
        $(#[test]
        fn $policy() {
            assert_floors::<$config>($floors);
        })*
    };
}

// The loop, popularity, popularity with scans, popularity that shifts.
floors! {
    arc_reaches_its_floors, ArcConfig, [0.0, 0.6, 0.19, 0.55];
    clock_pro_reaches_its_floors, ClockProConfig, [0.86, 0.61, 0.19, 0.55];
    clock_reaches_its_floors, ClockConfig, [0.0, 0.54, 0.12, 0.53];
    fifo_reaches_its_floors, FifoConfig, [0.0, 0.48, 0.12, 0.47];
    gdsf_reaches_its_floors, GdsfConfig, [0.0, 0.57, 0.15, 0.52];
    lfu_reaches_its_floors, LfuConfig, [0.0, 0.6, 0.17, 0.48];
    lirs_reaches_its_floors, LirsConfig, [0.83, 0.59, 0.19, 0.55];
    lru_reaches_its_floors, LruConfig, [0.0, 0.52, 0.12, 0.52];
    random_reaches_its_floors, RandomConfig, [0.75, 0.47, 0.11, 0.47];
    s3_fifo_reaches_its_floors, S3FifoConfig, [0.72, 0.6, 0.16, 0.53];
    sieve_reaches_its_floors, SieveConfig, [0.0, 0.59, 0.19, 0.48];
    slru_reaches_its_floors, SlruConfig, [0.0, 0.6, 0.19, 0.51];
    tinylfu_reaches_its_floors, TinyLfuConfig, [0.81, 0.59, 0.16, 0.52];
    two_q_reaches_its_floors, TwoQConfig, [0.74, 0.58, 0.12, 0.52];
    w_tinylfu_reaches_its_floors, WTinyLfuConfig, [0.74, 0.6, 0.18, 0.5];
}
