//! The shop shares its cache over a real Redis server, and does without.

#![cfg(unix)] // as the servers are

use larder_servers::Redis;
use support::program;

mod support;

/// What the example prints when it is run by a process of its own.
fn run(redis: &Redis, arguments: &[&str]) -> String {
    let mut shop = program("shop");
    shop.args(arguments).env("REDIS_URL", redis.url());
    // On a busy machine everything takes longer than an application would wait.
    for option in ["CACHES__PRODUCTS__L2__TIMEOUT", "CONNECTIONS__SHARED__TIMEOUT"] {
        shop.env(format!("LARDER__{option}"), "30s");
    }
    shop.env("LARDER__CONNECTIONS__SHARED__CONNECT_TIMEOUT", "20s");
    let output = shop.output().expect("the example can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it prints text")
}

/// The page, after so many questions to the database, and what it ends with.
fn page(questions: usize, end: &str) -> String {
    format!(
        "apples  1.20\npears   0.95\nbread   3.40\nthere is no product 4\n\
         questions to the database: {questions}\n{end}\n"
    )
}

#[test]
fn processes_share_what_one_has_loaded_and_live_without_redis() {
    let redis = Redis::start();
    let shared = "shared with all processes over Redis";
    assert_eq!(run(&redis, &[]), page(4, shared));
    assert_eq!(run(&redis, &[]), page(0, shared), "another process asks nobody");
    let changed = format!("everything on the shelf `fruit` is loaded again\n{shared}\n");
    assert_eq!(run(&redis, &["changed", "fruit"]), changed);
    assert_eq!(run(&redis, &[]), page(2, shared));
    redis.kill();
    assert_eq!(run(&redis, &[]), page(4, "on its own: cannot reach the server"));
}
