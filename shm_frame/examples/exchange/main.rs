//! Measures round trips of messages between two processes, over framed shared memory, pipes, Unix
//! sockets or TCP.
//!
//! `exchange MECHANISM --count N` starts its peer. `exchange MECHANISM --serve PLACE` and then
//! `exchange MECHANISM --connect PLACE --count N` are two processes that share only the place: in one
//! container, in two that share a namespace or a volume, or one of them on the host.
//!
//! The process that connects prints one line of JSON. Messages have `--size` bytes in both directions;
//! both sides need the same value. A warm-up of a tenth as many round trips is not counted.
#![forbid(unsafe_code)]

mod channel;
mod framed;
mod mechanism;
mod peer;
mod stream;

use std::io::{self, Write};
use std::time::Instant;

use clap::Parser;
use serde_json::json;

use crate::channel::{Channel, Result, Wait};
use crate::mechanism::{Mechanism, name};

/// Measures round trips between two processes.
#[derive(Debug, Parser)]
struct Args {
    #[arg(value_enum)]
    mechanism: Mechanism,

    /// Round trips to measure
    #[arg(long, value_name = "N", required_unless_present = "serve")]
    count: Option<usize>,

    /// Size of a message in bytes, in both directions
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    size: u64,

    /// How to wait for a message: without a pause, with pauses of 50 µs, or in the kernel [default:
    /// spin for framed, which cannot block, else block]
    #[arg(long, value_enum)]
    wait: Option<Wait>,

    /// Answer at this place until the other side is done; framed: a key (the next key is used too);
    /// pipe, unix: a path; tcp: an address and a port
    #[arg(long, value_name = "PLACE", conflicts_with_all = ["connect", "count"])]
    serve: Option<String>,

    /// Ask at this place, where another process serves
    #[arg(long, value_name = "PLACE")]
    connect: Option<String>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let size = usize::try_from(args.size)?;
    let wait = args.wait.unwrap_or(match args.mechanism {
        Mechanism::Framed => Wait::Spin,
        _ => Wait::Block,
    });
    if (args.mechanism, wait) == (Mechanism::Framed, Wait::Block) {
        return Err("framed memory cannot wait in the kernel: give --wait spin or sleep".into());
    }
    if let Some(place) = &args.serve {
        return answer(&mut *mechanism::serve(args.mechanism, place, size, wait)?, size);
    }
    let _peer;
    let place = if let Some(place) = args.connect {
        place
    } else {
        let (peer, place) = peer::start(args.mechanism, args.size, wait)?;
        _peer = peer;
        place
    };
    let mut channel = mechanism::connect(args.mechanism, &place, size, wait)?;
    let count = args.count.unwrap_or(0).max(1);
    ask(&mut *channel, count / 10, size)?;
    let start = Instant::now();
    let mut times = ask(&mut *channel, count, size)?;
    let seconds = start.elapsed().as_secs_f64();
    times.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let (per_second, bytes) = (count as f64 / seconds, 2.0 * size as f64);
    let line = json!({
        "mechanism": name(&args.mechanism),
        "wait": name(&wait),
        "size": size,
        "round_trips": count,
        "median_ns": times[count / 2],
        "p99_ns": times[count * 99 / 100],
        "mean_ns": times.iter().sum::<u64>() / count as u64,
        "round_trips_per_second": per_second.round(),
        "bytes_per_second": (per_second * bytes).round(),
    });
    writeln!(io::stdout(), "{line}")?;
    Ok(())
}

/// Sends each message back until the other side is done.
fn answer(channel: &mut dyn Channel, size: usize) -> Result<()> {
    let mut message = Vec::with_capacity(size);
    while channel.receive(&mut message)? {
        channel.send(&message)?;
    }
    Ok(())
}

/// Measures round trips, in nanoseconds, each with a different message.
fn ask(channel: &mut dyn Channel, count: usize, size: usize) -> Result<Vec<u64>> {
    let (mut question, mut answer) = (vec![b'.'; size], Vec::with_capacity(size));
    let mut times = Vec::with_capacity(count);
    let mut before = Instant::now();
    for number in 0..count {
        for (byte, digit) in question.iter_mut().zip(number.to_le_bytes()) {
            *byte = digit;
        }
        channel.send(&question)?;
        if !channel.receive(&mut answer)? || answer != question {
            return Err(format!("round trip {number}: the answer differs from the question").into());
        }
        let now = Instant::now();
        times.push(u64::try_from((now - before).as_nanos())?);
        before = now;
    }
    Ok(times)
}
