//! Servers whose certificates are not to be trusted.

use larder_faults::{Config, Site, Source};
use larder_servers::{Certificates, Identity, Redis, RedisOptions};

use crate::access::until_told;
use crate::until_used;

fn config(redis: &Redis, lines: &[String]) -> Config {
    let tls = format!("tls = {{ {} }}", lines.join(", "));
    Config::redis(&redis.tls_url()).connection(&tls)
}

fn line(certificates: &Certificates, option: &str, file: &str) -> String {
    format!("{option} = \"{}\"", certificates.path(file).display())
}

/// What operators are told about a server with such a certificate.
async fn told_about(server: Identity, authority: &str, word: &str) -> String {
    let certificates = Certificates::generate();
    let redis = Redis::start_with(&RedisOptions::new().tls(&certificates, server));
    let config = config(&redis, &[line(&certificates, "ca", authority)]);
    let told = match Site::try_open(&config, &Source::new()).await {
        Ok(site) => until_told(&site, &[word]).await,
        Err(error) => error.to_string(),
    };
    assert_eq!(redis.cli(&["DBSIZE"]).integer(), 0, "nothing went over a line without TLS");
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_certificate_is_refused_by_name() {
    told_about(Identity::Expired, "ca.pem", "expired").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_nobody_trusts_is_refused_by_name() {
    told_about(Identity::Server, "other-ca.pem", "authority").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_for_another_name_is_refused_by_name() {
    told_about(Identity::WrongName, "ca.pem", "name").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_a_certificate_is_told_so_and_one_with_it_is_served() {
    let certificates = Certificates::generate();
    let options = RedisOptions::new().tls(&certificates, Identity::Server).tls_clients();
    let (redis, source) = (Redis::start_with(&options), Source::new());
    let authority = line(&certificates, "ca", "ca.pem");
    let without = config(&redis, std::slice::from_ref(&authority));
    if let Ok(site) = Site::try_open(&without, &source).await {
        until_told(&site, &["certificate"]).await;
    }
    assert_eq!(redis.cli(&["DBSIZE"]).integer(), 0);
    let identity = [("cert", "client.pem"), ("key", "client.key")];
    let identity = identity.map(|(option, file)| line(&certificates, option, file));
    let lines: Vec<String> = std::iter::once(authority).chain(identity).collect();
    let site = Site::open(&config(&redis, &lines), &source).await;
    until_used(&site, &redis).await;
}
