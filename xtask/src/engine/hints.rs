//! What to do next where an engine did not do what it was asked to.

use crate::engine::{EngineError, EngineKind};
use crate::process::invocation::InvocationError;

/// What engines say when something is amiss with them, in lower case, and what helps.
const SAID: [(&[&str], &str); 3] = [
    (
        &["no space left on device", "disk quota exceeded"],
        "free space where it keeps its data and its temporary files (`{engine} info` names the \
         folder, `{engine} system df` what fills it)",
    ),
    (
        &[
            "cannot connect to the docker daemon",
            "error during connect",
            "connection reset",
            ": eof",
        ],
        "its daemon is gone or does not listen: see its log, start it again, and then let `cargo \
         xtask clean` remove what it still has",
    ),
    (
        &["cannot allocate memory", "resource temporarily unavailable", "too many open files"],
        "the machine is out of what this names: free some, or raise the limit on it",
    ),
];

/// The next step after `error`; `None` where that says it by itself, or where there is none.
pub(crate) fn next_step(kind: EngineKind, error: &EngineError) -> Option<String> {
    let engine = match kind {
        EngineKind::Docker | EngineKind::Podman => kind.to_string(),
        EngineKind::Namespaces => "the kernel".to_owned(),
        EngineKind::Kubernetes | EngineKind::Model => return None,
    };
    let text = error.to_string();
    let advice = match error {
        EngineError::Invocation(InvocationError::Interrupted { .. }) | EngineError::Script(_) => {
            return None;
        }
        _ if text.contains("next step:") => return None,
        EngineError::Invocation(InvocationError::TimedOut { .. }) => {
            "see what keeps the command from its end; where it is only slow, give it --timeout \
             SECONDS. `cargo xtask clean` removes what is made of it later"
        }
        // What unshare(2) says where there may be no more namespaces.
        _ if kind == EngineKind::Namespaces && text.contains("No space left on device") => {
            "no more namespaces may be made here: see `sysctl user.max_ipc_namespaces \
             user.max_mnt_namespaces user.max_user_namespaces`"
        }
        _ => {
            let text = text.to_lowercase();
            let said = |words: &&str| text.contains(*words);
            let known = SAID.iter().find(|(words, _)| words.iter().any(said));
            known.map_or(
                "run the command by hand: what it says, and the log of {engine}, may tell more",
                |it| it.1,
            )
        }
    };
    Some(advice.replace("{engine}", &engine))
}
