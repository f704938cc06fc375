//! Another server in the place of the one that was asked.

use std::collections::BTreeSet;
use std::sync::Arc;

use larder_core::backend::{ScanPage, ScanRequest};
use larder_core::{Backend, BuildContext, ManualClock};
use larder_redis::RedisBackend;
use larder_servers::{Proxy, Redis, RedisOptions};

use crate::{LIMIT, common, entry, until};

/// A primary and its replica, behind one address.
struct Pair {
    old: Redis,
    new: Redis,
    proxy: Proxy,
}

impl Pair {
    fn new() -> Self {
        let old = Redis::start();
        let new = Redis::start_with(&RedisOptions::new().replica_of(old.port()));
        let proxy = Proxy::start(old.port());
        Self { old, new, proxy }
    }

    /// A backend at the address of the pair, or straight at a server.
    async fn open(&self, url: String) -> RedisBackend {
        let context = BuildContext::new("users").clock(Arc::new(ManualClock::new()));
        common::open(&[url], "users:", context).await.unwrap()
    }

    /// Promotes the replica when it has everything. Who connects from then on finds it; who is
    /// connected to the old primary stays there, and that one hears nothing any more.
    async fn fail_over(&self) {
        until("the replica has everything", || {
            let offset = |server: &Redis, field| server.info(field).parse::<u64>().unwrap();
            self.new.info("master_link_status") == "up"
                && offset(&self.new, "slave_repl_offset") == offset(&self.old, "master_repl_offset")
        })
        .await;
        self.new.cli(&["REPLICAOF", "NO", "ONE"]);
        self.old.cli(&["REPLICAOF", "127.0.0.1", "1"]);
        self.proxy.lead_to(self.new.port());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_meets_a_demoted_primary_removes_what_the_new_one_has() {
    let pair = Pair::new();
    let users = pair.open(pair.proxy.url()).await;
    users.set("42", entry("before")).await.unwrap();
    pair.fail_over().await;
    let other = pair.open(pair.new.url()).await;
    other.clear().await.unwrap();
    other.set("42", entry("after")).await.unwrap();
    // The old primary still answers reads, such as the one for the generation.
    users.delete("42").await.unwrap();
    assert_eq!(other.get("42").await.unwrap(), None);
    let counts = users.health().await.unwrap().counts;
    assert!(counts["retries"] > 0 && counts["reconnects"] > 0, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_passes_no_key_over_when_another_server_answers() {
    let pair = Pair::new();
    let users = pair.open(pair.proxy.url()).await;
    let keys: BTreeSet<String> = (0..3000).map(|number| number.to_string()).collect();
    users.set_many(keys.iter().map(|key| (key.clone(), entry("value"))).collect()).await.unwrap();
    let mut found = BTreeSet::new();
    let mut page = users.scan(ScanRequest::all().limit(64)).await.unwrap();
    while found.len() < 1500 {
        found.extend(page.keys);
        page = next_page(&users, page.next.expect("there is more")).await;
    }
    pair.fail_over().await;
    pair.proxy.cut();
    found.extend(page.keys);
    while let Some(cursor) = page.next {
        page = next_page(&users, cursor).await;
        found.extend(page.keys);
    }
    let missing: Vec<_> = keys.difference(&found).collect();
    assert!(missing.is_empty(), "{} are missing, such as {:?}", missing.len(), missing.first());
}

/// The page at a cursor. What was under way while a connection broke is asked for again.
async fn next_page(users: &RedisBackend, cursor: String) -> ScanPage {
    let mut attempts = tokio::time::interval(std::time::Duration::from_millis(5));
    let asked = async {
        loop {
            let request = ScanRequest::all().limit(64).from_cursor(Some(cursor.clone()));
            if let Ok(page) = users.scan(request).await {
                return page;
            }
            attempts.tick().await;
        }
    };
    tokio::time::timeout(LIMIT, asked).await.expect("the server is there")
}
