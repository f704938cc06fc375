//! What is said first over a socket: who we are, and what kind of server it is.

use std::sync::Arc;
use std::time::Duration;

use larder_core::Clock;
use redis::{Pipeline, Value};
use tokio::time::Instant;

use super::link::{Link, Lost};
use crate::config::Credentials;
use crate::error::Failure;

/// The oldest server that has all we use.
const OLDEST: (u32, u32) = (7, 0);

/// The commands that the backend sends.
const COMMANDS: &[&str] = &[
    "EVAL", "EVALSHA", "GET", "GETRANGE", "MGET", "PERSIST", "PEXPIRE", "PTTL", "SCAN", "SET",
    "SETRANGE", "TIME", "UNLINK",
];

/// What kind of server is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// A node of a cluster, be it a primary or a replica.
    Cluster,
    /// A server of its own that takes writes.
    Primary,
    /// A server that follows another one, alone or in a cluster.
    Replica,
    /// A Sentinel.
    Sentinel,
}

/// What a server says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// Its version, such as `7.0.15`.
    pub version: String,
    /// How many microseconds its clock is ahead of ours.
    pub clock_offset_micros: i64,
    /// What it does when it is full, when it then removes what it was told to keep.
    pub evicts: Option<String>,
    /// Another one after each restart.
    pub run_id: String,
    /// Whether it has to be told with each socket that reads are enough.
    pub(crate) is_replica_of_cluster: bool,
}

/// Logs in over a socket, and checks that the server is what is expected.
///
/// # Errors
///
/// Why the server cannot be used.
pub(crate) async fn greet(
    link: &Link,
    credentials: &Credentials,
    db: u32,
    expect: Expect,
    deadline: Instant,
) -> Result<Facts, Failure> {
    let hello = say_hello(link, credentials, deadline).await?;
    let mut facts = Facts { version: text(field(&hello, "version")), ..Facts::default() };
    check_mode(&text(field(&hello, "mode")), expect)?;
    if expect == Expect::Sentinel {
        return Ok(facts);
    }
    check_version(&facts.version)?;
    let mut commands = redis::pipe();
    commands.cmd("SELECT").arg(db).cmd("INFO").cmd("COMMAND").arg("INFO").arg(COMMANDS);
    let answers = ask(link, &commands, deadline).await?;
    if db != 0 {
        answer(&answers, 0, "SELECT")?;
    }
    // What the user may not ask for stays unknown; it is needed for better messages only.
    if let Ok(info) = answer(&answers, 1, "INFO") {
        read_info(&text(Some(info)), expect, &mut facts)?;
    }
    if expect == Expect::Primary && text(field(&hello, "role")) == "replica" {
        return Err(replica_of("another server"));
    }
    if let Ok(Value::Array(known)) = answer(&answers, 2, "COMMAND") {
        check_commands(known)?;
    }
    facts.is_replica_of_cluster =
        expect == Expect::Replica && text(field(&hello, "mode")) == "cluster";
    read_only(link, &facts, deadline).await?;
    Ok(facts)
}

/// Greets over a further socket to a server that was checked already.
///
/// # Errors
///
/// Why it cannot be used.
pub(crate) async fn log_in(
    link: &Link,
    credentials: &Credentials,
    (db, facts): (u32, &Facts),
    deadline: Instant,
) -> Result<(), Failure> {
    say_hello(link, credentials, deadline).await?;
    read_only(link, facts, deadline).await?;
    if db != 0 {
        let mut commands = redis::pipe();
        commands.cmd("SELECT").arg(db);
        answer(&ask(link, &commands, deadline).await?, 0, "SELECT")?;
    }
    Ok(())
}

/// Asks a replica in a cluster to answer reads, which it else refuses.
async fn read_only(link: &Link, facts: &Facts, deadline: Instant) -> Result<(), Failure> {
    if facts.is_replica_of_cluster {
        let mut commands = redis::pipe();
        commands.cmd("READONLY");
        answer(&ask(link, &commands, deadline).await?, 0, "READONLY")?;
    }
    Ok(())
}

