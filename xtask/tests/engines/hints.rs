//! The hints of the tools in containers: they name what the engine of the container can do, and it
//! works.

use assert_cmd::Command;
use shm_testkit::{Failed, Trial};

use crate::images::Image;
use crate::machine::{Engine, by_driver};

pub(crate) fn trials(engines: &'static [Engine]) -> Vec<Trial> {
    let mut trials = Vec::new();
    for engine in engines.iter().filter(|engine| engine.has_containers()) {
        trials.push(engine.trial("a_missing_segment_is_explained_by_how_to_share", share));
        trials.push(engine.trial("a_full_dev_shm_is_enlarged_where_it_was_mounted", full_dev_shm));
        trials.push(engine.trial("a_limit_is_raised_where_the_namespace_was_made", limits));
    }
    for engine in engines.iter().filter(|engine| engine.name == "docker") {
        trials.push(engine.trial("a_dev_shm_without_inodes_is_not_said_to_lack_bytes", inodes));
    }
    for engine in by_driver(engines).filter(|engine| engine.has_containers()) {
        trials
            .push(engine.trial("what_a_restart_of_the_donor_hides_is_explained", donor_restarted));
        trials.push(engine.trial("a_write_beyond_the_memory_limit_is_warned_of", memory));
    }
    trials
}

/// An image with only the tools, and the engine that runs it.
struct Tools<'a>(Image<'a>);

impl<'a> Tools<'a> {
    fn new(engine: &'a Engine) -> Result<Self, Failed> {
        Image::of_tools(engine).map(Self)
    }

    /// Returns the command for a new container with these options, separated by spaces.
    fn run(&self, options: &str, tool: &[&str]) -> Command {
        let mut command = Command::new(self.0.engine.name);
        command.args(["run", "--rm", "--network", "none"]).args(options.split_whitespace());
        command.arg(&self.0.name).args(tool);
        command
    }

    /// Runs a tool that must fail, and returns its standard error.
    fn failure(&self, options: &str, tool: &[&str]) -> Result<String, Failed> {
        let output = self.run(options, tool).output()?;
        let stderr = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(255), "{options} {tool:?}: {stderr}");
        Ok(stderr)
    }
}

/// A container in the background, removed on drop.
struct Container<'a> {
    tools: &'a Tools<'a>,
    name: String,
}

impl<'a> Container<'a> {
    /// Starts a container that only lists segments.
    fn start(tools: &'a Tools<'a>, role: &str, options: &str) -> Result<Self, Failed> {
        let image = &tools.0.name;
        let name = format!("shm_trial_{role}_{}", image.rsplit(':').next().unwrap());
        let container = Self { tools, name };
        let watch = ["shm_ls", "--watch"];
        let mut run = vec!["run", "--detach", "--name", &container.name, "--network", "none"];
        run.extend(options.split_whitespace());
        run.push(image);
        tools.0.engine(&[&run[..], &watch].concat())?;
        Ok(container)
    }

    fn exec(&self, tool: &[&str]) -> Command {
        let mut command = Command::new(self.tools.0.engine.name);
        command.args(["exec", &self.name]).args(tool);
        command
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // A container that did not start is not there.
        let _ = self.tools.0.engine(&["rm", "--force", &self.name]);
    }
}

/// Asserts that a message has these parts, and none of the words of another engine.
#[track_caller]
fn says(engine: &Engine, message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
    let others = if engine.name == "docker" { "podman" } else { "docker" };
    for other in [others, "Kubernetes"] {
        assert!(!message.contains(other), "{other:?} is in: {message}");
    }
}

