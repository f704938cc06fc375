//! Passwords, users and their rights.

use std::fs;

use larder_faults::{Config, Site, Source, heard};
use larder_servers::{Proxy, Redis, RedisOptions, until};
use tempfile::TempDir;

use crate::{SOON, keys, load_all, until_used};

/// Why the tier over Redis cannot be used, as operators are told.
pub(crate) async fn reason(site: &Site) -> String {
    match site.manager().health(site.cache().name()).await {
        Ok(tiers) => tiers.into_iter().filter_map(|tier| tier.degraded).collect(),
        Err(error) => error.to_string(),
    }
}

/// Waits until operators are told a reason with one of these words.
pub(crate) async fn until_told(site: &Site, words: &[&str]) -> String {
    let mut told = String::new();
    until(&format!("a reason with one of {words:?}"), SOON, async || {
        load_all(site, keys("during", 10)).await;
        let before = std::mem::replace(&mut told, reason(site).await);
        if told != before {
            println!("operators are told: {told}");
        }
        words.iter().any(|word| told.to_lowercase().contains(word))
    })
    .await;
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_named_and_shown_to_nobody_and_brings_no_storm() {
    let redis = Redis::start_with(&RedisOptions::new().password("right"));
    let proxy = Proxy::start(redis.port());
    let source = Source::new();
    let config = Config::redis(&proxy.url()).connection("password = \"not-the-one\"");
    let opened = Site::try_open(&config, &source).await;
    let told = match &opened {
        Ok(site) => until_told(site, &["password"]).await,
        Err(error) => error.to_string(),
    };
    assert!(told.contains("password") && told.contains("hint"), "{told}");
    assert!(!told.contains("not-the-one"), "{told}");
    for event in heard(config.name()) {
        assert!(!event.fields.contains("not-the-one"), "{event:?}");
    }
    assert!(proxy.accepted() < 50, "{} connections", proxy.accepted());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_changes_is_read_again() {
    let redis = Redis::start_with(&RedisOptions::new().password("first"));
    let (source, directory) = (Source::new(), TempDir::new().unwrap());
    let file = directory.path().join("password");
    fs::write(&file, "first\n").unwrap();
    let line = format!("password_file = \"{}\"", file.display());
    let site = Site::open(&Config::redis(&redis.url()).connection(&line), &source).await;
    site.set("key", 1).await.unwrap();
    redis.cli(&["CONFIG", "SET", "requirepass", "second"]);
    redis.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    load_all(&site, keys("during", 20)).await;
    fs::write(&file, "second\n").unwrap();
    println!("used again after {:?}", until_used(&site, &redis).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_that_are_taken_away_are_named_and_work_again_when_they_are_back() {
    let redis = Redis::start_with(&RedisOptions::new().user("app on >secret ~* &* +@all"));
    let source = Source::new();
    let lines = ["username = \"app\"", "password = \"secret\""];
    let config = lines.iter().fold(Config::redis(&redis.url()), |it, line| it.connection(line));
    let site = Site::open(&config, &source).await;
    until_used(&site, &redis).await;
    redis.cli(&["ACL", "SETUSER", "app", "-@all", "+ping", "+hello", "+auth"]);
    let told = until_told(&site, &["permission", "may not"]).await;
    assert!(!told.contains("secret"), "{told}");
    redis.cli(&["ACL", "SETUSER", "app", "+@all"]);
    for name in crate::entries(&redis, "probe") {
        redis.cli(&["DEL", &name]);
    }
    until_used(&site, &redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_with_the_rights_that_the_manual_names_can_do_all() {
    let rules = "app on >secret ~ldr1:* -@all +@read +@write +@scripting +@connection +@fast \
                 +info +role +time";
    let redis = Redis::start_with(&RedisOptions::new().user(rules).line("protected-mode no"));
    let source = Source::new();
    let lines = ["username = \"app\"", "password = \"secret\""];
    let config = lines.iter().fold(Config::redis(&redis.url()), |it, line| it.connection(line));
    let site = Site::open(&config, &source).await;
    until_used(&site, &redis).await;
    load_all(&site, keys("key", 10)).await;
    site.cache().clear().await.unwrap();
    assert_eq!(site.failures(), 0, "{}", reason(&site).await);
}
