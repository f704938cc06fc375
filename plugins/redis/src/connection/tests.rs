//! Connections to real servers, through real networks that fail.

#![cfg(unix)] // as the servers are

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use larder_core::{BuildContext, KeyPath, PluginConfig, telemetry};
use redis::Value;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::*;
use crate::config::{RedisClusterConfig, RedisConnectionConfig};
use crate::error;

mod basics;
mod clusters;
mod kinds;
mod login;
mod outages;
mod replicas;
mod sentinels;
mod stragglers;
#[cfg(feature = "tls")]
mod tls;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A `redis` connection with these options. Events are heard under its name.
async fn redis(name: &str, options: serde_json::Value) -> RedisConnection {
    listen();
    let config: RedisConnectionConfig = serde_json::from_value(patient(options)).unwrap();
    let path = KeyPath::from_segments(["connections", name]);
    config.validate(&path).unwrap();
    config.build(&BuildContext::new("test").path(path)).await.unwrap()
}

/// A `redis-cluster` connection with these options.
async fn cluster(name: &str, options: serde_json::Value) -> RedisConnection {
    listen();
    let config: RedisClusterConfig = serde_json::from_value(patient(options)).unwrap();
    let path = KeyPath::from_segments(["connections", name]);
    config.validate(&path).unwrap();
    config.build(&BuildContext::new("test").path(path)).await.unwrap()
}

/// Limits that a busy machine keeps, where a test sets none.
fn patient(mut options: serde_json::Value) -> serde_json::Value {
    for limit in ["connect_timeout", "timeout"] {
        if options.get(limit).is_none() {
            options[limit] = "10s".into();
        }
    }
    options
}

async fn get(connection: &RedisConnection, key: &str) -> Result<Value> {
    let mut commands = redis::pipe();
    commands.cmd("GET").arg(key);
    let answers = connection.send(Lane::Small, Route::Key(key), commands).await?;
    Ok(answers.into_iter().next().unwrap())
}

async fn set(connection: &RedisConnection, key: &str, value: &str) -> Result<Value> {
    let mut commands = redis::pipe();
    commands.cmd("SET").arg(key).arg(value);
    let answers = connection.send(Lane::Small, Route::Key(key), commands).await?;
    Ok(answers.into_iter().next().unwrap())
}

/// Asks until the connection answers.
async fn until_up(connection: &RedisConnection) {
    larder_servers::until("an answer", PATIENCE, async || {
        matches!(get(connection, "k").await, Ok(Value::Nil | Value::BulkString(_)))
    })
    .await;
}

/// Waits until the connection is in this state.
async fn until_state(connection: &RedisConnection, state: State) {
    larder_servers::until("the state", PATIENCE, async || connection.health().state == state).await;
}

fn text(value: &str) -> Value {
    Value::BulkString(value.as_bytes().to_vec())
}

/// An event: its name, and its fields as text.
#[derive(Clone, Debug, Default)]
struct Event {
    name: String,
    connection: String,
    fields: String,
}

impl Visit for Event {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        match field.name() {
            "message" => self.name = value,
            "connection" => self.connection = value.trim_matches('"').to_owned(),
            name => self.fields.push_str(&format!("{name}={value} ")),
        }
    }
}

static EVENTS: Mutex<Vec<Event>> = Mutex::new(Vec::new());

/// Keeps the events of all tests; each has connections of its own name.
struct Ear;

impl<S: tracing::Subscriber> Layer<S> for Ear {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == telemetry::TARGET {
            let mut heard = Event::default();
            event.record(&mut heard);
            EVENTS.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
        }
    }
}

fn listen() {
    static LISTENING: OnceLock<()> = OnceLock::new();
    LISTENING.get_or_init(|| {
        let subscriber = tracing_subscriber::registry().with(Ear);
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

/// The events of a connection, in their order.
fn heard(name: &str) -> Vec<Event> {
    let events = EVENTS.lock().unwrap_or_else(PoisonError::into_inner);
    events.iter().filter(|event| event.connection == name).cloned().collect()
}

/// Waits until an event of a connection was heard that often, as a state shows a moment before it
/// is told; it was not heard more often.
async fn until_count(name: &str, event: &str, times: usize) {
    larder_servers::until("the event", PATIENCE, async || count(name, event) >= times).await;
    assert_eq!(count(name, event), times);
}

/// How often an event of a connection was heard.
fn count(name: &str, event: &str) -> usize {
    heard(name).iter().filter(|heard| heard.name == event).count()
}
