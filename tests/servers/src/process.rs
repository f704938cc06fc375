//! A server process that does not outlive the test.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

/// A program under a shell that ends it when the pipe from this process closes.
///
/// A pipe closes however this process ends, also by `kill -9`. A death signal of the kernel would
/// not do: it follows the thread that started the program, and each test has its own.
#[derive(Debug)]
pub(crate) struct Process {
    shell: Child,
    /// Held open for as long as the program shall run.
    _pipe: ChildStdin,
    server: Pid,
    log: Log,
}

impl Process {
    /// Starts a program with its arguments, in a directory, which goes with this process at the
    /// latest.
    pub(crate) fn start(program: &str, arguments: &[String], directory: &Path) -> Self {
        let mut shell = Command::new("sh")
            .args(["-c", GUARD, "sh", program])
            .args(arguments)
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell can be started");
        let pipe = shell.stdin.take().expect("the input is a pipe");
        let mut output = BufReader::new(shell.stdout.take().expect("the output is a pipe"));
        let mut first = String::new();
        output.read_line(&mut first).expect("the shell can be read");
        let server = first.trim().parse().ok().and_then(Pid::from_raw);
        let server = server.unwrap_or_else(|| panic!("the shell said `{first}`, not a process id"));
        Self { shell, _pipe: pipe, server, log: Log::collect(output) }
    }

    /// The id of the program's process.
    pub(crate) fn id(&self) -> i32 {
        self.server.as_raw_nonzero().get()
    }

    /// Whether the program is there, stopped or not.
    pub(crate) fn is_running(&mut self) -> bool {
        self.shell.try_wait().expect("the shell can be waited for").is_none()
    }

    /// The last lines that the program printed.
    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    /// Stops the program as `kill -STOP` does.
    pub(crate) fn stop(&self) {
        kill_process(self.server, Signal::STOP).expect("the program runs");
    }

    /// Lets the stopped program go on.
    pub(crate) fn cont(&self) {
        kill_process(self.server, Signal::CONT).expect("the program is there");
    }

    /// Kills the program and waits until it is gone, and its port with it.
    pub(crate) fn kill(&mut self) {
        if self.is_running() {
            // It may have ended since.
            kill_process(self.server, Signal::KILL).ok();
            self.shell.wait().expect("the shell ends with its program");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The last lines of an output, collected by a thread that ends with it.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<VecDeque<String>>>);

impl Log {
    fn collect(output: BufReader<ChildStdout>) -> Self {
        let log = Self::default();
        let lines = Self::clone(&log);
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let mut lines = lines.0.lock().expect("nobody panics with the lock");
                if lines.len() == LOG_LINES {
                    lines.pop_front();
                }
                lines.push_back(line);
            }
        });
        log
    }

    fn text(&self) -> String {
        let lines = self.0.lock().expect("nobody panics with the lock");
        lines.iter().fold(String::new(), |text, line| text + line + "\n")
    }
}

/// Starts the program, says its process id, and waits for its end or that of the pipe. The input
/// is duplicated, for a shell gives none to what runs in the background.
///
/// When the pipe closes first, this process has ended without dropping the [`Process`], as it does
/// with one in a static. Then nobody else removes the directory, so the guard does, and is not to
/// be stopped by the end of the program.
const GUARD: &str = r#"
directory=$PWD
exec 3<&0
sh -c 'echo "$$"; exec "$@"' sh "$@" </dev/null 2>&1 3<&- &
server=$!
{
    cat <&3
    trap '' TERM
    kill -9 "$server"
    while kill -0 "$server"; do :; done
    cd / && rm -rf -- "$directory"
} >/dev/null 2>&1 &
guard=$!
wait "$server"
kill "$guard" 2>/dev/null
"#;

const LOG_LINES: usize = 500;
