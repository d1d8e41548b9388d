//! The model's pods: a sandbox owns the namespaces, its containers are processes that join them,
//! and something looks after the whole.

use crate::engine::observation::{Identity, ModelNamespace, Observation, State};
use crate::model::{ModelState, View, done, refused};
use crate::script::{Container, Controller, Place, Pod, RunOptions, Setting, Sharing, Workload};

/// A pod's volume of memory: it is there as long as the pod is, whatever its sandbox does.
pub(super) fn volume(pod: Container) -> ModelNamespace {
    ModelNamespace { place: Place::In(pod), start: 0 }
}

impl ModelState {
    /// Makes the pods of a workload, unless the cluster refuses.
    pub(super) fn deploy(&mut self, workload: &Workload) -> Observation {
        let pods = workload.pods.iter();
        let deployed: Vec<_> = pods.map(|pod| self.deploy_pod(workload, pod)).collect();
        deployed.into_iter().next().unwrap_or_else(refused)
    }

    /// Starts a sandbox and the containers that go first.
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

    /// Ends an init container, and starts those that waited for it.
    pub(super) fn finish(&mut self, name: Container) -> Observation {
        self.end(name);
        let Some(pod) = self.pod_of(name) else { return refused() };
        let main = pod.containers.iter().filter(|member| !member.init);
        main.map(|member| self.start(member.name)).last().unwrap_or_else(done)
    }

    /// A process dies by itself. What looks after the pod decides whether the container is started
    /// again in it, or the pod is replaced.
    pub(super) fn crash(&mut self, name: Container) -> Observation {
        match self.pod_of(name) {
            Some(pod) if self.workloads[&pod.name].controller == Controller::JobNever => {
                self.replace(pod.name)
            }
            _ => self.restart(name),
        }
    }

    /// Puts new pods in the place of those that a controller looks after.
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

    /// Leaves a segment behind. It is charged to the container whose process first touched it, and
    /// stays so: the next process that needs much is one too many.
    pub(super) fn leak(&self, name: Container) -> Observation {
        let namespace = self.containers.get(&name).map(|it| Identity::Model(it.view.ipc));
        Observation { namespace, ..done() }
    }

    /// What a container sees that joins a pod; a volume at `/dev/shm` lies over the sandbox's.
    pub(super) fn with_volume(&self, name: Container, pod: Container, joined: View) -> View {
        match self.containers.get(&name).and_then(|it| it.launch.setting) {
            Some(Setting::ShmVolume) => View { shm: Some(volume(pod)), ..joined },
            _ => joined,
        }
    }

    /// The pod that a container was made with.
    fn pod_of(&self, name: Container) -> Option<&'static Pod> {
        let Sharing::Pod(pod) = self.containers.get(&name)?.launch.sharing else { return None };
        self.workloads.get(&pod)?.pods.iter().find(|it| it.name == pod)
    }
}
