//! Names of images.

use crate::process::name::{Image, InvalidName, Name};
use crate::process::untrusted::Untrusted;

/// The registry and the folder that are meant where a name has none, by docker and containerd.
const REGISTRY: &str = "docker.io";
const FOLDER: &str = "library";

/// Another name for the same image: by its digest, which is in the id that a kubelet gives for an image
/// that was pulled, or else with the registry that the name leaves out.
///
/// # Errors
///
/// Where the id holds a digest and is no name of an image.
pub(super) fn other(image: &str, id: &Untrusted) -> Result<Option<Name<Image>>, InvalidName> {
    // Dockershim puts its scheme before it.
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
    fn an_image_that_was_pulled_has_a_digest_and_another_one_a_registry() {
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
