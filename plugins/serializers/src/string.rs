//! Text as it is, in UTF-8: for values that are text already, such as pages, tokens or documents
//! that somebody else has written in JSON.
//!
//! It takes what serde sees as a string: `String`, `&str`, `char`, types that write themselves as
//! text for people (paths, addresses, URLs, most dates), and newtypes of all of these. Anything
//! else is refused when it is written: a number or an `Option` would need marks to tell it from
//! text. Use `json` or `messagepack` for them.
//!
//! The stored bytes are the text and nothing else, so other programs can read and write them.

use larder_core::erased_serde;
use larder_core::serializer::{Visit, formats};
use larder_core::{
    BuildContext, Descriptor, PluginConfig, Result, Serializer, async_trait, descriptor, register,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::Visitor;
use serde::de::value::Error;
use serde::forward_to_deserialize_any;
use serde::ser::Error as _;

use crate::narrow::refuse;
use crate::{not_read, not_written};

/// Options of the `string` serializer: there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StringConfig {}

#[async_trait]
impl PluginConfig for StringConfig {
    const KIND: &'static str = "string";
    const SUMMARY: &'static str = "text as it is, for values that are strings";
    type Plugin = Text;

    async fn build(self, _context: &BuildContext) -> Result<Text> {
        Ok(Text::new())
    }
}

/// Writes and reads text.
#[derive(Clone, Debug, Default)]
pub struct Text(());

impl Text {
    /// The serializer.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

impl Serializer for Text {
    fn format(&self) -> u16 {
        formats::STRING
    }

    fn serialize(&self, value: &dyn erased_serde::Serialize, out: &mut Vec<u8>) -> Result<()> {
        erased_serde::serialize(value, TextWriter { out }).map_err(|error| {
            not_written(StringConfig::KIND, error)
                .hint("the serializers `json` and `messagepack` take values of any type")
        })
    }

    fn deserialize(&self, bytes: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        let text = str::from_utf8(bytes).map_err(|error| not_read(StringConfig::KIND, error))?;
        visit(&mut <dyn erased_serde::Deserializer<'_>>::erase(TextReader { text }))
            .map_err(|error| not_read(StringConfig::KIND, error))
    }
}

/// Appends the one string that a value is.
struct TextWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl TextWriter<'_> {
    fn refuse(self, kind: &'static str, _name: Option<&'static str>) -> Error {
        Error::custom(format_args!("expected a string, found a value of the kind `{kind}`"))
    }
}

impl serde::Serializer for TextWriter<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_str(self, text: &str) -> Result<(), Error> {
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn serialize_char(self, letter: char) -> Result<(), Error> {
        self.serialize_str(letter.encode_utf8(&mut [0; 4]))
    }

    fn serialize_newtype_struct<T: ?Sized + serde::Serialize>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    refuse! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 bytes none some unit seq tuple
        tuple_struct map struct enum
    }
}

/// Hands out the text whatever is asked for; what is no string says so itself.
struct TextReader<'a> {
    text: &'a str,
}

impl<'de> serde::Deserializer<'de> for TextReader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.text)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The plugin, for explicit registration.
pub const STRING: Descriptor = descriptor!(serializer: StringConfig);

register!(serializer: StringConfig);
