//! What is done with bytes that may be anything, a body a reader: shared by the mutation harness in
//! `tests/fuzz.rs` and the libFuzzer targets in `fuzz/`. A body may refuse; it may not panic, hang
//! or take memory beyond what the bytes account for.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use unmixel::rooms::io::{OpenOptions, estimate, library, mask, open, truth};
use unmixel::scene::{LoadOptions, Scene, load};

/// Name and body. The first argument is a folder of this process, in which the body may write.
pub type Body = (&'static str, fn(&Path, &[u8]));

/// All of them.
pub const BODIES: [Body; 15] = [
    ("npy", |folder, data| scene(folder, "scene.npy", data)),
    ("npz", |folder, data| scene(folder, "scene.npz", data)),
    ("mat", |folder, data| scene(folder, "scene.mat", data)),
    ("tiff", |folder, data| scene(folder, "scene.tif", data)),
    ("hdf5", |folder, data| scene(folder, "scene.h5", data)),
    ("envi", envi),
    ("zarr", zarr),
    ("enmap", enmap),
    ("csv", |folder, data| spectra(folder, "spectra.csv", data)),
    ("truth-npz", |folder, data| results(folder, "truth.npz", data)),
    ("truth-mat", |folder, data| results(folder, "truth.mat", data)),
    ("bench", bench),
    ("checkpoint", checkpoint),
    ("fit", fit),
    ("record", record),
];

/// Runs the body of that name: for targets that have one each.
#[allow(dead_code)]
pub fn run(name: &str, data: &[u8]) {
    if let Some((_, body)) = BODIES.iter().find(|(own, _)| *own == name) {
        body(folder(), data);
    }
}

/// A folder of this process, in memory where the system has such a place.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let shared = Path::new("/dev/shm");
        let root = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
        let folder = root.join(format!("unmixel-fuzz-{}", std::process::id()));
        let _ = std::fs::create_dir_all(&folder);
        folder
    })
}

fn put(folder: &Path, name: &str, data: &[u8]) -> PathBuf {
    let path = folder.join(name);
    let _ = std::fs::write(&path, data);
    path
}

fn read_scene(path: &Path) -> Option<Scene> {
    // Flat pixels need a size.
    for options in [OpenOptions::default(), OpenOptions { rows: Some(3), ..Default::default() }] {
        if let Ok(mut source) = open(path, &options)
            && let Ok(scene) = load(source.as_mut(), "fuzz", &LoadOptions::default())
        {
            return Some(scene);
        }
    }
    None
}

fn scene(folder: &Path, name: &str, data: &[u8]) {
    let path = put(folder, name, data);
    let _ = read_scene(&path);
    let _ = library::read(&path);
    let _ = mask::read(&path, 3, 4);
}

fn zarr(folder: &Path, data: &[u8]) {
    let _ = read_scene(&zarr_store(folder, data));
}

