//! The names of every span and event, in one place, so that an operator can filter by them and a
//! test can list them.
//!
//! All carry the target [`TARGET`]. A hit has neither span nor event.

/// The `tracing` target of everything Larder says.
pub const TARGET: &str = "larder";

macro_rules! names {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)*) => {
        $($(#[doc = $doc])+ pub const $name: &str = $text;)*

        /// Every name with its description, for the table in `docs/telemetry.md`.
        pub const ALL: &[(&str, &str)] = &[$(($text, concat!($($doc),+))),*];
    };
}

names! {
    /// span: a config is read, merged and checked. Fields: `file`.
    CONFIG_LOAD = "config.load";
    /// span: the plugins of one cache are built. Fields: `cache`.
    CACHE_BUILD = "cache.build";
    /// span: background work of all plugins begins.
    MANAGER_START = "manager.start";
    /// span: all caches are flushed and closed.
    MANAGER_CLOSE = "manager.close";
    /// span: the application's loader runs for one key. Fields: `cache`.
    CACHE_LOAD = "cache.load";
    /// event, warn: a config was used although `check` warns of it.
    /// Fields: `code`, `path`, `problem`.
    CONFIG_WARNING = "config.warning";
    /// event, debug: a cache is ready. Fields: `cache`, `tiers`.
    CACHE_READY = "cache.ready";
    /// event, warn: a loader failed or panicked. Fields: `cache`, `error`.
    LOAD_FAILED = "load.failed";
    /// event, debug: a loaded value was not stored, for its key was invalidated meanwhile.
    /// Fields: `cache`.
    LOAD_FENCED = "load.fenced";
    /// event, debug: a load ended after its callers had given up waiting. Fields: `cache`, `is_ok`.
    LOAD_LATE = "load.late";
    /// event, debug: an entry is loaded again before its end. Fields: `cache`.
    REFRESH_STARTED = "refresh.started";
    /// event, warn: such a load failed; it is tried again later. Fields: `cache`, `error`.
    REFRESH_FAILED = "refresh.failed";
    /// event, debug: a value was served past its end, for loading it anew failed, took too long, or
    /// is not tried now. Fields: `cache`, `reason`, `age`.
    STALE_SERVED = "stale.served";
    /// event, warn: a tier failed and was skipped. Fields: `cache`, `tier`, `operation`, `error`.
    TIER_FAILED = "tier.failed";
    /// event, warn: a tier failed too often and is left alone for a while.
    /// Fields: `cache`, `tier`, `open_for`.
    BREAKER_OPEN = "breaker.open";
    /// event, info: a tier that was left alone is asked once, to see whether it answers again.
    /// Fields: `cache`, `tier`.
    BREAKER_HALF_OPEN = "breaker.half_open";
    /// event, info: a tier answers again and is used as before. Fields: `cache`, `tier`.
    BREAKER_CLOSED = "breaker.closed";
    /// event, warn: an invalidation could not be delivered to a tier. It is tried again, and until
    /// then what the tier has of it is not served. Said when the first of them comes.
    /// Fields: `cache`, `tier`.
    RECOVERY_PENDING = "recovery.pending";
    /// event, info: all invalidations that had to wait were delivered.
    /// Fields: `cache`, `tier`, `delivered`.
    RECOVERY_DONE = "recovery.done";
    /// event, warn: more invalidations wait than are remembered, so the whole tier will be cleared.
    /// Fields: `cache`, `tier`, `limit`.
    RECOVERY_OVERFLOW = "recovery.overflow";
    /// event, warn: the cache was closed before these invalidations could be delivered: other
    /// processes may be served what they concern. Fields: `cache`, `tier`, `lost`.
    RECOVERY_LOST = "recovery.lost";
    /// event, warn: a stored value could not be decoded and counts as a miss.
    /// Fields: `cache`, `tier`, `error`.
    DECODE_FAILED = "decode.failed";
    /// event, warn: the clock of another writer of the tier is ahead of ours, or ours is behind.
    /// Said once for each writer in a row. Fields: `cache`, `tier`, `error`.
    CLOCK_DRIFT = "clock.drift";
    /// event, warn: a value could not be stored in a tier. Fields: `cache`, `tier`, `error`.
    STORE_FAILED = "store.failed";
    /// event, warn: a plugin could not be closed in order. Fields: `cache`, `tier`, `error`.
    CLOSE_FAILED = "close.failed";
    /// event, debug: the entries of an earlier process are in memory again.
    /// Fields: `cache`, `path`, `restored`.
    CACHE_RESTORED = "cache.restored";
    /// event, warn: the file of `persist` could not be read, or only a part of its entries: the
    /// cache starts with those. Fields: `cache`, `path`, `restored`, `error`.
    RESTORE_FAILED = "restore.failed";
    /// event, warn: the file of `persist` could not be written, and the old one is still there; or
    /// it was, without some of the values. Fields: `cache`, `path`, `error`.
    SAVE_FAILED = "save.failed";
    /// event, warn: a disk engine could not go on with what it had stored and begins empty.
    /// Fields: `cache`, `backend`, `reason`.
    DISK_RESET = "disk.reset";
    /// event, warn: an entry on the disk was unreadable and was removed.
    /// Fields: `cache`, `reason`.
    FILE_CORRUPT = "file.corrupt";
    /// event, warn: a server has something under our names that cannot be read and counts as a
    /// miss. Said once for each kind of it. Fields: `cache`, `reason`.
    REDIS_UNREADABLE = "redis.unreadable";
    /// event, debug: what a clear had left on the servers was removed. Fields: `cache`, `removed`.
    REDIS_SWEPT = "redis.swept";
    /// event, error: a component of a library panicked where it could not say so.
    /// Fields: `plugin`, `component`, `cache`, `error`.
    PLUGIN_PANICKED = "plugin.panicked";
    /// event, warn: a component of a library was given up, or could not be made again.
    /// Fields: `plugin`, `component`, `cache`, `error`.
    PLUGIN_DOWN = "plugin.down";
    /// event, info: a component of a library that was given up was made again.
    /// Fields: `plugin`, `component`, `cache`.
    PLUGIN_UP = "plugin.up";
    /// event, warn: a library does not return from a function that ends an instance of a component
    /// or a call of it. The instance is left behind, with a thread.
    /// Fields: `plugin`, `component`, `cache`, `instance`, `operation`, `patience`.
    PLUGIN_STUCK = "plugin.stuck";
    /// event, info: a library with plugins passed all checks and is in memory.
    /// Fields: `plugin`, `version`, `path`, `sha256`, `components`.
    PLUGIN_LOADED = "plugin.loaded";
    /// event, info: a library took the place of others of its name, which stay in memory, with what
    /// was built from them. Fields: `plugin`, `version`, `before`, `bytes`, `instances`.
    PLUGIN_REPLACED = "plugin.replaced";
    /// event, warn: a component of a library is of a kind that this release does not know, and is
    /// left out. Fields: `plugin`, `component`, `kind`.
    PLUGIN_SKIPPED = "plugin.skipped";
    /// event, info: a server can be used. Fields: `connection`, `server`, `version`.
    CONNECTION_UP = "connection.up";
    /// event, warn: the connection to a server was lost, or is of no use any more; it is made anew
    /// at once. Fields: `connection`, `server`, `why`.
    CONNECTION_LOST = "connection.lost";
    /// event, warn: a server cannot be used; it is tried again for ever. Said once for each reason
    /// in a row. Fields: `connection`, `error`.
    CONNECTION_DOWN = "connection.down";
    /// event, warn: a server leaves questions unanswered. Fields: `connection`, `server`.
    CONNECTION_SUSPECT = "connection.suspect";
    /// event, info: the Sentinels name another primary. Fields: `connection`, `from`, `to`.
    CONNECTION_MOVED = "connection.moved";
    /// event, debug: a cluster has other primaries than before. Fields: `connection`, `primaries`.
    CONNECTION_SLOTS = "connection.slots";
    /// event, info: a server removes what it was told to keep when its memory is full, which costs
    /// misses and nothing else. Fields: `connection`, `server`, `policy`.
    CONNECTION_EVICTS = "connection.evicts";
    /// event, trace: a pass of the TTL manager. Fields: `caches`, `removed`.
    TTL_SWEEP = "ttl.sweep";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ALL;

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<_> = ALL.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
