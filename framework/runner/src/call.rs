//! A call of a backend: the message as a method of the trait, and what it returns as a message.

use std::time::Duration;

use larder_core::backend::{Deadlines, Lease, ScanRequest};
use larder_core::{Backend, CacheError, Entry, EntryMeta, ErrorKind, Result, Timestamp, envelope};
use larder_dynamic::process::wire::{Blob, Call, Granted, Reply, Seen};

use crate::part::unfit_for;

/// Makes a call.
pub(crate) async fn run(backend: &dyn Backend, call: Call) -> Result<Reply> {
    Ok(match call {
        Call::Clear => done(backend.clear().await?),
        Call::Close => done(backend.close().await?),
        Call::Delete { key } => Reply::Is(backend.delete(&key).await?),
        Call::DeleteMany { keys } => Reply::Count(backend.delete_many(&borrowed(&keys)).await?),
        Call::Exists { key } => Reply::Is(backend.exists(&key).await?),
        Call::Fill { key, entry, token } => {
            Reply::Is(backend.fill(&key, open(&entry)?, token).await?)
        }
        Call::Flush => done(backend.flush().await?),
        Call::Get { key } => entries([backend.get(&key).await?])?,
        Call::GetMany { keys } => entries(backend.get_many(&borrowed(&keys)).await?)?,
        Call::Health => health(backend).await?,
        Call::Lease { key, duration_us } => {
            lease(&backend.lease(&key, Duration::from_micros(duration_us)).await?)
        }
        Call::Meta { key } => header(backend.meta(&key).await?)?,
        Call::PutIfNewer { key, entry } => {
            Reply::Is(backend.put_if_newer(&key, open(&entry)?).await?)
        }
        Call::Release { key, token } => Reply::Is(backend.release(&key, token).await?),
        Call::Scan { prefix, cursor, limit } => {
            let mut request = ScanRequest::all();
            (request.prefix, request.cursor) = (prefix, cursor);
            request.limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let page = backend.scan(request).await?;
            Reply::Keys(page.keys, page.next)
        }
        Call::Set { key, entry } => done(backend.set(&key, open(&entry)?).await?),
        Call::SetMany { entries } => {
            let opened = entries.into_iter().map(|(key, entry)| Ok((key, open(&entry)?)));
            done(backend.set_many(opened.collect::<Result<_>>()?).await?)
        }
        Call::Start => done(backend.start().await?),
        Call::Touch { key, soft_us, hard_us } => {
            let (soft, hard) =
                (soft_us.map(Timestamp::from_micros), hard_us.map(Timestamp::from_micros));
            Reply::Is(backend.touch(&key, Deadlines { soft, hard }).await?)
        }
        Call::Decode { .. } | Call::Encode { .. } | Call::Undo { .. } | Call::Wrap { .. } => {
            return Err(unfit_for("backend"));
        }
    })
}

const fn done((): ()) -> Reply {
    Reply::Done
}

fn borrowed(keys: &[String]) -> Vec<&str> {
    keys.iter().map(String::as_str).collect()
}

fn unfit(error: envelope::EnvelopeError) -> CacheError {
    CacheError::transparent(ErrorKind::Serialization, error)
}

fn open(entry: &Blob) -> Result<Entry> {
    envelope::decode(&entry.0).map_err(unfit)
}

fn seal(entry: &Entry) -> Result<Blob> {
    let mut bytes = Vec::with_capacity(envelope::encoded_len(entry));
    envelope::encode(entry, &mut bytes).map_err(unfit)?;
    Ok(bytes.into())
}

fn entries(found: impl IntoIterator<Item = Option<Entry>>) -> Result<Reply> {
    let sealed = found.into_iter().map(|entry| entry.as_ref().map(seal).transpose());
    Ok(Reply::Entries(sealed.collect::<Result<_>>()?))
}

/// The header of an entry is that of one without a value.
fn header(meta: Option<EntryMeta>) -> Result<Reply> {
    entries([meta.map(|meta| Entry { meta, ..Entry::default() })])
}

fn lease(lease: &Lease) -> Reply {
    Reply::Lease(match lease {
        Lease::Granted { token } => Granted::Token(*token),
        Lease::Held { remaining } => {
            let micros = |left: Duration| u64::try_from(left.as_micros()).unwrap_or(u64::MAX);
            Granted::Held(remaining.map(micros))
        }
        _ => Granted::Held(None),
    })
}

async fn health(backend: &dyn Backend) -> Result<Reply> {
    let health = backend.health().await?;
    let (entries, bytes, corrupt) = (health.entries, health.bytes, health.corrupt);
    Ok(Reply::Health(Seen { entries, bytes, corrupt, degraded: health.degraded }))
}
