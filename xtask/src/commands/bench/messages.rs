//! Measures round trips: whole messages in shared memory, compared with sockets and pipes.

use anyhow::Result;
use serde_json::Value;

use crate::commands::bench::environment::{BenchEnvironment, Side};
use crate::commands::bench::measurement::{BenchGroup, BenchRow, Limit, Unit};
use crate::engine::docker::run_options::HARDENED;
use crate::engine::image::{Image, SCRATCH};
use crate::process::invocation::{Invocation, Output};
use crate::process::labels::RUN_LABEL;

const HOST: &str = "a round trip on the host";
const ONE_CONTAINER: &str = "in one container";
const TWO_CONTAINERS: &str = "between two that share a namespace";

/// A title, a mechanism, how its sides wait, and the address where two containers connect.
type Transport = [&'static str; 4];

const SOCKET: &str = "/dev/shm/exchange";
const FRAMED: Transport = ["framed", "framed", "spin", "20231125"];
const OTHERS: [(Transport, Option<Limit>); 4] = [
    (["Unix socket, spinning", "unix", "spin", SOCKET], Some(Limit::Ratio(0.2))),
    (["Unix socket", "unix", "block", SOCKET], None),
    (["pipes", "pipe", "block", SOCKET], None),
    (["TCP, loopback", "tcp", "block", ""], None),
];

/// Measures with the example `exchange`, which prints the median of many round trips. It starts its
/// second process itself, unless that runs in another container.
pub(super) fn rows(environment: &BenchEnvironment<'_>) -> Result<Vec<BenchRow>> {
    let program = environment.dist.example("shm_frame", "exchange", environment.interrupt)?;
    let (program, run) = (program.display(), &environment.run);
    let image = Image::new(&environment.dist, SCRATCH)?;
    let [server, asker] = ["server", "asker"].map(|role| format!("shm-{}-{role}", run.short()));
    if let Some(docker) = &environment.docker {
        image.ensure(docker, &environment.ledger, environment.interrupt)?;
        environment.record_containers([server.clone(), asker.clone()])?;
    }
    // The table shows the command with a relative path, which docker rejects.
    let volume = format!("--volume \"$(realpath {program})\":/exchange:ro");
    let docker =
        format!("docker run {} --label {RUN_LABEL}={run} {volume} --name", HARDENED.join(" "));
    let side = |place, [of, mechanism, wait, meeting]: Transport| {
        let exchange = format!("{mechanism} --wait {wait}");
        let ask = format!("{exchange} --count 20000");
        let inside = format!("{} /exchange", image.tag());
        let script = match place {
            ONE_CONTAINER => format!("{docker} {asker} --rm {inside} {ask}"),
            TWO_CONTAINERS => format!(
                "{docker} {server} --detach --ipc=shareable {inside} {exchange} --serve {meeting} \
                 >/dev/null && {docker} {asker} --rm --ipc=container:{server} {inside} {ask} \
                 --connect {meeting} && docker rm --force {server} >/dev/null"
            ),
            _ => format!("{program} {ask}"),
        };
        // A docker client that outlives this program may still make a container.
        let command = Invocation::new("sh", ["-c", &script]).recorded(&environment.ledger, run);
        Side { of, command, value: median }
    };
    let mut rows = Vec::new();
    for place in [HOST, ONE_CONTAINER, TWO_CONTAINERS] {
        let needs: &[&str] = if place == HOST { &[] } else { &["docker"] };
        for (other, target) in OTHERS {
            // The two containers share no network.
            if (place, other[1]) != (TWO_CONTAINERS, "tcp") {
                let name = (BenchGroup::Messages, format!("{place}, 64 bytes"), Unit::Seconds);
                let sides = [side(place, FRAMED), side(place, other)];
                rows.push(environment.row(name, environment.missing(needs), 9, target, &sides)?);
            }
        }
    }
    Ok(rows)
}

fn median(transcript: &Output) -> Option<f64> {
    let printed: Value = serde_json::from_slice(&transcript.stdout).ok()?;
    printed["median_ns"].as_f64().map(|nanoseconds| nanoseconds * 1e-9)
}
