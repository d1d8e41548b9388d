//! Refused permission in containers: the causes and hints of the tools, and that the hints help.

use std::fs;

use assert_cmd::Command;
use shm_testkit::{Failed, Trial};

use crate::images::Image;
use crate::machine::{Engine, random_key};

pub(crate) fn trials(engines: &'static [Engine]) -> Vec<Trial> {
    let containers = engines.iter().filter(|engine| engine.has_containers());
    containers
        .flat_map(|engine| {
            [
                engine.trial("a_directory_that_forbids_creation_is_the_cause", creation),
                engine.trial("a_seccomp_profile_is_the_cause_where_a_mode_allows", seccomp),
                engine.trial("root_learns_which_capability_it_lacks", capabilities),
                engine.trial("root_learns_which_capability_it_lacks_for_files", file_capabilities),
            ]
        })
        .collect()
}

/// Runs tools of an image in new containers.
struct Runner<'a> {
    engine: &'a Engine,
    image: &'a Image<'a>,
}

impl Runner<'_> {
    fn command(&self, options: &[&str], tool: &[&str]) -> Command {
        let mut command = Command::new(self.engine.name);
        command.args(["run", "--rm", "--network", "none"]).args(options);
        command.arg(&self.image.name).args(tool);
        command
    }

    /// Asserts that a tool fails with these three lines on standard error.
    #[track_caller]
    fn tells(&self, options: &[&str], tool: &[&str], [first, cause, hint]: [&str; 3]) {
        let said = format!("{first}\ncause: {cause}\nhint: {hint}\n");
        self.command(options, tool).assert().code(255).stderr(said);
    }

    /// Returns the words for a change: those of the engine, and of Compose beside Docker.
    fn words(&self, options: &str, compose: &str) -> String {
        match self.engine.name {
            "docker" => format!("docker: {options}; compose: {compose}"),
            name => format!("{name}: {options}"),
        }
    }

    /// Returns the hint for root: to run as user 1000, or to add a capability.
    fn as_owner_or_with(&self, capability: &str) -> String {
        format!(
            "run this as user 1000 ({}), or add the capability {capability} ({})",
            self.words("--user 1000", "user: \"1000\""),
            self.words(&format!("--cap-add {capability}"), &format!("cap_add: [{capability}]"))
        )
    }

    #[track_caller]
    fn succeeds(&self, options: &[&str], tool: &[&str]) {
        self.command(options, tool).assert().code(0);
    }
}

const SHM_OPEN: &str = "shm_open failed, errno: 13 msg: Permission denied";

fn creation(engine: &Engine) -> Result<(), Failed> {
    let image = Image::of_tools(engine)?;
    let runner = Runner { engine, image: &image };
    let tool = ["shm_wr", "--posix", "t", "hi"];
    runner.tells(
        &["--user", "1000", "--tmpfs", "/dev/shm:mode=0755"],
        &tool,
        [
            SHM_OPEN,
            "/dev/shm belongs to user 0 and has mode 0755: user 1000 cannot create files there",
            &format!(
                "let its owner change the mode (chmod 1777 /dev/shm), or mount another one there ({})",
                runner.words("--tmpfs /dev/shm:mode=1777", "tmpfs: \"/dev/shm:mode=1777\"")
            ),
        ],
    );
    runner.succeeds(&["--user", "1000", "--tmpfs", "/dev/shm:mode=1777"], &tool);
    for (mode, what) in [("0755", "create files there"), ("0700", "enter it")] {
        runner.tells(
            &["--user", "1000", "--tmpfs", &format!("/data:mode={mode}")],
            &["shm_wr", "--file", "/data/t", "hi"],
            [
                "open failed, errno: 13 msg: Permission denied",
                &format!("/data belongs to user 0 and has mode {mode}: user 1000 cannot {what}"),
                "let its owner change the mode or the owner of /data (chmod, chown)",
            ],
        );
    }
    Ok(())
}

fn seccomp(engine: &Engine) -> Result<(), Failed> {
    let image = Image::of_tools(engine)?;
    let runner = Runner { engine, image: &image };
    let folder = tempfile::tempdir()?;
    let profile = |name: &str, errno: i32, calls: &[&str]| {
        let path = folder.path().join(name);
        let refused = serde_json::json!({
            "names": calls, "action": "SCMP_ACT_ERRNO", "errnoRet": errno
        });
        let profile =
            serde_json::json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refused] });
        fs::write(&path, profile.to_string())?;
        Ok::<_, Failed>(format!("seccomp={}", path.display()))
    };
    let eperm = profile("eperm", 1, &["mq_open", "semget", "msgget"])?;
    let [sem, msg, mq] = [
        "semget, semctl, semop and semtimedop",
        "msgget, msgsnd, msgrcv and msgctl",
        "mq_open, mq_unlink, mq_timedsend, mq_timedreceive and mq_getsetattr",
    ];
    let absent = "and to create it no permission is needed\n";
    let queues = "the owner and mode of /dev/mqueue let user 0 create files\n";
    for (option, call, calls, state) in [
        (&["--object", "sem"][..], "semget", sem, absent),
        (&["--object", "msg"], "msgget", msg, absent),
        (&["--object", "mqueue"], "mq_open", mq, queues),
        (&["--framed"], "semget", sem, absent),
    ] {
        let tool = [&["shm_wr", "hi"], option].concat();
        let said = runner.command(&["--security-opt", &eperm], &tool).output()?.stderr;
        let said = String::from_utf8(said)?;
        let expected = [
            format!("{call} failed, errno: 1 msg: Operation not permitted\n"),
            format!("\ncause: the seccomp filter of this process refuses {call}; "),
            state.to_owned(),
            format!("profile that allows {calls}; {}: --security-opt seccomp=PROFILE", engine.name),
        ];
        for part in expected {
            assert!(said.contains(&part), "{part}\nis not in\n{said}");
        }
        runner.succeeds(&["--security-opt", "seccomp=unconfined"], &tool);
    }
    let eacces = profile("eacces", 13, &["shmat"])?;
    runner.tells(
        &["--security-opt", &eacces],
        &["shm_wr", "hi"],
        [
            "shmat failed, errno: 13 msg: Permission denied",
            "the seccomp filter of this process refuses shmat; segment 0 of 1024 bytes belongs to \
             user 0 and has mode 0666, and its mode lets user 0 read and write it",
            &format!(
                "start the container with a profile that allows shmget, shmat, shmdt and shmctl; {}",
                runner.words(
                    "--security-opt seccomp=PROFILE, or seccomp=unconfined for none",
                    "security_opt: [\"seccomp=PROFILE\"]"
                )
            ),
        ],
    );
    Ok(())
}

