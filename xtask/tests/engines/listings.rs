//! `shm_ls --all-objects` in containers.

use serde_json::Value;
use shm_testkit::{Failed, Trial};

use crate::images::Image;
use crate::machine::{Engine, workspace};

pub(crate) fn trials(engines: &'static [Engine]) -> Vec<Trial> {
    let containers = engines.iter().filter(|engine| engine.has_containers());
    let docker = engines.iter().filter(|engine| engine.name == "docker");
    let on_both = containers.flat_map(|engine| {
        [
            engine.trial("shm_ls_marks_a_full_dev_shm", full_dev_shm),
            engine.trial("shm_ls_says_that_nothing_is_mounted_at_dev_shm", no_dev_shm),
        ]
    });
    // Podman sets no memory limit without a delegated cgroup.
    let on_docker =
        docker.map(|engine| engine.trial("shm_ls_has_the_memory_limit_and_its_use", memory_limit));
    on_both.chain(on_docker).collect()
}

/// A running container, removed on drop.
struct Container<'a> {
    image: &'a Image<'a>,
    id: String,
}

impl<'a> Container<'a> {
    fn start(image: &'a Image<'a>, options: &[&str]) -> Result<Self, Failed> {
        let run = ["run", "--detach", "--network", "none"];
        let program = [image.name.as_str(), "shm_ls", "--watch"];
        let id = image.engine(&[&run[..], options, &program].concat())?;
        Ok(Self { image, id: id.trim().to_owned() })
    }

    fn exec(&self, command: &[&str]) -> Result<String, Failed> {
        self.image.engine(&[&["exec", &self.id], command].concat())
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let _ = self.image.engine(&["rm", "--force", &self.id]);
    }
}

fn scratch(engine: &Engine) -> Result<Image<'_>, Failed> {
    let image = Image::new(engine);
    let context = workspace().to_str().unwrap();
    image.engine(&["build", "--build-arg", "BASE=scratch", "--tag", &image.name, context])?;
    Ok(image)
}

/// Returns the first line with `text`, with one space between its words.
fn line(page: &str, text: &str) -> String {
    let mut lines = page.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.find(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}: {page}"))
}

fn full_dev_shm(engine: &Engine) -> Result<(), Failed> {
    let image = scratch(engine)?;
    let container = Container::start(&image, &["--shm-size", "1m"])?;
    let page = container.exec(&["shm_ls", "--all-objects"])?;
    assert_eq!(line(&page, "/dev/shm bytes"), "/dev/shm bytes 1.00 MiB 0 B 0%");
    container.exec(&["shm_wr", "--posix", "fill", "--size", "1M", "text"])?;
    let page = container.exec(&["shm_ls", "--all-objects"])?;
    assert_eq!(line(&page, "/dev/shm bytes"), "! /dev/shm bytes 1.00 MiB 1.00 MiB 100% FULL");
    let mounted = line(&page, "mounted: ");
    assert!(mounted.starts_with("mounted: /dev/shm of tmpfs from shm, rw,"), "{mounted}");
    assert!(mounted.contains(",noexec,"), "{mounted}");
    assert!(line(&page, " object fill").starts_with("0 0666 1048576 1048576 "), "{page}");
    assert!(!page.contains("not read: "), "{page}");
    Ok(())
}

fn no_dev_shm(engine: &Engine) -> Result<(), Failed> {
    let image = scratch(engine)?;
    let container = Container::start(&image, &["--ipc=none"])?;
    let page = container.exec(&["shm_ls", "--all-objects"])?;
    let missing = ["not read: /dev/shm: No such file or directory", "/dev/shm: NO MOUNT here, "];
    assert!(missing.iter().any(|text| page.contains(text)), "{page}");
    Ok(())
}

fn memory_limit(engine: &Engine) -> Result<(), Failed> {
    const LIMIT: u64 = 64 << 20;
    let image = scratch(engine)?;
    let container = Container::start(&image, &["--memory", "64m", "--shm-size", "128m"])?;
    container.exec(&["shm_wr", "--posix", "large", "--size", "56M", "text"])?;
    let page = container.exec(&["shm_ls", "--all-objects"])?;
    let memory = line(&page, "memory cgroup bytes");
    assert!(memory.starts_with("! memory cgroup bytes without file cache 64.00 MiB 5"), "{memory}");
    assert!(memory.ends_with("% NEARLY FULL"), "{memory}");
    assert!(line(&page, "memory cgroup: ").contains(", 56.00 MiB of its use are shared"), "{page}");
    let answer: Value = serde_json::from_str(&container.exec(&["shm_ls", "--json"])?)?;
    let memory = &answer["memory"][0];
    assert_eq!(memory["limit"], LIMIT);
    assert!(memory["shared"].as_u64() >= Some(56 << 20), "{memory}");
    assert!(memory["used"].as_u64() >= memory["shared"].as_u64(), "{memory}");
    Ok(())
}
