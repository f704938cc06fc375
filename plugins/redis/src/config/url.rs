//! [`ServerUrl`]: the addresses that users write.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use larder_core::Secret;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::Address;

/// The port of a server.
const SERVER_PORT: u16 = 6379;

/// The port of a Sentinel.
const SENTINEL_PORT: u16 = 26379;

/// An address as users write it. It may hold a password, so `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ServerUrl(String);

impl ServerUrl {
    /// Wraps a text; whether it is an address is found out by
    /// [`validate`](larder_core::PluginConfig::validate).
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Takes the address apart.
    pub(crate) fn parse(&self) -> Result<Parsed, Refused> {
        parse(&self.0)
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parse() {
            Ok(parsed) => {
                let addresses: Vec<_> = parsed.addresses.iter().map(ToString::to_string).collect();
                f.write_str(&addresses.join(","))
            }
            Err(_) => f.write_str("•••"),
        }
    }
}

impl JsonSchema for ServerUrl {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ServerUrl".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// Why a text is no address, and what to write instead. Neither shows the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) message: String,
    pub(crate) help: &'static str,
}

/// What an address says.
#[derive(Clone, Debug)]
pub(crate) struct Parsed {
    /// At least one; more than one only for Sentinels.
    pub(crate) addresses: Vec<Address>,
    pub(crate) is_tls: bool,
    pub(crate) is_sentinel: bool,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) master: Option<String>,
    pub(crate) db: Option<u32>,
}

const FORMS: &str = "write `redis://host:port/db`, `rediss://host:port/db` for TLS, \
                     `unix:///path/to/redis.sock`, or \
                     `redis+sentinel://host1:port,host2:port/master/db`";

fn refused(message: impl Into<String>) -> Refused {
    Refused { message: message.into(), help: FORMS }
}

fn parse(text: &str) -> Result<Parsed, Refused> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("redis", text));
    let (is_tls, is_sentinel) = match scheme {
        "unix" | "redis+unix" | "valkey+unix" => return parse_socket(rest),
        "redis" | "valkey" => (false, false),
        "rediss" | "valkeys" => (true, false),
        "redis+sentinel" | "valkey+sentinel" => (false, true),
        "rediss+sentinel" | "valkeys+sentinel" => (true, true),
        other if other.contains('@') => return Err(refused("the address has no scheme")),
        other => return Err(refused(format!("unknown scheme `{other}`"))),
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (username, password) = parse_login(login)?;
    let default_port = if is_sentinel { SENTINEL_PORT } else { SERVER_PORT };
    let addresses = hosts
        .split(',')
        .map(|host| parse_host(host, default_port))
        .collect::<Result<Vec<_>, _>>()?;
    if addresses.len() > 1 && !is_sentinel {
        return Err(refused("one server is expected, not several"));
    }
    let (master, db) = match path.split_once('/') {
        _ if !is_sentinel => (None, path),
        Some((master, db)) => (Some(master), db),
        None => (Some(path), ""),
    };
    let master = master.filter(|name| !name.is_empty()).map(decode).transpose()?;
    let mut parsed =
        Parsed { addresses, is_tls, is_sentinel, username, password, master, db: parse_db(db)? };
    for (name, value) in parse_query(query)? {
        match name {
            "db" => parsed.db = parse_db(&value)?,
            "protocol" => {}
            other => return Err(refused(format!("unknown parameter `{other}`"))),
        }
    }
    Ok(parsed)
}

fn parse_socket(rest: &str) -> Result<Parsed, Refused> {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if !path.starts_with('/') {
        return Err(refused("the path of the socket is not absolute"));
    }
    let mut parsed = Parsed {
        addresses: vec![Address::Unix(PathBuf::from(decode(path)?))],
        is_tls: false,
        is_sentinel: false,
        username: None,
        password: None,
        master: None,
        db: None,
    };
    for (name, value) in parse_query(query)? {
        match name {
            "db" => parsed.db = parse_db(&value)?,
            "user" => parsed.username = Some(value),
            "pass" => parsed.password = Some(Secret::new(value)),
            other => return Err(refused(format!("unknown parameter `{other}`"))),
        }
    }
    Ok(parsed)
}

fn parse_login(login: &str) -> Result<(Option<String>, Option<Secret>), Refused> {
    let (username, password) = login.split_once(':').unwrap_or((login, ""));
    let username = (!username.is_empty()).then(|| decode(username)).transpose()?;
    let password = (!password.is_empty()).then(|| decode(password)).transpose()?;
    Ok((username, password.map(Secret::new)))
}

fn parse_host(text: &str, default_port: u16) -> Result<Address, Refused> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) =
                rest.split_once(']').ok_or_else(|| refused("`[` has no closing `]`"))?;
            (host, port.strip_prefix(':').unwrap_or(port))
        }
        None => text.rsplit_once(':').unwrap_or((text, "")),
    };
    if host.is_empty() {
        return Err(refused("the host is missing"));
    }
    if host.contains(':') && !text.starts_with('[') {
        return Err(refused("an IPv6 address stands in brackets, as in `[::1]:6379`"));
    }
    if let Some(odd) = host.chars().find(|c| c.is_whitespace() || "/@\\".contains(*c)) {
        return Err(refused(format!("`{odd}` cannot be in a host")));
    }
    let port = match port {
        "" => default_port,
        port => match port.parse::<u16>() {
            Ok(port) if port > 0 => port,
            _ => return Err(refused("the port is not a number from 1 to 65535")),
        },
    };
    Ok(Address::tcp(host, port))
}

fn parse_db(text: &str) -> Result<Option<u32>, Refused> {
    match text.trim_end_matches('/') {
        "" => Ok(None),
        text => match text.parse() {
            Ok(db) => Ok(Some(db)),
            Err(_) => Err(refused("the database is not a number")),
        },
    }
}

fn parse_query(query: &str) -> Result<Vec<(&str, String)>, Refused> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((name, decode(value)?))
        })
        .collect()
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Result<String, Refused> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or_else(|| refused("`%` is not followed by two hexadecimal digits"))?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| refused("what is percent-encoded is not UTF-8"))
}

#[cfg(test)]
mod tests;
