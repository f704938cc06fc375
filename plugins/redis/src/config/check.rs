//! What `larder check` can know of a connection without connecting.

use std::time::Duration;

use larder_core::{KeyPath, Problem, Problems};

use super::url::{Parsed, ServerUrl};
use super::{Address, RedisClusterConfig, RedisConnectionConfig, TlsOptions};

/// No limit is longer.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Everything that is wrong with the options of a `redis` connection.
pub(super) fn redis(config: &RedisConnectionConfig, at: &KeyPath) -> Result<(), Problems> {
    let mut problems = Problems::new();
    let url = config.url.as_ref().and_then(|url| parsed(url, &at.join("url"), &mut problems));
    sentinels(config, url.as_ref(), at, &mut problems);
    match (&config.url, config.sentinels.is_empty()) {
        (None, true) => problems.push(
            Problem::new(at.clone(), "there is no server to connect to")
                .help("add `url = \"redis://host:6379\"`, or `sentinels` and `master`"),
        ),
        (Some(_), false) => problems.push(
            Problem::new(at.join("sentinels"), "`url` names the server already")
                .help("leave out `url`, or leave out `sentinels`"),
        ),
        _ => {}
    }
    if let Some(url) = &url {
        let both = [
            ("username", config.username.is_some() && url.username.is_some()),
            ("password", config.password.is_some() && url.password.is_some()),
            ("password_file", config.password_file.is_some() && url.password.is_some()),
            ("db", matches!((config.db, url.db), (Some(a), Some(b)) if a != b)),
        ];
        for (option, _) in both.into_iter().filter(|(_, is_twice)| *is_twice) {
            let problem = Problem::new(at.join(option), "`url` has another one");
            problems.push(problem.help("write it in one place"));
        }
        let is_socket = matches!(url.addresses[0], Address::Unix(_));
        if is_socket && config.tls.is_some() {
            let problem = Problem::new(at.join("tls"), "a socket file cannot be encrypted");
            problems.push(problem.help("leave out `tls`"));
        }
    }
    let is_tls = url.is_some_and(|url| url.is_tls);
    let passwords = (config.password.is_some(), config.password_file.is_some());
    common(Common { at, passwords, tls: config.tls.as_ref(), is_tls }, &mut problems);
    limits(at, config.pool_size, config.connect_timeout.0, config.timeout.0, &mut problems);
    problems.into_result()
}

/// Everything that is wrong with the options of a `redis-cluster` connection.
pub(super) fn cluster(config: &RedisClusterConfig, at: &KeyPath) -> Result<(), Problems> {
    let mut problems = Problems::new();
    let nodes = at.join("nodes");
    if config.nodes.is_empty() {
        let problem = Problem::new(nodes.clone(), "there is no node to connect to");
        problems.push(problem.help("name one node at least, such as `redis://host:6379`"));
    }
    let mut first: Option<Parsed> = None;
    for (index, node) in config.nodes.iter().enumerate() {
        let at = nodes.join(index.to_string());
        let Some(node) = parsed(node, &at, &mut problems) else {
            continue;
        };
        if node.is_sentinel {
            let problem = Problem::new(at, "a cluster has no Sentinels");
            problems.push(problem.help("use `kind = \"redis\"` for servers with Sentinels"));
        } else if matches!(node.addresses[0], Address::Unix(_)) {
            let problem = Problem::new(at, "the nodes of a cluster cannot be socket files");
            problems.push(problem.help("write `redis://host:port`"));
        } else if node.db.is_some_and(|db| db != 0) {
            let problem = Problem::new(at, "a cluster has no database but 0");
            problems.push(problem.help("leave the number out"));
        } else if first.as_ref().is_some_and(|first| first.is_tls != node.is_tls) {
            let problem = Problem::new(at, "some nodes are with TLS and some without");
            problems.push(problem.help("write `rediss://` for all nodes, or for none"));
        }
        first.get_or_insert(node);
    }
    let is_tls = first.is_some_and(|first| first.is_tls);
    let passwords = (config.password.is_some(), config.password_file.is_some());
    common(Common { at, passwords, tls: config.tls.as_ref(), is_tls }, &mut problems);
    limits(at, config.pool_size, config.connect_timeout.0, config.timeout.0, &mut problems);
    problems.into_result()
}

fn parsed(url: &ServerUrl, at: &KeyPath, problems: &mut Problems) -> Option<Parsed> {
    match url.parse() {
        Ok(parsed) => Some(parsed),
        Err(refused) => {
            problems.push(Problem::new(at.clone(), refused.message).help(refused.help));
            None
        }
    }
}