/// A container with an IPC namespace that others can join, removed on drop.
struct Donor<'a> {
    image: &'a Image<'a>,
    name: String,
}

impl<'a> Donor<'a> {
    fn start(image: &'a Image<'a>) -> Result<Self, Failed> {
        let donor = Self { image, name: format!("shm_trial_{:x}", random_key()) };
        let options = ["run", "--detach", "--network", "none", "--ipc", "shareable"];
        image.engine(&[&options[..], &["--name", &donor.name, &image.name]].concat())?;
        Ok(donor)
    }
}

impl Drop for Donor<'_> {
    fn drop(&mut self) {
        let _ = self.image.engine(&["rm", "--force", &self.name]);
    }
}

fn capabilities(engine: &Engine) -> Result<(), Failed> {
    let image = Image::of_tools(engine)?;
    let runner = Runner { engine, image: &image };
    let donor = Donor::start(&image)?;
    let ipc = format!("--ipc=container:{}", donor.name);
    runner.succeeds(&[&ipc, "--user", "1000"], &["shm_wr", "--mode", "0600", "secret"]);
    let object = "segment 0 of 1024 bytes belongs to user 1000 and has mode 0600: user 0 may";
    let dropped = [&ipc, "--cap-drop", "ALL"];
    for (tool, may) in
        [(&["shm_rd"][..], "not read it"), (&["shm_wr", "x"], "neither read nor write it")]
    {
        runner.tells(
            &dropped,
            tool,
            [
                "shmget failed, errno: 13 msg: Permission denied",
                &format!("{object} {may}, and has no CAP_IPC_OWNER"),
                &runner.as_owner_or_with("IPC_OWNER"),
            ],
        );
        runner.succeeds(&[&dropped[..], &["--cap-add", "IPC_OWNER"]].concat(), tool);
    }
    let remove = ["shm_wr", "--remove"];
    runner.tells(
        &dropped,
        &remove,
        [
            "shmctl failed, errno: 1 msg: Operation not permitted",
            &format!("{object} not remove it, and has no CAP_SYS_ADMIN"),
            &runner.as_owner_or_with("SYS_ADMIN"),
        ],
    );
    runner.succeeds(&[&dropped[..], &["--cap-add", "SYS_ADMIN"]].concat(), &remove);
    for object in ["sem", "msg"] {
        let tool = ["shm_wr", "--object", object, "--size", "8", "x"];
        runner.succeeds(&[&ipc, "--user", "1000"], &[&tool[..], &["--mode", "0600"]].concat());
        let said = runner.command(&dropped, &["shm_rd", "--object", object]).output()?.stderr;
        let said = String::from_utf8(said)?;
        let right = said.contains("belongs to user 1000 and has mode 0600: user 0 may not read it, and has no CAP_IPC_OWNER\n")
            && said.ends_with(&format!("{}\n", runner.as_owner_or_with("IPC_OWNER")));
        assert!(right, "{said}");
    }
    Ok(())
}

fn file_capabilities(engine: &Engine) -> Result<(), Failed> {
    let image = Image::of_tools(engine)?;
    let runner = Runner { engine, image: &image };
    let donor = Donor::start(&image)?;
    let ipc = format!("--ipc=container:{}", donor.name);
    let address = ["--posix", "t"];
    let write = [&["shm_wr", "--mode", "0600", "secret"], &address[..]].concat();
    runner.succeeds(&[&ipc, "--user", "1000"], &write);
    let read = [&["shm_rd"], &address[..]].concat();
    let dropped = [&ipc, "--cap-drop", "ALL"];
    runner.tells(
        &dropped,
        &read,
        [
            SHM_OPEN,
            "/dev/shm/t belongs to user 1000 and has mode 0600: user 0 may not read it, and has no \
             CAP_DAC_OVERRIDE",
            &runner.as_owner_or_with("DAC_OVERRIDE"),
        ],
    );
    runner.succeeds(&[&dropped[..], &["--cap-add", "DAC_OVERRIDE"]].concat(), &read);
    Ok(())
}
