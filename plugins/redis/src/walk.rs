//! Going through all keys of all servers, a page at a time.
//!
//! A cursor of `SCAN` means something to the process that gave it and to no other: each server
//! hashes with a secret of its own. So a place remembers which process gave the cursor, and how the
//! keys were shared out between the servers. When either is another one, the walk goes back: to the
//! beginning of that server, or of all. A key may then be seen twice, but none that was there all
//! the time is passed over.

use std::fmt;

use larder_core::{CacheError, ErrorKind, Result};
use redis::{Pipeline, Value};

use crate::answer;
use crate::connection::{Lane, Route};
use crate::space::Space;

/// How often a page is asked for again while the servers change.
const ATTEMPTS: usize = 8;

/// Where a walk is. The servers are gone through one after another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// How the keys are shared out between the servers.
    layout: u64,
    /// Which server it is at.
    server: usize,
    /// Which run of that server gave the cursor.
    run: u64,
    /// The cursor.
    cursor: u64,
}

/// Some keys.
#[derive(Debug)]
pub(crate) struct Page {
    /// Which server has them.
    pub(crate) server: usize,
    pub(crate) names: Vec<Vec<u8>>,
    /// Where those are that come after; `None` when there are no more.
    pub(crate) next: Option<Place>,
}

/// What a server answers.
struct Scanned {
    run: u64,
    next: u64,
    names: Vec<Vec<u8>>,
}

impl Place {
    /// Reads what [`Display`](fmt::Display) writes; `None` for anything else.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let place = Self {
            layout: u64::from_str_radix(parts.next()?, 16).ok()?,
            server: parts.next()?.parse().ok()?,
            run: u64::from_str_radix(parts.next()?, 16).ok()?,
            cursor: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(place)
    }

    /// Where it goes on after a page.
    fn after(self, scanned: &Scanned, servers: usize) -> Option<Self> {
        match scanned.next {
            0 if self.server + 1 >= servers => None,
            0 => Some(Self { server: self.server + 1, run: 0, cursor: 0, ..self }),
            cursor => Some(Self { run: scanned.run, cursor, ..self }),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{}.{:x}.{}", self.layout, self.server, self.run, self.cursor)
    }
}

impl Space {
    /// The names at a place that match a pattern; without a place, the first ones.
    pub(crate) async fn page(
        &self,
        mut place: Option<Place>,
        pattern: &str,
        count: usize,
    ) -> Result<Page> {
        for _ in 0..ATTEMPTS {
            let layout = self.connection.layout().await?;
            let is_there =
                |place: &Place| place.layout == layout.mark && place.server < layout.servers;
            let begin = Place { layout: layout.mark, ..Place::default() };
            let at = place.filter(is_there).unwrap_or(begin);
            let scanned = self.scan_server(at, pattern, count).await?;
            if at.cursor != 0 && at.run != scanned.run {
                place = Some(Place { cursor: 0, ..at });
                continue;
            }
            // What the number of the server means may have changed in between.
            if self.connection.layout().await? == layout {
                let next = at.after(&scanned, layout.servers);
                return Ok(Page { server: at.server, names: scanned.names, next });
            }
        }
        let message = "the servers change all the time, so their keys cannot be listed";
        Err(CacheError::new(ErrorKind::Connection, message)
            .with("attempts", ATTEMPTS)
            .hint("try again when they do not"))
    }

    async fn scan_server(&self, at: Place, pattern: &str, count: usize) -> Result<Scanned> {
        let mut pipeline = Pipeline::with_capacity(2);
        let scan = pipeline.cmd("SCAN").arg(at.cursor);
        scan.arg("MATCH").arg(pattern).arg("COUNT").arg(count);
        pipeline.cmd("INFO").arg("server");
        let answers = self.connection.send(Lane::Bulk, Route::Primary(at.server), pipeline).await?;
        let mut answers = answers.into_iter();
        let mut parts = answer::many(answers.next())?.into_iter();
        // A server that may not be asked which one it is has always been the same.
        let info = answer::bytes(answers.next()).ok().flatten().unwrap_or_default();
        let next = answer::bytes(parts.next())?.unwrap_or_default();
        let next = std::str::from_utf8(&next).ok().and_then(|text| text.parse().ok());
        let names = answer::many(parts.next())?.into_iter().filter_map(|name| match name {
            Value::BulkString(name) => Some(name),
            _ => None,
        });
        // A cursor that cannot be read ends the walk rather than going on for ever.
        Ok(Scanned { run: run_of(&info), next: next.unwrap_or(0), names: names.collect() })
    }
}

/// Another number for each process of a server; 0 when that is not known.
fn run_of(info: &[u8]) -> u64 {
    let id = String::from_utf8_lossy(info);
    let id = id.lines().find_map(|line| line.strip_prefix("run_id:"));
    id.and_then(|id| u64::from_str_radix(id.get(..16)?, 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(next: u64) -> Scanned {
        Scanned { run: 0xabc, next, names: Vec::new() }
    }

    #[test]
    fn a_walk_goes_through_all_servers_and_ends() {
        let first = Place { layout: 0xff, ..Place::default() };
        let place = first.after(&scanned(17), 2).unwrap();
        assert_eq!(place.to_string(), "ff.0.abc.17");
        assert_eq!(Place::read("ff.0.abc.17"), Some(place));
        let second = place.after(&scanned(0), 2).unwrap();
        assert_eq!(second.to_string(), "ff.1.0.0");
        assert_eq!(second.after(&scanned(0), 2), None);
    }

    #[test]
    fn what_is_no_place_is_not_taken_for_one() {
        for text in
            ["", "1", "1.0.0", "1.1.0.0.0", "-1.0.0.0", "x.0.0.0", "1.0.0.18446744073709551616"]
        {
            assert_eq!(Place::read(text), None, "{text}");
        }
    }

    #[test]
    fn a_run_is_told_by_the_id_of_the_process() {
        let info = b"# Server\r\nrun_id:00000000000000ff33d9b0d5ad3a9ea2b1f5c0a7\r\n";
        assert_eq!(run_of(info), 0xff);
        assert_eq!(run_of(b"run_id:short"), 0);
        assert_eq!(run_of(b""), 0);
    }
}
