use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Barrier;
use std::thread;

use shm_core::posix::{Location, Object};
use shm_core::{Errno, Error, Origin};
use shm_testkit::scratch::ScratchName;

fn errno<T>(result: Result<T, Error>) -> Option<Errno> {
    result.err().and_then(|error| error.errno())
}

/// An object and a file, which must behave alike.
fn locations(name: &ScratchName, folder: &tempfile::TempDir) -> [Location; 2] {
    [name.location(), Location::File(folder.path().join("file"))]
}

#[test]
fn an_object_persists_until_its_removal_and_open_handles_stay_valid() {
    let (name, folder) = (ScratchName::new(), tempfile::tempdir().unwrap());
    for location in locations(&name, &folder) {
        assert_eq!(errno(Object::open(&location)), Some(Errno::ENOENT));
        assert_eq!(errno(Object::open_writable(&location)), Some(Errno::ENOENT));
        assert_eq!(errno(location.remove()), Some(Errno::ENOENT));
        Object::create_new(&location, 100, 0o600).unwrap().write_at(0, b"kept").unwrap();
        let object = Object::open(&location).unwrap();
        assert_eq!((object.size(), object.path()), (Ok(100), &*location.path()));
        location.remove().unwrap();
        assert_eq!(errno(Object::open(&location)), Some(Errno::ENOENT));
        let mut bytes = [0; 4];
        assert_eq!(object.read_at(0, &mut bytes), Ok(4));
        assert_eq!(&bytes, b"kept");
    }
}

#[test]
fn an_object_grows_with_allocated_memory_and_never_shrinks() {
    let (name, folder) = (ScratchName::new(), tempfile::tempdir().unwrap());
    for location in locations(&name, &folder) {
        let object = Object::create_new(&location, 100, 0o600).unwrap();
        object.write_at(0, b"kept").unwrap();
        assert_eq!(Object::open_writable(&location).unwrap().size(), Ok(100));
        object.grow(50_000).unwrap();
        let metadata = location.path().metadata().unwrap();
        assert_eq!(metadata.len(), 50_000);
        assert!(metadata.blocks() * 512 >= 50_000, "{} blocks", metadata.blocks());
        object.grow(10).unwrap();
        let (opened, origin) = Object::open_or_create(&location, 20, 0o600).unwrap();
        assert_eq!((opened.size(), origin), (Ok(50_000), Origin::Opened));
        let (opened, _) = Object::open_or_create(&location, 60_000, 0o600).unwrap();
        assert_eq!(opened.size(), Ok(60_000));
        let mut bytes = [0; 5];
        assert_eq!(opened.read_at(0, &mut bytes), Ok(5));
        assert_eq!(&bytes, b"kept\0");
    }
}

#[test]
fn a_size_larger_than_any_file_leaves_nothing() {
    let (name, folder) = (ScratchName::new(), tempfile::tempdir().unwrap());
    for location in locations(&name, &folder) {
        for size in [u64::MAX, i64::MAX as u64] {
            assert!(Object::create_new(&location, size, 0o600).is_err());
            assert_eq!(errno(Object::open(&location)), Some(Errno::ENOENT), "{size}");
        }
    }
}

#[test]
fn create_new_refuses_an_existing_object() {
    let (name, folder) = (ScratchName::new(), tempfile::tempdir().unwrap());
    for location in locations(&name, &folder) {
        let first = Object::create_new(&location, 100, 0o600).unwrap();
        first.write_at(0, b"first").unwrap();
        assert_eq!(errno(Object::create_new(&location, 10, 0o600)), Some(Errno::EEXIST));
        assert_eq!(first.size(), Ok(100), "it is unchanged");
    }
}

