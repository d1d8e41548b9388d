//! Alternative names of images.

use crate::process::name::{CheckedName, Image, InvalidName};
use crate::process::untrusted::Untrusted;

/// The default registry and folder of docker and containerd, for names without them.
const REGISTRY: &str = "docker.io";
const FOLDER: &str = "library";

/// Returns another name for the same image: the one with its digest, which is the kubelet's id for
/// a pulled image; otherwise the name with the default registry. `None` where there is neither.
///
/// # Errors
///
/// Fails if the id has a digest but is not a valid image name.
pub(super) fn other(
    image: &str,
    id: &Untrusted,
) -> Result<Option<CheckedName<Image>>, InvalidName> {
    // Dockershim adds a scheme as a prefix.
    let id = id.strip_prefix("docker-pullable://").unwrap_or_else(|| id.clone());
    if id.contains("@") && id != image {
        return id.parse().map(Some);
    }
    let named = match image.split_once('/') {
        None => format!("{REGISTRY}/{FOLDER}/{image}"),
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => return Ok(None),
        Some(_) => format!("{REGISTRY}/{image}"),
    };
    named.parse().map(Some)
}

#[cfg(test)]
mod tests {
    fn other(image: &str, id: &str) -> Option<String> {
        super::other(image, &id.into()).unwrap().map(String::from)
    }

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef";

    #[test]
    fn pulled_images_are_named_by_digest_and_loaded_images_by_registry() {
        let (pulled, id) =
            ("registry.example:5000/tools:1", format!("registry.example:5000/tools@{DIGEST}"));
        let id = &*id;
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
