//! What refuses a call that owner and mode allow: a seccomp filter, a security module, or nothing
//! that is visible.

use std::path::Path;

use shm_core::{probe, text};

use super::Diagnosis;
use super::permission::Call;
use crate::change::{Change, words_here};
use crate::process::Process;

/// What can have refused a call.
pub(super) struct Refusal {
    suspects: Vec<Suspect>,
    proven: bool,
    /// What was looked at, if there is no suspect.
    looked_at: String,
}

/// Something that can refuse a call, and the next step.
pub(super) struct Suspect {
    pub(super) who: String,
    pub(super) hint: String,
}

impl Suspect {
    pub(super) fn new(who: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { who: who.into(), hint: hint.into() }
    }
}

impl Refusal {
    /// Looks for what refuses a call. A call that fails in the same way without an object is refused
    /// by a filter, because the kernel has no object to ask about.
    pub(super) fn of(call: Call, process: &Process) -> Self {
        let Call { name, errno, .. } = call;
        let without_object = probe::errno_without_object(name);
        let filtered = process.filtered;
        if without_object == Some(errno) {
            let who = match filtered {
                Some(true) => format!("the seccomp filter of this process refuses {name}"),
                _ => format!(
                    "{name} is refused even without an object, as by a seccomp filter, but {}",
                    no_filter(filtered)
                ),
            };
            let suspects = vec![Suspect::new(who, allow_calls(name))];
            return Self { suspects, proven: true, looked_at: String::new() };
        }
        let mut suspects = Vec::from_iter(process.label.as_deref().map(security_module));
        if without_object.is_none() && filtered == Some(true) {
            let who = format!("the seccomp filter of this process can refuse {name}");
            suspects.push(Suspect::new(who, allow_calls(name)));
        }
        let looked_at = match without_object {
            Some(_) => format!("a filter does not refuse every {name}"),
            None => no_filter(filtered).to_owned(),
        };
        Self { suspects, proven: false, looked_at }
    }

    /// Adds a suspect, unless it is certain what refuses the call.
    pub(super) fn or(mut self, suspect: Option<Suspect>) -> Self {
        self.suspects.extend(suspect.filter(|_| !self.proven));
        self
    }

    /// Returns whether it is certain that the call itself is refused, whatever it is about.
    pub(super) fn is_proven(&self) -> bool {
        self.proven
    }

    /// Returns the diagnosis; `state` says what was seen of the object.
    pub(super) fn diagnosis(self, state: &str) -> Diagnosis {
        let Self { suspects, proven, looked_at } = self;
        if suspects.is_empty() {
            return Diagnosis::new(
                format!(
                    "{state}; what refused it is not visible: {looked_at}, and this process has no \
                     label of a security module that confines it"
                ),
                "look for the refusal in the log of the host (dmesg); Landlock and BPF programs \
                 leave no trace in /proc/self",
            );
        }
        let (who, hints): (Vec<_>, Vec<_>) =
            suspects.into_iter().map(|Suspect { who, hint }| (who, hint)).unzip();
        let (who, hint) = (who.join("; "), hints.join("; or "));
        let cause = if proven { format!("{who}; {state}") } else { format!("{state}; {who}") };
        Diagnosis::new(cause, hint)
    }
}

fn no_filter(filtered: Option<bool>) -> &'static str {
    match filtered {
        Some(true) => "a seccomp filter is active (Seccomp: 2 in /proc/self/status)",
        Some(false) => "/proc/self/status shows none",
        None => "/proc/self/status does not say whether there is one",
    }
}

/// The calls of a mechanism, which a profile must allow together.
fn calls(call: &str) -> &str {
    match call {
        "shmget" | "shmat" | "shmctl" => "shmget, shmat, shmdt and shmctl",
        "semget" | "semctl" | "semtimedop" => "semget, semctl, semop and semtimedop",
        "msgget" | "msgsnd" | "msgrcv" | "msgctl" => "msgget, msgsnd, msgrcv and msgctl",
        "shm_open" => "open and openat",
        "shm_unlink" => "unlink and unlinkat",
        "posix_fallocate" => "fallocate",
        _ if call.starts_with("mq_") => {
            "mq_open, mq_unlink, mq_timedsend, mq_timedreceive and mq_getsetattr"
        }
        _ => call,
    }
}

fn allow_calls(call: &str) -> String {
    let calls = calls(call);
    let profile = words_here(Change::Seccomp);
    format!("start the container with a profile that allows {calls}; {profile}")
}

/// Returns the security module of a label as a suspect. A label of `SELinux` has at least three colons.
fn security_module(label: &str) -> Suspect {
    let shown = text::escape_line(label.as_bytes());
    let who = format!("a security module can refuse it: this process has the label {shown}");
    if label.matches(':').count() >= 3 {
        return Suspect::new(
            who,
            format!(
                "look for the refusal in the log of the host (ausearch -m avc), and allow it in the \
                 policy, or choose another label; {}",
                words_here(Change::Selinux)
            ),
        );
    }
    let other = format!("or choose another one; {}", words_here(Change::AppArmor));
    // aa-complain(8): deny rules count in this mode too. They are not logged.
    if label.ends_with(" (complain)") {
        return Suspect::new(
            format!("{who}, a mode in which only deny rules refuse"),
            format!("look for deny rules in the profile, {other}"),
        );
    }
    Suspect::new(
        who,
        format!(
            "look for the refusal in the log of the host (dmesg), and allow it in the profile, {other}"
        ),
    )
}

