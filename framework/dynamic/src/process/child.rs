//! [`Child`], a running runner: how it is started, what it says, how it ends.

use std::io::{self, BufRead as _, BufReader, PipeReader, Read as _, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{self, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use larder_core::telemetry::TARGET;
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::wire::{Greeting, Side};

/// How long a runner may take to greet.
const GREETING: Duration = Duration::from_secs(10);

/// What stands on one line beyond that is left out.
const LONGEST_LINE: u64 = 4096;

/// A process.
#[derive(Debug)]
pub(super) struct Child(Mutex<process::Child>);

/// Starts a runner and exchanges greetings. What it and its plugin write to standard output and
/// standard error goes to the log.
pub(super) fn start(runner: &Path, plugin: &Arc<str>) -> Result<(Child, UnixStream), Greeting> {
    let (ours, theirs) = UnixStream::pair().map_err(Greeting::Io)?;
    let (said, says) = io::pipe().map_err(Greeting::Io)?;
    let says_too = says.try_clone().map_err(Greeting::Io)?;
    let mut command = Command::new(runner);
    // The name is for those who look at the list of processes.
    command.arg(&**plugin);
    command.stdin(OwnedFd::from(theirs)).stdout(Stdio::from(says)).stderr(Stdio::from(says_too));
    // What is typed at the terminal of the program is meant for the program, which ends it.
    command.process_group(0);
    let child = Child(Mutex::new(command.spawn().map_err(Greeting::Io)?));
    // With its copies of their ends: only so the end of the runner is seen.
    drop(command);
    let plugin = Arc::clone(plugin);
    let listener = thread("output").spawn(move || listen(said, &plugin));
    let greeted = listener.map(drop).map_err(Greeting::Io).and_then(|()| greet(&ours));
    match greeted {
        Ok(()) => Ok((child, ours)),
        Err(error) => {
            child.end();
            Err(error)
        }
    }
}

fn greet(stream: &UnixStream) -> Result<(), Greeting> {
    stream.set_read_timeout(Some(GREETING)).map_err(Greeting::Io)?;
    Side::Host.greet(&mut Pipe(stream)).map_err(Greeting::Io)?;
    Side::Runner.expect(&mut { stream })?;
    stream.set_read_timeout(None).map_err(Greeting::Io)
}

/// A thread that serves a runner.
pub(super) fn thread(what: &str) -> std::thread::Builder {
    std::thread::Builder::new().name(format!("larder-run-{what}"))
}

/// Writes to a runner that may be gone, whatever the program does about `SIGPIPE`.
#[derive(Debug)]
pub(super) struct Pipe<'a>(pub(super) &'a UnixStream);

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(self.0, bytes, rustix::net::SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Says in the log what a runner writes, line by line, until it has ended.
fn listen(said: PipeReader, plugin: &str) {
    let mut said = BufReader::new(said);
    let mut line = Vec::new();
    loop {
        line.clear();
        match said.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(_) => {
                let line = String::from_utf8_lossy(&line);
                let line = line.trim_end();
                if !line.is_empty() {
                    tracing::info!(target: TARGET, plugin, "{line}");
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

impl Child {
    fn lock(&self) -> MutexGuard<'_, process::Child> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills it. Whoever reads from it sees that it ended.
    pub(super) fn kill(&self) {
        // One that has ended already is what was wanted.
        drop(self.lock().kill());
    }

    /// Waits until it has ended, and leaves it to others to ask how. What it left behind, a process
    /// that it forked, may keep its files open: that nothing comes from these says less.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub(super) fn wait(&self) -> io::Result<()> {
        let number = i32::try_from(self.lock().id()).ok();
        let Some(number) = number.and_then(Pid::from_raw) else { return Ok(()) };
        let how = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        loop {
            match waitid(WaitId::Pid(number), how) {
                // Somebody has asked already.
                Ok(_) | Err(Errno::CHILD) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Kills it, unless it has ended, and says how it ended.
    pub(super) fn end(&self) -> Option<ExitStatus> {
        let mut child = self.lock();
        drop(child.kill());
        child.wait().ok()
    }
}
