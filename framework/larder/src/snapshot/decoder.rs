//! [`Decoder`], which reads a snapshot one record at a time and trusts none of it.

use std::io::{self, BufReader, Read};

use larder_core::{Bytes, CacheError, Entry, ErrorKind, Result, envelope};

use super::format::{
    HEAD_LEN, HEADER_LEN, Header, Idle, MAGIC, MAX_ENTRY, RECORD, TRAILER, VERSION, record_checksum,
};

/// How much memory is asked for before the bytes are there.
const FIRST_ROOM: usize = 64 << 10;

/// How much is read at once.
const BUFFER: usize = 256 << 10;

/// One entry of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) key: String,
    pub(crate) idle: Option<Idle>,
    pub(crate) entry: Entry,
}

/// Reads a snapshot. Holds one record and a buffer in memory.
#[derive(Debug)]
pub(crate) struct Decoder<R> {
    reader: BufReader<R>,
    header: Header,
    chain: u32,
    records: u64,
    is_over: bool,
}

impl<R: Read> Decoder<R> {
    /// Reads the header.
    pub(crate) fn open(reader: R) -> Result<Self> {
        let mut reader = BufReader::with_capacity(BUFFER, reader);
        let mut head = [0; HEADER_LEN];
        let found = read_up_to(&mut reader, &mut head)?;
        if found < MAGIC.len() || head[..MAGIC.len()] != MAGIC {
            return Err(CacheError::new(ErrorKind::Serialization, "this is no snapshot")
                .hint("`larder export` and the option `persist` write snapshots"));
        }
        if found < HEADER_LEN {
            return Err(damaged(0, "it ends within its header"));
        }
        let version = u16::from_be_bytes(array(&head, 8));
        if version != VERSION {
            return Err(CacheError::new(
                ErrorKind::Serialization,
                "the snapshot has a version that this program does not know",
            )
            .with("version", version)
            .with("known", VERSION)
            .hint("read it with the version of Larder that wrote it"));
        }
        let name_len = u16::from_be_bytes(array(&head, 10));
        let rest = read_exactly(&mut reader, usize::from(name_len) + 4)?
            .ok_or_else(|| damaged(0, "it ends within its header"))?;
        let (name, crc) = rest.split_at(usize::from(name_len));
        if crc32c::crc32c_append(crc32c::crc32c(&head), name).to_be_bytes() != crc {
            return Err(damaged(0, "the checksum of its header does not fit"));
        }
        if head[12..16] != [0; 4] {
            return Err(damaged(0, "its header has flags that are not known"));
        }
        let Ok(cache) = String::from_utf8(name.to_owned()) else {
            return Err(damaged(0, "the name of its cache is not UTF-8"));
        };
        let taken_at = larder_core::Timestamp::from_micros(u64::from_be_bytes(array(&head, 16)));
        let chain = crc32c::crc32c(crc);
        let header = Header { cache, taken_at };
        Ok(Self { reader, header, chain, records: 0, is_over: false })
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The next entry; `None` at the end of a snapshot that is whole. After an error there is no
    /// next one.
    pub(crate) fn next(&mut self) -> Result<Option<Record>> {
        if self.is_over {
            return Ok(None);
        }
        self.is_over = true;
        let record = self.read()?;
        self.is_over = record.is_none();
        Ok(record)
    }

    fn read(&mut self) -> Result<Option<Record>> {
        let number = self.records + 1;
        let mut head = [0; HEAD_LEN];
        if read_up_to(&mut self.reader, &mut head)? < HEAD_LEN {
            return Err(damaged(number, "it ends too early"));
        }
        if crc32c::crc32c(&head[..24]).to_be_bytes() != head[24..] {
            return Err(damaged(number, "the checksum of the lengths does not fit"));
        }
        match head[0] {
            RECORD => self.body(number, &head).map(Some),
            TRAILER => self.trailer(number, &head).map(|()| None),
            _ => Err(damaged(number, "it is of a kind that is not known")),
        }
    }

    fn body(&mut self, number: u64, head: &[u8; HEAD_LEN]) -> Result<Record> {
        let key_len = usize::from(u16::from_be_bytes(array(head, 2)));
        let entry_len = usize::try_from(u32::from_be_bytes(array(head, 4))).unwrap_or(usize::MAX);
        if entry_len > MAX_ENTRY || head[1] != 0 {
            return Err(damaged(number, "its lengths are impossible"));
        }
        let body = read_exactly(&mut self.reader, key_len + entry_len + 4)?
            .ok_or_else(|| damaged(number, "it ends too early"))?;
        let (body, crc) = body.split_at(key_len + entry_len);
        if record_checksum(head, body).to_be_bytes() != crc {
            return Err(damaged(number, "its checksum does not fit"));
        }
        self.chain = crc32c::crc32c_append(self.chain, crc);
        self.records = number;
        let (key, entry) = body.split_at(key_len);
        let Ok(key) = String::from_utf8(key.to_owned()) else {
            return Err(damaged(number, "its key is not UTF-8"));
        };
        let entry = envelope::decode(&Bytes::copy_from_slice(entry))
            .map_err(|error| damaged(number, "its entry cannot be read").caused_by(error))?;
        let field = |at| u64::from_be_bytes(array(head, at));
        Ok(Record { key, idle: Idle::from_fields(field(8), field(16)), entry })
    }

    fn trailer(&mut self, number: u64, head: &[u8; HEAD_LEN]) -> Result<()> {
        let is_plain = head[1..4] == [0; 3] && head[16..24] == [0; 8];
        let has_all = u64::from_be_bytes(array(head, 8)) == self.records;
        let fits = u32::from_be_bytes(array(head, 4)) == self.chain;
        if !(is_plain && has_all && fits) {
            return Err(damaged(number, "records before it are missing or out of place"));
        }
        if read_up_to(&mut self.reader, &mut [0])? > 0 {
            return Err(damaged(number, "something follows its end"));
        }
        Ok(())
    }
}

/// Damage at a record, counted from 1; 0 is the header.
fn damaged(record: u64, reason: &'static str) -> CacheError {
    CacheError::new(ErrorKind::Serialization, "the snapshot is damaged")
        .with("record", record)
        .with("reason", reason)
}

/// Fills the buffer as far as there are bytes; how far.
fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
    Ok(filled)
}

/// As many bytes; `None` when there are fewer. Memory is asked for as the bytes come in, so that a
/// length that lies costs nothing.
fn read_exactly(reader: &mut impl Read, length: usize) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(length.min(FIRST_ROOM));
    reader.take(length as u64).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok((bytes.len() == length).then_some(bytes))
}

fn unreadable(error: io::Error) -> CacheError {
    CacheError::new(ErrorKind::Connection, "cannot read the snapshot").caused_by(error)
}

/// The `N` bytes at `at` of a head, which has them.
fn array<const N: usize>(head: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&head[at..at + N]);
    field
}

#[cfg(test)]
mod tests;
