//! Attachments of other processes: after `fork`, after `exec` and after SIGKILL.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use assert_cmd::Command;
use shm_core::{Errno, Segment};
use shm_testkit::need::COMPILER;
use shm_testkit::programs::compile;
use shm_testkit::scratch::make;
use shm_testkit::{Trial, trials, wait};

use crate::{attached, errno};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        Trial::isolated, &[COMPILER] =>
            children_inherit_an_attachment_until_they_end,
            exec_detaches,
            killing_a_process_detaches,
            a_removed_segment_lives_until_the_last_child_detaches;
    ]
}

/// Waits until a segment has `count` attachments.
#[track_caller]
fn wait_for_attachments(segment: Segment, count: u64) {
    let what = format!("{count} attachments");
    wait::until(&what, || (attached(segment) == count).then_some(()));
}

/// The program of `inherit.c`, and the file whose removal ends its processes.
struct Inherit {
    _folder: tempfile::TempDir,
    program: PathBuf,
    file: PathBuf,
}

impl Inherit {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("inherit");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/inherit.c");
        compile(source, &program, &[]);
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        Self { program, file, _folder: folder }
    }

    /// Runs it with `children` during `look`, then ends it.
    fn run(&self, segment: Segment, children: usize, more: &[&str], look: impl FnOnce()) {
        let mut command = Command::new(&self.program);
        command.arg(segment.id().to_string()).arg(children.to_string()).arg(&self.file);
        command.args(more).timeout(Duration::from_secs(30));
        thread::scope(|scope| {
            scope.spawn(move || command.output().unwrap());
            look();
            // Some tests have ended it already.
            let _ = fs::remove_file(&self.file);
        });
    }
}

fn children_inherit_an_attachment_until_they_end() {
    let (inherit, segment) = (Inherit::new(), make(1, 100, 0o600));
    let own = segment.attach().unwrap();
    inherit.run(segment, 4, &[], || wait_for_attachments(segment, 6));
    // Our attachment.
    wait_for_attachments(segment, 1);
    drop(own);
    assert_eq!(attached(segment), 0);
}

fn exec_detaches() {
    let (inherit, segment) = (Inherit::new(), make(1, 100, 0o600));
    inherit.run(segment, 0, &["execute"], || {
        wait::until("another program", || {
            inherit.file.with_extension("new").exists().then_some(())
        });
        let stat = segment.stat().unwrap();
        assert_eq!(stat.nattch, 0);
        assert!(stat.lpid > 0 && stat.dtime > 0, "it had attached the segment: {stat:?}");
    });
}

fn killing_a_process_detaches() {
    let (inherit, segment) = (Inherit::new(), make(1, 100, 0o600));
    inherit.run(segment, 0, &[], || {
        wait_for_attachments(segment, 1);
        let pid = segment.stat().unwrap().lpid;
        assert_ne!(pid, std::process::id());
        Command::new("sh").args(["-c", &format!("kill -9 {pid}")]).assert().success();
        wait_for_attachments(segment, 0);
    });
    assert_eq!(Segment::find(crate::key(1)), Ok(segment), "the segment stays");
}

fn a_removed_segment_lives_until_the_last_child_detaches() {
    let (inherit, segment) = (Inherit::new(), make(1, 100, 0o600));
    inherit.run(segment, 2, &[], || {
        wait_for_attachments(segment, 3);
        segment.remove().unwrap();
        assert_eq!(attached(segment), 3);
    });
    wait::until("end of the segment", || segment.stat().err());
    assert_eq!(errno(segment.stat()), Errno::EINVAL);
}
