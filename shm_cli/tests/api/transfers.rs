//! Transfers between a descriptor and memory, at the edges of pieces, words and ranges.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;

use shm_cli::Checksum;
use shm_cli::progress::Progress;
use shm_cli::transfer::{EndReason, Filled, TransferError, drain, fill};
use shm_core::{Address, Descriptor, Error, Key, Segment};
use shm_testkit::scratch::{ScratchKey, ScratchName};

/// The piece size for a file into a segment. Other transfers use 256 KiB, which divides it.
const PIECE: usize = 2 * 1024 * 1024;

/// Bytes without a NUL that change with every shift or exchange of pieces.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8 | 1
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Fills memory of `size` bytes from offset 5; returns the outcome, the checksum and the bytes of
/// the memory.
fn filled(
    address: &Address,
    size: usize,
    input: Input,
    summed: bool,
) -> (Filled, Checksum, Vec<u8>) {
    let memory = address.create_new(size, 0o600).unwrap();
    let (mut sum, mut progress) = (Checksum::default(), Progress::new(None));
    let mut take = |source: BorrowedFd| {
        let sum = summed.then_some(&mut sum);
        fill(&memory, 5..size as u64, Descriptor(source), sum, &mut progress).unwrap()
    };
    let filled = match input {
        Input::Pipe(bytes) => thread::scope(|scope| {
            let (reader, mut writer) = io::pipe().unwrap();
            scope.spawn(move || {
                // `fill` does not read bytes after a NUL or after the range.
                bytes.chunks(10_007).try_for_each(|chunk| writer.write_all(chunk)).ok();
            });
            take(reader.as_fd())
        }),
        Input::File(bytes) => {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(b"read before").unwrap();
            let start = file.stream_position().unwrap();
            file.write_all(bytes).unwrap();
            file.seek(io::SeekFrom::Start(start)).unwrap();
            let filled = take(file.as_fd());
            assert_eq!(file.stream_position().unwrap(), start + filled.end - 5);
            filled
        }
    };
    let mut bytes = vec![0; size];
    let read = address.open().unwrap().read_at(0, &mut bytes).unwrap();
    assert_eq!(read, size);
    address.remove().unwrap();
    (filled, sum, bytes)
}

