//! Zstandard: the best of the three at most levels, and quick to read at all of them.

use larder_core::wrapper::numbers;
use larder_core::{
    BuildContext, ByteSize, Descriptor, PluginConfig, Result, Role, WrapContext, Wrapper,
    WrapperConfig, async_trait, descriptor, register,
};
use schemars::JsonSchema;
use serde::Deserialize;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::get_frame_content_size;

use super::limit::{Limit, default_max_size};
use super::{not_undone, not_wrapped};

/// A block of at most 128 KiB takes at least four bytes.
const GROWTH: usize = (128 << 10) / 4;

/// Options of the `zstd` wrapper.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ZstdConfig {
    /// How hard to try: 1 is quick, 19 is small and takes many times as long. Entries of any level
    /// can be read, and reading takes about as long for all.
    #[serde(default = "default_level")]
    #[schemars(range(min = 1, max = 19))]
    pub level: i32,
    /// The greatest value that is compressed, and that is taken from the store: a few bytes could
    /// stand for a great many.
    #[serde(default = "default_max_size")]
    pub max_size: ByteSize,
}

const fn default_level() -> i32 {
    3
}

impl Default for ZstdConfig {
    fn default() -> Self {
        Self { level: default_level(), max_size: default_max_size() }
    }
}

#[async_trait]
impl PluginConfig for ZstdConfig {
    const KIND: &'static str = "zstd";
    const SUMMARY: &'static str = "compresses well, and quickly";
    type Plugin = Zstd;

    async fn build(self, _context: &BuildContext) -> Result<Zstd> {
        Ok(Zstd::new(&self))
    }
}

impl WrapperConfig for ZstdConfig {
    const ROLE: Role = Role::Compress;
}

/// Writes one Zstandard frame (RFC 8878) that gives its content size.
#[derive(Clone, Debug)]
pub struct Zstd {
    level: i32,
    limit: Limit,
}

impl Zstd {
    /// A wrapper with these options.
    #[must_use]
    pub const fn new(config: &ZstdConfig) -> Self {
        let limit = Limit { kind: ZstdConfig::KIND, max_size: config.max_size };
        Self { level: config.level, limit }
    }
}

impl Wrapper for Zstd {
    fn number(&self) -> u16 {
        numbers::ZSTD
    }

    fn wrap(&self, bytes: &[u8], _context: &WrapContext<'_>) -> Result<Vec<u8>> {
        self.limit.check_wrap(bytes.len())?;
        let wrapped = Compressor::new(self.level).and_then(|mut zstd| zstd.compress(bytes));
        let mut wrapped = wrapped.map_err(|error| not_wrapped(self.limit.kind, error))?;
        wrapped.shrink_to_fit();
        Ok(wrapped)
    }

    fn undo(&self, bytes: &[u8], context: &WrapContext<'_>) -> Result<Vec<u8>> {
        let kind = self.limit.kind;
        let size = match get_frame_content_size(bytes) {
            Ok(Some(size)) => size,
            Ok(None) => return Err(not_undone(kind, "they do not say for how many they stand")),
            Err(error) => return Err(not_undone(kind, error)),
        };
        let size = self.limit.check_undo(size, bytes.len(), GROWTH, context)?;
        let mut undone = Vec::with_capacity(size);
        let written = Decompressor::new()
            .and_then(|mut zstd| zstd.decompress_to_buffer(bytes, &mut undone))
            .map_err(|error| not_undone(kind, error))?;
        if written != size {
            return Err(not_undone(kind, "they do not have the length they say"));
        }
        Ok(undone)
    }
}

/// For explicit registration.
pub const ZSTD: Descriptor = descriptor!(wrapper: ZstdConfig);

register!(wrapper: ZstdConfig);
