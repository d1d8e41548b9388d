//! Names of images, as `docker pull` reads them.

/// The registry and the folder that are meant where a name has none.
const REGISTRY: &str = "docker.io";
const FOLDER: &str = "library";

/// Another name for the same image: with the registry that it leaves out, or else by its digest, which
/// is in the id that a kubelet gives for an image that was pulled.
pub(super) fn other(image: &str, id: &str) -> Option<String> {
    let (first, is_path) = image.split_once('/').map_or((image, false), |(first, _)| (first, true));
    let is_registry = is_path && (first.contains(['.', ':']) || first == "localhost");
    match (is_path, is_registry) {
        (false, _) => Some(format!("{REGISTRY}/{FOLDER}/{image}")),
        (true, false) => Some(format!("{REGISTRY}/{image}")),
        (true, true) => {
            let id = id.split_once("://").map_or(id, |(_, id)| id);
            (id.contains('@') && id != image).then(|| id.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::other;

    #[test]
    fn a_registry_that_is_meant_is_written_out_and_any_other_gives_a_digest() {
        assert_eq!(other("tools", "").as_deref(), Some("docker.io/library/tools"));
        assert_eq!(other("tools:5000", "").as_deref(), Some("docker.io/library/tools:5000"));
        assert_eq!(other("team/tools:1", "").as_deref(), Some("docker.io/team/tools:1"));
        let (pulled, id) =
            ("registry.example:5000/tools:1", "registry.example:5000/tools@sha256:1f");
        assert_eq!(other(pulled, id).as_deref(), Some(id));
        assert_eq!(other(pulled, &format!("docker-pullable://{id}")).as_deref(), Some(id));
        assert_eq!(other("localhost/tools", "sha256:1f"), None);
        assert_eq!(other(id, id), None);
    }
}
