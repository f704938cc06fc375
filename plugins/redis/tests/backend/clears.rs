//! Generations: clears, what they leave behind, and servers that forget.

use std::time::Duration;

use larder_core::Backend;
use larder_core::backend::{Lease, ScanRequest};

use crate::{Site, entry, until};

const TEN_SECONDS: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_clear_touches_no_key_of_anybody_else() {
    let site = Site::new();
    let (users, orders) = (site.open("users:").await, site.open("users:eu:").await);
    site.server.cli(&["SET", "ldr1:e:users:else", "somebody else's"]);
    users.set("42", entry("a user")).await.unwrap();
    orders.set("42", entry("an order")).await.unwrap();
    users.clear().await.unwrap();
    assert_eq!(users.get("42").await.unwrap(), None);
    until("what was cleared is gone", || users.swept() == 1).await;
    assert_eq!(orders.get("42").await.unwrap(), Some(entry("an order")));
    assert_eq!(site.server.cli(&["GET", "ldr1:e:users:else"]).text(), "somebody else's");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_scans_what_was_cleared() {
    let site = Site::new();
    let (first, second) = (site.open_still("users:").await, site.open_still("users:").await);
    second.set("old", entry("value")).await.unwrap();
    first.clear().await.unwrap();
    second.set("new", entry("value")).await.unwrap();
    let page = second.scan(ScanRequest::all()).await.unwrap();
    assert_eq!((page.keys, page.next), (vec!["new".to_owned()], None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_after_the_clear_of_another_is_there() {
    let site = Site::new();
    let (first, second) = (site.open_still("users:").await, site.open_still("users:").await);
    for round in 0..10_u8 {
        second.set("kept?", entry(vec![round])).await.unwrap();
        first.clear().await.unwrap();
        match round % 4 {
            0 => second.set("42", entry(vec![round])).await.unwrap(),
            1 => second.set_many(vec![("42".into(), entry(vec![round]))]).await.unwrap(),
            2 => assert!(second.put_if_newer("42", entry(vec![round])).await.unwrap()),
            _ => {
                let Lease::Granted { token } = second.lease("42", TEN_SECONDS).await.unwrap()
                else {
                    panic!("nobody else asks");
                };
                assert!(second.fill("42", entry(vec![round]), token).await.unwrap());
            }
        }
        assert_eq!(first.get("42").await.unwrap(), Some(entry(vec![round])), "round {round}");
        assert_eq!(first.get("kept?").await.unwrap(), None, "round {round}");
    }
    // What was written under the old generation before that was noticed does not stay.
    until("one generation", || site.names("ldr1:e:*:{42}").len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_that_is_lost_never_comes_back() {
    let site = Site::new();
    let users = site.open_still("users:").await;
    users.set("42", entry("before")).await.unwrap();
    let control = site.name("ldr1:c:*");
    let before = site.server.cli(&["GET", &control]).text();
    site.server.cli(&["DEL", &control]);
    assert_eq!(users.get("42").await.unwrap(), None, "it may be of before a clear");
    let after = site.server.cli(&["GET", &control]).text();
    assert!(after > before, "{after} is later than {before}");
    users.set("42", entry("after")).await.unwrap();
    assert_eq!(users.get("42").await.unwrap(), Some(entry("after")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_behind_a_clear_does_not_bring_entries_back() {
    let site = Site::new();
    let users = site.open_still("users:").await;
    users.set("42", entry("before")).await.unwrap();
    let control = site.name("ldr1:c:*");
    let before = site.server.cli(&["GET", &control]).text();
    users.clear().await.unwrap();
    // As after a failover to a replica that had not heard of the clear.
    site.server.cli(&["SET", &control, &before]);
    assert_eq!(users.get("42").await.unwrap(), None);
    let another = site.open_still("users:").await;
    assert_eq!(another.get("42").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_by_an_operator_costs_misses_and_nothing_else() {
    let site = Site::new();
    let (first, second) = (site.open("users:").await, site.open("users:").await);
    first.set("42", entry("before")).await.unwrap();
    assert_eq!(second.get("42").await.unwrap(), Some(entry("before")));
    site.server.cli(&["FLUSHALL"]);
    assert_eq!(first.get("42").await.unwrap(), None);
    second.set("42", entry("after")).await.unwrap();
    assert_eq!(first.get("42").await.unwrap(), Some(entry("after")));
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_in_place_of_the_generation_empties_the_cache() {
    let site = Site::new();
    let users = site.open_still("users:").await;
    for nonsense in ["", "nonsense", "ffffffffffffff", "0647D846204001"] {
        users.set("42", entry("before")).await.unwrap();
        let control = site.name("ldr1:c:*");
        site.server.cli(&["SET", &control, nonsense]);
        assert_eq!(users.get("42").await.unwrap(), None, "{nonsense:?}");
        // In one step, for the sweeper asks for the generation as well.
        let script = "redis.call('DEL', KEYS[1]) redis.call('HSET', KEYS[1], 'field', ARGV[1])";
        site.server.cli(&["EVAL", script, "1", &control, nonsense]);
        users.set("42", entry("after")).await.unwrap();
        assert_eq!(users.get("42").await.unwrap(), Some(entry("after")), "{nonsense:?}");
    }
}