/// Returns the cause of ENOSYS: the kernel lacks the mechanism, or a filter pretends so.
pub(super) fn missing_call(call: &str) -> Diagnosis {
    let process = Process::current();
    let posix = call.starts_with("mq_");
    let (what, option, path, instead) = if posix {
        let instead = "use a System V message queue instead: --object msg";
        ("POSIX message queues", "CONFIG_POSIX_MQUEUE", "/proc/sys/fs/mqueue", instead)
    } else {
        let instead = "use POSIX shared memory instead: --posix NAME";
        ("System V IPC", "CONFIG_SYSVIPC", "/proc/sysvipc", instead)
    };
    let filter = allow_calls(call);
    match (Path::new(path).exists(), process.filtered) {
        (true, Some(true)) => Diagnosis::new(
            format!(
                "the seccomp filter of this process refuses {call}: the kernel has {what}, for \
                 {path} exists"
            ),
            filter,
        ),
        (true, filtered) => Diagnosis::new(
            format!(
                "the kernel has {what}, for {path} exists, so something else refuses {call}, as a \
                 seccomp filter does, but {}",
                no_filter(filtered)
            ),
            filter,
        ),
        (false, Some(false)) => {
            Diagnosis::new(format!("this kernel has no {what} ({option})"), instead)
        }
        (false, _) => Diagnosis::new(
            format!(
                "{path} does not exist, so this kernel has no {what} ({option}); or a seccomp filter \
                 refuses {call}, and /proc is not complete"
            ),
            format!("{instead}; or {filter}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use shm_core::{Access, Errno};

    use super::{Call, Process, Refusal, missing_call};

    const CALL: Call = Call { name: "shmat", errno: Errno::EACCES, access: Access::Read };

    fn diagnosis(call: Call, label: Option<&str>, filtered: Option<bool>) -> [String; 2] {
        let label = label.map(str::to_owned);
        let process = Process { filtered, label, ..Process::current() };
        let diagnosis = Refusal::of(call, &process).diagnosis("its mode lets user 0 read it");
        [diagnosis.cause, diagnosis.hint]
    }

    #[test]
    fn a_label_is_named_where_no_filter_refuses_the_call() {
        let [cause, hint] = diagnosis(CALL, Some("docker-default (enforce)"), Some(true));
        assert_eq!(
            cause,
            "its mode lets user 0 read it; a security module can refuse it: this process has the \
             label docker-default (enforce)"
        );
        assert!(hint.contains("--security-opt apparmor=PROFILE"), "{hint}");
        let selinux = "system_u:system_r:container_t:s0:c1,c2";
        let [_, hint] = diagnosis(CALL, Some(selinux), Some(false));
        assert!(hint.contains("--security-opt label=type:TYPE"), "{hint}");
    }

    #[test]
    fn a_label_and_a_filter_are_both_named_where_both_can_refuse() {
        // No call of fchmod without an object shows whether the filter refuses it.
        let fchmod = Call { name: "fchmod", ..CALL };
        let [cause, hint] = diagnosis(fchmod, Some("docker-default (enforce)"), Some(true));
        assert_eq!(
            cause,
            "its mode lets user 0 read it; a security module can refuse it: this process has the \
             label docker-default (enforce); the seccomp filter of this process can refuse fchmod"
        );
        let allow = "; or start the container with a profile that allows fchmod; ";
        assert!(hint.contains("apparmor=PROFILE") && hint.contains(allow), "{hint}");
    }

    #[test]
    fn only_the_deny_rules_of_a_profile_in_complain_mode_are_blamed() {
        let [cause, hint] = diagnosis(CALL, Some("mine (complain)"), Some(false));
        let blamed = "the label mine (complain), a mode in which only deny rules refuse";
        assert!(cause.ends_with(blamed), "{cause}");
        assert!(hint.starts_with("look for deny rules in the profile, or choose "), "{hint}");
    }

    #[test]
    fn what_is_not_visible_is_said() {
        let [cause, hint] = diagnosis(CALL, None, Some(false));
        assert_eq!(
            cause,
            "its mode lets user 0 read it; what refused it is not visible: a filter does not refuse \
             every shmat, and this process has no label of a security module that confines it"
        );
        assert!(hint.contains("Landlock"), "{hint}");
        let fchmod = Call { name: "fchmod", ..CALL };
        let [cause, _] = diagnosis(fchmod, None, Some(true));
        assert!(cause.ends_with("the seccomp filter of this process can refuse fchmod"), "{cause}");
        let [cause, _] = diagnosis(fchmod, None, None);
        assert!(cause.contains("does not say whether there is one"), "{cause}");
    }

    #[test]
    fn a_missing_call_is_told_for_its_mechanism() {
        assert!(missing_call("mq_open").cause.contains("has POSIX message queues"));
        assert!(missing_call("semget").cause.contains("has System V IPC"));
    }
}
