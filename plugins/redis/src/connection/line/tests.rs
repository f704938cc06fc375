//! A line whose other end is the test, so that answers come when and in the pieces it wants.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::poll;
use larder_core::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

use super::*;
use crate::connection::resp::Scan;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The other end.
struct Far {
    stream: DuplexStream,
    bytes: Vec<u8>,
}

impl Far {
    /// The next command, as its words.
    async fn next(&mut self) -> Vec<String> {
        let wait = async {
            loop {
                if let Some(length) = Scan::default().end(&self.bytes).unwrap() {
                    let command: Vec<u8> = self.bytes.drain(..length).collect();
                    return redis::from_redis_value(redis::parse_redis_value(&command).unwrap());
                }
                assert!(self.stream.read_buf(&mut self.bytes).await.unwrap() > 0, "it is closed");
            }
        };
        let words = tokio::time::timeout(PATIENCE, wait).await.expect("a command comes");
        words.expect("the words of a command")
    }

    async fn say(&mut self, answer: impl AsRef<[u8]>) {
        self.stream.write_all(answer.as_ref()).await.unwrap();
    }

    /// Answers a command with its names as values.
    async fn echo(&mut self, command: &[String]) {
        let mut answer = Vec::new();
        resp::write_command(&mut answer, command.len() - 1);
        command[1..].iter().for_each(|name| resp::write_word(&mut answer, name));
        self.say(answer).await;
    }
}

use crate::connection::resp;

type Running = JoinHandle<()>;

/// A line whose driver runs.
async fn line() -> (Arc<Line>, Far, Running) {
    let (near, far) = tokio::io::duplex(1 << 20);
    let (line, driver) = Line::new(Stream::of(near));
    let running = tokio::spawn(driver.run());
    let is_running = async || line.shared.lock().driver.is_some();
    larder_servers::until("the driver", PATIENCE, is_running).await;
    (Arc::new(line), Far { stream: far, bytes: Vec::new() }, running)
}

fn far_away() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

fn seat_until(line: &Line, head: Option<&Arc<str>>, key: &str, deadline: Instant) -> Seat {
    let name = |out: &mut Vec<u8>| out.extend_from_slice(key.as_bytes());
    line.read(&Read { name: &name, head, weight: 1, is_alone: true }, deadline).unwrap()
}

fn seat(line: &Line, head: &Arc<str>, key: &str) -> Seat {
    seat_until(line, Some(head), key, far_away())
}

/// A line with two flights under way, of `a` and `b`; more there may not be.
async fn two_flights() -> (Arc<Line>, Far, Running, Arc<str>, [Seat; 2]) {
    let (line, mut far, running) = line().await;
    let head: Arc<str> = "head".into();
    let seats = [seat(&line, &head, "a"), seat(&line, &head, "b")];
    assert_eq!(far.next().await, ["MGET", "head", "a"]);
    assert_eq!(far.next().await, ["MGET", "head", "b"]);
    (line, far, running, head, seats)
}

async fn landed(seat: Seat) -> Result<Option<Landed>, Lost> {
    tokio::time::timeout(PATIENCE, seat).await.expect("it ends")
}

fn value_of(landed: Result<Option<Landed>, Lost>) -> Option<Bytes> {
    landed.unwrap().unwrap().value
}

#[tokio::test]
async fn reads_that_come_while_others_are_under_way_go_together() {
    let (line, mut far, _running, head, [a, b]) = two_flights().await;
    let others: Vec<_> = ["c", "d", "e"].map(|key| seat(&line, &head, key)).into();
    far.say("*2\r\n$1\r\nh\r\n$1\r\n1\r\n").await;
    let first = landed(a).await.unwrap().unwrap();
    assert_eq!(first, Landed { value: Some("1".into()), head: Some("h".into()), leads: true });
    let command = far.next().await;
    assert_eq!(command, ["MGET", "head", "c", "d", "e"]);
    far.say("*2\r\n_\r\n_\r\n").await;
    assert_eq!(landed(b).await, Ok(Some(Landed { leads: true, ..Landed::default() })));
    far.echo(&command).await;
    for (key, other) in ["c", "d", "e"].into_iter().zip(join_all(others).await) {
        let leads = key == "c";
        let wanted = Landed { value: Some(key.into()), head: Some("head".into()), leads };
        assert_eq!(other, Ok(Some(wanted)));
    }
}

#[tokio::test]
async fn caches_share_a_flight_and_each_has_its_own_head() {
    let (line, mut far, _running, head, _seats) = two_flights().await;
    let other: Arc<str> = "other".into();
    let seats = [seat(&line, &head, "c"), seat(&line, &other, "d"), seat(&line, &head, "e")];
    far.say("*2\r\n_\r\n_\r\n").await;
    let command = far.next().await;
    assert_eq!(command, ["MGET", "head", "c", "other", "d", "e"]);
    far.say("*2\r\n_\r\n_\r\n").await;
    far.echo(&command).await;
    let heads = join_all(seats).await.into_iter().map(|seat| seat.unwrap().unwrap().head.unwrap());
    assert_eq!(heads.collect::<Vec<_>>(), ["head", "other", "head"]);
}

