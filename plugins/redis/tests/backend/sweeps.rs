//! Removing what a clear has left behind.

use std::sync::Arc;
use std::time::Duration;

use larder_core::{Backend, BuildContext, ManualClock};

use crate::{Site, entry, until};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cleared_is_removed_in_the_background() {
    let site = Site::new();
    let users = site.open("users:").await;
    let many = (0..3000).map(|number| (number.to_string(), entry("for ever"))).collect();
    users.set_many(many).await.unwrap();
    users.clear().await.unwrap();
    users.set("42", entry("after")).await.unwrap();
    until("only what came after is there", || site.names("ldr1:e:*").len() == 1).await;
    until("the note is gone", || site.names("ldr1:g:*").is_empty()).await;
    assert_eq!(users.swept(), 3000);
    assert_eq!(users.get("42").await.unwrap(), Some(entry("after")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_was_broken_off_is_done_by_the_next_process() {
    let site = Site::new();
    let first = site.open_still("users:").await;
    let many = (0..3000).map(|number| (number.to_string(), entry("for ever"))).collect();
    first.set_many(many).await.unwrap();
    first.clear().await.unwrap();
    // Its time stands still, so it rests for ever after the first page.
    until("it has begun", || first.swept() > 0).await;
    first.close().await.unwrap();
    drop(first);
    site.server.cli(&["DEL", &site.name("ldr1:s:*")]);
    let second = site.open("users:").await;
    until("nothing is left", || site.names("ldr1:e:*").is_empty()).await;
    assert!(second.swept() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_meets_an_error_goes_on_by_itself() {
    let site = Site::new();
    let users = site.open("users:").await;
    let many = (0..3000).map(|number| (number.to_string(), entry("for ever"))).collect();
    users.set_many(many).await.unwrap();
    // What becomes of the first use of a cache is swept as well.
    until("nothing is left to do", || site.names("ldr1:g:*").is_empty()).await;
    site.server.cli(&["ACL", "SETUSER", "default", "-scan"]);
    users.clear().await.unwrap();
    let refused = || !site.server.info("cmdstat_scan").contains("rejected_calls=0");
    until("the sweep is refused", refused).await;
    site.server.cli(&["ACL", "SETUSER", "default", "+scan"]);
    until("nothing is left", || site.names("ldr1:e:*").is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_after_a_sweep_is_found_by_a_second_one() {
    let site = Site::new();
    let clock = Arc::new(ManualClock::new());
    let context = BuildContext::new("users").clock(Arc::<ManualClock>::clone(&clock));
    let users = site.open_with("users:", context).await;
    users.set("42", entry("for ever")).await.unwrap();
    let name = site.name("ldr1:e:*");
    users.clear().await.unwrap();
    until("the first sweep is over", || {
        clock.advance(Duration::from_millis(20));
        site.names("ldr1:[egs]:*").is_empty()
    })
    .await;
    // As from a caller that has given up, of a process that did not know of the clear.
    site.server.cli(&["SET", &name, "for ever"]);
    until("the second sweep is over", || {
        clock.advance(Duration::from_secs(600));
        site.names("ldr1:[egsd]:*").is_empty()
    })
    .await;
}
