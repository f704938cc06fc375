//! How long what left a store stays alive. Alone in its process, as the look-ups of other tests
//! would put reclaiming off.

use std::sync::Arc;

use larder_core::SystemClock;
use larder_core::backend::InProcess;
use larder_core::plugin::Factory;
use larder_core::policy::Capacity;
use larder_core::serde_json::json;
use larder_store::{Insert, Store, StoreOptions};

#[test]
fn no_more_than_a_sixteenth_is_kept_alive_beyond_the_capacity() {
    let Factory::Policy(factory) = larder_policies::FIFO.factory else {
        panic!("it is a policy");
    };
    for capacity in [1, 10, 160, 1600] {
        let limit = Capacity { entries: Some(capacity), weight: None };
        let in_process = InProcess::new(limit, factory.build(json!({})).unwrap());
        let options = StoreOptions::new(in_process.shards(Some(1)), SystemClock::shared());
        let store: Store<u64, Arc<()>> = Store::new(options);
        let value = Arc::new(());
        let capacity = usize::try_from(capacity).unwrap();
        for key in 0..20_000 {
            store.insert(key, Arc::clone(&value), Insert::default()).unwrap();
            let extra = Arc::strong_count(&value) - 1 - store.len();
            assert!(extra <= (capacity / 16).max(1) + 1, "{extra} beyond {capacity} are alive");
        }
        store.sweep(0);
        assert_eq!(Arc::strong_count(&value) - 1, capacity);
        store.clear();
        store.sweep(usize::MAX);
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
