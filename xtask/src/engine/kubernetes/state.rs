//! The pods and containers of a run, by their names in the script.

use std::collections::{BTreeMap, BTreeSet};

use super::pod::Pod;
use super::{HOST, HOST_POD};
use crate::engine::observation::Identity;
use crate::process::name::{CheckedName, Image, Subdomain};
use crate::process::untrusted::Untrusted;
use crate::script::{Container, Mechanism, Sharing, Workload};

/// The objects of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct ClusterRecord {
    /// The node of all pods, once it is known: namespace ids are unique on one kernel only.
    pub(super) node: Option<CheckedName<Subdomain>>,
    /// The other name of the image, once a step has set it.
    pub(super) other_image: Option<CheckedName<Image>>,
    /// Why the cluster refuses the observer pod.
    pub(super) observer_refusal: Option<String>,
    pub(super) pods: BTreeMap<Container, Deployed>,
    pub(super) containers: BTreeMap<Container, Member>,
    /// The texts that were written in the node's IPC namespace.
    pub(super) written: BTreeSet<(Mechanism, String)>,
}

/// A pod.
#[derive(Clone, Debug)]
pub(super) struct Deployed {
    pub(super) workload: Workload,
    /// The name of the object that created it.
    pub(super) object: String,
    pub(super) name: CheckedName<Subdomain>,
    /// Its uid, which a later pod with the same name does not have.
    pub(super) uid: Untrusted,
}

impl Deployed {
    /// Returns the pod with this uid.
    pub(super) fn among<'a>(&self, pods: &'a [Pod]) -> Option<&'a Pod> {
        pods.iter().find(|pod| pod.metadata.uid == self.uid)
    }
}

/// A container of a pod.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pod: Container,
    /// Its name in the pod: the replicas of a workload use the same names.
    name: String,
    /// Its namespace, once it was read.
    namespace: Option<Identity>,
}

impl ClusterRecord {
    /// Returns the parts that another run on the same node shares: the observer pod.
    pub(super) fn shared_part(&self) -> Self {
        let (node, observer_refusal) = (self.node.clone(), self.observer_refusal.clone());
        let is_host = |name: &Container| *name == HOST || *name == HOST_POD[0].name;
        let pods = self.pods.clone().into_iter().filter(|(name, _)| is_host(name)).collect();
        let of_host = |(name, _): &(Container, Member)| is_host(name);
        let containers = self.containers.clone().into_iter().filter(of_host).collect();
        Self { node, observer_refusal, pods, containers, ..Self::default() }
    }

    /// Adds a pod with its containers.
    pub(super) fn deployed(&mut self, pod: Container, deployed: Deployed) {
        let pods = deployed.workload.pods;
        let made = pods.iter().filter(|it| it.name == pod).flat_map(|it| it.containers);
        for (member, template) in made.zip(pods[0].containers) {
            self.joined(pod, member.name, &template.name.0.to_lowercase());
        }
        self.pods.insert(pod, deployed);
    }

    /// Adds a container to a pod, without a namespace.
    pub(super) fn joined(&mut self, pod: Container, container: Container, name: &str) {
        let member = Member { pod, name: name.to_owned(), namespace: None };
        self.containers.insert(container, member);
    }

    pub(super) fn removed(&mut self, pod: Container) {
        self.pods.remove(&pod);
        self.containers.retain(|_, member| member.pod != pod);
    }

    pub(super) fn pod(&self, pod: Container) -> Option<Deployed> {
        self.pods.get(&pod).cloned()
    }

    /// Returns the script's name of a container's pod.
    pub(super) fn home(&self, container: Container) -> Option<Container> {
        self.containers.get(&container).map(|member| member.pod)
    }

    /// Returns the cluster's name of a container's pod.
    pub(super) fn pod_of(&self, container: Container) -> Option<CheckedName<Subdomain>> {
        self.pods.get(&self.home(container)?).map(|pod| pod.name.clone())
    }

    /// Returns the name of a container in its pod.
    pub(super) fn name_of(&self, container: Container) -> String {
        self.containers.get(&container).map(|member| member.name.clone()).unwrap_or_default()
    }

    pub(super) fn set_namespace(&mut self, container: Container, namespace: Identity) {
        if let Some(member) = self.containers.get_mut(&container) {
            member.namespace = Some(namespace);
        }
    }

    pub(super) fn namespace_of(&self, container: Container) -> Option<Identity> {
        self.containers.get(&container)?.namespace.clone()
    }

    /// Records a text that stays on the node after the pods are removed.
    pub(super) fn wrote(&mut self, container: Container, mechanism: Mechanism, text: &str) {
        let home = self.home(container).and_then(|pod| self.pods.get(&pod));
        if home.is_some_and(|pod| pod.workload.ipc == Sharing::Host) {
            self.written.insert((mechanism, text.to_owned()));
        }
    }
}
