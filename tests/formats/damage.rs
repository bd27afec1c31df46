//! Damaged and cut TIFF, HDF5, NetCDF-4 and MATLAB 7.3 files: an error or other values, never a
//! panic, never long, never more memory than 64 MiB and the file's own size in one piece; and a cut
//! file is never read to its end.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use unmixel::rooms::io::{self, OpenOptions};

/// The system's allocator, with a note of the largest piece that was asked for.
struct Noting;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Noting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Noting = Noting;

/// One file of each reader and of each way to store blocks.
const FILES: [&str; 16] = [
    "pixel-strips-deflate-p2.tif",
    "band-tiles-lzw-p3.tif",
    "band-strips-zstd.tif",
    "pixel-tiles-lerc.tif",
    "pixel-strips-packbits.tif",
    "bigtiff.tif",
    "big-endian-bigtiff.tif",
    "imagery.tif",
    "h5-earliest-shuffle.h5",
    "h5-latest-gzip.h5",
    "h5-latest-lzf.h5",
    "h5-earliest-contiguous.h5",
    "emit.nc",
    "prisma.he5",
    "neon.h5",
    "mat73-flat.mat",
];
/// One file may take this long on a busy machine; a hang takes for ever.
const LONGEST: Duration = Duration::from_secs(20);

/// Reads all rows, in windows of eight.
fn read(path: &Path) -> unmixel::Result<()> {
    let mut source = io::open(path, &OpenOptions::default())?;
    let header = source.header().clone();
    let row = header.cols.saturating_mul(header.bands);
    // A reader may believe a damaged header that asks for more; `load` refuses it later.
    if row > 1 << 22 {
        return Ok(());
    }
    let mut out = vec![0.0; 8 * row];
    for first in (0..header.rows.min(4096)).step_by(8) {
        let count = 8.min(header.rows - first);
        source.read_rows(first, count, &mut out[..count * row])?;
    }
    Ok(())
}

/// Reads `bytes` as a file of this name, and checks time and memory.
fn try_read(folder: &Path, name: &str, bytes: &[u8]) -> unmixel::Result<()> {
    let path = folder.join(format!("damaged-{name}"));
    std::fs::write(&path, bytes).unwrap();
    LARGEST.store(0, Ordering::Relaxed);
    let begin = Instant::now();
    let result = read(&path);
    assert!(begin.elapsed() < LONGEST, "{name} took {:?}", begin.elapsed());
    // The block of rows that the test itself asks for is part of it.
    let most = (64 << 20) + bytes.len() + (8 << 22) * 4;
    let largest = LARGEST.load(Ordering::Relaxed);
    assert!(largest <= most, "{name} asked for {largest} bytes at once");
    result
}

/// One store of each compressor and of each way to lay out chunks.
const STORES: [&str; 16] = [
    "zarr2-none.zarr",
    "zarr2-zlib-F.zarr",
    "zarr2-gzip.zarr",
    "zarr2-lz4.zarr",
    "zarr2-blosc-blosclz-1.zarr",
    "zarr2-blosc-lz4-2.zarr",
    "zarr2-blosc-lz4hc-1-f8.zarr",
    "zarr2-blosc-zlib-0.zarr",
    "zarr2-blosc-zstd-1.zarr",
    "zarr2-delta.zarr",
    "zarr2-fixed.zarr",
    "zarr3-zstd.zarr",
    "zarr3-sharded.zarr",
    "zarr3-transposed.zarr",
    "xarray2-fill.zarr",
    "xarray3-plain.zarr",
];

#[test]
fn damaged_stores_are_errors_or_other_values() {
    let Some((folder, _)) = super::files() else { return };
    if !super::has_more(&super::python().unwrap()) {
        return;
    }
    let rounds: usize = std::env::var("UNMIXEL_DAMAGE").map_or(40, |n| n.parse().unwrap());
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let (mut errors, mut values) = (0, 0);
    for name in STORES {
        let store = folder.path().join(name);
        read(&store).unwrap();
        let mut files = Vec::new();
        list(&store, &mut files);
        for round in 0..rounds {
            let path = &files[rng.random_range(0..files.len())];
            let sound = std::fs::read(path).unwrap();
            let mut bytes = sound.clone();
            let chunk = path.extension().is_none_or(|e| e != "json")
                && !path.file_name().unwrap().to_str().unwrap().starts_with('.');
            if round % 3 == 0 {
                bytes.truncate(rng.random_range(0..sound.len()));
            } else {
                for _ in 0..rng.random_range(1..6) {
                    let reach = bytes.len().min(1 << rng.random_range(4..16));
                    let at = rng.random_range(0..reach);
                    bytes[at] = [0, 1, b'9', 0x80, 0xff, rng.random()][rng.random_range(0..6)];
                }
            }
            std::fs::write(path, &bytes).unwrap();
            LARGEST.store(0, Ordering::Relaxed);
            let begin = Instant::now();
            let result = read(&store);
            assert!(begin.elapsed() < LONGEST, "{} took {:?}", path.display(), begin.elapsed());
            let largest = LARGEST.load(Ordering::Relaxed);
            // The size of the store is at most a few hundred kilobytes.
            assert!(largest <= (65 << 20) + (8 << 22) * 4, "{}: {largest}", path.display());
            if round % 3 == 0 && chunk && path.to_str().unwrap().contains("reflectance") {
                assert!(
                    result.is_err(),
                    "{} cut to {} bytes was read",
                    path.display(),
                    bytes.len()
                );
            }
            match result {
                Ok(()) => values += 1,
                Err(_) => errors += 1,
            }
            std::fs::write(path, &sound).unwrap();
        }
    }
    assert!(errors > 10 && values > 10, "{errors} {values}");
}

fn list(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { list(&path, files) } else { files.push(path) }
    }
    files.sort();
}

#[test]
fn damage_is_an_error_or_other_values_never_a_panic() {
    let Some((folder, _)) = super::files() else { return };
    let rounds: usize = std::env::var("UNMIXEL_DAMAGE").map_or(40, |n| n.parse().unwrap());
    let rng = &mut ChaCha8Rng::seed_from_u64(5);
    let (mut errors, mut values) = (0, 0);
    for name in FILES {
        let sound = std::fs::read(folder.path().join(name)).unwrap();
        try_read(folder.path(), name, &sound).unwrap();
        for part in 0..20 {
            let length = sound.len() * part / 20;
            let cut = try_read(folder.path(), name, &sound[..length]);
            assert!(cut.is_err(), "{name} cut to {length} of {} bytes was read", sound.len());
        }
        assert!(
            try_read(folder.path(), name, &sound[..sound.len() - 1]).is_err(),
            "{name} less a byte was read"
        );
        for _ in 0..rounds {
            let mut bytes = sound.clone();
            for _ in 0..rng.random_range(1..6) {
                // Headers lie at the start or the end, mostly.
                let reach = bytes.len().min(1 << rng.random_range(4..20));
                let near = rng.random_range(0..reach);
                let at = if rng.random_bool(0.3) { bytes.len() - 1 - near } else { near };
                let values = [0, 1, 0x7f, 0x80, 0xff, rng.random()];
                bytes[at] = values[rng.random_range(0..6)];
            }
            match try_read(folder.path(), name, &bytes) {
                Ok(()) => values += 1,
                Err(_) => errors += 1,
            }
        }
    }
    // The damage reaches the readers: some of it is seen, some of it is just other values.
    assert!(errors > 10 && values > 10, "{errors} {values}");
}
