//! What a library says about itself: checked, and copied into a [`Library`].

use std::collections::BTreeSet;
use std::ptr;

use larder_abi::call::Error;
use larder_abi::descriptor;
use larder_abi::value::{Bytes, Slice};
use larder_abi::{ABI_MAJOR, ABI_MINOR, EntryV1, Host, Plugin, Status, read_extensible};
use larder_core::library::{Fault, LibraryRequest, Refusal};
use larder_core::telemetry;
use serde_json::{Value, json};

use super::text::{LONGEST, leak, take, text};
use super::{Component, Library, tables};
use crate::check::Checked;
use crate::refusal::{Answer, refused, shown};

/// No library brings more.
const MOST_COMPONENTS: usize = 256;

/// No schema is longer.
const LONGEST_SCHEMA: usize = 1024 * 1024;

/// No kind is longer.
const LONGEST_NAME: usize = 64;

/// Calls the entry function of a library and reads what it answers.
pub(crate) fn describe(
    request: &LibraryRequest,
    checked: Checked,
    size: u64,
    entry: EntryV1,
    host: &'static Host,
) -> Answer<Library> {
    let theirs = enter(request, entry, host)?;
    let reader = Reader { request };
    // SAFETY: by the header what the entry puts out is a descriptor that stays; its size is
    // checked, and so is all that is read of it.
    let plugin = unsafe { read_extensible(theirs) };
    let plugin = plugin.map_err(|error| reader.broken(format!("its descriptor: {error}")))?;
    Ok(Library { size, ..reader.library(&plugin, checked)? })
}

fn enter(request: &LibraryRequest, entry: EntryV1, host: &'static Host) -> Answer<*const Plugin> {
    let mut theirs = ptr::null();
    let mut error = Error {
        struct_size: size_of::<Error>() as u32,
        code: Status::OK,
        flags: 0,
        reserved: 0,
        message: Bytes::EMPTY,
        hint: Bytes::EMPTY,
        problems_json: Bytes::EMPTY,
    };
    // SAFETY: the pointers are to values that outlive the call, the host for ever. That this is
    // the entry function of a plugin was checked as far as a file can say.
    let status = unsafe { entry(host, &raw mut theirs, &raw mut error) };
    let [message, hint, _] = [error.message, error.hint, error.problems_json].map(|text| {
        // SAFETY: it was handed over with the error, and is not used again.
        unsafe { take(&text) }
    });
    if status == Status::OK {
        return Ok(theirs);
    }
    let LibraryRequest { name, path, .. } = request;
    let said = if message.is_empty() { status.to_string() } else { shown(&message) };
    let refusal =
        refused(Fault::Entry, name, path, format!("could not start: {said}"), "could not start");
    let help = match hint.as_str() {
        "" => "see the manual of the plugin".to_owned(),
        hint => shown(hint),
    };
    Err(refusal.help(help).into())
}

/// Reads a descriptor.
struct Reader<'a> {
    request: &'a LibraryRequest,
}

