//! zlib: older and slower than `zstd`, and known to everything.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use larder_core::wrapper::numbers;
use larder_core::{
    BuildContext, ByteSize, Descriptor, PluginConfig, Result, Role, WrapContext, Wrapper,
    WrapperConfig, async_trait, descriptor, register,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::length::{length_of, split_length};
use super::limit::{Limit, default_max_size};
use super::{not_undone, not_wrapped};

/// Two bits stand for a run of at most 258.
const GROWTH: usize = 1032;

/// Options of the `zlib` wrapper.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ZlibConfig {
    /// How hard to try: 1 is quick, 9 is small. Entries of any level can be read.
    #[serde(default = "default_level")]
    #[schemars(range(min = 1, max = 9))]
    pub level: u32,
    /// The greatest value that is compressed, and that is taken from the store: a few bytes could
    /// stand for a great many.
    #[serde(default = "default_max_size")]
    pub max_size: ByteSize,
}

const fn default_level() -> u32 {
    6
}

impl Default for ZlibConfig {
    fn default() -> Self {
        Self { level: default_level(), max_size: default_max_size() }
    }
}

#[async_trait]
impl PluginConfig for ZlibConfig {
    const KIND: &'static str = "zlib";
    const SUMMARY: &'static str = "compresses with the DEFLATE that everything knows";
    type Plugin = Zlib;

    async fn build(self, _context: &BuildContext) -> Result<Zlib> {
        Ok(Zlib::new(&self))
    }
}

impl WrapperConfig for ZlibConfig {
    const ROLE: Role = Role::Compress;
}

/// Writes the length, four bytes big endian, and a zlib stream (RFC 1950), whose Adler-32 is
/// verified when it is read.
#[derive(Clone, Debug)]
pub struct Zlib {
    level: Compression,
    limit: Limit,
}

impl Zlib {
    /// A wrapper with these options. A level above 9 is taken as 9.
    #[must_use]
    pub fn new(config: &ZlibConfig) -> Self {
        Self {
            level: Compression::new(config.level.min(9)),
            limit: Limit { kind: ZlibConfig::KIND, max_size: config.max_size },
        }
    }
}

impl Wrapper for Zlib {
    fn number(&self) -> u16 {
        numbers::ZLIB
    }

    fn wrap(&self, bytes: &[u8], _context: &WrapContext<'_>) -> Result<Vec<u8>> {
        let kind = self.limit.kind;
        self.limit.check_wrap(bytes.len())?;
        let mut wrapped = length_of(kind, bytes)?.to_vec();
        let mut stream = Compress::new(self.level, true);
        loop {
            wrapped.reserve(bytes.len() / 2 + 64);
            let rest = &bytes[usize::try_from(stream.total_in()).unwrap_or(bytes.len())..];
            let status = stream.compress_vec(rest, &mut wrapped, FlushCompress::Finish);
            if status.map_err(|error| not_wrapped(kind, error))? == Status::StreamEnd {
                wrapped.shrink_to_fit();
                return Ok(wrapped);
            }
        }
    }

    fn undo(&self, bytes: &[u8], context: &WrapContext<'_>) -> Result<Vec<u8>> {
        let kind = self.limit.kind;
        let (size, stream) = split_length(kind, bytes)?;
        let size = self.limit.check_undo(size, stream.len(), GROWTH, context)?;
        // One byte more, so that a stream that is too long shows.
        let mut undone = Vec::with_capacity(size + 1);
        let mut inflate = Decompress::new(true);
        let status = inflate.decompress_vec(stream, &mut undone, FlushDecompress::Finish);
        let status = status.map_err(|error| not_undone(kind, error))?;
        let is_whole = status == Status::StreamEnd && inflate.total_in() == stream.len() as u64;
        if !is_whole || undone.len() != size {
            return Err(not_undone(kind, "they do not have the length they say"));
        }
        Ok(undone)
    }
}

/// For explicit registration.
pub const ZLIB: Descriptor = descriptor!(wrapper: ZlibConfig);

register!(wrapper: ZlibConfig);
