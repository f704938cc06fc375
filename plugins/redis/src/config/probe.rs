//! Trying a connection: what its servers say, each at the option that has to do with it.

use std::error::Error as _;

use larder_core::{CacheError, KeyPath, Problem, Problems, Result};

use crate::connection::{Lane, RedisConnection, Route};
use crate::error::Reason;
use crate::supervisor::Status;

/// The options that may have to be changed.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// The one that names the servers.
    pub(super) servers: KeyPath,
    /// The one that has the password, or would have it.
    pub(super) login: KeyPath,
    /// What is trusted, or would be.
    pub(super) trust: KeyPath,
}

/// Connects to every server that takes writes. Says what is doubtful.
///
/// # Errors
///
/// Why the connection cannot be used.
pub(super) async fn probe(
    connection: &RedisConnection,
    places: &Places,
) -> Result<Problems, Problems> {
    let tried = try_all(connection).await;
    let statuses = connection.statuses();
    tried.map_err(|error| {
        let reason = statuses.iter().find_map(|status| status.reason);
        Problems::from(problem(&error, reason, places))
    })?;
    let mut doubts = Problems::new();
    for status in &statuses {
        if let Some(doubt) = doubt(status, places) {
            doubts.push(doubt);
        }
    }
    Ok(doubts)
}

async fn try_all(connection: &RedisConnection) -> Result<()> {
    for server in 0..connection.layout().await?.servers {
        let mut ping = redis::pipe();
        ping.cmd("PING");
        connection.send(Lane::Small, Route::Primary(server), ping).await?;
    }
    Ok(())
}

fn problem(error: &CacheError, reason: Option<Reason>, places: &Places) -> Problem {
    let path = match reason {
        Some(Reason::Login) => &places.login,
        Some(Reason::Trust) => &places.trust,
        Some(Reason::Away | Reason::Setup) | None => &places.servers,
    };
    let message = match error.source() {
        Some(source) => format!("{}: {source}", error.message()),
        None => error.message().to_owned(),
    };
    let mut problem = Problem::new(path.clone(), message);
    problem.label = error.context("server").map(str::to_owned);
    problem.help = error.hint_text().map(str::to_owned);
    problem
}

/// What a server does that may not be wanted.
fn doubt(status: &Status, places: &Places) -> Option<Problem> {
    let policy = status.facts.as_ref()?.evicts.as_ref()?;
    let message = format!("the server evicts when it is full: `maxmemory-policy` is `{policy}`");
    let help = "where it holds nothing but caches that is right, so accept it with \
                `allow = [\"W0501\"]`; else set `maxmemory-policy noeviction` at the server";
    let mut problem = Problem::new(places.servers.clone(), message).help(help);
    problem.label = status.address.as_ref().map(ToString::to_string);
    Some(problem)
}
