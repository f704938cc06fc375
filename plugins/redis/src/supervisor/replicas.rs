//! [`Replicas`]: the servers that follow a primary, for reads that may be a little old.
//!
//! The primary is asked once a second who follows it and how far each of them has come, as long as
//! somebody wants to read there. A replica is read only while it is known to have everything that
//! was written more than [`BEHIND`] ago; for that the place is remembered at which the primary was
//! each time. So what is read is never older than [`BEHIND`] and [`BELIEVED`] together, whatever
//! becomes of the connection between the two.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Endpoint;
use crate::config::Address;
use crate::connection::greeting::{Expect, text};
use crate::connection::line::{Landed, Read};
use crate::connection::{Lane, State};
use crate::topology::Source;

/// How often the primary is asked.
const EVERY: Duration = Duration::from_secs(1);

/// A replica that lacks something older than this is not read.
const BEHIND: Duration = Duration::from_secs(5);

/// How long it is believed what the primary said.
const BELIEVED: Duration = Duration::from_secs(3);

/// What is known of the replicas of a primary.
#[derive(Debug, Default)]
pub(super) struct Replicas(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// When the primary was last asked, and when it last answered.
    asked: Option<Instant>,
    told: Option<Instant>,
    /// In which history the primary was, at which place of it, and when; the latest at the end.
    history: String,
    places: VecDeque<(Instant, u64)>,
    /// Those that keep up.
    current: Vec<Arc<Endpoint>>,
    /// All of them.
    nodes: BTreeMap<Address, Arc<Endpoint>>,
}

/// What a primary says about replication.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Told {
    /// What the primary calls its history. A place says nothing in another one.
    history: String,
    place: u64,
    /// The replicas that are connected to it, and the place of each.
    replicas: Vec<(Address, u64)>,
}

impl Endpoint {
    /// Reads at a replica of this primary. Nothing when there is none that keeps up, or it does not
    /// answer as it should: then the primary has to be asked.
    pub(crate) async fn read_at_replica(
        self: &Arc<Self>,
        affinity: usize,
        read: &Read<'_>,
        deadline: Instant,
    ) -> Option<Landed> {
        let replica = self.replica()?;
        // So that there is time for the primary as well.
        let half = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
        replica.read(affinity, read, half).await.ok().flatten()
    }

    /// Some replica that keeps up and is connected to.
    fn replica(self: &Arc<Self>) -> Option<Arc<Self>> {
        let mut known = self.replicas.lock();
        if known.asked.is_none_or(|asked| asked.elapsed() >= EVERY)
            && let Ok(runtime) = Handle::try_current()
        {
            known.asked = Some(Instant::now());
            drop(runtime.spawn(ask(Arc::downgrade(self))));
        }
        if known.told.is_none_or(|told| told.elapsed() >= BELIEVED) {
            return None;
        }
        let well: Vec<_> = known.current.iter().filter(|node| node.may_be_read()).collect();
        well.get(fastrand::usize(..well.len().max(1))).map(|node| Arc::clone(node))
    }

    /// Whether a read makes sense here. One that has left others waiting, and has answered a
    /// question since, is well again only when a read was answered; so it has to get one.
    fn may_be_read(&self) -> bool {
        let is_tried = || self.core.session().is_some_and(|known| known.breaker.is_half_open());
        let state = self.core.status.borrow().state;
        state == State::Healthy || state == State::Suspect && is_tried()
    }

    /// Takes over what the primary has said.
    fn heard_of_replicas(&self, asked: Instant, told: &Told) {
        let mut known = self.replicas.lock();
        known.told = Some(asked);
        let enough = known.note_place(asked, told);
        let is_told = |address: &Address| told.replicas.iter().any(|(other, _)| other == address);
        known.nodes.retain(|address, _| is_told(address));
        known.current.clear();
        for (address, place) in &told.replicas {
            let node = known.nodes.entry(address.clone());
            let node = Arc::clone(node.or_insert_with(|| self.follower(address)));
            if *place >= enough {
                known.current.push(node);
            }
        }
    }

