//! The namespaces that a container gets at its start, by its sharing mode.

use crate::engine::Kernels;
use crate::engine::observation::{ModelNamespace, State};
use crate::model::{HOST, Instance, ModelState, View};
use crate::script::{Container, Place, Sharing};

impl ModelState {
    /// Returns the view of a container that starts now, or `None` if the engine refuses.
    pub(super) fn view_for(&mut self, name: Container, sharing: Sharing) -> Option<View> {
        let view = self.view_on_host_kernel(name, sharing)?;
        if self.rules.kernels == Kernels::Shared {
            return Some(view);
        }
        // Its own kernel has its own namespace in every mode. A mount at /dev/shm is also mounted
        // there; without one, that kernel provides a tmpfs.
        let alone = sharing.donor().is_none() && sharing != Sharing::Host;
        let ipc = if alone { view.ipc } else { self.new_namespace(name) };
        Some(View { ipc, shm: view.shm.or(Some(ipc)) })
    }

    /// Returns the view of a container on the host's kernel.
    fn view_on_host_kernel(&mut self, name: Container, sharing: Sharing) -> Option<View> {
        if sharing == Sharing::Host {
            return Some(HOST);
        }
        if let Some(donor) = sharing.donor() {
            let joined = self.joined_view(name, donor)?;
            return Some(self.with_volume(name, donor, joined));
        }
        let ipc = self.new_namespace(name);
        let shm = match sharing {
            Sharing::None => None,
            Sharing::HostShm => Some(ModelNamespace::HOST),
            _ => Some(ipc),
        };
        Some(View { ipc, shm })
    }

    /// Returns the view of a joiner, or `None` if the engine refuses.
    fn joined_view(&mut self, name: Container, donor: Container) -> Option<View> {
        let joiner = self.containers.get(&name).copied()?;
        let is_the_same = |it: &&Instance| Some(it.number) == joiner.donor;
        let found = self.containers.get(&donor).filter(is_the_same).copied()?;
        if found.state == State::Exited && self.rules.policy.starts_donors() {
            self.start(donor);
        }
        let found = self.containers.get(&donor).copied()?;
        let may = matches!(joiner.options.sharing, Sharing::Pod(_))
            || self.rules.policy.may_join(found.options.sharing);
        if !may || found.state == State::Exited {
            return None;
        }
        let shm = match (found.view.shm, found.shm_from) {
            (None, _) if self.rules.policy.fills_in_shm() => Some(self.new_namespace(name)),
            (_, Some(first)) if self.rules.policy.joins_shm_by_path() => {
                Some(self.content_of_folder(first)?)
            }
            (shm, _) => shm,
        };
        Some(View { shm, ..found.view })
    }

    /// Returns the number of the container that owns the `/dev/shm` of a starting container.
    pub(super) fn shm_from(&self, container: Instance) -> Option<usize> {
        if container.options.sharing.brings_shm() {
            return Some(container.number);
        }
        let donor = self.containers.get(&container.options.sharing.donor()?)?;
        donor.shm_from
    }

    /// Returns what the folder of a container's `/dev/shm` contains, or `None` after its removal.
    fn content_of_folder(&self, number: usize) -> Option<ModelNamespace> {
        let (name, first) = self.containers.iter().find(|(_, it)| it.number == number)?;
        let mounted = first.view.shm.filter(|_| first.state != State::Exited);
        Some(mounted.unwrap_or(folder(*name)))
    }

    /// Returns a new namespace for a start of a container.
    pub(super) fn new_namespace(&mut self, name: Container) -> ModelNamespace {
        let starts = self.starts.entry(name).or_default();
        *starts += 1;
        ModelNamespace { place: Place::In(name), start: *starts }
    }
}

/// Returns the folder under a container's `/dev/shm` mount, or the memory volume of a pod. It exists
/// as long as the container or the pod, also while nothing runs.
pub(super) fn folder(name: Container) -> ModelNamespace {
    ModelNamespace { place: Place::In(name), start: 0 }
}
