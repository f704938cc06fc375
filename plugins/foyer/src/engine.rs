//! Opening foyer with our options.

use std::path::PathBuf;

use foyer::{
    BlockEngineConfig, DeviceBuilder, FsDeviceBuilder, HybridCache, HybridCacheBuilder,
    HybridCachePolicy,
};
use larder_core::{CacheError, ErrorKind, Result};
use tokio::runtime::Handle;

use crate::config::FoyerConfig;
use crate::stored::Stored;

/// foyer with our types.
pub(crate) type Engine = HybridCache<String, Stored>;

/// What an entry takes on the disk at least, and what blocks are multiples of.
const PAGE: u64 = 4096;

const MIB: u64 = 1024 * 1024;

/// Each block is a file that stays open, so there are not too many. What is evicted at a time is a
/// small part of all, unless entries would have too little room. Offsets in a block have 32 bits.
const BLOCKS: u64 = 128;
const FEWEST_BLOCKS: u64 = 16;
const SMALLEST_BLOCK: u64 = 64 * 1024;
const USUAL_BLOCK: u64 = 2 * MIB;
const GREATEST_BLOCK: u64 = 1024 * MIB;

/// The head of an entry on the disk, and room for it to grow with a version of foyer.
const HEAD: u64 = 256;

/// How much of everything there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    disk: u64,
    memory: u64,
    block: u64,
    /// How much foyer collects before it writes. What comes faster than that it drops.
    buffer: u64,
}

impl Sizes {
    pub(crate) fn new(config: &FoyerConfig) -> Self {
        let disk = config.max_bytes.0;
        let usual = (disk / FEWEST_BLOCKS).min(USUAL_BLOCK);
        let block = (disk / BLOCKS).max(usual).clamp(SMALLEST_BLOCK, GREATEST_BLOCK);
        let block = block - block % PAGE;
        let buffer = block.clamp(4 * MIB, 16 * MIB);
        Self { disk, memory: config.memory_bytes.0, block, buffer }
    }

    /// How many entries fit on the disk.
    pub(crate) const fn entries(&self) -> u64 {
        self.disk / PAGE
    }

    /// The greatest entry, with its key.
    pub(crate) fn greatest_entry(&self) -> u64 {
        self.block.min(self.buffer) - PAGE - HEAD
    }

    /// What an entry of so many bytes takes on the disk.
    pub(crate) const fn on_disk(bytes: u64) -> u64 {
        (bytes + HEAD).next_multiple_of(PAGE)
    }

    /// How much may be on its way to the disk before a writer has to wait.
    pub(crate) fn backlog(&self) -> u64 {
        (self.buffer / 2).min(self.disk / 4)
    }

    /// What must be as it was for the data to be readable.
    pub(crate) const fn geometry(&self) -> [u64; 2] {
        [self.disk, self.block]
    }

    fn get(size: u64) -> usize {
        usize::try_from(size).unwrap_or(usize::MAX)
    }
}

/// Opens what is in the folder, or makes it. Runs on a task of its own, so that a panic of foyer
/// over damaged data is an error here.
pub(crate) async fn open(runtime: &Handle, data: PathBuf, sizes: Sizes) -> Result<Engine> {
    let opened = runtime.spawn(async move { build(data, sizes).await });
    let engine = opened
        .await
        .map_err(|error| CacheError::new(ErrorKind::Plugin, "foyer panicked").caused_by(error))?;
    engine.map_err(|error| failed("open", error))
}

async fn build(data: PathBuf, sizes: Sizes) -> foyer::Result<Engine> {
    let device = FsDeviceBuilder::new(data).with_capacity(Sizes::get(sizes.disk)).build()?;
    let buffer = Sizes::get(sizes.buffer);
    let blocks = BlockEngineConfig::new(device)
        .with_block_size(Sizes::get(sizes.block))
        .with_buffer_pool_size(buffer)
        .with_submit_queue_size_threshold(buffer)
        // What was deleted is not even indexed when the cache is opened again.
        .with_tombstone_log(true);
    HybridCacheBuilder::new()
        .with_policy(HybridCachePolicy::WriteOnInsertion)
        // All of the memory is on its way to the disk from the beginning.
        .with_flush_on_close(false)
        .memory(Sizes::get(sizes.memory))
        .with_weighter(|key: &String, value: &Stored| key.len() + value.envelope.len())
        .storage()
        .with_engine_config(blocks)
        .build()
        .await
}

/// The error of a call that foyer could not carry out.
pub(crate) fn failed(operation: &'static str, cause: foyer::Error) -> CacheError {
    CacheError::new(ErrorKind::Connection, "foyer could not carry out the operation")
        .during(operation)
        .with("backend", "foyer")
        .caused_by(cause)
        .hint("look at the directory and the disk it is on")
}
