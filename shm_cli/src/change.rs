//! What to change when two containers do not share, or reach a limit: in the words of each engine.

use crate::place::{EngineName, Place};

/// A change of how containers run. `A` made the IPC namespace and `/dev/shm`; `B` joins `A`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// Share the IPC namespace and `/dev/shm` of `A` with `B`.
    Join,
    /// Start `B` again, so that it joins the present namespace of `A`.
    Restart,
    /// Have a `/dev/shm` at all.
    PrivateShm,
    /// A larger `/dev/shm` of the engine.
    ShmSize,
    /// A larger tmpfs at `/dev/shm` that is not the engine's own.
    TmpfsSize,
    /// A `/dev/shm` in which every user can create objects.
    ShmMode,
    /// A `/dev/shm` in which objects can be created.
    WritableShm,
    /// One volume at `/dev/shm` in both containers.
    Volume,
    /// Run as this user.
    User(u32),
    /// Add a capability, named without `CAP_`.
    Capability(&'a str),
    /// Set a kernel parameter of the namespace.
    Sysctl {
        /// The name, such as `kernel.shmmni`.
        name: &'a str,
        /// The value, or a word for it.
        value: &'a str,
    },
    /// Another seccomp profile, or none.
    Seccomp,
    /// Another type of `SELinux`.
    Selinux,
    /// Another profile of `AppArmor`.
    AppArmor,
    /// More open files for the processes of the container.
    OpenFiles,
    /// Remove objects of a mechanism: `sysv`, `sem`, `msg`, `mqueue` or `posix`.
    Remove(&'a str),
    /// More memory for the container.
    Memory,
    /// More bytes for the POSIX message queues of a user.
    QueueBytes,
}

/// The words for a change.
struct Words {
    /// Options of `docker run`.
    docker: String,
    /// Keys of a service of Docker Compose.
    compose: String,
    /// Options of `podman run`, if they differ from those of `docker run`.
    podman: Option<String>,
    /// Fields of a pod.
    pod: String,
}

impl Words {
    fn new(docker: impl Into<String>, compose: impl Into<String>, pod: impl Into<String>) -> Self {
        Self { docker: docker.into(), compose: compose.into(), podman: None, pod: pod.into() }
    }

    fn podman(self, podman: &str) -> Self {
        Self { podman: Some(podman.to_owned()), ..self }
    }
}

fn table(change: Change) -> Words {
    match change {
        Change::Join => Words::new(
            "run A with --ipc=shareable, then B with --ipc=container:A",
            "ipc: shareable in a, ipc: \"service:a\" in b",
            "both containers in one pod",
        ),
        Change::Restart => Words::new(
            "docker restart B; if A is a new container, also a new B",
            "docker compose up --force-recreate b",
            "delete the pod of B",
        )
        .podman("podman restart B; if A is a new container, also a new B"),
        Change::PrivateShm => Words::new(
            "without --ipc=none, or with --tmpfs /dev/shm",
            "without ipc: none, or with tmpfs: /dev/shm",
            "an emptyDir with medium: Memory, mounted at /dev/shm",
        ),
        Change::ShmSize => Words::new(
            "--shm-size=SIZE for the container that made /dev/shm, not for one that joined it",
            "shm_size: SIZE there",
            "an emptyDir with medium: Memory and sizeLimit: SIZE, mounted at /dev/shm",
        )
        .podman("--shm-size=SIZE for the container or pod that made /dev/shm"),
        Change::TmpfsSize => Words::new(
            "--tmpfs /dev/shm:size=SIZE",
            "tmpfs: \"/dev/shm:size=SIZE\"",
            "sizeLimit: SIZE of the emptyDir at /dev/shm",
        ),
        Change::Volume => Words::new(
            "--volume NAME:/dev/shm for both",
            "volumes: [\"NAME:/dev/shm\"] in both",
            "one emptyDir with medium: Memory, mounted at /dev/shm in both",
        ),
        Change::ShmMode => Words::new(
            "--tmpfs /dev/shm:mode=1777",
            "tmpfs: \"/dev/shm:mode=1777\"",
            "an emptyDir with medium: Memory, mounted at /dev/shm",
        ),
        Change::WritableShm => Words::new(
            "the engine's own /dev/shm, --tmpfs /dev/shm, or a --volume there without :ro",
            "no volume at /dev/shm, or one there without :ro or read_only: true",
            "no readOnly: true in the volumeMounts entry of /dev/shm",
        ),
        Change::User(uid) => Words::new(
            format!("--user {uid}"),
            format!("user: \"{uid}\""),
            format!("securityContext.runAsUser: {uid}"),
        ),
        Change::Capability(name) => Words::new(
            format!("--cap-add {name}"),
            format!("cap_add: [{name}]"),
            format!("securityContext.capabilities.add: [{name}]"),
        ),
        Change::Sysctl { name, value } => Words::new(
            format!(
                "--sysctl {name}={value} for the container that made the namespace (it counts for \
                 all that joined it)"
            ),
            format!("sysctls: {{{name}: {value}}} there"),
            format!("securityContext.sysctls with {name}, if the kubelet allows it"),
        ),
        Change::Seccomp => Words::new(
            "--security-opt seccomp=PROFILE, or seccomp=unconfined for none",
            "security_opt: [\"seccomp=PROFILE\"]",
            "securityContext.seccompProfile: {type: Localhost, localhostProfile: PROFILE}, or {type: \
             Unconfined}",
        ),
        Change::Selinux => Words::new(
            "--security-opt label=type:TYPE",
            "security_opt: [\"label=type:TYPE\"]",
            "securityContext.seLinuxOptions.type: TYPE",
        ),
        Change::AppArmor => Words::new(
            "--security-opt apparmor=PROFILE",
            "security_opt: [\"apparmor=PROFILE\"]",
            "securityContext.appArmorProfile: {type: Localhost, localhostProfile: PROFILE}",
        ),
        Change::OpenFiles => Words::new(
            "--ulimit nofile=NUMBER",
            "ulimits: {nofile: NUMBER}",
            "no field; the runtime's default",
        ),
        Change::Remove(mechanism) => {
            let command = removal(mechanism);
            Words::new(command, command, command)
        }
        Change::Memory => {
            Words::new("--memory=SIZE", "mem_limit: SIZE", "resources.limits.memory: SIZE")
        }
        Change::QueueBytes => Words::new(
            "--ulimit msgqueue=BYTES",
            "ulimits: {msgqueue: BYTES}",
            "no field; another runAsUser, or the runtime's default",
        ),
    }
}

/// Returns the command that removes an object. `ipcrm` is second, because a scratch image has none.
fn removal(mechanism: &str) -> &'static str {
    match mechanism {
        "sysv" => "shm_wr --remove --key KEY, or --id SHMID for a segment without a key",
        "sem" => "shm_wr --remove --object sem --key KEY, or ipcrm -s ID",
        "msg" => "shm_wr --remove --object msg --key KEY, or ipcrm -q ID",
        "mqueue" => "shm_wr --remove --object mqueue --key KEY, or rm /dev/mqueue/NAME",
        _ => "shm_wr --remove --posix NAME",
    }
}