/// How many microseconds the clock of the server is ahead of ours. What the way there and back
/// took is shared out evenly.
pub(crate) async fn clock_offset(link: &Link, clock: &Arc<dyn Clock>) -> Option<i64> {
    let mut commands = redis::pipe();
    commands.cmd("TIME");
    let before = clock.wall().as_micros();
    let deadline = Instant::now() + Duration::from_millis(500);
    let answers = link.send(&commands, deadline).await.ok()?;
    let after = clock.wall().as_micros();
    let Some(Value::Array(parts)) = answers.first() else {
        return None;
    };
    let number = |part: Option<&Value>| text(part).parse::<i64>().ok();
    let server =
        number(parts.first())?.checked_mul(1_000_000)?.checked_add(number(parts.get(1))?)?;
    let ours = i64::try_from(before / 2 + after / 2).ok()?;
    Some(server - ours)
}

/// Says who we are, and nothing else: a server that refuses us may close the connection at once.
async fn say_hello(
    link: &Link,
    credentials: &Credentials,
    deadline: Instant,
) -> Result<Value, Failure> {
    let mut commands = redis::pipe();
    commands.cmd("HELLO").arg(3);
    if let Some(password) = &credentials.password {
        let user = credentials.username.as_deref().unwrap_or("default");
        commands.arg("AUTH").arg(user).arg(password.expose());
    }
    commands.arg("SETNAME").arg("larder");
    let answers = ask(link, &commands, deadline).await?;
    answer(&answers, 0, "HELLO").cloned()
}

async fn ask(link: &Link, commands: &Pipeline, deadline: Instant) -> Result<Vec<Value>, Failure> {
    link.send(commands, deadline).await.map_err(|lost| match (link.fault(), lost) {
        (Some(fault), _) => fault,
        (None, Lost::Late) => Failure::slow("greeting"),
        (None, _) => Failure::away("the server closes the connection").hint(
            "look at its log: it may have as many clients as `maxclients` allows, or it may expect \
             TLS, which is `rediss://`",
        ),
    })
}

/// The answer to a command of the greeting.
fn answer<'a>(answers: &'a [Value], index: usize, command: &str) -> Result<&'a Value, Failure> {
    match answers.get(index) {
        Some(Value::ServerError(error)) => Err(Failure::refused(command, error)),
        Some(value) => Ok(value),
        None => {
            Err(Failure::setup(format!("the server does not answer `{command}` as Redis does"))
                .hint("correct the address; it may be another kind of server"))
        }
    }
}

fn check_mode(mode: &str, expect: Expect) -> Result<(), Failure> {
    match (expect, mode) {
        (Expect::Cluster, "cluster") | (Expect::Sentinel, "sentinel") => Ok(()),
        (Expect::Primary | Expect::Replica, "standalone") | (Expect::Replica, "cluster") => Ok(()),
        (Expect::Primary, "cluster") => {
            Err(Failure::setup("the server is a node of a cluster, and the connection is not")
                .hint("write `kind = \"redis-cluster\"`, and some nodes in `nodes`"))
        }
        (Expect::Cluster, "standalone") => {
            Err(Failure::setup("the server is no node of a cluster")
                .hint("write `kind = \"redis\"`, and the server in `url`"))
        }
        (Expect::Primary | Expect::Cluster | Expect::Replica, "sentinel") => {
            Err(Failure::setup("the server is a Sentinel, which keeps no data")
                .hint("write `redis+sentinel://host:port/master` in `url` of a `redis` connection"))
        }
        (Expect::Sentinel, _) => Err(Failure::setup("the server is no Sentinel")
            .hint("name the Sentinels, whose port mostly is 26379")),
        (_, other) => Err(Failure::setup(format!("the server is of an unknown kind: `{other}`"))),
    }
}

fn check_version(version: &str) -> Result<(), Failure> {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
    let found = (numbers.next().flatten(), numbers.next().flatten());
    match found {
        (Some(major), minor) if (major, minor.unwrap_or(0)) < OLDEST => {
            Err(Failure::setup(format!("the server has version {version}, which is too old"))
                .hint("update it; Redis 7.0 and Valkey 7.2 are the oldest that work"))
        }
        _ => Ok(()),
    }
}

fn check_commands(known: &[Value]) -> Result<(), Failure> {
    let missing: Vec<_> = COMMANDS
        .iter()
        .zip(known)
        .filter(|(_, answer)| matches!(answer, Value::Nil))
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::setup(format!("the server does not have {}", missing.join(", ")))
        .hint("do not rename or disable these commands at the server"))
}

