//! Listing keys, a page at a time.

use larder_core::Result;
use larder_core::backend::{ScanPage, ScanRequest};
use redis::{Cmd, Pipeline, Value};

use crate::answer;
use crate::connection::{Lane, Route};
use crate::keys::Generation;
use crate::space::Space;

/// How many keys of the server a page looks at, if nobody says otherwise.
const PAGE: usize = 512;

/// The fewest: a server that several caches share has many keys that are not ours.
const SMALLEST_PAGE: usize = 64;

/// The most: the server does nothing else meanwhile.
const LARGEST_PAGE: usize = 4096;

/// Where a scan is. The servers are gone through one after another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cursor {
    /// How many servers there were. When there are others, keys have moved between them, and the
    /// scan begins anew.
    servers: usize,
    /// Which one it is at.
    server: usize,
    /// The cursor of that server.
    at: u64,
}

impl Cursor {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let cursor = Self {
            servers: parts.next()?.parse().ok()?,
            server: parts.next()?.parse().ok()?,
            at: parts.next()?.parse().ok()?,
        };
        (parts.next().is_none() && cursor.server < cursor.servers).then_some(cursor)
    }

    fn next(self, at: u64) -> Option<String> {
        let Self { servers, server, .. } = self;
        match at {
            0 if server + 1 == servers => None,
            0 => Some(format!("{servers}.{}.0", server + 1)),
            at => Some(format!("{servers}.{server}.{at}")),
        }
    }
}

impl Space {
    /// One page of keys.
    pub(crate) async fn scan(&self, request: &ScanRequest) -> Result<ScanPage> {
        let servers = self.connection.primaries().await?.max(1);
        let asked = request.cursor.as_deref().and_then(Cursor::read);
        let cursor = asked.filter(|cursor| cursor.servers == servers);
        let cursor = cursor.unwrap_or(Cursor { servers, server: 0, at: 0 });
        let count = match request.limit {
            0 => PAGE,
            limit => limit.clamp(SMALLEST_PAGE, LARGEST_PAGE),
        };
        loop {
            let generation = self.generation().await?;
            let pattern = self.keys.pattern(generation, &request.prefix);
            let (next, names) = self.scan_server(cursor.server, cursor.at, &pattern, count).await?;
            // Asked for after the page, so that what a clear took away is not listed.
            let control = Route::Key(&self.keys.control);
            let control = self.send_one(Lane::Small, control, self.ask_control()).await?;
            if self.is_current(generation, answer::bytes(Some(control))?).await? {
                let read = |name: &Vec<u8>| self.keys.read_entry(name).map(|(_, key)| key);
                let keys = names.iter().filter_map(read).collect();
                return Ok(ScanPage { keys, next: cursor.next(next) });
            }
        }
    }

    /// Some names of one server that match a pattern, and its next cursor.
    pub(crate) async fn scan_server(
        &self,
        server: usize,
        cursor: u64,
        pattern: &str,
        count: usize,
    ) -> Result<(u64, Vec<Vec<u8>>)> {
        let mut command = Cmd::new();
        command.arg("SCAN").arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(count);
        let answer = self.send_one(Lane::Bulk, Route::Primary(server), command).await?;
        let mut parts = answer::many(Some(answer))?.into_iter();
        let next = answer::bytes(parts.next())?.unwrap_or_default();
        let next = std::str::from_utf8(&next).ok().and_then(|text| text.parse().ok());
        let names = answer::many(parts.next())?.into_iter().filter_map(|name| match name {
            Value::BulkString(name) => Some(name),
            _ => None,
        });
        // A cursor that cannot be read ends the scan rather than going on for ever.
        Ok((next.unwrap_or(0), names.collect()))
    }

    /// Removes from one server, of these names, the entries of other generations than the current
    /// one; how many there were.
    ///
    /// The generation is asked for after the names were listed. None that is over ever comes back,
    /// so an entry of another one is of no use to anybody.
    pub(crate) async fn unlink_outdated(&self, server: usize, names: &[Vec<u8>]) -> Result<u64> {
        let current: Generation = self.advance(None).await?;
        let mut pipeline = Pipeline::new();
        for name in names {
            let read = self.keys.read_entry(name);
            if read.is_some_and(|(generation, _)| generation != current) {
                pipeline.cmd("UNLINK").arg(&name[..]);
            }
        }
        if pipeline.is_empty() {
            return Ok(0);
        }
        let answers = self.connection.send(Lane::Bulk, Route::Primary(server), pipeline).await?;
        let mut removed = 0;
        for answer in answers {
            // One that has moved to another server meanwhile is found there.
            removed += answer::number(Some(answer)).map_or(0, |count| count.max(0) as u64);
        }
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_goes_through_all_servers_and_ends() {
        let first = Cursor { servers: 2, server: 0, at: 0 };
        assert_eq!(first.next(17).as_deref(), Some("2.0.17"));
        assert_eq!(first.next(0).as_deref(), Some("2.1.0"));
        let last = Cursor { servers: 2, server: 1, at: 5 };
        assert_eq!(last.next(0), None);
        assert_eq!(Cursor::read("2.1.5"), Some(last));
    }

    #[test]
    fn what_is_no_cursor_is_not_taken_for_one() {
        for text in
            ["", "1", "1.0", "1.1.0", "1.0.0.0", "-1.0.0", "a.b.c", "1.0.18446744073709551616"]
        {
            assert_eq!(Cursor::read(text), None, "{text}");
        }
    }
}