/// Returns the words for a change where this process runs.
#[must_use]
pub(crate) fn words_here(change: Change) -> String {
    words(change, Place::current().engine)
}

/// Returns the words for a change: those of `engine`, or of all engines if it is `None`.
#[must_use]
pub fn words(change: Change, engine: Option<EngineName>) -> String {
    let Words { docker, compose, podman, pod } = table(change);
    match engine {
        _ if docker == pod => docker,
        Some(EngineName::Docker) => format!("docker: {docker}; compose: {compose}"),
        Some(EngineName::Podman) => format!("podman: {}", podman.unwrap_or(docker)),
        Some(EngineName::Kubernetes) => format!("Kubernetes: {pod}"),
        None => match podman {
            Some(podman) => {
                format!("docker: {docker}; compose: {compose}; podman: {podman}; Kubernetes: {pod}")
            }
            None => format!("docker, podman: {docker}; compose: {compose}; Kubernetes: {pod}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, words};
    use crate::place::EngineName;

    const ALL: [Change; 18] = [
        Change::WritableShm,
        Change::Join,
        Change::Restart,
        Change::PrivateShm,
        Change::ShmSize,
        Change::TmpfsSize,
        Change::Volume,
        Change::ShmMode,
        Change::User(1000),
        Change::Capability("IPC_OWNER"),
        Change::Sysctl { name: "kernel.shmmni", value: "NUMBER" },
        Change::Seccomp,
        Change::Selinux,
        Change::AppArmor,
        Change::OpenFiles,
        Change::Remove("sysv"),
        Change::Memory,
        Change::QueueBytes,
    ];

    #[test]
    fn docker_joins_only_a_shareable_container() {
        assert_eq!(
            words(Change::Join, Some(EngineName::Docker)),
            "docker: run A with --ipc=shareable, then B with --ipc=container:A; compose: ipc: \
             shareable in a, ipc: \"service:a\" in b"
        );
        assert_eq!(
            words(Change::Join, Some(EngineName::Podman)),
            "podman: run A with --ipc=shareable, then B with --ipc=container:A"
        );
        assert_eq!(
            words(Change::Join, Some(EngineName::Kubernetes)),
            "Kubernetes: both containers in one pod"
        );
    }

    #[test]
    fn a_user_and_a_capability_have_the_words_of_each_engine() {
        let all = |change| {
            [EngineName::Docker, EngineName::Podman, EngineName::Kubernetes]
                .map(|engine| words(change, Some(engine)))
        };
        assert_eq!(
            all(Change::User(1000)),
            [
                "docker: --user 1000; compose: user: \"1000\"",
                "podman: --user 1000",
                "Kubernetes: securityContext.runAsUser: 1000"
            ]
        );
        assert_eq!(
            all(Change::Capability("IPC_OWNER")),
            [
                "docker: --cap-add IPC_OWNER; compose: cap_add: [IPC_OWNER]",
                "podman: --cap-add IPC_OWNER",
                "Kubernetes: securityContext.capabilities.add: [IPC_OWNER]"
            ]
        );
    }

    #[test]
    fn an_engine_gets_only_its_own_words_and_no_engine_gets_all() {
        let labels = ["docker", "compose", "podman", "Kubernetes"];
        for change in ALL.into_iter().filter(|change| !matches!(change, Change::Remove(_))) {
            let named = |engine| {
                let words = words(change, engine);
                labels.map(|name| words.contains(&format!("{name}:")))
            };
            assert_eq!(named(Some(EngineName::Docker)), [true, true, false, false], "{change:?}");
            assert_eq!(named(Some(EngineName::Podman)), [false, false, true, false], "{change:?}");
            assert_eq!(
                named(Some(EngineName::Kubernetes)),
                [false, false, false, true],
                "{change:?}"
            );
            let [docker, compose, podman, pod] = named(None);
            let both = words(change, None).contains("docker, podman:");
            assert!((docker || both) && compose && podman && pod, "{change:?}");
        }
    }

    #[test]
    fn words_fit_on_two_lines_of_a_terminal() {
        for change in ALL {
            for engine in [Some(EngineName::Docker), Some(EngineName::Podman), None] {
                let words = words(change, engine);
                assert!(words.len() <= 300, "{change:?}: {} bytes: {words}", words.len());
                assert!(!words.contains('\n') && !words.contains("  "), "{words}");
            }
        }
    }
}
