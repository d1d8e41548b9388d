//! What the cluster made of a pod that was asked for: admission webhooks may change it, and then it
//! is not the pod that was predicted.

use serde_json::Value;

use crate::process::untrusted::Untrusted;

/// The first thing that is not as it was asked for. What was added, such as defaults or another
/// container, is no change.
pub(super) fn first(asked: &Value, stored: &Value) -> Option<Untrusted> {
    at("spec", asked, stored).map(Untrusted::from)
}

/// Gives containers that have an image by one name the other name: we changed it ourselves.
pub(super) fn rename_image(spec: &mut Value, from: &str, to: &str) {
    let containers = spec["containers"].as_array_mut().into_iter().flatten();
    for container in containers.filter(|it| it["image"] == from) {
        container["image"] = to.into();
    }
}

fn at(path: &str, asked: &Value, stored: &Value) -> Option<String> {
    match (asked, stored) {
        (Value::Object(asked), Value::Object(stored)) => asked.iter().find_map(|(name, value)| {
            let found = stored.get(name).unwrap_or(&Value::Null);
            at(&format!("{path}.{name}"), value, found)
        }),
        (Value::Array(asked), Value::Array(stored))
            if asked.iter().all(|it| it["name"].is_string()) =>
        {
            asked.iter().find_map(|value| {
                let found = stored.iter().find(|it| it["name"] == value["name"]);
                let name = value["name"].as_str().unwrap_or_default();
                at(&format!("{path}[{name}]"), value, found.unwrap_or(&Value::Null))
            })
        }
        _ if asked == stored => None,
        _ => Some(format!("{path} is {stored}, and {asked} was asked for")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{first, rename_image};

    #[test]
    fn what_is_added_is_no_change_and_what_is_changed_or_dropped_is_named() {
        let asked = json!({ "hostIPC": true, "containers": [{ "name": "a", "image": "x" }] });
        let mut stored = json!({
            "hostIPC": true, "dnsPolicy": "Default",
            "containers": [{ "name": "proxy" }, { "name": "a", "image": "x", "tty": false }]
        });
        assert_eq!(first(&asked, &stored), None);
        stored["containers"][1]["image"] = json!("y");
        let expected = "spec.containers[a].image is \"y\", and \"x\" was asked for";
        assert_eq!(first(&asked, &stored), Some(expected.into()));
        rename_image(&mut stored, "y", "x");
        assert_eq!(first(&asked, &stored), None);
        stored["hostIPC"] = json!(null);
        stored["containers"][1]["image"] = json!("x");
        let expected = "spec.hostIPC is null, and true was asked for";
        assert_eq!(first(&asked, &stored), Some(expected.into()));
    }
}
