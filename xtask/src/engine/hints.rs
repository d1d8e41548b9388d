//! What to do next where an engine did not do what it was asked to.

use crate::engine::failure::FailureKind;
use crate::engine::{EngineError, EngineKind};
use crate::process::invocation::InvocationError;

/// The next step after `error`; `None` where that has one of its own, or where there is none.
pub(crate) fn next_step(kind: EngineKind, error: &EngineError) -> Option<String> {
    let engine = match kind {
        EngineKind::Docker | EngineKind::Podman => kind.to_string(),
        EngineKind::Namespaces => "the kernel".to_owned(),
        EngineKind::Kubernetes | EngineKind::Model => return None,
    };
    let failure = match error {
        EngineError::Failed(failure) if failure.next_step.is_some() => return None,
        // Their messages end with a next step ...
        EngineError::Ledger(_)
        | EngineError::Left { .. }
        | EngineError::Disturbed { .. }
        | EngineError::Diverged { .. }
        | EngineError::Unusable { .. }
        // ... or there is none: a mistake in the script, and what only clusters have.
        | EngineError::Script(_)
        | EngineError::PodFailed { .. } => return None,
        EngineError::Invocation(cause) => match cause {
            InvocationError::Ledger(_) | InvocationError::Interrupted { .. } => return None,
            InvocationError::TimedOut { .. } => {
                let slow = "see what keeps the command from its end; where it is only slow, give it \
                            --timeout SECONDS. `cargo xtask clean` removes what is made of it later";
                return Some(slow.to_owned());
            }
            InvocationError::Io { source, .. } => FailureKind::from(source),
            InvocationError::NotFound { .. } | InvocationError::TooMuch { .. } => FailureKind::Other,
        },
        EngineError::Failed(failure) => failure.kind.clone(),
        EngineError::File { source, .. } => FailureKind::from(source),
        EngineError::Unexpected { answer, .. } => {
            FailureKind::quoted(&answer.to_string().to_lowercase()).unwrap_or(FailureKind::Other)
        }
        EngineError::Name(_) => FailureKind::Other,
    };
    Some(match failure {
        // What unshare(2) says where there may be no more namespaces.
        FailureKind::NoSpace if kind == EngineKind::Namespaces => {
            "no more namespaces may be made here: see `sysctl user.max_ipc_namespaces \
             user.max_mnt_namespaces user.max_user_namespaces`"
                .to_owned()
        }
        FailureKind::NoSpace => format!(
            "free space where it keeps its data and its temporary files (`{engine} info` names the \
             folder, `{engine} system df` what fills it)"
        ),
        FailureKind::Unreachable => {
            "its daemon is gone or does not listen: see its log, start it again, and then let \
             `cargo xtask clean` remove what it still has"
                .to_owned()
        }
        FailureKind::OutOfResources => {
            "the machine is out of what this names: free some, or raise the limit on it".to_owned()
        }
        _ => {
            format!("run the command by hand: what it says, and the log of {engine}, may tell more")
        }
    })
}
