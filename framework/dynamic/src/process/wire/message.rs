//! The messages: what a program asks and what a runner tells.

use serde::{Deserialize, Serialize};

use super::{Blob, Trouble};

/// A question to a runner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "both sides come from one release")]
pub struct Ask {
    /// Its number, which the answer has as well.
    pub id: u64,
    /// What time it is for the program, in microseconds since 1970.
    pub now_us: u64,
    /// How long the program waits, in microseconds.
    pub within_us: u64,
    /// Up to which level somebody listens to what plugins say: 0 for nobody, 5 for all.
    pub level: u8,
    /// What is asked.
    pub what: Question,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "both sides come from one release")]
pub enum Question {
    /// Something of the instance of this number.
    Call(u64, Call),
    /// Nobody waits for the answer to this question any more. Has no answer.
    Cancel(u64),
    /// To check options of a component beyond their schema: its slot, its kind and the options.
    Check(String, String, String),
    /// To end an instance. Has no answer.
    End(u64),
    /// To load the library. Asked first, and once.
    Load(Load),
    /// To make an instance.
    Make(Make),
}

/// A library.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "both sides come from one release")]
pub struct Load {
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: String,
    /// Its SHA-256: what the program has checked is what is loaded.
    pub sha256: String,
}

/// An instance of a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "both sides come from one release")]
pub struct Make {
    /// Its number.
    pub instance: u64,
    /// The slot of the component.
    pub slot: String,
    /// Its kind.
    pub kind: String,
    /// Its options, as JSON.
    pub options: String,
    /// The cache it works for.
    pub cache: String,
    /// The greatest value that is stored.
    pub max_value_bytes: Option<u64>,
}

/// A call of an instance. Entries are envelopes, times microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "both sides come from one release")]
#[expect(missing_docs, reason = "these are methods of the traits, and what they take")]
pub enum Call {
    Clear,
    Close,
    /// Of a serializer: a value as MessagePack, of bytes.
    Decode {
        bytes: Blob,
    },
    Delete {
        key: String,
    },
    DeleteMany {
        keys: Vec<String>,
    },
    /// Of a serializer: bytes, of a value as MessagePack.
    Encode {
        value: Blob,
    },
    Exists {
        key: String,
    },
    Fill {
        key: String,
        entry: Blob,
        token: u64,
    },
    Flush,
    Get {
        key: String,
    },
    GetMany {
        keys: Vec<String>,
    },
    Health,
    Lease {
        key: String,
        duration_us: u64,
    },
    Meta {
        key: String,
    },
    PutIfNewer {
        key: String,
        entry: Blob,
    },
    Release {
        key: String,
        token: u64,
    },
    Scan {
        prefix: String,
        cursor: Option<String>,
        limit: u64,
    },
    Set {
        key: String,
        entry: Blob,
    },
    SetMany {
        entries: Vec<(String, Blob)>,
    },
    Start,
    Touch {
        key: String,
        soft_us: Option<u64>,
        hard_us: Option<u64>,
    },
    /// Of a wrapper.
    Undo {
        bytes: Blob,
        place: Place,
    },
    /// Of a wrapper.
    Wrap {
        bytes: Blob,
        place: Place,
    },
}

/// Where bytes belong, as a [`WrapContext`](larder_core::WrapContext).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "both sides come from one release")]
#[expect(missing_docs, reason = "the fields are those of the context")]
pub struct Place {
    pub cache: String,
    pub key: String,
    pub format: u16,
    pub inner: Vec<u16>,
    pub max_size: u64,
}

/// What a runner says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "both sides come from one release")]
pub enum Tell {
    /// The answer to a question.
    Answer {
        /// The number of the question.
        id: u64,
        /// The answer.
        reply: Result<Reply, Trouble>,
    },
    /// Something for the log.
    Log(Log),
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "both sides come from one release")]
pub enum Reply {
    /// What a serializer or a wrapper made.
    Bytes(Blob),
    /// A number of entries.
    Count(u64),
    /// What the library is.
    Description(Description),
    /// It is done.
    Done,
    /// Entries, or for a question about the meta of one its header.
    Entries(Vec<Option<Blob>>),
    /// What a backend knows about itself.
    Health(Seen),
    /// Yes or no.
    Is(bool),
    /// Keys, and the cursor of the next page.
    Keys(Vec<String>, Option<String>),
    /// Who may load.
    Lease(Granted),
    /// What is wrong with options: the path, the message and what to do.
    Problems(Vec<(Vec<String>, String, Option<String>)>),
    /// Why the library was refused.
    Refused(Refused),
}

/// The answer to a request for a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "both sides come from one release")]
pub enum Granted {
    /// The caller, with this token.
    Token(u64),
    /// Somebody else, for so many microseconds at most.
    Held(Option<u64>),
}

/// What a backend knows about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "both sides come from one release")]
pub struct Seen {
    /// How many entries it holds.
    pub entries: Option<u64>,
    /// How many bytes they take.
    pub bytes: Option<u64>,
    /// Entries that could not be read.
    pub corrupt: u64,
    /// Why it works worse than it should.
    pub degraded: Option<String>,
}

/// What a library is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "both sides come from one release")]
pub struct Description {
    /// Its version.
    pub version: String,
    /// Its components.
    pub components: Vec<Described>,
}

/// What a component is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "both sides come from one release")]
pub struct Described {
    /// Its slot.
    pub slot: String,
    /// What the config names.
    pub kind: String,
    /// One sentence.
    pub summary: String,
    /// The bits of its [`Capabilities`](larder_core::Capabilities).
    pub capabilities: u32,
    /// The JSON schema of its options.
    pub schema: String,
    /// Whether it checks more than the schema does.
    pub checks: bool,
    /// What a wrapper does to bytes: the word of its [`Role`](larder_core::Role).
    pub role: Option<String>,
    /// The number by which a serializer or a wrapper marks entries; 0 for that of its kind.
    pub number: u16,
}

/// Why a library was refused, as a [`Refusal`](larder_core::library::Refusal).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "both sides come from one release")]
#[expect(missing_docs, reason = "the fields are those of a refusal")]
pub struct Refused {
    pub code: String,
    pub message: String,
    pub label: String,
    pub notes: Vec<String>,
    pub help: Option<String>,
}

/// Something for the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "both sides come from one release")]
pub struct Log {
    /// From 1, an error, to 5, a trace.
    pub level: u8,
    /// What is said.
    pub message: String,
    /// Which component says it.
    pub component: Option<String>,
    /// For which cache.
    pub cache: Option<String>,
    /// In which part of its code.
    pub module: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// All else that is said.
    pub fields: String,
}
