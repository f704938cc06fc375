//! The real command in folders of its own, compared with `tests/golden/*.txt`.
//! `SNAPSHOTS=overwrite cargo test -p larder-cli` writes those anew.

mod caches;
mod configs;
mod libraries;
mod online;
mod plugins;
#[cfg(unix)]
mod redis;
mod scaffolds;
mod simulate;
mod snapshots;
mod support;
