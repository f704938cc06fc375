//! `larder plugins info`, `verify` and `pin`: libraries, by their name in the config or by file.

use std::path::Path;

use larder::config::check::libraries;
use larder::libraries::{Examined, Loader};
use larder::plugin::library::{Isolation, LibraryRequest, Refusal, Trust};
use serde_json::{Value, json};

use crate::args::{Answer, Format};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{BAD, GOOD};

mod info;

pub(in super::super) use info::info;

/// `larder plugins verify`: every check for which no code of a library has to run.
pub(in super::super) fn verify(
    names: &[String],
    answer: Answer,
    context: &mut Context<'_>,
) -> Result<Exit, Failure> {
    let requests = match names {
        [] => libraries(&context.resolved()?.1),
        names => names.iter().map(|name| find(name, context)).collect::<Result<_, _>>()?,
    };
    let loader = Loader::new();
    let found: Vec<_> = requests.iter().map(|one| (one, loader.examine(one))).collect();
    match answer.format {
        Format::Json => {
            let objects = found.iter().map(|(request, found)| verified(request, found));
            context.output.json(&objects.collect())?;
        }
        Format::Human if found.is_empty() => context.output.done("this config names no library"),
        Format::Human => {
            for (request, found) in &found {
                context.output.line(verdict(request, found))?;
            }
        }
    }
    for (request, refusal) in
        found.iter().filter_map(|(one, found)| Some((one, found.as_ref().err()?)))
    {
        context.output.error(said(request, refusal));
    }
    Ok(Exit::answer(found.iter().all(|(_, found)| found.is_ok())))
}

type Found = Result<Examined, Box<Refusal>>;

fn verdict(request: &LibraryRequest, found: &Found) -> String {
    let name = &request.name;
    match found {
        Ok(examined) => format!(
            "{GOOD}ok{GOOD:#}    {name}: plugin ABI {}, for {}, {}{}{}{}",
            abi(examined),
            examined.target(),
            trust(request),
            examined.signed_by.iter().map(|key| format!(", signed by {key}")).collect::<String>(),
            if isolation(request).is_empty() { "" } else { ", " },
            isolation(request)
        ),
        Err(refusal) => {
            format!("{BAD}fail{BAD:#}  {name}: {} {}", refusal.fault.code(), refusal.label)
        }
    }
}

fn verified(request: &LibraryRequest, found: &Found) -> Value {
    let (name, path) = (&request.name, request.path.display().to_string());
    match found {
        Ok(examined) => json!({
            "name": name,
            "path": path,
            "ok": true,
            "sha256": examined.sha256,
            "bytes": examined.size,
            "abi": abi(examined),
            "target": examined.target(),
            "trust": trust(request),
            "signed_by": examined.signed_by,
            "is_isolated": !isolation(request).is_empty(),
        }),
        Err(refusal) => json!({
            "name": name,
            "path": path,
            "ok": false,
            "code": refusal.fault.code(),
            "message": refusal.message,
            "notes": refusal.notes,
            "help": refusal.help,
        }),
    }
}

fn abi(examined: &Examined) -> String {
    format!("{}.{}", examined.stamp.abi_major, examined.stamp.abi_minor)
}

const fn trust(request: &LibraryRequest) -> &'static str {
    match request.trust {
        Trust::Pin(_) => "pinned",
        Trust::Path => "trusted because of its path",
        _ => "not pinned",
    }
}

/// Where it runs, if that is not in the process of the program.
const fn isolation(request: &LibraryRequest) -> &'static str {
    match request.isolation {
        Isolation::Process { .. } => "in a process of its own",
        _ => "",
    }
}

fn said(request: &LibraryRequest, refusal: &Refusal) -> String {
    format!("{}: {refusal}; see `larder explain {}`", request.name, refusal.fault.code())
}

/// `larder plugins pin`: the line that the config needs.
pub(in super::super) fn pin(subject: &str, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let request = find(subject, context)?;
    // What it is pinned to now is what is about to change.
    let request = request.trust(Trust::Path);
    let examined =
        Loader::new().examine(&request).map_err(|refusal| refused(&request, &refusal))?;
    context.output.line(format_args!("sha256 = \"{}\"", examined.sha256))?;
    Ok(Exit::Success)
}

/// The library of this name in the config, or a file that the arguments name, which is trusted
/// because somebody named it.
fn find(subject: &str, context: &Context<'_>) -> Result<LibraryRequest, Failure> {
    if subject.contains(std::path::MAIN_SEPARATOR) {
        let path = std::path::absolute(Path::new(subject)).map_err(|error| {
            Failure::new(Exit::Usage, format!("`{subject}` is no path of a file: {error}"))
        })?;
        let found = Loader::new().identify(&path);
        return found.map_err(|refusal| Failure::new(Exit::Config, refusal.to_string()));
    }
    let requests = libraries(&context.resolved()?.1);
    let names: Vec<String> = requests.iter().map(|one| format!("`{}`", one.name)).collect();
    requests.into_iter().find(|request| request.name == subject).ok_or_else(|| {
        let hint = match names.is_empty() {
            true => {
                "the config names no library; a file is named with a `/` in its path".to_owned()
            }
            false => format!("the config names {}", names.join(", ")),
        };
        Failure::new(Exit::No, format!("there is no library `{subject}`; hint: {hint}"))
    })
}

fn refused(request: &LibraryRequest, refusal: &Refusal) -> Failure {
    Failure::new(Exit::Config, said(request, refusal))
}