/// A Zarr store of the text that describes an array, a zero byte, and its only chunk. Text that
/// speaks of codecs is version 3.
pub fn zarr_store(folder: &Path, data: &[u8]) -> PathBuf {
    let at = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (text, chunk) = (&data[..at], data.get(at + 1..).unwrap_or_default());
    let third = text.windows(6).any(|word| word == b"codecs");
    let (store, mark, array, name) = match third {
        false => ("2.zarr", ".zgroup", "cube/.zarray", "cube/0.0.0"),
        true => ("3.zarr", "zarr.json", "cube/zarr.json", "cube/c/0/0/0"),
    };
    let store = folder.join(store);
    let _ = std::fs::create_dir_all(store.join("cube/c/0/0"));
    let group =
        format!(r#"{{"zarr_format": {}, "node_type": "group"}}"#, if third { 3 } else { 2 });
    put(&store, mark, group.as_bytes());
    put(&store, array, text);
    put(&store, name, chunk);
    store
}

/// The metadata beside a product of EnMAP are what is made up.
fn enmap(folder: &Path, data: &[u8]) {
    static TIFF: OnceLock<Vec<u8>> = OnceLock::new();
    let path = folder.join("ENMAP-SPECTRAL_IMAGE.TIF");
    if TIFF.get().is_none() {
        put(folder, "ENMAP-SPECTRAL_IMAGE.TIF", TIFF.get_or_init(|| tiff(|values| values)));
    }
    put(folder, "ENMAP-METADATA.XML", data);
    let _ = open(&path, &OpenOptions::default()).map(|source| source.header().clone());
}

/// A GeoTIFF of 3 x 4 pixels and 5 bands in one strip, of a few hundred bytes; the project's own
/// writer makes tiles of many more. `pack` takes the values and may compress them (zlib).
pub fn tiff(pack: fn(Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let values: Vec<f32> = (0..60).map(|i| 0.1 + 0.01 * i as f32).collect();
    let plain: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let data = pack(plain.clone());
    let shorts = |all: &[u16]| all.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let doubles = |all: &[f64]| all.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let compression = if data == plain { 1 } else { 8 };
    // Tag, type, count, bytes.
    let mut tags: Vec<(u16, u16, u32, Vec<u8>)> = vec![
        (256, 3, 1, shorts(&[4])),
        (257, 3, 1, shorts(&[3])),
        (258, 3, 5, shorts(&[32; 5])),
        (259, 3, 1, shorts(&[compression])),
        (262, 3, 1, shorts(&[1])),
        (273, 4, 1, vec![0; 4]),
        (277, 3, 1, shorts(&[5])),
        (278, 3, 1, shorts(&[3])),
        (279, 4, 1, (data.len() as u32).to_le_bytes().to_vec()),
        (284, 3, 1, shorts(&[1])),
        (339, 3, 5, shorts(&[3; 5])),
        (33550, 12, 3, doubles(&[30.0, 30.0, 0.0])),
        (33922, 12, 6, doubles(&[0.0, 0.0, 0.0, 5e5, 5e6, 0.0])),
        (34735, 3, 12, shorts(&[1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, 32633])),
        (42113, 2, 6, b"-9999\0".to_vec()),
    ];
    let after = 8 + 2 + 12 * tags.len() + 4;
    let longer: usize = tags.iter().map(|tag| tag.3.len()).filter(|&len| len > 4).sum();
    tags[5].3 = ((after + longer) as u32).to_le_bytes().to_vec();
    let mut out = b"II*\0\x08\0\0\0".to_vec();
    out.extend((tags.len() as u16).to_le_bytes());
    let mut rest = Vec::new();
    for (tag, kind, count, bytes) in tags {
        out.extend(tag.to_le_bytes());
        out.extend(kind.to_le_bytes());
        out.extend(count.to_le_bytes());
        if bytes.len() > 4 {
            out.extend(((after + rest.len()) as u32).to_le_bytes());
            rest.extend(bytes);
        } else {
            out.extend(&bytes);
            out.resize(out.len() + 4 - bytes.len(), 0);
        }
    }
    out.extend([0; 4]);
    out.extend(rest);
    out.extend(data);
    out
}

fn checkpoint(folder: &Path, data: &[u8]) {
    let _ = unmixel::Checkpoint::load(put(folder, "run.unmixel", data));
}

fn fit(folder: &Path, data: &[u8]) {
    let _ = unmixel::Fit::load(put(folder, "fit.unmixel", data));
}

/// The header is what is made up; the data have the size of the seed's.
fn envi(folder: &Path, data: &[u8]) {
    let path = put(folder, "scene.hdr", data);
    put(folder, "scene.img", &[63; 3 * 4 * 5 * 4]);
    let _ = read_scene(&path);
    let _ = library::read(&path);
}

fn spectra(folder: &Path, name: &str, data: &[u8]) {
    let _ = library::read(put(folder, name, data));
}

/// Truths, and results of other programs.
fn results(folder: &Path, name: &str, data: &[u8]) {
    let path = put(folder, name, data);
    let _ = truth::bands(&path);
    let _ = estimate::read(&path, Some(3), None);
    let _ = estimate::read(&path, None, None);
    static SCENE: OnceLock<Option<Scene>> = OnceLock::new();
    let scene = SCENE.get_or_init(|| {
        let settings =
            unmixel::simulate::Settings { rows: 3, cols: 4, bands: 5, ..Default::default() };
        unmixel::simulate::simulate(&settings).ok()?.scene("fuzz").ok()
    });
    if let Some(scene) = scene {
        let _ = truth::read(&path, scene);
    }
}

fn bench(folder: &Path, data: &[u8]) {
    let _ = unmixel::rooms::bench::Report::read(put(folder, "bench.json", data));
}

/// A record that says anything: it is checked, and results are written over what it names. What
/// lies beside must stay.
fn record(folder: &Path, data: &[u8]) {
    let out = folder.join("out");
    // What the inputs before have left would be more work with each of them.
    let _ = std::fs::remove_dir_all(&out);
    let _ = std::fs::create_dir(&out);
    for name in ["new.png", "old.png", "abundance_mean.npy"] {
        put(&out, name, b"a result");
    }
    put(folder, "outside.png", b"mine");
    put(&out, "thesis.txt", b"three years");
    put(&out, "record.json", data);
    let _ = unmixel::rooms::results::check(&out, &["abundance_mean.npy", "thesis.txt"]);
    let written = unmixel::rooms::results::OutputFolder::prepare(&out, true).and_then(|results| {
        results.write("new.png", |to| to.write_all(b"new"))?;
        results.commit("fit")
    });
    assert!(written.is_ok(), "{written:?}");
    let kept = |path: PathBuf, text: &str| std::fs::read_to_string(path).is_ok_and(|t| t == text);
    assert!(kept(folder.join("outside.png"), "mine"), "a file outside was touched");
    assert!(kept(out.join("thesis.txt"), "three years"), "a foreign file was touched");
}
