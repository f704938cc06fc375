//! From what a server answers to what was asked for, or to an error in words.

use larder_core::{Bytes, CacheError, ErrorKind, Result};
use redis::Value;

use crate::error;

/// What the answers of a server can be for us.
#[derive(Debug)]
pub(crate) enum Answer {
    Bytes(Bytes),
    Many(Vec<Value>),
    Nothing,
    Number(i64),
    Okay,
}

/// Reads one answer.
///
/// # Errors
///
/// What the server says when it refuses, in words.
pub(crate) fn read(value: Value) -> Result<Answer> {
    Ok(match value {
        Value::BulkString(bytes) => Answer::Bytes(bytes.into()),
        Value::Array(values) => Answer::Many(values),
        Value::Int(number) => Answer::Number(number),
        Value::Nil => Answer::Nothing,
        Value::Okay => Answer::Okay,
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => {
            Answer::Bytes(text.into_bytes().into())
        }
        Value::ServerError(error) => return Err(error::of_answer(&error)),
        other => return Err(broken(&format!("{other:?}"))),
    })
}

/// The bytes of a string; `None` when there is none, or when what is there is no string.
///
/// # Errors
///
/// See [`read`].
pub(crate) fn bytes(value: Option<Value>) -> Result<Option<Bytes>> {
    if let Some(Value::ServerError(error)) = &value
        && error.code() == "WRONGTYPE"
    {
        return Ok(None);
    }
    match read(value.unwrap_or_default())? {
        Answer::Bytes(bytes) => Ok(Some(bytes)),
        Answer::Nothing => Ok(None),
        other => Err(broken(&format!("{other:?}"))),
    }
}

/// A number that counts something, or says yes or no.
///
/// # Errors
///
/// See [`read`].
pub(crate) fn number(value: Option<Value>) -> Result<i64> {
    match read(value.unwrap_or_default())? {
        Answer::Number(number) => Ok(number),
        other => Err(broken(&format!("{other:?}"))),
    }
}

/// Any answer that is no refusal.
///
/// # Errors
///
/// See [`read`].
pub(crate) fn done(value: Option<Value>) -> Result<()> {
    read(value.unwrap_or_default()).map(drop)
}

/// The elements of an array.
///
/// # Errors
///
/// See [`read`].
pub(crate) fn many(value: Option<Value>) -> Result<Vec<Value>> {
    match read(value.unwrap_or_default())? {
        Answer::Many(values) => Ok(values),
        other => Err(broken(&format!("{other:?}"))),
    }
}

/// Whether the server does not have a script.
pub(crate) fn is_unknown_script(value: &Value) -> bool {
    matches!(value, Value::ServerError(error) if error.code() == "NOSCRIPT")
}

/// An answer that no server gives to what was asked.
fn broken(answer: &str) -> CacheError {
    let answer: String = answer.chars().take(80).collect();
    CacheError::new(ErrorKind::Connection, "the server gave an answer that makes no sense")
        .with("answer", answer)
        .hint("check that the address is that of a Redis server")
}