    /// The connection to a replica, which is made at once: nobody waits for it.
    fn follower(&self, address: &Address) -> Arc<Self> {
        let source = Source::Fixed(address.clone());
        let settings = Arc::clone(&self.core.settings);
        let node = Self::new(settings, source, Expect::Replica, Arc::<Notify>::default());
        // Without a runtime it is not made, and the replica is not read.
        node.run().ok();
        Arc::new(node)
    }
}

impl Known {
    /// Takes notice of where the primary is. Returns the place to which a replica must have come to
    /// have all that was written a while ago.
    fn note_place(&mut self, asked: Instant, told: &Told) -> u64 {
        let is_back = self.places.back().is_some_and(|(_, place)| *place > told.place);
        if self.history != told.history || is_back {
            self.history.clone_from(&told.history);
            self.places.clear();
        }
        self.places.push_back((asked, told.place));
        while self.places.front().is_some_and(|(when, _)| when.elapsed() > BEHIND) {
            self.places.pop_front();
        }
        // Whoever has come to a place has everything that was written before the primary was there.
        self.places.iter().map(|(_, place)| *place).min().unwrap_or(u64::MAX)
    }
}

impl Replicas {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks a primary for its replicas.
async fn ask(primary: Weak<Endpoint>) {
    let Some(primary) = primary.upgrade() else { return };
    let mut commands = redis::pipe();
    commands.cmd("INFO").arg("replication");
    let asked = Instant::now();
    let answers = primary.send(Lane::Small, 0, &commands, asked + EVERY).await;
    // One that cannot be asked is believed no longer after a while.
    if let Ok(answers) = answers {
        primary.heard_of_replicas(asked, &read(&text(answers.first())));
    }
}

/// Reads the answer to `INFO replication`.
fn read(info: &str) -> Told {
    let mut told = Told::default();
    for line in info.lines() {
        let Some((name, value)) = line.trim_end().split_once(':') else { continue };
        if name == "master_repl_offset" {
            told.place = value.parse().unwrap_or(u64::MAX);
        }
        if name == "master_replid" {
            value.clone_into(&mut told.history);
        }
        let number = name.strip_prefix("slave").and_then(|number| number.parse::<u32>().ok());
        if let (Some(_), Some(replica)) = (number, read_replica(value)) {
            told.replicas.push(replica);
        }
    }
    told
}

/// `ip=…,port=…,state=online,offset=…,lag=…`
fn read_replica(value: &str) -> Option<(Address, u64)> {
    let field =
        |name: &str| value.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    let address = Address::tcp(field("ip")?, field("port")?.parse().ok()?);
    (field("state")? == "online").then_some((address, field("offset")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_that_are_connected_are_read_from_what_a_primary_says() {
        let info = "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
                    slave0:ip=10.0.0.1,port=7,state=online,offset=90,lag=0\r\n\
                    slave1:ip=10.0.0.2,port=8,state=wait_bgsave,offset=0,lag=0\r\n\
                    slave_read_only:1\r\nmaster_replid:abc\r\nmaster_repl_offset:100\r\n";
        let replicas = vec![(Address::tcp("10.0.0.1", 7), 90)];
        assert_eq!(read(info), Told { history: "abc".to_owned(), place: 100, replicas });
        assert_eq!(read("").replicas, []);
    }

    #[test]
    fn what_a_replica_must_have_is_counted_anew_in_another_history() {
        let mut known = Known::default();
        let mut enough = |history: &str, place| {
            let told = Told { history: history.to_owned(), place, ..Told::default() };
            known.note_place(Instant::now(), &told)
        };
        assert_eq!(enough("one", 100), 100);
        assert_eq!(enough("one", 200), 100, "it had all that was written before");
        assert_eq!(enough("other", 900), 900, "places of the first say nothing about this one");
        assert_eq!(enough("other", 950), 900);
        assert_eq!(enough("other", 10), 10, "it has begun again");
    }
}