#[test]
fn exactly_one_of_many_callers_creates_the_object() {
    const CALLERS: usize = 8;
    for _ in 0..20 {
        let name = ScratchName::new();
        let (location, start) = (name.location(), Barrier::new(CALLERS));
        let origins = thread::scope(|scope| {
            let caller = || {
                start.wait();
                Object::open_or_create(&location, 64, 0o600).unwrap().1
            };
            let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(caller)).collect();
            callers.into_iter().map(|caller| caller.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(origins.iter().filter(|origin| **origin == Origin::Created).count(), 1);
    }
}

#[test]
fn nothing_is_read_or_written_past_the_end() {
    let (name, folder) = (ScratchName::new(), tempfile::tempdir().unwrap());
    for location in locations(&name, &folder) {
        let object = Object::create_new(&location, 100, 0o600).unwrap();
        object.write_at(98, b"yz").unwrap();
        let mut buffer = *b"....";
        assert_eq!(object.read_at(98, &mut buffer), Ok(2));
        assert_eq!(&buffer, b"yz..");
        assert_eq!(object.read_at(100, &mut buffer), Ok(0));
        for (offset, length) in [(98, 3), (100, 1), (u64::MAX, 1)] {
            assert_eq!(
                object.write_at(offset, &vec![b'x'; length]),
                Err(Error::OutOfBounds { offset, length: length as u64, size: 100 })
            );
        }
        assert_eq!(object.size(), Ok(100));
        assert_eq!(object.read_at(98, &mut buffer), Ok(2));
        assert_eq!(&buffer[..2], b"yz");
    }
}

#[test]
fn a_shrunk_object_is_a_short_read_and_not_a_signal() {
    let name = ScratchName::new();
    let object = Object::create_new(&name.location(), 10_000, 0o600).unwrap();
    let other = fs::OpenOptions::new().write(true).open(name.location().path()).unwrap();
    other.set_len(3).unwrap();
    assert_eq!(object.size(), Ok(3));
    assert_eq!(object.read_at(0, &mut [0; 10]), Ok(3));
    assert_eq!(object.read_at(5000, &mut [0; 10]), Ok(0));
    assert!(object.write_at(0, b"four").is_err());
}

#[test]
fn a_read_only_object_cannot_be_written() {
    let name = ScratchName::new();
    let _ = Object::create_new(&name.location(), 10, 0o600).unwrap();
    let object = Object::open(&name.location()).unwrap();
    assert_eq!(errno(object.write_at(0, b"x")), Some(Errno::EBADF));
}

#[test]
fn a_posix_object_is_a_file_below_dev_shm() {
    let name = ScratchName::new();
    let _ = Object::create_new(&name.location(), 10, 0o600).unwrap();
    let path = PathBuf::from(format!("/dev/shm{}", &*name));
    assert_eq!(name.location().path(), path);
    assert_eq!(Object::open(&Location::File(path)).unwrap().size(), Ok(10));
}

#[test]
fn mappings_of_an_object_share_its_bytes() {
    let name = ScratchName::new();
    let object = Object::create_new(&name.location(), 5000, 0o600).unwrap();
    let (writable, readable) = (object.map_writable().unwrap(), object.map().unwrap());
    assert_eq!((writable.size(), readable.size(), readable.segment()), (5000, 5000, None));
    writable.write_at(4090, b"over a page").unwrap();
    let mut copy = [0; 11];
    assert_eq!(readable.read_at(4090, &mut copy), 11);
    assert_eq!(&copy, b"over a page");
    assert_eq!(object.read_at(4090, &mut copy), Ok(11));
    assert_eq!(&copy, b"over a page");
    drop(object);
    assert_eq!(readable.find_nul(4090..5000), Some(4101), "a mapping outlives its descriptor");
    assert!(writable.write_at(4999, b"xx").is_err());
}

#[test]
fn an_object_is_mapped_only_if_it_has_bytes_and_was_opened_for_that() {
    let name = ScratchName::new();
    let empty = Object::create_new(&name.location(), 0, 0o600).unwrap();
    let error = empty.map().unwrap_err();
    assert_eq!((error.call(), error.errno()), (Some("mmap"), Some(Errno::EINVAL)));
    empty.grow(1).unwrap();
    let readable = Object::open(&name.location()).unwrap();
    assert_eq!(readable.map_writable().unwrap_err().errno(), Some(Errno::EACCES));
    assert_eq!(readable.map().unwrap().size(), 1);
}

#[test]
fn an_object_lends_its_descriptor() {
    let name = ScratchName::new();
    let object = Object::create_new(&name.location(), 7, 0o600).unwrap();
    let file = fs::File::from(object.as_fd().try_clone_to_owned().unwrap());
    assert_eq!(file.metadata().unwrap().len(), 7);
}
