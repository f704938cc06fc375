//! Primaries that change, as sentinels say.

use std::time::Instant;

use larder_faults::{Config, Site, Source};
use larder_servers::{RedisOptions, Sentinels, SentinelsOptions};

use crate::{keys, load_all, until_used};

fn config(sentinels: &Sentinels) -> Config {
    let ports = sentinels.ports();
    let hosts: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    Config::redis(&format!("redis+sentinel://{}/{}", hosts.join(","), Sentinels::NAME))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fail_over_on_command_is_followed_and_costs_no_caller_an_error() {
    let options = SentinelsOptions::new().replicas(1);
    let (sentinels, source) = (Sentinels::start_with(&options), Source::new());
    let site = Site::open(&config(&sentinels), &source).await;
    load_all(&site, keys("before", 10)).await;
    until_used(&site, sentinels.primary()).await;
    sentinels.failover();
    load_all(&site, keys("after", 10)).await;
    println!("used again after {:?}", until_used_anew(&site, &sentinels).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_killed_is_replaced_and_costs_no_caller_an_error() {
    let options =
        SentinelsOptions::new().replicas(1).server(RedisOptions::new().password("secret"));
    let (sentinels, source) = (Sentinels::start_with(&options), Source::new());
    let config = config(&sentinels).connection("password = \"secret\"");
    let site = Site::open(&config, &source).await;
    until_used(&site, sentinels.primary()).await;
    let start = Instant::now();
    sentinels.primary().kill();
    load_all(&site, keys("during", 50)).await;
    sentinels.wait_for_another(sentinels.servers()[0].port());
    println!("another primary after {:?}", start.elapsed());
    println!("used again after {:?}", until_used_anew(&site, &sentinels).await);
}

/// Waits until the present primary is written to.
async fn until_used_anew(site: &Site, sentinels: &Sentinels) -> std::time::Duration {
    let primary = sentinels.primary();
    // What replication brought says nothing.
    for name in crate::entries(primary, "probe") {
        primary.cli(&["DEL", &name]);
    }
    until_used(site, primary).await
}
