//! `larder plugins info`: what a library says about itself.
//!
//! Much of it is known only when the library runs. It runs where a program would run it: one that
//! the config isolates is asked through `larder-runner`, and never gets into this process.

use larder::Registry;
use larder::config::explain::describe;
use larder::libraries::{Examined, Library, Loader};
use larder::plugin::library::{LibraryLoader as _, LibraryRequest, Refusal};
use larder::plugin::{Descriptor, Slot};
use serde_json::{Value, json};

use super::{abi, find, isolation, refused, trust};
use crate::args::{Answer, Format};
use crate::commands::explain;
use crate::context::Context;
use crate::exit::{Exit, Failure};

/// `larder plugins info`: runs a library and shows what it says.
pub(in super::super::super) fn info(
    subject: &str,
    answer: Answer,
    context: &mut Context<'_>,
) -> Result<Exit, Failure> {
    let request = find(subject, context)?;
    let about = About::of(&request).map_err(|refusal| refused(&request, &refusal))?;
    match answer.format {
        Format::Human => about.show(context)?,
        Format::Json => context.output.json(&about.object())?,
    }
    Ok(Exit::Success)
}

/// What is known of a library.
struct About<'a> {
    request: &'a LibraryRequest,
    examined: Examined,
    version: String,
    /// How it was built, as it says; empty if it does not, or if nobody is asked.
    build_json: &'static str,
    components: Vec<Component>,
    plugins: Vec<Descriptor>,
}

struct Component {
    slot: Slot,
    kind: String,
    summary: String,
    schema: Value,
}

impl<'a> About<'a> {
    fn of(request: &'a LibraryRequest) -> Result<Self, Box<Refusal>> {
        let loader = Loader::new();
        let examined = loader.examine(request)?;
        let plugins = loader.load(request)?;
        let (version, build_json, components) = if isolation(request).is_empty() {
            let library = loader.open(request)?;
            (library.version, library.build_json, of_library(library))
        } else {
            let version = plugins.first().map_or("", |plugin| plugin.version);
            (version, "", plugins.iter().map(of_plugin).collect())
        };
        let version = version.to_owned();
        Ok(Self { request, examined, version, build_json, components, plugins })
    }

    fn show(self, context: &mut Context<'_>) -> Result<(), Failure> {
        let Self { request, examined, .. } = &self;
        let facts = [
            ("file", request.path.display().to_string()),
            ("sha256", format!("{} ({})", examined.sha256, trust(request))),
            ("signed", examined.signed_by.iter().map(|key| format!("by {key}")).collect()),
            ("ABI", abi(examined)),
            ("for", examined.target().to_owned()),
            ("panics", examined.panics().to_owned()),
            ("runs", isolation(request).to_owned()),
            ("build", self.build_json.to_owned()),
        ];
        context.output.line(format_args!("{} {}", request.name, self.version))?;
        for (name, fact) in facts.iter().filter(|(_, fact)| !fact.is_empty()) {
            context.output.line(format_args!("  {name:<7} {fact}"))?;
        }
        let registry = Registry::empty().with_loaded(&request.name, self.plugins);
        for component in &self.components {
            component.show(&registry, context)?;
        }
        Ok(())
    }

    fn object(&self) -> Value {
        let Self { request, examined, .. } = self;
        let components = self.components.iter().map(|component| {
            json!({
                "slot": component.slot.as_str(),
                "kind": component.kind,
                "summary": component.summary,
                "schema": component.schema,
            })
        });
        json!({
            "name": request.name,
            "version": self.version,
            "path": request.path.display().to_string(),
            "sha256": examined.sha256,
            "trust": trust(request),
            "signed_by": examined.signed_by,
            "is_isolated": !isolation(request).is_empty(),
            "abi": abi(examined),
            "target": examined.target(),
            "panics": examined.panics(),
            "build": serde_json::from_str::<Value>(self.build_json).unwrap_or_default(),
            "components": components.collect::<Vec<_>>(),
        })
    }
}

/// The components of a library that runs here, also those that this release does not use.
fn of_library(library: &Library) -> Vec<Component> {
    let components = library.components.iter().map(|component| Component {
        slot: component.table.slot(),
        kind: component.name.to_owned(),
        summary: component.summary.to_owned(),
        schema: component.schema.clone(),
    });
    components.collect()
}

fn of_plugin(plugin: &Descriptor) -> Component {
    Component {
        slot: plugin.slot,
        kind: plugin.kind.to_owned(),
        summary: plugin.summary.to_owned(),
        schema: plugin.factory.config().schema().to_value(),
    }
}

impl Component {
    fn show(&self, registry: &Registry, context: &mut Context<'_>) -> Result<(), Failure> {
        let Self { slot, kind, summary, .. } = self;
        context.output.line(format_args!("\n{slot} `{kind}`: {summary}"))?;
        let Some(plugin) = registry.find(*slot, kind) else {
            return context.output.line("  not used by this release");
        };
        let doc = describe(registry, &format!("{slot}.{}", plugin.descriptor.kind));
        context.output.data(&doc.map(|doc| explain::options(&doc)).unwrap_or_default())
    }
}