/// The source of a text.
#[derive(Clone, Copy)]
enum Input<'a> {
    Pipe(&'a [u8]),
    File(&'a [u8]),
}

#[test]
fn fill_stops_at_the_end_of_input_at_a_nul_or_at_the_end_of_the_range() {
    let (key, name, folder) = (ScratchKey::new(), ScratchName::new(), tempfile::tempdir().unwrap());
    let addresses =
        [(*key).into(), Address::File(name.location()), folder.path().join("file").into()];
    let text = noise(3 * PIECE + 77);
    let size = 2 * PIECE + 50;
    for (length, nul, stop) in [
        (0, None, EndReason::Input),
        (1, None, EndReason::Input),
        (PIECE, None, EndReason::Input),
        (PIECE + 1, None, EndReason::Input),
        (size - 5, None, EndReason::Input),
        (size - 4, None, EndReason::Room),
        (text.len(), None, EndReason::Room),
        (size, Some(0), EndReason::Nul),
        (size, Some(PIECE - 1), EndReason::Nul),
        (size, Some(PIECE), EndReason::Nul),
        (size, Some(PIECE + 1), EndReason::Nul),
        (size - 5, Some(size - 6), EndReason::Nul),
    ] {
        let mut input = text[..length].to_vec();
        if let Some(nul) = nul {
            input[nul] = 0;
        }
        let moved = nul.unwrap_or(length.min(size - 5));
        let kinds = [Input::Pipe(&input), Input::File(&input)];
        let cases = kinds.iter().flat_map(|kind| [(kind, false), (kind, true)]);
        for ((kind, summed), address) in
            cases.flat_map(|it| addresses.iter().map(move |to| (it, to)))
        {
            let file = matches!(kind, Input::File(_));
            let about = format!("{} {length} {nul:?} {file} {summed}", address.mechanism());
            let (filled, sum, bytes) = filled(address, size, *kind, summed);
            assert_eq!(filled, Filled { end: 5 + moved as u64, stop }, "{about}");
            assert!(bytes[5..5 + moved] == text[..moved], "{about}");
            assert_eq!(bytes[..5], [0; 5], "{about}");
            let mut expected = Checksum::default();
            expected.update(if summed { &text[..moved] } else { b"" });
            assert_eq!(sum.to_string(), expected.to_string(), "{about}");
        }
    }
}

#[test]
fn read_errors_of_the_input_differ_from_write_errors_of_the_memory() {
    let (key, name) = (ScratchKey::new(), ScratchName::new());
    let folder = File::open("/").unwrap();
    for address in [Address::from(*key), Address::File(name.location())] {
        let memory = address.create_new(100, 0o600).unwrap();
        let fill = |source: &File| {
            fill(&memory, 0..100, Descriptor(source.as_fd()), None, &mut Progress::new(None))
        };
        let error = fill(&folder).unwrap_err();
        assert!(
            matches!(error, TransferError::Descriptor(error) if error.raw_os_error() == Some(21))
        );
        if let Address::File(location) = &address {
            let object = File::options().write(true).open(location.path()).unwrap();
            object.set_len(10).unwrap();
            let mut input = tempfile::tempfile().unwrap();
            input.write_all(&[b'x'; 100]).unwrap();
            input.rewind().unwrap();
            assert!(matches!(fill(&input).unwrap_err(), TransferError::Memory(_)));
        }
    }
}

#[test]
fn drain_writes_the_text_up_to_its_nul_at_any_position() {
    let key = ScratchKey::new();
    let size = 2 * PIECE + 77;
    let segment = Segment::create_new(*key, size, 0o600).unwrap();
    let (writer, reader) = (segment.attach_writable().unwrap(), segment.attach().unwrap());
    let text = noise(size);
    let around = |place: usize| place.saturating_sub(9)..(place + 9).min(size);
    let places = [0, 64, PIECE, 2 * PIECE, size].into_iter().flat_map(around);
    for nul in places.map(Some).chain([None]) {
        writer.write_at(0, &text).unwrap();
        let length = nul.unwrap_or(size);
        if let Some(nul) = nul {
            writer.write_at(nul, &[0]).unwrap();
        }
        let mut output = tempfile::tempfile().unwrap();
        let written = drain(&reader, output.as_fd(), &mut Progress::new(None)).unwrap();
        let mut bytes = Vec::new();
        output.rewind().unwrap();
        output.read_to_end(&mut bytes).unwrap();
        assert_eq!((written, bytes.len()), (length as u64, length), "{nul:?}");
        assert!(bytes == text[..length], "{nul:?}");
    }
}

#[test]
fn a_range_outside_the_memory_is_refused_before_any_transfer() {
    let key = ScratchKey::new();
    let memory = Address::from(*key).create_new(100, 0o600).unwrap();
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(&[b'x'; 300]).unwrap();
    for (start, end) in [(0, 200), (500, 900), (90, 80)] {
        let room = start..end;
        let mut progress = Progress::new(None);
        let error =
            fill(&memory, room, Descriptor(reader.as_fd()), None, &mut progress).unwrap_err();
        assert!(matches!(error, TransferError::Memory(Error::OutOfBounds { .. })), "{error:?}");
    }
    let mut first = [1];
    Address::from(*key).open().unwrap().read_at(0, &mut first).unwrap();
    assert_eq!(first, [0]);
}

#[test]
fn kernel_files_and_offsets_past_the_end_are_read_correctly() {
    let key = ScratchKey::new();
    let memory = Address::from(*key).create_new(1 << 16, 0o600).unwrap();
    let taken = |file: &File| {
        let room = 0..1 << 16;
        let filled =
            fill(&memory, room, Descriptor(file.as_fd()), None, &mut Progress::new(None)).unwrap();
        assert_eq!(filled.stop, EndReason::Input);
        let mut text = vec![0; usize::try_from(filled.end).unwrap()];
        Address::from(*key).open().unwrap().read_at(0, &mut text).unwrap();
        text
    };
    // The kernel reports a length of 0 for the first file, and of a page for the second.
    for path in ["/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled"] {
        let Ok(text) = std::fs::read(path) else { continue };
        assert_eq!(taken(&File::open(path).unwrap()), text, "{path}");
    }
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"read before").unwrap();
    for place in [11, 500] {
        file.seek(io::SeekFrom::Start(place)).unwrap();
        assert_eq!(taken(&file), b"");
        assert_eq!(file.stream_position().unwrap(), place);
    }
}

