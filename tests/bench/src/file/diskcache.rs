//! [`Diskcache`]: a Python interpreter that runs `diskcache`, and times itself.

use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::Operation;
use super::sides::Side;
use crate::Failure;

const SCRIPT: &str = include_str!("../../diskcache_side.py");

/// A running interpreter.
pub(crate) struct Diskcache {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Diskcache {
    /// Starts Python with `diskcache`, which is installed below `target` the first time.
    pub(crate) fn start(dir: &Path, target: &Path) -> Result<Self, Failure> {
        let python = installed(&target.join("diskcache-venv"))?;
        let mut child = Command::new(python)
            .args(["-c", SCRIPT])
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (questions, answers) = pipes.ok_or("Python has no pipes")?;
        let mut side = Self { child, questions, answers: BufReader::new(answers) };
        match &*side.answer()? {
            "ready" => Ok(side),
            other => Err(format!("Python says `{other}`").into()),
        }
    }

    fn answer(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err("Python has ended; what it said stands above".into());
        }
        Ok(line.trim().to_owned())
    }
}

impl Side for Diskcache {
    fn run(&mut self, operation: Operation, keys: Range<u64>) -> Result<Duration, Failure> {
        let (first, count) = (keys.start, keys.end - keys.start);
        writeln!(self.questions, "{} {first} {count}", operation.name())?;
        Ok(Duration::try_from_secs_f64(self.answer()?.parse()?)?)
    }
}

impl Drop for Diskcache {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The interpreter of a virtual environment that has `diskcache`.
fn installed(environment: &Path) -> Result<PathBuf, Failure> {
    let python = environment.join("bin/python");
    if !python.exists() {
        finish(Command::new("python3").args(["-m", "venv"]).arg(environment))?;
    }
    let mut import = Command::new(&python);
    if finish(import.args(["-c", "import diskcache"])).is_err() {
        let mut install = Command::new(&python);
        finish(install.args(["-m", "pip", "install", "--quiet", "diskcache"]))?;
    }
    Ok(python)
}

fn finish(command: &mut Command) -> Result<(), Failure> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}", said.lines().last().unwrap_or("failed")).into())
}
