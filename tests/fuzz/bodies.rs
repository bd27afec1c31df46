//! What is done with bytes that may be anything, a body a reader: shared by the mutation harness in
//! `tests/fuzz.rs` and the libFuzzer targets in `fuzz/`. A body may refuse; it may not panic, hang
//! or take memory beyond what the bytes account for.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use unmixel::rooms::io::{OpenOptions, estimate, library, open, truth};
use unmixel::scene::{LoadOptions, Scene, load};

/// Name and body. The first argument is a folder of this process, in which the body may write.
pub type Body = (&'static str, fn(&Path, &[u8]));

/// All of them.
pub const BODIES: [Body; 9] = [
    ("npy", |folder, data| scene(folder, "scene.npy", data)),
    ("npz", |folder, data| scene(folder, "scene.npz", data)),
    ("mat", |folder, data| scene(folder, "scene.mat", data)),
    ("envi", envi),
    ("csv", |folder, data| spectra(folder, "spectra.csv", data)),
    ("truth-npz", |folder, data| results(folder, "truth.npz", data)),
    ("truth-mat", |folder, data| results(folder, "truth.mat", data)),
    ("bench", bench),
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
    let _ = std::fs::create_dir(&out);
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