fn read_info(info: &str, expect: Expect, facts: &mut Facts) -> Result<(), Failure> {
    let value = |name: &str| {
        info.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
    };
    if value("loading") == Some("1") {
        return Err(Failure::away("the server is loading its data"));
    }
    if expect == Expect::Primary && value("role") == Some("slave") {
        let (host, port) = (value("master_host"), value("master_port"));
        let primary = format!("{}:{}", host.unwrap_or("?"), port.unwrap_or("?"));
        return Err(replica_of(&primary));
    }
    if expect == Expect::Replica && value("master_link_status") != Some("up") {
        return Err(Failure::away("the server follows no primary at this moment"));
    }
    facts.run_id = value("run_id").unwrap_or_default().to_owned();
    let has_limit = value("maxmemory").is_some_and(|bytes| bytes != "0");
    let policy = value("maxmemory_policy").filter(|policy| *policy != "noeviction");
    facts.evicts = policy.filter(|_| has_limit).map(str::to_owned);
    Ok(())
}

fn replica_of(primary: &str) -> Failure {
    Failure::away(format!("the server is a replica of {primary}"))
        .hint("name the primary in `url`, or use Sentinels, which know it")
}

/// A field of an answer that is a map.
fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let Value::Map(pairs) = value else {
        return None;
    };
    pairs.iter().find(|(key, _)| text(Some(key)) == name).map(|(_, value)| value)
}

/// An answer as text; empty when it is none.
pub(crate) fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::BulkString(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some(Value::SimpleString(text) | Value::VerbatimString { text, .. }) => text.clone(),
        Some(Value::Int(number)) => number.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_servers_of_the_expected_kind_and_age_are_used() {
        assert!(check_mode("standalone", Expect::Primary).is_ok());
        assert!(check_mode("cluster", Expect::Cluster).is_ok());
        assert!(check_mode("sentinel", Expect::Sentinel).is_ok());
        for (mode, expect, hint) in [
            ("cluster", Expect::Primary, "redis-cluster"),
            ("standalone", Expect::Cluster, "kind = \"redis\""),
            ("sentinel", Expect::Primary, "redis+sentinel"),
            ("standalone", Expect::Sentinel, "26379"),
        ] {
            let refused = check_mode(mode, expect).unwrap_err();
            assert!(refused.error.to_string().contains(hint), "{}", refused.error);
        }
        for (version, is_enough) in
            [("7.0.15", true), ("8.2", true), ("255.255.255", true), ("6.2.22", false), ("?", true)]
        {
            assert_eq!(check_version(version).is_ok(), is_enough, "{version}");
        }
    }

    #[test]
    fn commands_that_the_server_does_not_have_are_named() {
        let mut known = vec![Value::Array(Vec::new()); COMMANDS.len()];
        assert!(check_commands(&known).is_ok());
        known[1] = Value::Nil;
        let missing = check_commands(&known).unwrap_err();
        assert_eq!(missing.error.message(), "the server does not have `EVALSHA`");
    }

    #[test]
    fn a_server_that_is_loading_or_follows_another_is_not_used() {
        let mut facts = Facts::default();
        let loading = read_info("loading:1\r\n", Expect::Primary, &mut facts).unwrap_err();
        assert_eq!(loading.error.message(), "the server is loading its data");
        let replica = "role:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:7\r\n";
        let refused = read_info(replica, Expect::Primary, &mut facts).unwrap_err();
        assert_eq!(refused.error.message(), "the server is a replica of 10.0.0.1:7");
        assert!(read_info(replica, Expect::Cluster, &mut facts).is_ok());
        let full = "run_id:abc\r\nmaxmemory:100\r\nmaxmemory_policy:allkeys-lru\r\n";
        read_info(full, Expect::Primary, &mut facts).unwrap();
        assert_eq!(facts.evicts.as_deref(), Some("allkeys-lru"));
        assert_eq!(facts.run_id, "abc");
        let unlimited = "maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n";
        read_info(unlimited, Expect::Primary, &mut facts).unwrap();
        assert_eq!(facts.evicts, None);
    }
}
