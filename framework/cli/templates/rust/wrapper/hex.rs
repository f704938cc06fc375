//! `acme.hex`: bytes as hexadecimal digits, for stores that keep only text. Put what you came for
//! in its place; one that compresses or encrypts has another role, and stands in the option of that
//! name.

use larder_core::wrapper::number_of;
use larder_core::{
    BuildContext, CacheError, ErrorKind, PluginConfig, Result, Role, WrapContext, Wrapper,
    WrapperConfig, async_trait,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Options of `acme.hex`. These comments are what an editor shows.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct HexConfig {
    /// Whether the letters are capitals. Both are read. Default `false`.
    pub upper_case: bool,
}

#[async_trait]
impl PluginConfig for HexConfig {
    const KIND: &'static str = "acme.hex";
    const SUMMARY: &'static str = "bytes as hexadecimal digits";
    type Plugin = Hex;

    async fn build(self, _: &BuildContext) -> Result<Hex> {
        let digits = if self.upper_case { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
        Ok(Hex { digits })
    }
}

impl WrapperConfig for HexConfig {
    const ROLE: Role = Role::Encode;
}

/// Two digits for a byte.
#[derive(Debug)]
pub struct Hex {
    digits: &'static [u8; 16],
}

/// The bytes may be anything: what was not written here is an error.
fn broken(what: &'static str) -> CacheError {
    CacheError::new(ErrorKind::Serialization, what)
}

fn value_of(digit: u8) -> Result<u8> {
    let value = char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    value.ok_or_else(|| broken("a byte is no digit"))
}

impl Wrapper for Hex {
    fn number(&self) -> u16 {
        number_of(HexConfig::KIND)
    }

    fn wrap(&self, bytes: &[u8], _: &WrapContext<'_>) -> Result<Vec<u8>> {
        let digit = |value: u8| self.digits[usize::from(value)];
        Ok(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect())
    }

    fn undo(&self, bytes: &[u8], context: &WrapContext<'_>) -> Result<Vec<u8>> {
        if !bytes.len().is_multiple_of(2) || bytes.len() / 2 > context.max_size {
            return Err(broken("the digits are too many or too few"));
        }
        let pairs = bytes.chunks_exact(2);
        pairs.map(|pair| Ok(value_of(pair[0])? << 4 | value_of(pair[1])?)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_byte_and_other_letters_are_refused() {
        let hex = Hex { digits: b"0123456789abcdef" };
        let context = WrapContext::new("tested", "key", 1);
        assert_eq!(hex.wrap(&[0, 255], &context).unwrap(), b"00ff");
        assert_eq!(hex.undo(b"00fF", &context).unwrap(), [0, 255]);
        for garbage in ["0", "0g", "-1"] {
            assert!(hex.undo(garbage.as_bytes(), &context).is_err(), "{garbage}");
        }
    }
}
