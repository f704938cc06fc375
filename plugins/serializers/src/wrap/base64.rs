//! base64: any bytes as text, a third longer. For stores that only take text.

use data_encoding::BASE64 as TEXT;
use larder_core::wrapper::numbers;
use larder_core::{
    BuildContext, Descriptor, PluginConfig, Result, Role, WrapContext, Wrapper, WrapperConfig,
    async_trait, descriptor, register,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::not_undone;

/// Options of the `base64` wrapper: none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Base64Config {}

#[async_trait]
impl PluginConfig for Base64Config {
    const KIND: &'static str = "base64";
    const SUMMARY: &'static str = "writes bytes as text, a third longer";
    type Plugin = Base64;

    async fn build(self, _context: &BuildContext) -> Result<Base64> {
        Ok(Base64)
    }
}

impl WrapperConfig for Base64Config {
    const ROLE: Role = Role::Encode;
}

/// Writes base64 with padding (RFC 4648, section 4), and reads nothing else: no blanks, no line
/// breaks, no other way to write the same bytes.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to set")]
pub struct Base64;

impl Wrapper for Base64 {
    fn number(&self) -> u16 {
        numbers::BASE64
    }

    fn wrap(&self, bytes: &[u8], _context: &WrapContext<'_>) -> Result<Vec<u8>> {
        Ok(TEXT.encode(bytes).into_bytes())
    }

    fn undo(&self, bytes: &[u8], context: &WrapContext<'_>) -> Result<Vec<u8>> {
        // Less comes out than goes in, so the limit can be checked afterwards.
        match TEXT.decode(bytes) {
            Ok(undone) if undone.len() <= context.max_size => Ok(undone),
            Ok(_) => Err(not_undone(Base64Config::KIND, "they stand for more than is allowed")),
            Err(error) => Err(not_undone(Base64Config::KIND, error)),
        }
    }
}

/// For explicit registration.
pub const BASE64: Descriptor = descriptor!(wrapper: Base64Config);

register!(wrapper: Base64Config);