#[tokio::test]
async fn a_flight_takes_no_more_than_it_may() {
    let (line, mut far, _running, head, _seats) = two_flights().await;
    let heavy = |key: &'static str, weight| {
        let name = move |out: &mut Vec<u8>| out.extend_from_slice(key.as_bytes());
        let read = Read { name: &name, head: Some(&head), weight, is_alone: true };
        line.read(&read, far_away()).unwrap()
    };
    let mut seats = vec![heavy("c", WHOLE_FLIGHT / 2), heavy("d", WHOLE_FLIGHT / 2)];
    seats.push(heavy("e", 2 * WHOLE_FLIGHT));
    seats.extend((0..200).map(|_| heavy("f", 1)));
    let mut counts = Vec::new();
    far.say("*2\r\n_\r\n_\r\n").await;
    for _ in 0..4 {
        let command = far.next().await;
        counts.push(command.len() - 2);
        far.say("*2\r\n_\r\n_\r\n").await;
    }
    assert_eq!(counts, [2, 1, 127, 73]);
}

#[tokio::test]
async fn who_gives_up_is_not_asked_for_and_takes_nobody_along() {
    let (line, mut far, _running, head, [a, b]) = two_flights().await;
    let (gone, other) = (seat(&line, &head, "gone"), seat(&line, &head, "other"));
    drop((a, gone));
    far.say("*2\r\n_\r\n$1\r\n1\r\n").await;
    let command = far.next().await;
    assert_eq!(command, ["MGET", "head", "other"]);
    far.say("*2\r\n_\r\n$1\r\n2\r\n").await;
    assert_eq!(value_of(landed(b).await), Some("2".into()));
    far.echo(&command).await;
    assert_eq!(value_of(landed(other).await), Some("other".into()));
    // A flight in which nobody waits does not leave at all.
    drop(two_gone(&line, &head));
    let last = seat(&line, &head, "last");
    let command = far.next().await;
    assert_eq!(command.last().map(String::as_str), Some("last"));
    far.echo(&command).await;
    assert_eq!(value_of(landed(last).await), Some("last".into()));
}

/// Seats that are given up before their flight leaves.
fn two_gone(line: &Line, head: &Arc<str>) -> [Seat; 2] {
    line.shared.lock().is_settling = true;
    let seats = [seat(line, head, "x"), seat(line, head, "y")];
    line.shared.lock().wake();
    seats
}

#[tokio::test(start_paused = true)]
async fn everybody_is_told_when_his_own_time_is_over() {
    let (line, mut far, _running, head, [a, b]) = two_flights().await;
    let start = Instant::now();
    let in_seconds = |seconds| start + Duration::from_secs(seconds);
    let waiting: Vec<_> = [5, 2, 9]
        .map(|seconds| seat_until(&line, Some(&head), "late", in_seconds(seconds)))
        .map(|seat| async move { (seat.await, start.elapsed().as_secs()) })
        .into();
    let told = join_all(waiting).await;
    assert_eq!(told, [(Err(Lost::Late), 5), (Err(Lost::Late), 2), (Err(Lost::Late), 9)]);
    assert!(line.shared.lock().gathering.is_empty(), "nobody waits in it");
    far.say("*2\r\n_\r\n$1\r\n1\r\n*2\r\n_\r\n$1\r\n2\r\n").await;
    assert_eq!(value_of(landed(a).await), Some("1".into()), "it has more time");
    assert_eq!(value_of(landed(b).await), Some("2".into()));
}

#[tokio::test]
async fn more_than_can_be_kept_fail_at_once() {
    let (line, _far, _running, head, _seats) = two_flights().await;
    let name = |out: &mut Vec<u8>| out.push(b'x');
    let read = Read { name: &name, head: Some(&head), weight: 1, is_alone: true };
    let waiting: Vec<_> = (0..MOST_GATHERED).map(|_| line.read(&read, far_away())).collect();
    assert!(waiting.iter().all(Result::is_ok));
    assert_eq!(line.read(&read, far_away()).unwrap_err(), Lost::Full);
    let mut much = redis::pipe();
    much.cmd("SET").arg("k").arg("x".repeat(900_000));
    let mut sends: Vec<_> = (0..80).map(|_| Box::pin(line.send(&much))).collect();
    let mut full = 0;
    for send in &mut sends {
        full += usize::from(poll!(send) == std::task::Poll::Ready(Err(Lost::Full)));
    }
    assert!((1..10).contains(&full), "{full}");
}

