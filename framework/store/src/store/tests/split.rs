//! Values of two kinds, kept without a tag.

use std::sync::Arc;

use larder_core::backend::InProcess;
use larder_core::clock::ManualClock;
use larder_core::serde_json::json;

use super::{entries, policy, steps};
use crate::keep::{Held, Seen, Split};
use crate::options::{Insert, StoreOptions};
use crate::store::Store;

type Kinds = Held<Arc<u32>, (u32, Arc<u32>)>;

#[test]
fn values_of_two_kinds_come_back_as_they_were_and_are_dropped_once() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let policy = policy(&larder_policies::S3_FIFO, json!({}));
    let in_process = InProcess::new(entries(30), policy).shards(Some(1));
    let options = StoreOptions::new(in_process, Arc::new(ManualClock::new()));
    let store: Store<u32, Kinds, Split> = Store::new(options);
    let alive = Arc::new(0);
    for _ in 0..steps(5000) {
        let key = random.u32(..50);
        match random.u32(..10) {
            0..=2 => {
                store.insert(key, Held::Plain(Arc::clone(&alive)), Insert::default()).unwrap();
            }
            3..=5 => {
                let other = Held::Other(Box::new((key, Arc::clone(&alive))));
                store.insert(key, other, Insert::default()).unwrap();
            }
            6 => drop(store.remove(&key)),
            7 => drop(store.touch_with(&key, None, |value| {
                *value = Held::Other(Box::new((key, Arc::clone(&alive))));
            })),
            _ => {
                let is_right = store.get_with(&key, |seen| match seen {
                    Seen::Plain(value) => Arc::ptr_eq(value, &alive),
                    Seen::Other((owner, value)) => *owner == key && Arc::ptr_eq(value, &alive),
                });
                assert_ne!(is_right, Ok(false));
            }
        }
        store.check();
    }
    drop(store);
    assert_eq!(Arc::strong_count(&alive), 1);
}
