//! What happens on a node by a command that the user gave, for kubectl has no word for it.

use super::Kubernetes;
use super::pod::Pod;
use super::state::Deployed;
use crate::engine::{Answer, EngineError};
use crate::invocation::{Invocation, Transcript};
use crate::script::Container;

impl Kubernetes {
    /// Has the pod's sandbox killed by the command that the user gave, and waits until the kubelet
    /// has made another.
    pub(super) fn kill_sandbox(&self, pod: Container) -> Result<Answer, EngineError> {
        let home = self.home(pod)?;
        let command = self.cluster.kill_sandbox.as_deref().unwrap_or_default();
        let counts = |pod: &Pod| -> Vec<_> {
            let members = home.workload.pods[0].containers.iter();
            members.map(|member| (pod.runs(member.name.0), pod.restarts(member.name.0))).collect()
        };
        let before: Vec<_> = home.among(&self.now(&home)?).map(counts).unwrap_or_default();
        let killed = self.call(command, &home, "kill the sandbox")?;
        let again = |pods: &[Pod]| {
            let Some(now) = home.among(pods).map(counts) else { return false };
            let restarted = |(now, before): (&(bool, u32), &(bool, u32))| now.0 && now.1 > before.1;
            now.iter().zip(&before).all(restarted)
        };
        let first = home.workload.pods[0].containers[0].name;
        self.come_back(first, &home, killed, again)
    }

    /// Runs a command that the user gave, about a pod; it must succeed.
    fn call(&self, command: &str, home: &Deployed, to: &str) -> Result<Transcript, EngineError> {
        let node = self.know(|known| known.node.clone()).unwrap_or_default();
        let call = Invocation::new("sh", ["-c", command])
            .env("NAMESPACE", self.client.namespace.clone())
            .env("POD", home.name.clone())
            .env("NODE", node);
        let transcript = call.run(&self.tools.interrupt)?;
        if !transcript.succeeded() {
            let what = format!("the command to {to} of {} failed", home.name);
            return Err(EngineError::Refused { what, transcript });
        }
        Ok(transcript)
    }
}
