//! The names and the wishes of containers, from the engines' own programs.

use std::collections::BTreeMap;
use std::io;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use shm_cli::place::EngineName;

use crate::facts::Inspected;

/// The answers of all engines whose program is installed.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// The containers by their id, those that do not run too.
    pub(crate) containers: BTreeMap<String, (EngineName, Inspected)>,
    /// The engines that did not answer, with the reason.
    pub(crate) failed: BTreeMap<String, String>,
}

const PROGRAMS: [(&str, EngineName); 2] =
    [("docker", EngineName::Docker), ("podman", EngineName::Podman)];

/// The time that an engine has to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks each engine, at the same time.
pub(crate) fn ask() -> Answers {
    let mut answers = Answers::default();
    thread::scope(|scope| {
        let asked = PROGRAMS
            .map(|(program, engine)| (program, engine, scope.spawn(move || containers(program))));
        for (program, engine, asked) in asked {
            match asked.join().expect("asking an engine does not panic") {
                Ok(found) => {
                    let found = found.into_iter().map(|(id, it)| (id, (engine, it)));
                    answers.containers.extend(found);
                }
                // The engine is not installed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    answers.failed.insert(program.to_owned(), error.to_string());
                }
            }
        }
    });
    answers
}

fn containers(program: &str) -> io::Result<Vec<(String, Inspected)>> {
    let listed = output(program, &["ps", "--all", "--quiet", "--no-trunc"])?;
    let listed = String::from_utf8_lossy(&listed);
    let ids: Vec<_> = listed.split_ascii_whitespace().collect();
    if ids.is_empty() {
        return Ok(vec![]);
    }
    let mut arguments = vec!["container", "inspect"];
    arguments.extend(ids);
    parse(&output(program, &arguments)?).map_err(io::Error::from)
}

/// Returns the standard output of the program. A container that was removed meanwhile makes
/// `inspect` fail, and it still prints the others.
fn output(program: &str, arguments: &[&str]) -> io::Result<Vec<u8>> {
    #[expect(clippy::disallowed_methods, reason = "the one place where the tools start programs")]
    let command = duct::cmd(program, arguments);
    let started = command.stdin_null().stdout_capture().stderr_capture().unchecked().start()?;
    let Some(output) = started.wait_timeout(PATIENCE)? else {
        started.kill()?;
        let reason = format!("no answer after {} s", PATIENCE.as_secs());
        return Err(io::Error::new(io::ErrorKind::TimedOut, reason));
    };
    if !output.status.success() && output.stdout.trim_ascii().is_empty() {
        let words = String::from_utf8_lossy(&output.stderr);
        let words = words.lines().next_back().unwrap_or("no message").to_owned();
        return Err(io::Error::other(words));
    }
    Ok(output.stdout.clone())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    id: String,
    name: String,
    state: State,
    #[serde(default)]
    pod: String,
    #[serde(default)]
    config: Config,
    host_config: HostConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    running: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(default)]
    labels: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    ipc_mode: String,
}

/// Parses the output of `docker container inspect` or `podman container inspect`.
///
/// # Errors
///
/// If it is not such output.
pub fn parse(bytes: &[u8]) -> serde_json::Result<Vec<(String, Inspected)>> {
    let containers: Vec<Container> = serde_json::from_slice(bytes)?;
    let inspected = |container: Container| {
        let labels = container.config.labels.unwrap_or_default();
        let service = labels.get("com.docker.compose.service").and_then(Value::as_str);
        let inspected = Inspected {
            // Docker begins names with a slash.
            name: container.name.trim_start_matches('/').to_owned(),
            ipc_mode: container.host_config.ipc_mode,
            pod: Some(container.pod).filter(|pod| !pod.is_empty()),
            service: service.map(str::to_owned),
            running: container.state.running,
        };
        (container.id, inspected)
    };
    Ok(containers.into_iter().map(inspected).collect())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn docker_and_podman_are_parsed() {
        let output = br#"[{"Id":"a1","Name":"/feed","State":{"Running":true},
            "Config":{"Labels":{"com.docker.compose.service":"web"}},"HostConfig":{"IpcMode":"shareable"}},
            {"Id":"b2","Name":"quote","State":{"Running":false},"Pod":"c3","Config":{"Labels":null},
            "HostConfig":{"IpcMode":"container:a1"}}]"#;
        let [(id, feed), (_, quote)] = &parse(output).unwrap()[..] else { panic!() };
        assert_eq!((&**id, &*feed.name, feed.service.as_deref()), ("a1", "feed", Some("web")));
        assert_eq!((feed.running, &*feed.ipc_mode), (true, "shareable"));
        assert_eq!((&*quote.name, quote.pod.as_deref()), ("quote", Some("c3")));
    }
}
