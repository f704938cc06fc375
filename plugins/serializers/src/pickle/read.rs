//! [`Reader`], serde's view of the values of a pickle.

use std::slice;

use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{
    DeserializeSeed, EnumAccess, Error as _, IntoDeserializer, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::tree::{Id, Node, Tree, Wide};

/// Hands out one value.
#[derive(Clone, Copy)]
pub(super) struct Reader<'t> {
    tree: &'t Tree<'t>,
    id: Id,
}

type Result<T> = std::result::Result<T, Error>;

impl<'t> Reader<'t> {
    /// A reader of the result.
    pub(super) const fn new(tree: &'t Tree<'t>) -> Self {
        Self { tree, id: tree.root }
    }

    fn node(self) -> &'t Node<'t> {
        self.tree.get(self.id)
    }

    fn children(self, ids: &'t [Id]) -> Children<'t> {
        Children { tree: self.tree, ids: ids.iter() }
    }

    /// What it is, for those who wanted something else.
    fn unexpected(self) -> Unexpected<'t> {
        match self.node() {
            Node::Bool(value) => Unexpected::Bool(*value),
            Node::Bytes(bytes) => Unexpected::Bytes(bytes),
            Node::Callable(_) => Unexpected::Other("the name of a type"),
            Node::Dict(_) => Unexpected::Map,
            Node::Float(value) => Unexpected::Float(*value),
            Node::Int(value) => Unexpected::Signed(*value),
            Node::None => Unexpected::Unit,
            Node::Sequence(..) => Unexpected::Seq,
            Node::Text(text) => Unexpected::Str(text),
            Node::Wide(_) => Unexpected::Other("an integer of more than 64 bits"),
        }
    }

    fn sequence<'de, V: Visitor<'de>>(self, ids: &'t [Id], visitor: V) -> Result<V::Value> {
        let mut items = SeqDeserializer::new(self.children(ids));
        let value = visitor.visit_seq(&mut items)?;
        items.end()?;
        Ok(value)
    }

    /// Bytes one by one, for a `Vec<u8>`.
    fn bytes_one_by_one<'de, V: Visitor<'de>>(bytes: &[u8], visitor: V) -> Result<V::Value> {
        let mut items = SeqDeserializer::new(bytes.iter().copied());
        let value = visitor.visit_seq(&mut items)?;
        items.end()?;
        Ok(value)
    }
}

impl<'de> serde::Deserializer<'de> for Reader<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.node() {
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Bytes(bytes) => visitor.visit_bytes(bytes),
            Node::Callable(_) => Err(Error::invalid_type(self.unexpected(), &visitor)),
            Node::Dict(ids) => {
                let mut pairs = MapDeserializer::new(Pairs(self.children(ids)));
                let value = visitor.visit_map(&mut pairs)?;
                pairs.end()?;
                Ok(value)
            }
            Node::Float(value) => visitor.visit_f64(*value),
            Node::Int(value) => visitor.visit_i64(*value),
            Node::None => visitor.visit_unit(),
            Node::Sequence(_, ids) => self.sequence(ids, visitor),
            Node::Text(text) => visitor.visit_str(text),
            Node::Wide(wide) => match **wide {
                Wide::Signed(value) => match u64::try_from(value) {
                    Ok(value) => visitor.visit_u64(value),
                    Err(_) => visitor.visit_i128(value),
                },
                Wide::Unsigned(value) => visitor.visit_u128(value),
            },
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.node() {
            Node::None => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.node() {
            Node::Bytes(bytes) => Self::bytes_one_by_one(bytes, visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let variant = match self.node() {
            Node::Text(_) => Some(Variant { name: self, content: None }),
            Node::Dict(ids) => match ids[..] {
                [name, content] => Some(Variant {
                    name: Self { id: name, ..self },
                    content: Some(Self { id: content, ..self }),
                }),
                _ => None,
            },
            _ => None,
        };
        let wanted = "the name of a variant, or a dict from it to its content";
        let variant = variant.ok_or_else(|| Error::invalid_type(self.unexpected(), &wanted));
        visitor.visit_enum(variant?)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct tuple_struct map struct identifier
    }
}

impl IntoDeserializer<'_, Error> for Reader<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// The values that another one is made of.
struct Children<'t> {
    tree: &'t Tree<'t>,
    ids: slice::Iter<'t, Id>,
}

impl<'t> Iterator for Children<'t> {
    type Item = Reader<'t>;

    fn next(&mut self) -> Option<Reader<'t>> {
        self.ids.next().map(|id| Reader { tree: self.tree, id: *id })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ids.size_hint()
    }
}

/// The keys and values of a dict.
struct Pairs<'t>(Children<'t>);

impl<'t> Iterator for Pairs<'t> {
    type Item = (Reader<'t>, Reader<'t>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().zip(self.0.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let pairs = self.0.ids.len() / 2;
        (pairs, Some(pairs))
    }
}

/// A variant of an enum.
struct Variant<'t> {
    name: Reader<'t>,
    content: Option<Reader<'t>>,
}

/// What is in a variant.
struct Content<'t>(Option<Reader<'t>>);

impl<'t> Content<'t> {
    fn there(self, wanted: &'static str) -> Result<Reader<'t>> {
        self.0.ok_or_else(|| Error::invalid_type(Unexpected::UnitVariant, &wanted))
    }
}

impl<'de, 't> EnumAccess<'de> for Variant<'t> {
    type Error = Error;
    type Variant = Content<'t>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content<'t>)> {
        Ok((seed.deserialize(self.name)?, Content(self.content)))
    }
}

impl<'de> VariantAccess<'de> for Content<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<()> {
        match self.0 {
            None => Ok(()),
            Some(content) => serde::Deserialize::deserialize(content),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(self.there("a variant with a value")?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        serde::Deserializer::deserialize_tuple(self.there("a variant with values")?, len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        serde::Deserializer::deserialize_any(self.there("a variant with fields")?, visitor)
    }
}