fn share(engine: &Engine) -> Result<(), Failed> {
    let tools = Tools::new(engine)?;
    let words =
        format!("{}: run A with --ipc=shareable, then B with --ipc=container:A", engine.name);
    let absent = "share the writer's IPC namespace; ";
    for tool in [&["shm_rd"][..], &["shm_rd", "--object", "sem"], &["shm_wr", "--remove"]] {
        says(engine, &tools.failure("", tool)?, &[absent, &words]);
    }
    let posix = ["shm_rd", "--posix", "t"];
    says(engine, &tools.failure("", &posix)?, &["share the writer's /dev/shm; ", &words]);
    let none = tools.failure("--ipc=none", &posix)?;
    says(engine, &none, &["/dev/shm does not exist\n", "without --ipc=none, or with --tmpfs"]);
    let own = tools.failure("--tmpfs /dev/shm", &posix)?;
    says(engine, &own, &["is a --tmpfs or a volume here", "--volume NAME:/dev/shm for both"]);

    // The advice works.
    let a = Container::start(&tools, "a", "--ipc=shareable")?;
    let join = format!("--ipc=container:{}", a.name);
    for address in [&[][..], &["--posix", "t"], &["--object", "mqueue"]] {
        a.exec(&[&["shm_wr", "shared"], address].concat()).assert().code(0);
        let read = [&["shm_rd", "--raw"], address].concat();
        tools.run(&join, &read).assert().code(0).stdout("shared");
    }
    Ok(())
}

/// More than any disk or memory of these tests.
const TOO_LARGE: [&str; 6] = ["shm_wr", "--posix", "t", "--size", "8T", "x"];

fn full_dev_shm(engine: &Engine) -> Result<(), Failed> {
    let tools = Tools::new(engine)?;
    let own = tools.failure("", &TOO_LARGE)?;
    says(engine, &own, &["enlarge /dev/shm; ", "--shm-size=SIZE for the container"]);
    tools.run("--shm-size=8m", &["shm_wr", "--posix", "t", "--size", "7M", "x"]).assert().code(0);

    let tmpfs = tools.failure("--tmpfs /dev/shm:size=1m", &TOO_LARGE)?;
    let words = ["which has 1048576 bytes free", "no --shm-size made", "/dev/shm:size=SIZE"];
    says(engine, &tmpfs, &words);
    tools
        .run("--tmpfs /dev/shm:size=8m", &["shm_wr", "--posix", "t", "--size", "7M", "x"])
        .assert()
        .code(0);

    let host = tools.failure("--ipc=host", &TOO_LARGE)?;
    says(engine, &host, &["no --shm-size made", "mount -o remount,size=SIZE /dev/shm", "the host"]);

    let folder = tempfile::tempdir()?;
    let volume = format!("--volume {}:/dev/shm", folder.path().display());
    let volume = tools.failure(&volume, &TOO_LARGE)?;
    says(engine, &volume, &["free space on the volume at /dev/shm, which no --shm-size made"]);

    let mut elsewhere = TOO_LARGE;
    (elsewhere[1], elsewhere[2]) = ("--file", "/data/t");
    let elsewhere = tools.failure("--tmpfs /data:size=1m", &elsewhere)?;
    says(engine, &elsewhere, &["enlarge the tmpfs at /data (its mount option size=SIZE)"]);
    assert!(!elsewhere.contains("--shm-size"), "{elsewhere}");
    Ok(())
}

/// Podman has no option for the number of inodes.
fn inodes(engine: &Engine) -> Result<(), Failed> {
    let tools = Tools::new(engine)?;
    let small = ["shm_wr", "--posix", "t", "x"];
    let inodes = tools.failure("--tmpfs /dev/shm:size=10m,nr_inodes=1", &small)?;
    says(engine, &inodes, &["has no free inode: it can have 1 files", "nr_inodes=NUMBER"]);
    assert!(!inodes.contains("do not fit"), "{inodes}");
    Ok(())
}

fn limits(engine: &Engine) -> Result<(), Failed> {
    let tools = Tools::new(engine)?;
    let queue = |size| ["shm_wr", "--object", "mqueue", "--size", size, "x"];
    // Root may exceed this limit.
    let own = tools.failure("--user 1000", &queue("9000"))?;
    let words = ["--sysctl fs.mqueue.msgsize_max=BYTES for the container that made the namespace"];
    says(engine, &own, &words);
    let raised = "--user 1000 --sysctl fs.mqueue.msgsize_max=9000";
    tools.run(raised, &queue("9000")).assert().code(0);

    // Engines refuse --sysctl with the namespace of the host.
    let host = tools.failure("--user 1000 --ipc=host", &queue("100000"))?;
    let words = "on the host, whose IPC namespace this is: sysctl -w fs.mqueue.msgsize_max=BYTES";
    says(engine, &host, &[words]);
    assert!(!host.contains("--sysctl"), "{host}");
    tools.run("--ipc=host --sysctl fs.mqueue.msgsize_max=9000", &["shm_ls"]).assert().failure();
    Ok(())
}