fn sentinels(
    config: &RedisConnectionConfig,
    url: Option<&Parsed>,
    at: &KeyPath,
    problems: &mut Problems,
) {
    for (index, sentinel) in config.sentinels.iter().enumerate() {
        let at = at.join("sentinels").join(index.to_string());
        let Some(sentinel) = parsed(sentinel, &at, problems) else {
            continue;
        };
        if sentinel.username.is_some() || sentinel.password.is_some() {
            let problem = Problem::new(at, "the login of the Sentinels stands elsewhere");
            problems.push(problem.help("write `sentinel_username` and `sentinel_password`"));
        } else if matches!(sentinel.addresses[0], Address::Unix(_)) || sentinel.db.is_some() {
            let problem = Problem::new(at, "a Sentinel is a host and a port");
            problems.push(problem.help("write `host:26379`"));
        }
    }
    let by_url = url.is_some_and(|url| url.is_sentinel);
    let named_by_url = url.and_then(|url| url.master.as_ref());
    let is_sentinel = by_url || !config.sentinels.is_empty();
    match (is_sentinel, &config.master, named_by_url) {
        (true, None, None) => problems.push(
            Problem::new(at.clone(), "the Sentinels are not told which primary to look for")
                .help("add `master = \"mymaster\"`, the name in `sentinel monitor`"),
        ),
        (true, Some(_), Some(_)) => problems.push(
            Problem::new(at.join("master"), "`url` names the primary already")
                .help("write the name in one place"),
        ),
        (false, Some(_), _) => problems.push(
            Problem::new(at.join("master"), "there are no Sentinels to ask for it")
                .help("write `redis+sentinel://…` in `url`, or add `sentinels`"),
        ),
        _ => {}
    }
    let for_sentinels = [
        ("sentinel_username", config.sentinel_username.is_some()),
        ("sentinel_password", config.sentinel_password.is_some()),
    ];
    for (option, _) in for_sentinels.into_iter().filter(|(_, is_set)| *is_set && !is_sentinel) {
        let problem = Problem::new(at.join(option), "there are no Sentinels");
        problems.push(problem.help("leave it out, or write `redis+sentinel://…` in `url`"));
    }
}

/// What both kinds of connection have.
#[derive(Clone, Copy, Debug)]
struct Common<'a> {
    at: &'a KeyPath,
    /// Whether there is a password, and a file with one.
    passwords: (bool, bool),
    tls: Option<&'a TlsOptions>,
    is_tls: bool,
}

fn common(common: Common<'_>, problems: &mut Problems) {
    let at = common.at;
    if common.passwords == (true, true) {
        let problem = Problem::new(at.join("password_file"), "`password` is there as well");
        problems.push(problem.help("leave out `password`, so that the file is read again"));
    }
    if let Some(tls) = common.tls {
        match (&tls.cert, &tls.key) {
            (Some(_), None) => problems.push(
                Problem::new(at.join("tls").join("cert"), "the key of the certificate is missing")
                    .help("add `key`, the file with the private key"),
            ),
            (None, Some(_)) => problems.push(
                Problem::new(at.join("tls").join("key"), "the certificate of the key is missing")
                    .help("add `cert`, the file with the certificate"),
            ),
            _ => {}
        }
    }
    if !cfg!(feature = "tls") && (common.tls.is_some() || common.is_tls) {
        let problem = Problem::new(at.clone(), "this program was built without TLS");
        problems.push(problem.help("build it with the feature `tls` of `larder-redis`"));
    }
}

fn limits(
    at: &KeyPath,
    pool_size: u16,
    connect_timeout: Duration,
    timeout: Duration,
    problems: &mut Problems,
) {
    if !(1..=64).contains(&pool_size) {
        let problem = Problem::new(at.join("pool_size"), "the size is not from 1 to 64");
        problems.push(problem.help("a socket serves any number of callers; 1 is mostly enough"));
    }
    for (option, limit) in [("connect_timeout", connect_timeout), ("timeout", timeout)] {
        if limit.is_zero() {
            let problem = Problem::new(at.join(option), "nothing is done in no time");
            problems.push(problem.help("write a duration such as `500ms`"));
        } else if limit > LONGEST {
            let problem = Problem::new(at.join(option), "nobody waits for longer than a day");
            problems.push(problem.help("write a duration such as `500ms`"));
        }
    }
}

#[cfg(test)]
mod tests;
