//! Another process that is asked line by line.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Another process, so that killing and stopping it are real.
///
/// It reads one line at a time from its input and answers each with one line on its output. What
/// it prints besides goes to the errors of this process. It must end when its input does, which
/// is when this process ends or the node is dropped.
pub struct Node {
    child: Child,
    id: Pid,
    input: Mutex<Option<ChildStdin>>,
    answers: Mutex<Receiver<String>>,
}

impl Node {
    /// Starts the program.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program of a node can be started");
        let output = child.stdout.take().expect("the output is a pipe");
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let input = Mutex::new(child.stdin.take());
        let id = Pid::from_child(&child);
        Self { child, id, input, answers: Mutex::new(answers) }
    }

    /// Asks one thing and waits for the answer.
    ///
    /// # Panics
    ///
    /// If there is no answer in time.
    #[track_caller]
    pub fn ask(&self, question: &str) -> String {
        self.send(question);
        self.answer()
    }

    /// Asks one thing and leaves the answer to [`answer`](Self::answer).
    #[track_caller]
    pub fn send(&self, question: &str) {
        let mut input = self.input.lock().expect("nobody panics with the lock");
        let pipe = input.as_mut().expect("the node was not told to end");
        writeln!(pipe, "{question}").expect("the node runs");
    }

    /// Waits for the next answer.
    ///
    /// # Panics
    ///
    /// If there is none in time.
    #[track_caller]
    pub fn answer(&self) -> String {
        let answers = self.answers.lock().expect("nobody panics with the lock");
        answers.recv_timeout(LIMIT).unwrap_or_else(|error| panic!("a node is silent: {error}"))
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&self) {
        kill_process(self.id, Signal::KILL).expect("the node runs");
    }

    /// Stops it as `kill -STOP` does.
    pub fn stop(&self) {
        kill_process(self.id, Signal::STOP).expect("the node runs");
    }

    /// Lets it go on.
    pub fn cont(&self) {
        kill_process(self.id, Signal::CONT).expect("the node is there");
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("id", &self.child.id()).finish_non_exhaustive()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended, and it may be stopped: both are well.
        kill_process(self.id, Signal::KILL).ok();
        self.child.wait().ok();
    }
}

const LIMIT: Duration = Duration::from_secs(60);
