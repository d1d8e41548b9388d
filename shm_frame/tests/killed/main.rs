//! Kills writers of a frame at random moments, while readers read it as fast as they can.
//!
//! The writers are child processes of this program; they write messages until SIGKILL ends them. The test prints its
//! counts.
#![forbid(unsafe_code)]

use std::env;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use assert_cmd::Command;
use shm_core::Key;
use shm_frame::{Error, FrameError, Reader, WriteState, Writer};
use shm_testkit::scratch::ScratchKey;
use shm_testkit::{Effort, Failed, Suite, Trial, count, trials};

/// The variable that makes this program a writer; its value is the key of the frame.
const WRITER: &str = "SHM_TEST_WRITER";

/// Large enough that most kills hit a writer while it writes a message.
const SIZE: usize = 1 << 20;
const LIMIT: Duration = Duration::from_mins(1);

/// The counts of the readers and of the killers.
#[derive(Debug, Default)]
struct Counts {
    reads: AtomicUsize,
    /// Reads that gave up with `FrameError::Unsteady`.
    unsteady: AtomicUsize,
    torn: AtomicUsize,
    /// Messages that were older than one that had been read.
    backwards: AtomicUsize,
    damaged: AtomicUsize,
    kills: AtomicUsize,
    /// Deaths of writers during a write that a reader has seen.
    deaths: AtomicUsize,
}

impl Counts {
    fn print(&self, messages: usize) {
        let counted = [
            (&self.kills, "kills"),
            (&self.deaths, "of them seen by a reader"),
            (&self.reads, "reads"),
            (&self.unsteady, "that gave up"),
            (&self.torn, "torn"),
            (&self.damaged, "damaged"),
            (&self.backwards, "from before"),
        ];
        let counted = counted.map(|(counter, of)| (counter.load(Relaxed), of));
        count("whole messages", &[&[(messages, "messages")], &counted[..]].concat());
    }
}

fn main() -> ExitCode {
    if let Ok(key) = env::var(WRITER) {
        write_for_ever(key.parse().unwrap());
    }
    let trials = trials![
        Trial::here, &[] =>
            no_message_is_torn_however_many_writers_are_killed;
    ];
    Suite::new(trials).run()
}

fn open(key: Key) -> Writer {
    Writer::open_or_create(key, SIZE, 0o600, LIMIT).unwrap().0
}

/// Writes messages of all lengths; takes the lock again after each four.
fn write_for_ever(key: Key) -> ! {
    let mut seed = u64::from(std::process::id());
    loop {
        let mut writer = open(key);
        for _ in 0..4 {
            seed = next(seed);
            writer.write(&message(seed, writer.capacity())).unwrap();
        }
    }
}

/// Marsaglia's xorshift. A mix of two messages does not match the seed of either.
fn next(mut seed: u64) -> u64 {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^ (seed << 17)
}

/// The message of a seed: its first word is the seed, which determines its length and the rest.
fn message(seed: u64, capacity: usize) -> Vec<u8> {
    let words = capacity / 8;
    let count = 1 + usize::try_from(seed).unwrap() % words;
    let mut word = seed;
    let mut message = Vec::with_capacity(count * 8);
    for _ in 0..count {
        message.extend_from_slice(&word.to_ne_bytes());
        word = word.wrapping_add(seed | 1);
    }
    message
}

fn is_whole(bytes: &[u8], capacity: usize) -> bool {
    let seed = bytes.first_chunk().map(|word| u64::from_ne_bytes(*word));
    seed.is_some_and(|seed| bytes == message(seed, capacity))
}

fn read(key: Key, counts: &Counts, over: &AtomicBool) {
    let reader = Reader::open(key).unwrap();
    let (mut bytes, mut last) = (Vec::new(), 0);
    while !over.load(Relaxed) {
        match reader.read(&mut bytes) {
            Ok(generation) => {
                counts.reads.fetch_add(1, Relaxed);
                let torn = !is_whole(&bytes, reader.capacity());
                counts.torn.fetch_add(torn.into(), Relaxed);
                counts.backwards.fetch_add((generation < last).into(), Relaxed);
                last = generation;
            }
            Err(Error::Frame { error: FrameError::Unsteady { .. }, .. }) => {
                counts.unsteady.fetch_add(1, Relaxed);
            }
            Err(_) => _ = counts.damaged.fetch_add(1, Relaxed),
        }
    }
}

/// Starts writers one after another and kills each after up to 200 ms.
fn kill(key: Key, mut seed: u64, counts: &Counts, over: &AtomicBool) {
    while !over.load(Relaxed) {
        seed = next(seed);
        let output = Command::new(env::current_exe().unwrap())
            .env(WRITER, key.to_string())
            .timeout(Duration::from_micros(seed % 200_000))
            .output()
            .unwrap();
        // A status would mean that something else than SIGKILL ended it.
        assert_eq!(output.status.code(), None, "{}", String::from_utf8_lossy(&output.stderr));
        counts.kills.fetch_add(1, Relaxed);
    }
}

/// Counts deaths of writers during a write, which are visible until the next write.
fn watch(key: Key, counts: &Counts, over: &AtomicBool) {
    let reader = Reader::open(key).unwrap();
    let mut counted = 0;
    while !over.load(Relaxed) {
        let generation = reader.generation();
        if generation != counted && reader.writing(generation) == WriteState::Died {
            counted = generation;
            counts.deaths.fetch_add(1, Relaxed);
        }
        thread::sleep(Duration::from_micros(200));
    }
}

fn no_message_is_torn_however_many_writers_are_killed() -> Result<(), Failed> {
    let time = Effort::current().killing;
    let (key, counts, over) = (ScratchKey::new(), Counts::default(), AtomicBool::new(false));
    let mut first = open(*key);
    first.write(&message(1, first.capacity()))?;
    drop(first);
    let start = Instant::now();
    thread::scope(|scope| {
        for seed in [11, 22] {
            scope.spawn(|| read(*key, &counts, &over));
            let (counts, over, key) = (&counts, &over, *key);
            scope.spawn(move || kill(key, seed, counts, over));
        }
        scope.spawn(|| watch(*key, &counts, &over));
        while start.elapsed() < time || counts.deaths.load(Relaxed) == 0 {
            if start.elapsed() > time + LIMIT {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        over.store(true, Relaxed);
    });
    // The next writer gets the lock, however the last one ended.
    let mut bytes = Vec::new();
    let generation = open(*key).write(b"the last")?;
    let last = Reader::open(*key)?.read(&mut bytes)?;
    counts.print(usize::try_from(generation)?);

    let number = |counter: &AtomicUsize| counter.load(Relaxed);
    let wrong = [&counts.torn, &counts.backwards, &counts.damaged].map(number);
    let happened = [&counts.reads, &counts.kills, &counts.deaths].map(number);
    assert_eq!(wrong, [0; 3], "{counts:?}");
    assert!(!happened.contains(&0), "{counts:?}");
    assert_eq!((last, &bytes[..]), (generation, &b"the last"[..]));
    Ok(())
}