#[test]
fn a_file_that_changes_its_size_during_the_read_gives_only_its_own_bytes() {
    let key = ScratchKey::new();
    let size = 8 * PIECE;
    let memory = Address::from(*key).create_new(size, 0o600).unwrap();
    for round in 0..6 {
        let mut file = tempfile::tempfile().unwrap();
        let letter = b'a' + round;
        file.write_all(&vec![letter; 4 * PIECE]).unwrap();
        file.rewind().unwrap();
        let other = file.try_clone().unwrap();
        let filled = thread::scope(|scope| {
            let lengths = [if round % 2 == 0 { PIECE / 2 } else { 6 * PIECE }, 3 * PIECE];
            scope.spawn(move || lengths.map(|length| other.set_len(length as u64).unwrap()));
            let room = 0..size as u64;
            fill(&memory, room, Descriptor(file.as_fd()), None, &mut Progress::new(None)).unwrap()
        });
        let mut text = vec![0; usize::try_from(filled.end).unwrap()];
        Address::from(*key).open().unwrap().read_at(0, &mut text).unwrap();
        assert!(text.iter().all(|byte| *byte == letter), "round {round}: {filled:?}");
        assert_eq!(Segment::find(*key).unwrap().stat().unwrap().nattch, 1);
    }
}

/// The resident bytes of a segment.
fn resident(key: Key) -> u64 {
    let id = Segment::find(key).unwrap().id().0;
    let table = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
    let fields = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let row = table.lines().map(fields).find(|row| row[1] == id.to_string()).unwrap();
    row[14].parse().unwrap()
}

/// The bytes that are allocated ahead of a possible end: 256 KiB, and some pages.
const MADE_AHEAD: usize = 2 * 256 * 1024;

#[test]
fn reading_and_writing_a_short_text_touches_little_memory() {
    let key = ScratchKey::new();
    let memory = Address::from(*key).create_new(64 << 20, 0o600).unwrap();
    memory.write_text(b"hello").unwrap();
    let mut output = tempfile::tempfile().unwrap();
    let reader = Segment::open(*key).unwrap().attach().unwrap();
    drain(&reader, output.as_fd(), &mut Progress::new(None)).unwrap();
    output.rewind().unwrap();
    assert_eq!(io::read_to_string(&mut output).unwrap(), "hello");
    assert!(resident(*key) < 64 << 10, "{}", resident(*key));

    let mut input = tempfile::tempfile().unwrap();
    input.write_all(&noise(100)).unwrap();
    input.rewind().unwrap();
    let mut progress = Progress::new(None);
    fill(&memory, 5..64 << 20, Descriptor(input.as_fd()), None, &mut progress).unwrap();
    assert!(resident(*key) < 64 << 10, "{}", resident(*key));

    // For a longer text, some memory ahead of its possible end is allocated.
    let text = noise(PIECE + 5);
    memory.write_text(&text).unwrap();
    drain(&reader, output.as_fd(), &mut Progress::new(None)).unwrap();
    assert!(resident(*key) < (PIECE + MADE_AHEAD) as u64, "{}", resident(*key));
    let (reader, mut writer) = io::pipe().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || writer.write_all(&text).unwrap());
        let mut progress = Progress::new(None);
        fill(&memory, 5..64 << 20, Descriptor(reader.as_fd()), None, &mut progress).unwrap();
    });
    assert!(resident(*key) < (PIECE + MADE_AHEAD) as u64, "{}", resident(*key));
}
