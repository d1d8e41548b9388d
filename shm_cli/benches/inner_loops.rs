//! Measures the loops over bytes and over segments: `cargo bench -p shm_cli`.

use std::hint::black_box;
use std::io::{Read, Write, sink};
use std::process;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shm_cli::text::{Escaped, Spaced};
use shm_core::segment::RemoveOnDrop;
use shm_core::table::{self, Row, Table};
use shm_core::{Address, Key, Segment};

/// More than the inner caches of a processor hold.
const MIB: usize = 4;

/// Writes a text to memory and reads it up to its NUL.
fn memory(criterion: &mut Criterion) {
    let size = MIB << 20;
    // Unique to this process, and below the keys of tests.
    let key = Key::new(0x3000_0000 | process::id().cast_signed()).expect("it is not 0");
    let address = Address::from(key);
    let writable = address.create_new(size, 0o600).expect("a segment can be made");
    let _guard = RemoveOnDrop(Segment::find(key).expect("it is there"));
    let text = vec![b'x'; size - 1];
    writable.write_text(&text).expect("it fits");
    let readable = address.open().expect("it is there");
    let mut buffer = vec![0; 64 << 10];

    let mut group = criterion.benchmark_group("memory");
    group.throughput(Throughput::Bytes(size as u64));
    group.bench_function("write_text", |bencher| {
        bencher.iter(|| writable.write_text(black_box(&text)));
    });
    group.bench_function("text", |bencher| {
        bencher.iter(|| {
            let mut text = readable.text();
            while text.read(&mut buffer).is_ok_and(|length| length > 0) {}
        });
    });
    group.finish();
}

/// Formats a text for output.
fn output(criterion: &mut Criterion) {
    let text = "A line with a control character \x07 and a wide one, 共.\n".repeat(1000);
    let mut group = criterion.benchmark_group("output");
    group.throughput(Throughput::Bytes(text.len() as u64));
    for (name, escape) in [("spaced", false), ("spaced and escaped", true)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| Spaced::new(sink(), escape).write_all(black_box(text.as_bytes())));
        });
    }
    group.bench_function("escaped", |bencher| {
        bencher.iter(|| {
            let mut escaped = Escaped::new(sink());
            escaped.write_all(black_box(text.as_bytes()))?;
            escaped.finish().map(drop)
        });
    });
    group.finish();
}

/// Parses and formats a listing with the default maximum of segments.
fn listing(criterion: &mut Criterion) {
    const SEGMENTS: u32 = 4096;
    let heading =
        "key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap";
    let line = |index: u32| {
        format!("{index} {index} 666 1024 11 12 0 0 0 0 0 1700000001 1700000002 1700000003 4096 0")
    };
    let lines: Vec<_> = [heading.to_owned()].into_iter().chain((0..SEGMENTS).map(line)).collect();
    let text = lines.join("\n");
    let stats = table::parse_proc(&text).expect("it is as the kernel prints it");

    let mut group = criterion.benchmark_group("listing");
    group.throughput(Throughput::Elements(SEGMENTS.into()));
    group.bench_function("parse_proc", |bencher| {
        bencher.iter(|| table::parse_proc(black_box(&text)));
    });
    group.bench_function("table", |bencher| {
        bencher.iter(|| {
            let rows = black_box(&stats).iter().map(|stat| Row::new(stat, Some("root")));
            Table(rows.collect()).to_string()
        });
    });
    group.finish();
}

criterion_group!(benches, memory, output, listing);
criterion_main!(benches);
