//! The sockets to one server: some for small values, one for large ones, one for commands that
//! wait.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use super::Lane;
use super::greeting::{Facts, log_in};
use super::link::{Link, Patience, Pulse};
use crate::config::{Address, Settings};
use crate::error::{Failure, Reason};

/// The sockets to one server.
#[derive(Debug)]
pub(crate) struct Lanes {
    settings: Arc<Settings>,
    address: Address,
    facts: Facts,
    /// The first socket for small values. Its life is that of the whole.
    first: Arc<Link>,
    others: Vec<Spare>,
    bulk: Spare,
    blocking: Spare,
}

/// A socket that is opened when it is needed, and again when it broke.
#[derive(Debug, Default)]
struct Spare {
    link: RwLock<Option<Arc<Link>>>,
    /// Held while it is opened; when that failed last, and why.
    opening: Mutex<Option<(Instant, Failure)>>,
}

impl Lanes {
    /// The sockets to a server over the first of which was greeted.
    pub(crate) fn new(
        settings: Arc<Settings>,
        address: Address,
        facts: Facts,
        first: Link,
    ) -> Self {
        let others = (1..settings.pool_size).map(|_| Spare::default()).collect();
        Self {
            settings,
            address,
            facts,
            first: Arc::new(first),
            others,
            bulk: Spare::default(),
            blocking: Spare::default(),
        }
    }

    pub(crate) const fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) const fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(crate) const fn first(&self) -> &Arc<Link> {
        &self.first
    }

    /// The socket for small values, if it is open. Commands of equal `affinity` go over the same.
    pub(crate) fn ready(&self, affinity: usize) -> Option<Arc<Link>> {
        match (affinity % (self.others.len() + 1)).checked_sub(1) {
            None => Some(Arc::clone(&self.first)),
            Some(index) => self.others[index].usable(),
        }
    }

    /// The socket for a lane. Commands of equal `affinity` go over the same, so that they stay in
    /// order.
    ///
    /// # Errors
    ///
    /// Why the socket could not be opened.
    pub(crate) async fn link(
        &self,
        lane: Lane,
        affinity: usize,
        deadline: Instant,
    ) -> Result<Arc<Link>, Failure> {
        let spare = match lane {
            Lane::Small => match (affinity % (self.others.len() + 1)).checked_sub(1) {
                None => return Ok(Arc::clone(&self.first)),
                Some(index) => &self.others[index],
            },
            Lane::Bulk => &self.bulk,
            Lane::Blocking => &self.blocking,
        };
        if let Some(link) = spare.usable() {
            return Ok(link);
        }
        let deadline = deadline.min(Instant::now() + self.settings.connect_timeout);
        let patience = match lane {
            Lane::Small => Patience::Answers,
            Lane::Bulk => Patience::Uploads(self.settings.timeout),
            Lane::Blocking => Patience::Blocking,
        };
        let opening = self.open(spare, patience, deadline);
        let opened = timeout_at(deadline, opening).await;
        opened.unwrap_or_else(|_| Err(Failure::slow("connecting")))
    }

    async fn open(
        &self,
        spare: &Spare,
        patience: Patience,
        deadline: Instant,
    ) -> Result<Arc<Link>, Failure> {
        let mut last = spare.opening.lock().await;
        if let Some(link) = spare.usable() {
            return Ok(link);
        }
        if let Some((when, failure)) = &*last
            && when.elapsed() < pause_after(failure.reason)
        {
            return Err(failure.clone());
        }
        match self.try_open(patience, deadline).await {
            Ok(link) => {
                let link = Arc::new(link);
                let mut known = spare.link.write().unwrap_or_else(PoisonError::into_inner);
                *known = Some(Arc::clone(&link));
                *last = None;
                Ok(link)
            }
            Err(failure) => {
                *last = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    async fn try_open(&self, patience: Patience, deadline: Instant) -> Result<Link, Failure> {
        // The password may be another one than that of the first socket by now.
        let credentials = self.settings.login.credentials().await;
        let credentials = credentials.map_err(|error| Failure { reason: Reason::Setup, error })?;
        let tls = self.settings.tls.as_ref();
        let link = Link::open(&self.address, tls, patience, deadline).await?;
        log_in(&link, &credentials, (self.settings.db, &self.facts), deadline).await?;
        Ok(link)
    }
}

/// How long a socket is not tried again that could not be opened, whoever asks for it.
const fn pause_after(reason: Reason) -> Duration {
    match reason {
        Reason::Away | Reason::Setup | Reason::Trust => Duration::from_millis(400),
        Reason::Login => Duration::from_secs(3),
    }
}

impl Spare {
    fn usable(&self) -> Option<Arc<Link>> {
        let link = self.link.read().unwrap_or_else(PoisonError::into_inner);
        link.as_ref().filter(|link| link.pulse() != Pulse::Dead).cloned()
    }
}
