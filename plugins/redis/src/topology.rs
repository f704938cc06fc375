//! Where the servers are: one that stays where it is, one that Sentinels name, or a cluster.

use std::sync::Arc;

use crate::config::Address;
use crate::error::Failure;

pub(crate) mod answers;
pub(crate) mod cluster;
pub(crate) mod sentinel;
pub(crate) mod single;
pub(crate) mod slots;

use sentinel::Sentinels;

/// How a server is found.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// It is always there.
    Fixed(Address),
    /// The Sentinels know.
    Sentinels(Arc<Sentinels>),
}

impl Source {
    /// The address, if it is known without asking.
    pub(crate) const fn known(&self) -> Option<&Address> {
        match self {
            Self::Fixed(address) => Some(address),
            Self::Sentinels(_) => None,
        }
    }

    /// Finds the server.
    ///
    /// # Errors
    ///
    /// Why nobody knows where it is.
    pub(crate) async fn find(&self) -> Result<Address, Failure> {
        match self {
            Self::Fixed(address) => Ok(address.clone()),
            Self::Sentinels(sentinels) => sentinels.find().await,
        }
    }

    /// Ends with the address of another server, when that takes the place of this one.
    pub(crate) async fn moved_from(&self, address: &Address) -> Address {
        match self {
            Self::Fixed(_) => std::future::pending().await,
            Self::Sentinels(sentinels) => sentinels.moved_from(address).await,
        }
    }
}
