//! `larder plugins new`: a plugin that works, to begin with.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::args::{Language, NewPlugin};
use crate::context::Context;
use crate::exit::{Exit, Failure};

mod templates;

pub(in super::super) fn run(
    arguments: &NewPlugin,
    context: &mut Context<'_>,
) -> Result<Exit, Failure> {
    let folder = &arguments.folder;
    let name = Name::parse(arguments)?;
    let checkout = arguments.larder.as_deref().map(checkout).transpose()?;
    is_free(folder)?;
    let files = templates::files(arguments.lang, arguments.slot, &name, checkout.as_deref());
    for (path, text) in &files {
        let path = folder.join(path);
        write(&path, text).map_err(|error| Failure::writing(&path, &error))?;
        context.output.line(path.display())?;
    }
    let slot = arguments.slot.as_str();
    let (kind, test) = (
        name.kind(),
        match arguments.lang {
            Language::C => "sh build.sh",
            Language::Rust => "cargo test",
        },
    );
    context
        .output
        .done(format_args!("wrote the {slot} `{kind}`; next: cd {} && {test}", folder.display()));
    Ok(Exit::Success)
}

/// The name of a plugin: `vendor-kind`, in lower case.
pub(super) struct Name(String);

impl Name {
    /// More does not fit into the stamp of a library.
    const LONGEST: usize = 63;

    fn parse(arguments: &NewPlugin) -> Result<Self, Failure> {
        let of_folder = || arguments.folder.file_name().unwrap_or_default().to_string_lossy();
        let name = arguments.name.clone().unwrap_or_else(|| of_folder().into_owned());
        let refuse = |what: &str, hint: &str| {
            let message = format!("`{name}` cannot be the name of a plugin: {what}; hint: {hint}");
            Failure::new(Exit::Usage, message)
        };
        let is_word = |word: &str| {
            word.starts_with(|first: char| first.is_ascii_lowercase())
                && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if name.len() > Self::LONGEST {
            return Err(refuse("it is longer than 63 bytes", "leave some of it out"));
        }
        let (vendor, kind) = name.split_once('-').unwrap_or((&name, ""));
        if !is_word(vendor) || !kind.split('-').all(is_word) {
            let hint = "put the name of who makes it in front, as in `acme-shelf`, or give another \
                        one with `--name`";
            return Err(refuse("it is not words of lower-case letters with `-` in between", hint));
        }
        if vendor == "larder" {
            return Err(refuse("it belongs to those that come with Larder", "use your own"));
        }
        Ok(Self(name))
    }

    /// As crates and libraries have it.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// As code has it.
    pub(super) fn ident(&self) -> String {
        self.0.replace('-', "_")
    }

    /// As configs have it.
    pub(super) fn kind(&self) -> String {
        self.0.replacen('-', ".", 1)
    }
}

/// A checkout of Larder, by its absolute path.
fn checkout(folder: &Path) -> Result<PathBuf, Failure> {
    let found = folder.join("framework/core/Cargo.toml").is_file();
    match folder.canonicalize() {
        Ok(path) if found => Ok(path),
        _ => {
            let message = format!(
                "`{}` is no checkout of Larder; hint: name the folder with `framework` and \
                 `plugins` in it, or leave `--larder` out to use what is released",
                folder.display()
            );
            Err(Failure::new(Exit::Usage, message))
        }
    }
}

/// Whether nothing is there yet, or an empty folder.
fn is_free(folder: &Path) -> Result<(), Failure> {
    let is_empty = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => false,
        Err(error) => return Err(Failure::reading(folder, &error)),
    };
    if is_empty {
        return Ok(());
    }
    let message = format!(
        "`{}` is there already, and not an empty folder; hint: name another one",
        folder.display()
    );
    Err(Failure::new(Exit::No, message))
}

/// Never over a file that somebody else made meanwhile.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())
}
