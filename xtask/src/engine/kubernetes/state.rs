//! What a run knows of its pods, by their names in the script.

use std::collections::{BTreeMap, BTreeSet};

use super::pod::Pod;
use super::{HOST, HOST_POD};
use crate::engine::observation::Identity;
use crate::process::name::{Image, Name, Subdomain};
use crate::process::untrusted::Untrusted;
use crate::script::{Container, Mechanism, Sharing, Workload};

/// What a run has made.
#[derive(Clone, Debug, Default)]
pub(super) struct ClusterRecord {
    /// The node that all pods are on, once that is known: the ids of namespaces are its kernel's.
    pub(super) node: Option<Name<Subdomain>>,
    /// Another name of the image that all containers were asked for, once one has it instead.
    pub(super) other_image: Option<Name<Image>>,
    /// Why no pod may see what the node sees, if none may.
    pub(super) blind: Option<String>,
    pods: BTreeMap<Container, Deployed>,
    containers: BTreeMap<Container, Member>,
    /// What was written where the node sees it.
    written: BTreeSet<(Mechanism, String)>,
}

/// A pod.
#[derive(Clone, Debug)]
pub(super) struct Deployed {
    /// What it belongs to.
    pub(super) workload: Workload,
    /// The name of the object that it was made by.
    pub(super) object: String,
    /// Its own name.
    pub(super) name: Name<Subdomain>,
    /// Its id, which no later pod of that name has.
    pub(super) uid: Untrusted,
}

impl Deployed {
    /// That very pod, as it is among others.
    pub(super) fn among<'a>(&self, pods: &'a [Pod]) -> Option<&'a Pod> {
        pods.iter().find(|pod| pod.metadata.uid == self.uid)
    }
}

/// A container of it, with its namespace where that was looked at.
#[derive(Clone, Debug)]
struct Member {
    pod: Container,
    /// Its name there: pods of one make have containers of the same names.
    name: String,
    namespace: Option<Identity>,
}

impl ClusterRecord {
    /// For a run whose pods are all on one node, if that is known already.
    pub(super) fn on(node: Option<Name<Subdomain>>) -> Self {
        Self { node, ..Self::default() }
    }

    /// What is of use for another run on the same node.
    pub(super) fn of_the_node(&self) -> Self {
        let (node, blind) = (self.node.clone(), self.blind.clone());
        let is_host = |name: &Container| *name == HOST || *name == HOST_POD[0].name;
        let pods = self.pods.clone().into_iter().filter(|(name, _)| is_host(name)).collect();
        let of_host = |(name, _): &(Container, Member)| is_host(name);
        let containers = self.containers.clone().into_iter().filter(of_host).collect();
        Self { node, blind, pods, containers, ..Self::default() }
    }

    pub(super) fn deployed(&mut self, pod: Container, deployed: Deployed) {
        let pods = deployed.workload.pods;
        let made = pods.iter().filter(|it| it.name == pod).flat_map(|it| it.containers);
        for (member, template) in made.zip(pods[0].containers) {
            self.joined(pod, member.name, &template.name.0.to_lowercase());
        }
        self.pods.insert(pod, deployed);
    }

    /// A container is in a pod, and nobody has looked at its namespace.
    pub(super) fn joined(&mut self, pod: Container, container: Container, name: &str) {
        let member = Member { pod, name: name.to_owned(), namespace: None };
        self.containers.insert(container, member);
    }

    pub(super) fn removed(&mut self, pod: Container) {
        self.pods.remove(&pod);
        self.containers.retain(|_, member| member.pod != pod);
    }

    pub(super) fn pods(&self) -> impl Iterator<Item = &Deployed> {
        self.pods.values()
    }

    pub(super) fn pod(&self, pod: Container) -> Option<Deployed> {
        self.pods.get(&pod).cloned()
    }

    /// The script's name of the pod that a container is in.
    pub(super) fn home(&self, container: Container) -> Option<Container> {
        self.containers.get(&container).map(|member| member.pod)
    }

    /// The name of the pod that a container is in.
    pub(super) fn pod_of(&self, container: Container) -> Option<Name<Subdomain>> {
        self.pods.get(&self.home(container)?).map(|pod| pod.name.clone())
    }

    /// Its name there.
    pub(super) fn name_of(&self, container: Container) -> String {
        self.containers.get(&container).map(|member| member.name.clone()).unwrap_or_default()
    }

    pub(super) fn containers(&self) -> impl Iterator<Item = Container> {
        self.containers.keys().copied()
    }

    pub(super) fn looked_at(&mut self, container: Container, namespace: Identity) {
        if let Some(member) = self.containers.get_mut(&container) {
            member.namespace = Some(namespace);
        }
    }

    pub(super) fn namespace_of(&self, container: Container) -> Option<Identity> {
        self.containers.get(&container)?.namespace.clone()
    }

    /// Remembers what stays on the node when the pods are gone.
    pub(super) fn wrote(&mut self, container: Container, mechanism: Mechanism, text: &str) {
        let home = self.home(container).and_then(|pod| self.pods.get(&pod));
        if home.is_some_and(|pod| pod.workload.ipc == Sharing::Host) {
            self.written.insert((mechanism, text.to_owned()));
        }
    }

    pub(super) fn written(&self) -> BTreeSet<(Mechanism, String)> {
        self.written.clone()
    }
}
