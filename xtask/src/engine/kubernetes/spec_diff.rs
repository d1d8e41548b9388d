//! The difference between a requested pod and the stored one. Admission webhooks may change a pod,
//! and the prediction does not apply to it then.

use serde_json::Value;

use crate::process::untrusted::Untrusted;

/// Returns the first requested value that is stored differently, or `None`. Additions, such as
/// defaults or another container, are not differences.
pub(super) fn first(asked: &Value, stored: &Value) -> Option<Untrusted> {
    at("spec", asked, stored).map(Untrusted::from)
}

/// Renames the image of containers, to ignore a change that the script made.
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
        _ => Some(format!("{path} is {stored} instead of {asked}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{first, rename_image};

    #[test]
    fn additions_are_ignored_and_changes_and_omissions_are_named() {
        let asked = json!({ "hostIPC": true, "containers": [{ "name": "a", "image": "x" }] });
        let mut stored = json!({
            "hostIPC": true, "dnsPolicy": "Default",
            "containers": [{ "name": "proxy" }, { "name": "a", "image": "x", "tty": false }]
        });
        assert_eq!(first(&asked, &stored), None);
        stored["containers"][1]["image"] = json!("y");
        let expected = "spec.containers[a].image is \"y\" instead of \"x\"";
        assert_eq!(first(&asked, &stored), Some(expected.into()));
        rename_image(&mut stored, "y", "x");
        assert_eq!(first(&asked, &stored), None);
        stored["hostIPC"] = json!(null);
        stored["containers"][1]["image"] = json!("x");
        let expected = "spec.hostIPC is null instead of true";
        assert_eq!(first(&asked, &stored), Some(expected.into()));
    }
}
