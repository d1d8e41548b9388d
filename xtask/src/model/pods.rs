//! The pods of the model: a sandbox owns the namespaces, containers join them, and a controller
//! replaces the pod.

use crate::engine::observation::{Observation, State};
use crate::model::sharing::folder;
use crate::model::{ModelState, View, done, refused};
use crate::script::{Container, Controller, Pod, RunOptions, Setting, Sharing, Workload};

impl ModelState {
    /// Creates the pods of a workload, unless the cluster refuses.
    pub(super) fn deploy(&mut self, workload: &Workload) -> Observation {
        let pods = workload.pods.iter();
        let deployed: Vec<_> = pods.map(|pod| self.deploy_pod(workload, pod)).collect();
        deployed.into_iter().next().unwrap_or_else(refused)
    }

    /// Starts a sandbox with its init containers, or with its main containers if there are none.
    fn deploy_pod(&mut self, workload: &Workload, pod: &Pod) -> Observation {
        let sandbox = RunOptions { sharing: workload.ipc, setting: workload.setting };
        let started = self.run(pod.name, sandbox);
        if started.state == Some(State::Refused) {
            return started;
        }
        self.workloads.insert(pod.name, *workload);
        for member in pod.containers {
            let (sharing, setting) = (Sharing::Pod(pod.name), member.setting);
            self.create(member.name, RunOptions { sharing, setting });
        }
        let init = pod.containers.iter().any(|member| member.init);
        for member in pod.containers.iter().filter(|member| member.init == init) {
            self.start(member.name);
        }
        started
    }

    /// Ends an init container, and starts the main containers.
    pub(super) fn finish(&mut self, name: Container) -> Observation {
        self.end(name);
        let Some(pod) = self.pod_of(name) else { return refused() };
        let main = pod.containers.iter().filter(|member| !member.init);
        main.map(|member| self.start(member.name)).last().unwrap_or_else(done)
    }

    /// Kills the process of a container. The controller then replaces the pod, or the container
    /// restarts in its pod.
    pub(super) fn crash(&mut self, name: Container) -> Observation {
        match self.pod_of(name) {
            Some(pod) if self.workloads[&pod.name].controller == Controller::JobNever => {
                self.replace(pod.name)
            }
            _ => self.restart(name),
        }
    }

    /// Replaces a pod; with a Deployment, all its pods.
    pub(super) fn replace(&mut self, name: Container) -> Observation {
        let Some(workload) = self.workloads.get(&name).copied() else { return refused() };
        let all = workload.controller == Controller::Deployment;
        let mut replaced = Vec::new();
        for pod in workload.pods.iter().filter(|pod| all || pod.name == name) {
            self.remove(pod.name);
            replaced.push(self.deploy_pod(&workload, pod));
        }
        replaced.into_iter().next().unwrap_or_else(refused)
    }

    /// Returns the view of a container in a pod. A volume at `/dev/shm` hides the sandbox's mount.
    pub(super) fn with_volume(&self, name: Container, pod: Container, joined: View) -> View {
        match self.containers.get(&name).and_then(|it| it.options.setting) {
            Some(Setting::ShmVolume) => View { shm: Some(folder(pod)), ..joined },
            _ => joined,
        }
    }

    /// Returns the pod that a container was deployed with.
    fn pod_of(&self, name: Container) -> Option<&'static Pod> {
        let Sharing::Pod(pod) = self.containers.get(&name)?.options.sharing else { return None };
        self.workloads.get(&pod)?.pods.iter().find(|it| it.name == pod)
    }
}
