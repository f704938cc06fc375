//! The slots of a cluster: which keys belong together, and which node has them.

use redis::Value;

use crate::config::Address;
use crate::connection::greeting::text;

/// How many slots a cluster has.
pub(crate) const SLOTS: u16 = 16384;

/// A slot that no node serves.
const NOBODY: u16 = u16::MAX;

/// The slot of a key: of what stands between the first `{` and the `}` after it, if that is
/// anything, so that keys can be kept together.
pub(crate) fn slot_of(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    let hashed = tag.map(|(tag, _)| tag).filter(|tag| !tag.is_empty()).unwrap_or(key);
    crc16(hashed.as_bytes()) % SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        let [high, _] = crc.to_be_bytes();
        (crc << 8) ^ TABLE[usize::from(high ^ byte)]
    })
}

const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut index: u16 = 0;
    while index < 256 {
        let mut crc = index << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[index as usize] = crc;
        index += 1;
    }
    table
};

/// Which primary has which slot.
#[derive(Clone, Debug)]
pub(crate) struct SlotMap {
    primaries: Vec<Address>,
    owners: Vec<u16>,
}

impl SlotMap {
    /// Reads the answer to `CLUSTER SLOTS` of the node at `asked`; none when it is no such answer.
    pub(crate) fn read(answer: &Value, asked: &Address) -> Option<Self> {
        let Value::Array(ranges) = answer else {
            return None;
        };
        let mut map = Self { primaries: Vec::new(), owners: vec![NOBODY; usize::from(SLOTS)] };
        for range in ranges {
            let Value::Array(parts) = range else {
                return None;
            };
            let (Some(Value::Int(first)), Some(Value::Int(last)), Some(Value::Array(node))) =
                (parts.first(), parts.get(1), parts.get(2))
            else {
                return None;
            };
            let host = text(node.first());
            // A node that does not know its own name is meant by the name under which it was asked.
            let host = match (host.as_str(), asked.host()) {
                ("" | "?", Some(asked)) => asked.to_owned(),
                _ => host,
            };
            let owner = map.primary(Address::tcp(host, text(node.get(1)).parse().ok()?));
            let (first, last) = (usize::try_from(*first).ok()?, usize::try_from(*last).ok()?);
            map.owners.get_mut(first..=last)?.fill(owner);
        }
        (!map.primaries.is_empty()).then_some(map)
    }

    /// The number of a primary.
    fn primary(&mut self, address: Address) -> u16 {
        let known = self.primaries.iter().position(|known| *known == address);
        let index = known.unwrap_or_else(|| {
            self.primaries.push(address);
            self.primaries.len() - 1
        });
        u16::try_from(index).unwrap_or(NOBODY)
    }

    /// The primary that has a slot.
    pub(crate) fn owner(&self, slot: u16) -> Option<&Address> {
        let owner = self.owners.get(usize::from(slot))?;
        self.primaries.get(usize::from(*owner))
    }

    /// All primaries, in the order of their first slots.
    pub(crate) fn primaries(&self) -> &[Address] {
        &self.primaries
    }

    /// Another number for another map: FNV-1a over the primaries and what they have.
    pub(crate) fn mark(&self) -> u64 {
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let mut mark = 0xcbf2_9ce4_8422_2325;
        for address in &self.primaries {
            mark = address.to_string().bytes().chain([0]).fold(mark, fold);
        }
        self.owners.iter().flat_map(|owner| owner.to_be_bytes()).fold(mark, fold)
    }

    /// A node said that another one has the slot.
    pub(crate) fn assign(&mut self, slot: u16, address: Address) {
        let owner = self.primary(address);
        if let Some(known) = self.owners.get_mut(usize::from(slot)) {
            *known = owner;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        for (key, slot) in [
            ("123456789", 12739),
            ("foo", 12182),
            ("{user1000}.following", slot_of("user1000")),
            ("foo{{bar}}zap", slot_of("{bar")),
            ("foo{bar}{zap}", slot_of("bar")),
        ] {
            assert_eq!(slot_of(key), slot, "{key}");
        }
        assert_ne!(slot_of("foo{}{bar}"), slot_of("bar"), "an empty tag is none");
    }

    fn range(first: i64, last: i64, host: &str, port: i64) -> Value {
        let node = vec![Value::BulkString(host.into()), Value::Int(port)];
        Value::Array(vec![Value::Int(first), Value::Int(last), Value::Array(node)])
    }

    #[test]
    fn a_map_knows_the_owner_of_each_slot_and_learns() {
        let asked = Address::tcp("asked", 1);
        let ranges = vec![range(0, 99, "", 7), range(200, 300, "b", 8), range(100, 110, "", 7)];
        let mut map = SlotMap::read(&Value::Array(ranges), &asked).unwrap();
        assert_eq!(map.primaries(), [Address::tcp("asked", 7), Address::tcp("b", 8)]);
        assert_eq!(map.owner(105), Some(&Address::tcp("asked", 7)));
        assert_eq!(map.owner(150), None);
        let before = map.mark();
        assert_eq!(map.clone().mark(), before);
        map.assign(150, Address::tcp("c", 9));
        assert_ne!(map.mark(), before);
        assert_eq!(map.owner(150), Some(&Address::tcp("c", 9)));
    }

    #[test]
    fn what_is_no_map_is_refused() {
        let asked = Address::tcp("asked", 1);
        for answer in [
            Value::Nil,
            Value::Array(Vec::new()),
            Value::Array(vec![Value::Nil]),
            Value::Array(vec![range(0, 16384, "a", 1)]),
            Value::Array(vec![range(5, 2, "a", 1)]),
            Value::Array(vec![range(-1, 2, "a", 1)]),
            Value::Array(vec![range(0, 1, "a", 70_000)]),
        ] {
            assert!(SlotMap::read(&answer, &asked).is_none(), "{answer:?}");
        }
    }
}