impl Reader<'_> {
    fn broken(&self, what: impl Into<String>) -> Box<Refusal> {
        let LibraryRequest { name, path, .. } = self.request;
        let what: String = what.into();
        let message = "breaks a rule of the plugin header";
        refused(Fault::Descriptor, name, path, message, "breaks a rule of the plugin header")
            .note(format!("found: {what}"))
            .help("report it to the author of the plugin")
            .into()
    }

    fn library(&self, plugin: &Plugin, checked: Checked) -> Answer<Library> {
        if plugin.abi_major != ABI_MAJOR || plugin.requires_host_minor > ABI_MINOR {
            let (major, minor) = (plugin.abi_major, plugin.requires_host_minor);
            return Err(self.broken(format!(
                "its descriptor needs ABI {major}.{minor}, and its stamp does not say so"
            )));
        }
        let name = self.text(&plugin.name, LONGEST_NAME, "its name")?;
        if name != self.request.name {
            let name = shown(&name);
            return Err(self.broken(format!("its name is `{name}`, and another in its stamp")));
        }
        let name = leak(name);
        let version = leak(self.text(&plugin.version, LONGEST, "its version")?);
        let build_json = leak(self.text(&plugin.build_json, LONGEST, "its build_json")?);
        let components = self.components(plugin, name)?;
        Ok(Library {
            name,
            version,
            build_json,
            path: self.request.path.clone(),
            sha256: checked.sha256,
            size: 0,
            stamp: checked.stamp,
            components,
            shutdown: plugin.shutdown,
            query: plugin.query,
        })
    }

    fn components(&self, plugin: &Plugin, name: &'static str) -> Answer<Vec<Component>> {
        let count = plugin.n_components;
        if count > MOST_COMPONENTS {
            return Err(self.broken(format!("{count} components, more than {MOST_COMPONENTS}")));
        }
        let list = plugin.components;
        if count > 0 && (list.is_null() || !list.is_aligned()) {
            return Err(self.broken("the list of its components is at no valid address"));
        }
        let mut components = Vec::with_capacity(count);
        let mut ids = BTreeSet::new();
        for index in 0..count {
            // SAFETY: by the header the list has as many pointers as it says.
            let at = unsafe { list.add(index) };
            // SAFETY: in the list, see above.
            let theirs = unsafe { at.read() };
            // SAFETY: by the header a pointer to a component, whose size is checked.
            let theirs = unsafe { read_extensible(theirs) }
                .map_err(|error| self.broken(format!("component {index}: {error}")))?;
            let Some(component) = self.component(&theirs, name)? else { continue };
            if !ids.insert(component.id()) {
                return Err(self.broken(format!("two components are `{}`", component.id())));
            }
            components.push(component);
        }
        Ok(components)
    }

    /// A component; `None` if its kind is from a future in which there are more.
    fn component(
        &self,
        theirs: &descriptor::Component,
        plugin: &'static str,
    ) -> Answer<Option<Component>> {
        let name = self.text(&theirs.name, LONGEST_NAME, "the name of a component")?;
        let is_name = |char: char| matches!(char, 'a'..='z' | '0'..='9' | '-' | '.');
        if name.is_empty() || !name.chars().all(is_name) {
            let name = shown(&name);
            return Err(self.broken(format!("`{name}` is no name of a component")));
        }
        // SAFETY: by the header the table is of the kind that the component says.
        let table = unsafe { tables::table(theirs.kind, theirs.caps, theirs.vtable) };
        let Some(table) = table else {
            tracing::warn!(
                target: telemetry::TARGET,
                plugin, component = name, kind = theirs.kind, "{}", telemetry::PLUGIN_SKIPPED
            );
            return Ok(None);
        };
        let table = table.map_err(|what| self.broken(format!("component `{name}`: {what}")))?;
        let summary = self.text(&theirs.summary, LONGEST, "the summary of a component")?;
        let schema = self.schema(theirs, &name)?;
        Ok(Some(Component {
            name: leak(name),
            summary: leak(summary),
            plugin,
            caps: theirs.caps,
            table,
            schema,
            validate: theirs.validate,
        }))
    }

    fn text(&self, from: &Slice, most: usize, what: &str) -> Answer<String> {
        // SAFETY: by the header the texts of a descriptor stay.
        unsafe { text(from, most, what) }.map_err(|what| self.broken(what))
    }

    /// The schema of the options; without one there are none.
    fn schema(&self, theirs: &descriptor::Component, component: &str) -> Answer<Value> {
        let Some(ask) = theirs.config_schema else {
            return Ok(json!({ "type": "object", "additionalProperties": false }));
        };
        let mut answer = Slice::EMPTY;
        // SAFETY: by the header the function puts out a text that stays.
        let status = unsafe { ask(&raw mut answer) };
        if status != Status::OK {
            return Err(self.no_schema(component, &format!("it answers: {status}")));
        }
        // SAFETY: see above; the length is bounded.
        let text = unsafe { text(&answer, LONGEST_SCHEMA, "the schema") }
            .map_err(|what| self.no_schema(component, &what))?;
        match serde_json::from_str(&text) {
            Ok(schema @ Value::Object(_)) if is_of_object(&schema) => Ok(schema),
            Ok(_) => Err(self.no_schema(component, "it is not the schema of an object")),
            Err(error) => Err(self.no_schema(component, &format!("it is no JSON: {error}"))),
        }
    }

    fn no_schema(&self, component: &str, what: &str) -> Box<Refusal> {
        let LibraryRequest { name, path, .. } = self.request;
        let message = format!("has a component `{component}` whose options are not described");
        refused(Fault::Schema, name, path, message, "has an unusable schema")
            .note(format!("found: {what}"))
            .help("report it to the author of the plugin: a schema is a JSON object, draft 7")
            .into()
    }
}

fn is_of_object(schema: &Value) -> bool {
    schema.get("type").is_none_or(|of| of == "object")
}
