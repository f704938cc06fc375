//! What others have written under our names.

use larder_core::backend::Deadlines;
use larder_core::{Backend, envelope};

use crate::{Site, entry};

/// The bytes of an entry.
fn bytes() -> Vec<u8> {
    let mut bytes = Vec::new();
    envelope::encode(&entry("value"), &mut bytes).unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_others_and_of_later_versions_are_misses_and_stay() {
    let site = Site::new();
    let users = site.open("users:").await;
    let mut later = bytes();
    later[2] = 2;
    let mut flags = bytes();
    flags[3] = 128;
    let foreign = br#"{"json": true}"#.repeat(10);
    for (round, value) in (1..).zip([later, flags, foreign]) {
        users.set("42", entry("ours")).await.unwrap();
        let name = site.name("ldr1:e:*");
        site.server.cli(&[&b"SET"[..], name.as_bytes(), &value]);
        assert_eq!(users.get("42").await.unwrap(), None);
        assert_eq!(users.meta("42").await.unwrap(), None);
        assert_eq!(users.health().await.unwrap().corrupt, round * 2);
        assert_eq!(site.server.cli(&["GET", &name]).bytes(), value, "it is not ours to remove");
        users.set("42", entry("ours")).await.unwrap();
        assert_eq!(users.get("42").await.unwrap(), Some(entry("ours")), "but to replace");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_entries_are_misses_and_removed() {
    let site = Site::new();
    let users = site.open("users:").await;
    let mut torn = bytes();
    torn.pop();
    let mut changed = bytes();
    *changed.last_mut().unwrap() ^= 1;
    let short = bytes()[..20].to_vec();
    for value in [torn, changed, short] {
        users.set("42", entry("ours")).await.unwrap();
        let name = site.name("ldr1:e:*");
        site.server.cli(&[&b"SET"[..], name.as_bytes(), &value]);
        assert_eq!(users.get("42").await.unwrap(), None);
        assert_eq!(site.names("ldr1:e:*"), [""; 0]);
    }
    assert_eq!(users.health().await.unwrap().corrupt, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_string_is_a_miss_and_can_be_replaced() {
    let site = Site::new();
    let users = site.open("users:").await;
    users.set("42", entry("ours")).await.unwrap();
    let name = site.name("ldr1:e:*");
    site.server.cli(&["DEL", &name]);
    site.server.cli(&["HSET", &name, "field", "value"]);
    assert_eq!(users.get("42").await.unwrap(), None);
    assert_eq!(users.get_many(&["42"]).await.unwrap(), [None]);
    assert!(!users.exists("42").await.unwrap());
    assert!(!users.touch("42", Deadlines::default()).await.unwrap());
    assert!(users.put_if_newer("42", entry("ours")).await.unwrap());
    assert_eq!(users.get("42").await.unwrap(), Some(entry("ours")));
}
