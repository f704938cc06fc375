//! LZ4: hardly slower than copying, for values that compress well.

use larder_core::wrapper::numbers;
use larder_core::{
    BuildContext, ByteSize, Descriptor, PluginConfig, Result, Role, WrapContext, Wrapper,
    WrapperConfig, async_trait, descriptor, register,
};
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};
use schemars::JsonSchema;
use serde::Deserialize;

use super::length::{length_of, split_length};
use super::limit::{Limit, default_max_size};
use super::{not_undone, not_wrapped};

/// One byte continues a run by at most 255.
const GROWTH: usize = 255;

/// The format has no longer blocks.
const LONGEST_BLOCK: usize = 0x7e00_0000;

/// Options of the `lz4` wrapper.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Lz4Config {
    /// The greatest value that is compressed, and that is taken from the store: a few bytes could
    /// stand for a great many.
    #[serde(default = "default_max_size")]
    pub max_size: ByteSize,
}

impl Default for Lz4Config {
    fn default() -> Self {
        Self { max_size: default_max_size() }
    }
}

#[async_trait]
impl PluginConfig for Lz4Config {
    const KIND: &'static str = "lz4";
    const SUMMARY: &'static str = "compresses a little, very quickly";
    type Plugin = Lz4;

    async fn build(self, _context: &BuildContext) -> Result<Lz4> {
        Ok(Lz4::new(&self))
    }
}

impl WrapperConfig for Lz4Config {
    const ROLE: Role = Role::Compress;
}

/// Writes the length, four bytes big endian, and one LZ4 block.
#[derive(Clone, Debug)]
pub struct Lz4 {
    limit: Limit,
}

impl Lz4 {
    /// A wrapper with these options.
    #[must_use]
    pub const fn new(config: &Lz4Config) -> Self {
        Self { limit: Limit { kind: Lz4Config::KIND, max_size: config.max_size } }
    }
}

impl Wrapper for Lz4 {
    fn number(&self) -> u16 {
        numbers::LZ4
    }

    fn wrap(&self, bytes: &[u8], _context: &WrapContext<'_>) -> Result<Vec<u8>> {
        self.limit.check_wrap(bytes.len())?;
        if bytes.len() > LONGEST_BLOCK {
            return Err(not_wrapped(self.limit.kind, "it is too large for the format"));
        }
        let length = length_of(self.limit.kind, bytes)?;
        let mut wrapped = vec![0; length.len() + get_maximum_output_size(bytes.len())];
        wrapped[..length.len()].copy_from_slice(&length);
        let written = compress_into(bytes, &mut wrapped[length.len()..])
            .map_err(|error| not_wrapped(self.limit.kind, error))?;
        wrapped.truncate(length.len() + written);
        wrapped.shrink_to_fit();
        Ok(wrapped)
    }

    fn undo(&self, bytes: &[u8], context: &WrapContext<'_>) -> Result<Vec<u8>> {
        let kind = self.limit.kind;
        let (size, block) = split_length(kind, bytes)?;
        let size = self.limit.check_undo(size, block.len(), GROWTH, context)?;
        let mut undone = vec![0; size];
        let written =
            decompress_into(block, &mut undone).map_err(|error| not_undone(kind, error))?;
        if written != size {
            return Err(not_undone(kind, "they do not have the length they say"));
        }
        Ok(undone)
    }
}

/// For explicit registration.
pub const LZ4: Descriptor = descriptor!(wrapper: Lz4Config);

register!(wrapper: Lz4Config);
