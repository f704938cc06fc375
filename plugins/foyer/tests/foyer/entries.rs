//! Single entries, and many at a time.

use std::collections::HashMap;

use larder_core::ErrorKind;
use larder_core::entry::Wrappers;
use tokio::task::JoinSet;

use super::*;

#[tokio::test]
async fn an_entry_comes_back_with_all_its_meta() {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let backend = open_at(&dir, &clock).await;
    let entry = Entry {
        value: Bytes::from_static(b"value"),
        meta: EntryMeta {
            stamp: Stamp { time: clock.wall(), origin: 7 },
            epoch: 9,
            soft_deadline: Some(clock.wall().after(Duration::from_secs(30))),
            hard_deadline: Some(clock.wall().after(Duration::from_secs(60))),
            load_cost: Duration::from_millis(3),
            tags: vec![TagStamp { tag: 1, version: 2 }, TagStamp { tag: 3, version: 4 }],
            negative: true,
            tombstone: true,
            format: 2,
            wrappers: Wrappers::new(&[4, 1]).unwrap(),
        },
    };
    backend.set("a", entry.clone()).await.unwrap();
    assert_eq!(get(&backend, "a").await, Some(entry));
    assert_eq!(get(&backend, "b").await, None);
}

#[tokio::test]
async fn after_its_hard_deadline_an_entry_is_gone() {
    let (_outer, dir) = temporary();
    let clock = ManualClock::new();
    let backend = open_at(&dir, &clock).await;
    let mut mortal = entry(b"value");
    mortal.meta.soft_deadline = Some(clock.wall().after(Duration::from_secs(5)));
    mortal.meta.hard_deadline = Some(clock.wall().after(Duration::from_secs(10)));
    backend.set("a", mortal.clone()).await.unwrap();
    clock.advance(Duration::from_secs(9));
    assert_eq!(get(&backend, "a").await, Some(mortal));
    clock.advance(Duration::from_secs(1));
    assert_eq!(get(&backend, "a").await, None);
    assert!(!backend.delete("a").await.unwrap());
}

#[tokio::test]
async fn a_delete_tells_whether_there_was_an_entry() {
    let (_outer, dir) = temporary();
    let backend = open(&dir).await;
    set(&backend, "a", b"value").await;
    assert!(backend.delete("a").await.unwrap());
    assert!(!backend.delete("a").await.unwrap());
    assert_eq!(get(&backend, "a").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_deleted_while_it_is_written_stays_deleted() {
    let (_outer, dir) = temporary();
    let backend = open(&dir).await;
    for round in 0..500 {
        let key = round.to_string();
        set(&backend, &key, &[7; 5000]).await;
        backend.delete(&key).await.unwrap();
        assert_eq!(get(&backend, &key).await, None, "round {round}");
    }
    backend.flush().await.unwrap();
    for round in 0..500 {
        assert_eq!(get(&backend, &round.to_string()).await, None, "round {round}");
    }
}

#[tokio::test]
async fn an_entry_that_is_too_large_is_refused_and_the_old_one_is_gone() {
    let (_outer, dir) = temporary();
    let backend = open(&dir).await;
    let most = 508 * 1024 - 400;
    set(&backend, "a", &vec![1; most]).await;
    backend.flush().await.unwrap();
    assert!(get(&backend, "a").await.is_some(), "this one still fits");
    let error = backend.set("a", entry(&vec![2; most + 400])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capacity);
    assert!(error.to_string().contains("max_bytes"), "{error}");
    assert_eq!(get(&backend, "a").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_last_value_is_returned_whatever_is_evicted_and_dropped() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (_outer, dir) = temporary();
    let backend = open(&dir).await;
    let mut last = HashMap::new();
    let mut hits = 0;
    for number in 0..20_000 {
        let key = random.u64(..2000);
        match random.u8(..10) {
            0 => {
                backend.delete(&key.to_string()).await.unwrap();
                last.remove(&key);
            }
            1..5 => {
                backend.set(&key.to_string(), numbered(number)).await.unwrap();
                last.insert(key, number);
            }
            _ => {
                if let Some(found) = get(&backend, &key.to_string()).await {
                    assert_eq!(Some(&number_of(&found)), last.get(&key), "{number}");
                    hits += 1;
                }
            }
        }
    }
    assert!(hits > 2000, "only {hits} hits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_at_the_same_time_do_not_mix_values_up() {
    let (_outer, dir) = temporary();
    let backend = Arc::new(open(&dir).await);
    let mut tasks = JoinSet::new();
    for task in 0..8_u64 {
        let backend = Arc::clone(&backend);
        tasks.spawn(async move {
            for round in 0..500 {
                // Two tasks share each key, and every number tells whose it is.
                let key = (task / 2 * 16 + round % 16).to_string();
                backend.set(&key, numbered(round * 8 + task)).await.unwrap();
                if let Some(found) = get(&backend, &key).await {
                    let number = number_of(&found);
                    assert_eq!(number % 8 / 2, task / 2, "of another key");
                    assert!(number % 8 != task || number / 8 == round, "an old value");
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_writes_is_not_dropped() {
    let (_outer, dir) = temporary();
    let mut config = config(&dir);
    config.max_bytes = ByteSize(64 * MIB);
    let backend = build(config).await.unwrap();
    for key in 0..8000_u64 {
        set(&backend, &key.to_string(), &[7; 1000]).await;
    }
    let mut there = 0;
    for key in 0..8000_u64 {
        there += u64::from(get(&backend, &key.to_string()).await.is_some());
    }
    assert_eq!(there, 8000);
}
