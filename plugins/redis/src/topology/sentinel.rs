//! [`Sentinels`]: who knows which server is the primary.
//!
//! A Sentinel is asked once a second, so that a failover is noticed even when the old primary
//! still answers, cut off from all others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larder_core::telemetry;
use redis::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::config::{Address, Login, Settings};
use crate::connection::greeting::{Expect, greet, text};
use crate::connection::link::{Link, Patience, Pulse};
use crate::error::{Failure, Reason};

/// How often a Sentinel is asked whether the primary is another one.
const EVERY: Duration = Duration::from_secs(1);

/// The Sentinels of one primary.
#[derive(Debug)]
pub(crate) struct Sentinels {
    settings: Arc<Settings>,
    addresses: Vec<Address>,
    master: String,
    login: Login,
    /// The one that answered last.
    last: AtomicUsize,
    link: Mutex<Option<(usize, Link)>>,
}

impl Sentinels {
    pub(crate) fn new(
        settings: Arc<Settings>,
        addresses: Vec<Address>,
        master: String,
        login: Login,
    ) -> Self {
        let (last, link) = (AtomicUsize::new(0), Mutex::new(None));
        Self { settings, addresses, master, login, last, link }
    }

    /// The primary, as the first Sentinel that answers names it.
    ///
    /// # Errors
    ///
    /// Why none does.
    pub(crate) async fn find(&self) -> Result<Address, Failure> {
        let first = self.last.load(Ordering::Relaxed);
        let mut failure = Failure::setup("there are no Sentinels");
        for step in 0..self.addresses.len() {
            let index = (first + step) % self.addresses.len();
            match self.ask(index).await {
                Ok(address) => {
                    self.last.store(index, Ordering::Relaxed);
                    return Ok(address);
                }
                Err(refused) => {
                    failure = refused.at(&self.settings.name, &self.addresses[index]);
                    // There may be no time for the next one, which is then asked first.
                    self.last.store(index + 1, Ordering::Relaxed);
                }
            }
        }
        Err(failure)
    }

    /// Ends when the Sentinels name another server than this one.
    pub(crate) async fn moved_from(&self, known: &Address) -> Address {
        loop {
            tokio::time::sleep(EVERY).await;
            // Sentinels that cannot be asked say nothing about a primary that serves.
            if let Ok(address) = self.find().await
                && address != *known
            {
                tracing::info!(
                    target: telemetry::TARGET,
                    connection = self.settings.name, from = %known, to = %address,
                    "{}", telemetry::CONNECTION_MOVED
                );
                return address;
            }
        }
    }

    async fn ask(&self, index: usize) -> Result<Address, Failure> {
        let deadline = Instant::now() + self.settings.connect_timeout;
        let asking = async {
            let mut kept = self.link.lock().await;
            let usable = |(of, link): &(usize, Link)| *of == index && link.pulse() == Pulse::Alive;
            let link = match kept.take().filter(usable) {
                Some((_, link)) => link,
                None => self.open(index, deadline).await?,
            };
            let named = self.named(&link, deadline).await?;
            *kept = Some((index, link));
            Ok(named)
        };
        let asked = timeout_at(deadline, asking).await;
        asked.unwrap_or_else(|_| Err(Failure::slow("asking a Sentinel")))
    }

    async fn open(&self, index: usize, deadline: Instant) -> Result<Link, Failure> {
        let credentials = self.login.credentials().await;
        let credentials = credentials.map_err(|error| Failure { reason: Reason::Setup, error })?;
        let tls = self.settings.tls.as_ref();
        let link = Link::open(&self.addresses[index], tls, Patience::Answers, deadline).await?;
        greet(&link, &credentials, 0, Expect::Sentinel, deadline).await?;
        Ok(link)
    }

    async fn named(&self, link: &Link, deadline: Instant) -> Result<Address, Failure> {
        let mut commands = redis::pipe();
        commands.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(&self.master);
        let answers = link.send(&commands, deadline).await;
        let answers = answers.map_err(|_| Failure::slow("asking a Sentinel"))?;
        match answers.first() {
            Some(Value::Array(parts)) if parts.len() == 2 => {
                let port = text(parts.get(1)).parse();
                let port = port.map_err(|_| Failure::setup("the Sentinel names no port"))?;
                Ok(Address::tcp(text(parts.first()), port))
            }
            Some(Value::ServerError(error)) => Err(Failure::refused("SENTINEL", error)),
            _ => Err(Failure::setup(format!("the Sentinel watches no primary `{}`", self.master))
                .hint("correct `master`; it is the name in `sentinel monitor`")),
        }
    }
}
