//! Many threads at once.

use larder_core::backend::InProcess;
use larder_core::clock::Clock;
use larder_core::serde_json::json;
use std::time::Duration;

use super::{POLICIES, entries, fixture, policy, steps};
use crate::options::Insert;
use crate::outcome::Lookup;

#[test]
fn threads_never_see_a_foreign_value_and_leave_the_books_in_order() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    for (descriptor, options) in POLICIES
        .map(|policy| (policy, json!({})))
        .into_iter()
        .chain([(&larder_policies::LRU, json!({ "strict": true }))])
    {
        let policy = policy(descriptor, options);
        let in_process = InProcess::new(entries(200), policy).shards(Some(4));
        let store = fixture::<u64, (u64, u64)>(in_process);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let store = &store;
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(seed ^ thread);
                    for step in 0..u64::from(steps(4000)) {
                        let key = random.u64(..400);
                        match random.u32(..20) {
                            0..=10 => {
                                if let Lookup::Hit((owner, _)) = store.get(&key) {
                                    assert_eq!(owner, key);
                                }
                            }
                            11..=16 => {
                                let life = Duration::from_nanos(random.u64(..100));
                                let deadline = store.clock.now().after(life);
                                let insert = Insert::default().deadline(Some(deadline));
                                store.insert(key, (key, step), insert).unwrap();
                            }
                            17 => drop(store.remove(&key)),
                            18 => store.clock.advance(Duration::from_nanos(1)),
                            _ => drop(store.sweep(3)),
                        }
                        // Each thread may have one entry on its way in.
                        assert!(store.len() <= 200 + 4);
                    }
                });
            }
        });
        store.check();
    }
}
