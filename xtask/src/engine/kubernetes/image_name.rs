//! Names of images.

/// The registry and the folder that are meant where a name has none, by docker and containerd.
const REGISTRY: &str = "docker.io";
const FOLDER: &str = "library";

/// Another name for the same image: by its digest, which is in the id that a kubelet gives for an image
/// that was pulled, or else with the registry that the name leaves out.
pub(super) fn other(image: &str, id: &str) -> Option<String> {
    let id = id.split_once("://").map_or(id, |(_, id)| id);
    if id.contains('@') && id != image {
        return Some(id.to_owned());
    }
    match image.split_once('/') {
        None => Some(format!("{REGISTRY}/{FOLDER}/{image}")),
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => None,
        Some(_) => Some(format!("{REGISTRY}/{image}")),
    }
}

#[cfg(test)]
mod tests {
    use super::other;

    #[test]
    fn an_image_that_was_pulled_has_a_digest_and_another_one_a_registry() {
        let (pulled, id) =
            ("registry.example:5000/tools:1", "registry.example:5000/tools@sha256:1f");
        for image in [pulled, "tools", "team/tools"] {
            assert_eq!(other(image, id).as_deref(), Some(id));
            assert_eq!(other(image, &format!("docker-pullable://{id}")).as_deref(), Some(id));
        }
        let loaded = "sha256:1f";
        assert_eq!(other("tools", loaded).as_deref(), Some("docker.io/library/tools"));
        assert_eq!(other("tools:5000", loaded).as_deref(), Some("docker.io/library/tools:5000"));
        assert_eq!(other("team/tools:1", loaded).as_deref(), Some("docker.io/team/tools:1"));
        for image in [pulled, "localhost/tools", id] {
            assert_eq!(other(image, loaded), None);
        }
    }
}
