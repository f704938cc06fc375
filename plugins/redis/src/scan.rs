//! Listing keys, a page at a time.

use larder_core::Result;
use larder_core::backend::{ScanPage, ScanRequest};

use crate::answer;
use crate::connection::{Lane, Route};
use crate::space::{ATTEMPTS, Space, restless};
use crate::walk::Place;

/// How many keys of the server a page looks at, if nobody says otherwise.
const PAGE: usize = 512;

/// The fewest: a server that several caches share has many keys that are not ours.
const SMALLEST_PAGE: usize = 64;

/// The most: the server does nothing else meanwhile.
const LARGEST_PAGE: usize = 4096;

impl Space {
    /// One page of keys.
    pub(crate) async fn scan(&self, request: &ScanRequest) -> Result<ScanPage> {
        let place = request.cursor.as_deref().and_then(Place::read);
        let count = match request.limit {
            0 => PAGE,
            limit => limit.clamp(SMALLEST_PAGE, LARGEST_PAGE),
        };
        for _ in 0..ATTEMPTS {
            let generation = self.generation().await?;
            let pattern = match request.leased {
                false => self.keys.pattern(generation, &request.prefix),
                true => self.keys.pattern_of_leases(generation, &request.prefix),
            };
            let page = self.page(place, &pattern, count).await?;
            // Asked for after the page, so that what a clear took away is not listed.
            let control = Route::Key(&self.keys.control);
            let control = self.send_one(Lane::Small, control, self.ask_control()).await?;
            if self.is_current(generation, answer::bytes(Some(control))?).await? {
                let read = |name: &Vec<u8>| match request.leased {
                    false => self.keys.read_entry(name).map(|(_, key)| key),
                    true => self.keys.read_lease(name).map(|(_, key)| key),
                };
                let keys = page.names.iter().filter_map(read).collect();
                return Ok(ScanPage { keys, next: page.next.map(|place| place.to_string()) });
            }
        }
        Err(restless())
    }
}
