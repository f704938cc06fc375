//! [`Stored`], what foyer stores for an entry: which write it was, and the envelope.

use std::io::{Read, Write};

use foyer::{Code, Error, Result};
use larder_core::Bytes;

/// The version of a write and the entry in bytes.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) version: u64,
    pub(crate) envelope: Bytes,
}

impl Code for Stored {
    fn encode(&self, writer: &mut impl Write) -> Result<()> {
        self.version.encode(writer)?;
        // foyer takes what does not fit for a sign that its buffer is full.
        writer.write_all(&self.envelope).map_err(Error::io_error)
    }

    /// foyer hands over exactly the bytes of this value, so they need no length of their own.
    fn decode(reader: &mut impl Read) -> Result<Self> {
        let version = u64::decode(reader)?;
        let mut envelope = Vec::new();
        reader.read_to_end(&mut envelope).map_err(Error::io_error)?;
        Ok(Self { version, envelope: envelope.into() })
    }

    fn estimated_size(&self) -> usize {
        size_of::<u64>() + self.envelope.len()
    }
}
