//! [`Output`], the only way to say something: data on stdout, everything else on stderr.

use std::fmt;
use std::io::{self, IsTerminal as _, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use larder::config::render::RenderOptions;

use crate::exit::{Exit, Failure};

/// How wide text is when it does not go to a terminal.
const DEFAULT_WIDTH: u16 = 100;

/// Below this nothing can be read any more, so lines go over the edge instead.
const LEAST_WIDTH: u16 = 40;

pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const DOUBTFUL: Style = AnsiColor::Yellow.on_default().bold();

/// Where the command writes: data to one stream, everything else to another.
///
/// A reader that goes away (`larder show | head`) is no failure: what is left to say is dropped.
pub struct Output {
    data: Box<dyn Write>,
    /// The stream behind `data`, for what must arrive byte for byte.
    raw: Option<Box<dyn Write>>,
    notes: Box<dyn Write>,
    width: u16,
    is_terminal: bool,
    is_data_coloured: bool,
    are_notes_coloured: bool,
    are_notes_on_terminal: bool,
    is_quiet: bool,
}

impl Output {
    /// Stdout and stderr of this process, coloured where a terminal shows it and neither
    /// `NO_COLOR` nor `CLICOLOR_FORCE` says otherwise.
    #[must_use]
    pub fn standard() -> Self {
        let is_coloured = |choice| choice != ColorChoice::Never;
        let width = terminal_size::terminal_size().map(|(width, _)| width.0);
        Self {
            is_data_coloured: is_coloured(AutoStream::choice(&io::stdout())),
            are_notes_coloured: is_coloured(AutoStream::choice(&io::stderr())),
            are_notes_on_terminal: io::stderr().is_terminal(),
            is_terminal: io::stdout().is_terminal(),
            data: Box::new(anstream::stdout()),
            raw: Some(Box::new(io::stdout())),
            notes: Box::new(anstream::stderr()),
            width: width.unwrap_or(DEFAULT_WIDTH).max(LEAST_WIDTH),
            is_quiet: false,
        }
    }

    /// These streams, without colours, for 100 columns.
    #[must_use]
    pub fn plain(data: impl Write + 'static, notes: impl Write + 'static) -> Self {
        let strip = anstream::StripStream::new;
        Self {
            data: Box::new(strip(Box::new(data) as Box<dyn Write>)),
            raw: None,
            notes: Box::new(strip(Box::new(notes) as Box<dyn Write>)),
            width: DEFAULT_WIDTH,
            is_terminal: false,
            is_data_coloured: false,
            are_notes_coloured: false,
            are_notes_on_terminal: false,
            is_quiet: false,
        }
    }

    /// Says nothing on stderr but why something failed.
    pub(crate) const fn quiet(&mut self, is_quiet: bool) {
        self.is_quiet = is_quiet;
    }

    /// Whether somebody sees on stderr how far a long work is.
    pub(crate) const fn shows_progress(&self) -> bool {
        self.are_notes_on_terminal && !self.is_quiet
    }

    /// Whether data goes to the stdout of this process.
    pub(crate) const fn is_stdout(&self) -> bool {
        self.raw.is_some()
    }

    pub(crate) const fn are_notes_coloured(&self) -> bool {
        self.are_notes_coloured
    }

    /// How diagnostics on stderr are rendered.
    pub(crate) fn render_options(&self) -> RenderOptions {
        RenderOptions::default().color(self.are_notes_coloured).width(self.width.into())
    }

    /// How diagnostics on stdout are rendered.
    pub(crate) fn data_render_options(&self) -> RenderOptions {
        self.render_options().color(self.is_data_coloured)
    }

    /// Writes data of ours, which may have colours in it.
    pub(crate) fn data(&mut self, text: &str) -> Result<(), Failure> {
        deliver(&mut *self.data, text)
    }

    /// Writes a text that somebody stored: every byte of it, except that on a terminal one with
    /// control characters is quoted, so that it cannot take over the terminal.
    pub(crate) fn stored(&mut self, text: &str) -> Result<(), Failure> {
        let is_harmless = |char: char| !char.is_control() || matches!(char, '\n' | '\t');
        if self.is_terminal && !text.chars().all(is_harmless) {
            return self.json(&text.into());
        }
        let stream = self.raw.as_mut().unwrap_or(&mut self.data);
        deliver(&mut **stream, &format!("{text}\n"))
    }

    /// Writes a line of data.
    pub(crate) fn line(&mut self, text: impl fmt::Display) -> Result<(), Failure> {
        self.data(&format!("{text}\n"))
    }

    /// Writes a JSON document as data, for people who also read it.
    pub(crate) fn json(&mut self, value: &serde_json::Value) -> Result<(), Failure> {
        self.line(format_args!("{value:#}"))
    }

    /// Writes a table with a headline as data.
    pub(crate) fn table<const N: usize>(
        &mut self,
        head: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) -> Result<(), Failure> {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(self.width)
            .set_header(head)
            .add_rows(rows);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let text = table.trim_fmt();
        self.line(text)
    }

    /// Says something on stderr, as it is. Nobody can be told when that fails.
    pub(crate) fn note(&mut self, text: &str) {
        self.notes.write_all(text.as_bytes()).ok();
    }

    /// Says on stderr what was done, unless it is to be quiet.
    pub(crate) fn done(&mut self, text: impl fmt::Display) {
        if !self.is_quiet {
            self.note(&format!("{text}\n"));
        }
    }

    /// Says on stderr what is wrong.
    pub(crate) fn error(&mut self, message: impl fmt::Display) {
        self.note(&format!("{BAD}error{BAD:#}: {message}\n"));
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("width", &self.width).finish_non_exhaustive()
    }
}

fn deliver(stream: &mut dyn Write, text: &str) -> Result<(), Failure> {
    match stream.write_all(text.as_bytes()).and_then(|()| stream.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let reason = error.kind();
            Err(Failure::new(Exit::Io, format!("cannot write to the output: {reason}")))
        }
        _ => Ok(()),
    }
}

/// `1 cache`, `2 caches`, `2 entries`.
pub(crate) fn counted(count: u64, word: &str) -> String {
    match (count, word.strip_suffix('y')) {
        (1, _) => format!("1 {word}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {word}s"),
    }
}