/// A joiner stays in the namespace of the donor's earlier run.
fn donor_restarted(engine: &Engine) -> Result<(), Failed> {
    let tools = Tools::new(engine)?;
    let a = Container::start(&tools, "a", "--ipc=shareable")?;
    let b = Container::start(&tools, "b", &format!("--ipc=container:{}", a.name))?;
    tools.0.engine(&["restart", "--time", "0", &a.name])?;
    b.exec(&["shm_wr", "x"]).assert().code(0);
    let output = a.exec(&["shm_rd"]).output()?;
    let stderr = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(255), "{stderr}");
    let restart = format!(
        "; if A was started again after B had joined it, B is still in the namespace of A's earlier \
         start; {}: {0} restart B; if A is a new container, also a new B",
        engine.name
    );
    let cause = "it has no segments; process 1 of this container started ";
    says(engine, &stderr, &[cause, &restart]);

    // The other direction: B does not see what A writes now.
    for address in [
        &["--key", "7"][..],
        &["--posix", "t"],
        &["--object", "sem"],
        &["--object", "msg"],
        &["--object", "mqueue"],
    ] {
        a.exec(&[&["shm_wr", "x"], address].concat()).assert().code(0);
        let output = b.exec(&[&["shm_rd"], address].concat()).output()?;
        let stderr = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(255), "{address:?}: {stderr}");
        says(engine, &stderr, &[&restart]);
        assert!(!stderr.contains("process 1 of this container"), "{stderr}");
    }

    tools.0.engine(&["restart", "--time", "0", &b.name])?;
    b.exec(&["shm_wr", "x"]).assert().code(0);
    a.exec(&["shm_rd", "--raw"]).assert().code(0).stdout("x");
    Ok(())
}

/// At a limit the kernel can read the pages of a program again and again for minutes before it kills. The
/// limit of processor time ends that with the same signal.
const KILLED_AT_THE_LIMIT: &str = "--memory 64m --memory-swap 64m --ulimit cpu=2:2";

fn memory(engine: &Engine) -> Result<(), Failed> {
    let tools = Tools::new(engine)?;
    let limited = |size| {
        let options = format!("{KILLED_AT_THE_LIMIT} --shm-size 512m");
        tools.run(&options, &["shm_wr", "--posix", "t", "--size", size, "hi"]).output()
    };
    let killed = limited("200M")?;
    let stderr = String::from_utf8(killed.stderr)?;
    assert_eq!(killed.status.code(), Some(137), "{stderr}");
    let parts = [
        "warning: 209715200 bytes can exceed the memory limit, of which ",
        " of 67108864 bytes are left: the first process that touches a page pays for it",
        "--memory=SIZE",
    ];
    says(engine, &stderr, &parts);
    let fits = limited("20M")?;
    assert!(fits.status.success() && fits.stderr.is_empty(), "{fits:?}");

    // A segment takes memory only where it is written.
    let options = &format!("{KILLED_AT_THE_LIMIT} --interactive");
    let segment = ["shm_wr", "--size", "200M", "--stdin"];
    let mut filled = tools.run(options, &segment);
    let filled = filled.write_stdin(vec![b'x'; 100 << 20]).output()?;
    let stderr = String::from_utf8(filled.stderr)?;
    assert_eq!(filled.status.code(), Some(137), "{stderr}");
    says(engine, &stderr, &["can exceed the memory limit"]);
    let mut framed = tools.run(options, &["shm_wr", "--size", "200M", "--stdin", "--framed"]);
    let framed = framed.write_stdin(vec![b'x'; 40 << 20]).output()?;
    let stderr = String::from_utf8(framed.stderr)?;
    assert_eq!(framed.status.code(), Some(137), "{stderr}");
    let mut short = tools.run(options, &segment);
    let short = short.write_stdin("short").output()?;
    assert!(short.status.success() && short.stderr.is_empty(), "{short:?}");
    Ok(())
}
