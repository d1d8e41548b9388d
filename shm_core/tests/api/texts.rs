use std::io::Read;

use shm_core::segment::RemoveOnDrop;
use shm_core::{Address, Error, Origin, Segment};
use shm_testkit::scratch::{ScratchKey, ScratchName};

fn text(address: &Address) -> Vec<u8> {
    let mut text = Vec::new();
    address.open().unwrap().text().read_to_end(&mut text).unwrap();
    text
}

fn addresses(key: &ScratchKey, name: &ScratchName, folder: &tempfile::TempDir) -> [Address; 3] {
    [(**key).into(), Address::File(name.location()), folder.path().join("file").into()]
}

#[test]
fn a_text_ends_before_the_first_nul_in_each_mechanism() {
    let (key, name, folder) = (ScratchKey::new(), ScratchName::new(), tempfile::tempdir().unwrap());
    for address in addresses(&key, &name, &folder) {
        let memory = address.create_new(100, 0o600).unwrap();
        assert_eq!((memory.size(), text(&address)), (Ok(100), b"".to_vec()));
        memory.write_text(b"longer\xff").unwrap();
        memory.write_text(b"short").unwrap();
        assert_eq!(text(&address), b"short", "{}", address.mechanism());
        address.remove().unwrap();
        assert!(address.open().is_err());
    }
}

#[test]
fn a_text_without_a_nul_ends_with_the_memory_in_each_mechanism() {
    let (key, name, folder) = (ScratchKey::new(), ScratchName::new(), tempfile::tempdir().unwrap());
    let full = vec![b'x'; 20_000];
    let segment = Segment::create_new(*key, full.len(), 0o600).unwrap();
    segment.attach_writable().unwrap().write_at(0, &full).unwrap();
    for address in addresses(&key, &name, &folder) {
        if let Address::File(location) = &address {
            std::fs::write(location.path(), &full).unwrap();
        }
        assert_eq!(text(&address), full, "{}", address.mechanism());
    }
}

#[test]
fn the_longest_text_leaves_one_byte_for_the_nul() {
    let (key, name, folder) = (ScratchKey::new(), ScratchName::new(), tempfile::tempdir().unwrap());
    for address in addresses(&key, &name, &folder) {
        let memory = address.create_new(4, 0o600).unwrap();
        memory.write_text(b"abc").unwrap();
        assert_eq!(
            memory.write_text(b"wxyz"),
            Err(Error::OutOfBounds { offset: 1, length: 4, size: 4 })
        );
        assert_eq!(text(&address), b"abc");
    }
}

#[test]
fn a_text_is_read_in_pieces_of_any_size() {
    let key = ScratchKey::new();
    let address = Address::from(*key);
    let memory = address.create_new(100, 0o600).unwrap();
    memory.write_text(b"0123456789").unwrap();
    for piece in 1..12 {
        let (memory, mut read) = (address.open().unwrap(), Vec::<u8>::new());
        let mut text = memory.text();
        let mut buffer = vec![0; piece];
        loop {
            match text.read(&mut buffer).unwrap() {
                0 => break,
                count => read.extend(&buffer[..count]),
            }
        }
        assert_eq!(read, b"0123456789", "in pieces of {piece}");
        assert_eq!(text.read(&mut buffer).unwrap(), 0, "the end stays the end");
    }
}

#[test]
fn only_a_file_grows() {
    let (key, name, folder) = (ScratchKey::new(), ScratchName::new(), tempfile::tempdir().unwrap());
    let sizes = addresses(&key, &name, &folder).map(|address| {
        let memory = address.create_new(10, 0o600).unwrap();
        memory.grow(20).unwrap();
        memory.size().unwrap()
    });
    assert_eq!(sizes, [10, 20, 20]);
}

#[test]
fn a_shmid_names_an_existing_segment_only() {
    let segment = RemoveOnDrop(Segment::create_private(100, 0o600).unwrap());
    let id = segment.0.id();
    let address = Address::from(id);
    let (memory, origin) = address.open_or_create(100, 0o600).unwrap();
    memory.write_text(b"hello").unwrap();
    assert_eq!((text(&address), origin), (b"hello".to_vec(), Origin::Opened));
    let too_small = Error::OutOfBounds { offset: 0, length: 101, size: 100 };
    assert_eq!(address.open_writable(101).unwrap_err(), too_small);
    assert_eq!(address.create_new(100, 0o600).unwrap_err(), Error::ChosenId { id });
    drop(memory);
    address.remove().unwrap();
    assert!(address.open().is_err());
}