#[tokio::test]
async fn a_socket_that_breaks_and_a_task_that_ends_strand_nobody() {
    for is_far in [true, false] {
        let (line, far, running, head, [a, b]) = two_flights().await;
        let c = seat(&line, &head, "c");
        let mut ping = redis::pipe();
        ping.cmd("PING");
        let mut sent = Box::pin(line.send(&ping));
        assert!(poll!(&mut sent).is_pending());
        if is_far {
            drop(far);
        } else {
            running.abort();
        }
        for seat in [a, b, c] {
            assert_eq!(landed(seat).await, Err(Lost::Broken));
        }
        assert_eq!(sent.await, Err(Lost::Broken));
        assert_eq!(line.send(&ping).await, Err(Lost::Broken));
    }
}

#[tokio::test]
async fn commands_and_flights_get_their_own_answers_and_pushes_go_to_nobody() {
    let (line, mut far, _running) = line().await;
    let head: Arc<str> = "head".into();
    let mut two = redis::pipe();
    two.cmd("GET").arg("k").cmd("LPUSH").arg("k").arg("x");
    let mut sent = Box::pin(line.send(&two));
    assert!(poll!(&mut sent).is_pending());
    let a = seat(&line, &head, "a");
    let mut given_up = Box::pin(line.send(&two));
    assert!(poll!(&mut given_up).is_pending());
    drop(given_up);
    let b = seat(&line, &head, "b");
    for _ in 0..6 {
        far.next().await;
    }
    far.say(">2\r\n+invalidate\r\n_\r\n$1\r\nv\r\n-WRONGTYPE of k\r\n>1\r\n+x\r\n").await;
    let answers = sent.await.unwrap();
    assert_eq!(answers[0], Value::BulkString(b"v".to_vec()));
    assert!(matches!(&answers[1], Value::ServerError(error) if error.code() == "WRONGTYPE"));
    far.say("*2\r\n_\r\n$1\r\n1\r\n+A\r\n+B\r\n").await;
    assert_eq!(value_of(landed(a).await), Some("1".into()));
    far.say("-LOADING its data\r\n").await;
    assert_eq!(landed(b).await, Ok(None), "it has to be asked in another way");
}

#[tokio::test]
async fn in_a_cluster_each_read_has_a_command_and_an_answer_of_its_own() {
    let (line, mut far, _running) = line().await;
    let read = |key| seat_until(&line, None, key, far_away());
    let first = [read("a"), read("b")];
    let later = [read("c"), read("d"), read("e")];
    for _ in first {
        assert_eq!(far.next().await[0], "GET");
        far.say("_\r\n").await;
    }
    for key in ["c", "d", "e"] {
        assert_eq!(far.next().await, ["GET", key]);
    }
    far.say("$1\r\n1\r\n-MOVED 7 x:1\r\n>1\r\n+x\r\n$1\r\n").await;
    far.say("3\r\n").await;
    let [c, d, e] = later;
    assert_eq!(value_of(landed(c).await), Some("1".into()));
    assert_eq!(landed(d).await, Ok(None));
    assert_eq!(value_of(landed(e).await), Some("3".into()));
}

#[tokio::test]
async fn an_answer_to_nothing_and_nonsense_end_the_line() {
    for said in ["+OK\r\n", "HTTP/1.1 400 Bad Request\r\n"] {
        let (_line, mut far, running) = line().await;
        far.say(said).await;
        let ended = tokio::time::timeout(PATIENCE, running).await;
        assert!(ended.is_ok_and(|ended| ended.is_ok()), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_read_gets_its_own_value_however_answers_are_cut() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (line, mut far, _running) = line().await;
    let head: Arc<str> = "head".into();
    let readers: Vec<_> = (0..16)
        .map(|reader| {
            let (line, head) = (Arc::clone(&line), Arc::clone(&head));
            tokio::spawn(async move {
                for number in 0..50 {
                    let key = format!("{reader}:{number}:{}", "x".repeat(number * 20));
                    let found = value_of(landed(seat(&line, &head, &key)).await);
                    assert_eq!(found, Some(Bytes::from(key)));
                }
            })
        })
        .collect();
    let answering = async {
        loop {
            let command = far.next().await;
            let mut answer = Vec::new();
            resp::write_command(&mut answer, command.len() - 1);
            command[1..].iter().for_each(|name| resp::write_word(&mut answer, name));
            while !answer.is_empty() {
                let piece = random.usize(1..=answer.len().min(700));
                far.say(answer.drain(..piece).collect::<Vec<_>>()).await;
                if random.u8(..4) == 0 {
                    tokio::task::yield_now().await;
                }
            }
        }
    };
    let all = join_all(readers);
    tokio::select! {
        () = answering => {}
        done = all => done.into_iter().for_each(|reader| reader.expect("its own values")),
    }
}
