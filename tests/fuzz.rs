//! Readers under mutated inputs: a plain harness that runs everywhere. `UNMIXEL_FUZZ_RUNS` is the
//! number of inputs a reader (default: as many as two seconds hold), `UNMIXEL_FUZZ_READER` picks
//! one reader, `UNMIXEL_FUZZ_SEED` the random numbers. `scripts/fuzz.sh` runs a million of each.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

#[cfg(feature = "cli")]
#[path = "fuzz/arguments.rs"]
mod arguments;
#[path = "fuzz/bodies.rs"]
mod bodies;
#[path = "common/mat5.rs"]
mod mat5;
#[path = "common/zarr.rs"]
mod zarr;

use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::ChaCha8Rng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use unmixel::rooms::io::{write_envi, write_npz, write_truth};
use unmixel::rooms::results::OutputFolder;
use unmixel::simulate::{Settings, simulate};

/// A reader that takes longer for a few kilobytes hangs.
const SLOW: Duration = Duration::from_secs(5);

/// All bodies, those that take the program and not only the library included.
fn all_bodies() -> Vec<bodies::Body> {
    #[cfg(feature = "cli")]
    let more: [bodies::Body; 1] = [("arguments", arguments::body)];
    #[cfg(not(feature = "cli"))]
    let more: [bodies::Body; 0] = [];
    bodies::BODIES.into_iter().chain(more).collect()
}

/// A checkpoint and the result of a small fit, as they are saved.
fn saved(reader: &str) -> Vec<u8> {
    let settings = Settings { rows: 3, cols: 4, bands: 5, ..Default::default() };
    let scene = simulate(&settings).unwrap().scene("saved").unwrap();
    let unmixing =
        unmixel::Unmixing::new(2).steps(60).init(unmixel::Init::Vca).device(unmixel::Device::cpu());
    let mut run = unmixing.start(&scene).unwrap();
    run.advance().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("saved");
    match reader {
        "checkpoint" => run.checkpoint().unwrap().save(&path).unwrap(),
        _ => run.finish().unwrap().save(&path).unwrap(),
    }
    std::fs::read(path).unwrap()
}

fn zlib(bytes: Vec<u8>) -> Vec<u8> {
    use std::io::Write;
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), Default::default());
    packed.write_all(&bytes).unwrap();
    packed.finish().unwrap()
}

/// A matrix as MATLAB's fourth version has it: type, rows, columns, complex, length of the name.
fn mat4(name: &str, (rows, cols): (u32, u32), values: &[f64]) -> Vec<u8> {
    let words = [0, rows, cols, 0, name.len() as u32 + 1];
    let mut out: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    out.extend(name.as_bytes());
    out.push(0);
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    out
}

const ENMAP: &str = "<level_X><specific><bandCharacterisation><bandID \
    number=\"1\"><wavelengthCenterOfBand>418.4</wavelengthCenterOfBand><FWHMOfBand>6.9</FWHMOfBand>\
    <GainOfBand>0.0001</GainOfBand><OffsetOfBand>0</OffsetOfBand></bandID><bandID number=\"2\">\
    <wavelengthCenterOfBand>423.8</wavelengthCenterOfBand><FWHMOfBand>6.6</FWHMOfBand><GainOfBand>\
    0.0001</GainOfBand><OffsetOfBand>0</OffsetOfBand></bandID></bandCharacterisation></specific>\
    </level_X>";

/// Command lines, one argument a line.
const LINES: [&str; 4] = [
    "fit\nscene.npz\n-k\n3\n--out\no\n--device\ncpu\n--names\na,b,c\n--window\n0:3,1:4",
    "fit\nscene.mat\n-k\nauto\n--effective-bands\n16\n--concentration\nlearn\n--search\n5s",
    "simulate\n--rows\n3\n--cols\n4\n--brightness\n0.3\n--no-data\n0.1\n--seed\n7",
    "score\nresults\n--truth\nt.npz\n--endmembers\ne.csv\n--convention\npeak\n--json",
];

/// Inputs that the project's own writers make, by reader; HDF5, which it does not write, by h5py.
fn seeds(reader: &str) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let read = |name: &str| std::fs::read(at(name)).unwrap();
    let settings = Settings { rows: 3, cols: 4, bands: 5, ..Default::default() };
    let made = simulate(&settings).unwrap();
    let flat: Vec<f64> = made.cube.iter().map(|&y| y.into()).collect();
    let npy = |array: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        array(&mut out);
        out
    };
    let variables = |compressed| {
        let cube = mat5::Var::double("V", &[5, 12], flat.clone());
        let (rows, cols) = (
            mat5::Var::double("nRow", &[1, 1], vec![3.0]),
            mat5::Var::double("nCol", &[1, 1], vec![4.0]),
        );
        mat5::file(&[cube, rows, cols], false, compressed)
    };
    match reader {
        "npy" => vec![
            npy(&|out| unmixel::rooms::results::write_npy(&made.cube, out).unwrap()),
            npy(&|out| {
                use ndarray_npy::WriteNpyExt;
                made.cube.mapv(|y| (1e4 * y) as i16).reversed_axes().write_npy(out).unwrap();
            }),
        ],
        "npz" => {
            write_npz(at("a.npz"), made.cube.view(), Some(&made.wavelengths)).unwrap();
            let file = std::fs::File::create(at("b.npz")).unwrap();
            let mut stored = ndarray_npy::NpzWriter::new(file);
            stored.add_array("cube", &made.cube).unwrap();
            stored.finish().unwrap();
            vec![read("a.npz"), read("b.npz")]
        }
        "mat" => {
            let mut of_version_4 = mat4("V", (5, 12), &flat);
            of_version_4.extend(mat4("nRow", (1, 1), &[3.0]));
            of_version_4.extend(mat4("nCol", (1, 1), &[4.0]));
            vec![variables(false), variables(true), of_version_4]
        }
        "tiff" => vec![bodies::tiff(|values| values), bodies::tiff(zlib)],
        "hdf5" => ["contiguous-earliest", "chunked-latest", "lzf-latest"]
            .map(|name| {
                let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds");
                std::fs::read(seeds.join(name).with_extension("h5")).unwrap()
            })
            .to_vec(),
        "zarr" => zarr::small_stores()
            .into_iter()
            .map(|(array, chunk)| [array.to_string().as_bytes(), b"\0", &chunk].concat())
            .collect(),
        "enmap" => vec![ENMAP.into()],
        "checkpoint" | "fit" => vec![saved(reader)],
        "arguments" => LINES.map(|line| line.as_bytes().to_vec()).to_vec(),
        "envi" => {
            let nm = Some(&made.wavelengths[..]);
            write_envi(at("a.img"), made.cube.view(), nm, Some(-9999.0)).unwrap();
            let more = b"ENVI\nsamples = 4\nlines = 3\nbands = 5\ndata type = 4\ninterleave = \
                bsq\nbbl = {1,1,0,1,1}\nreflectance scale factor = 10000\ndata gain values = \
                {1,1,1,1,1}\nwavelength units = Micrometers\nwavelength = \
                {0.4,0.5,0.6,0.7,0.8}\nfile type = ENVI Spectral Library\nspectra names = {a, b, \
                c}\n";
            vec![read("a.hdr"), more.to_vec()]
        }
        "csv" => vec![
            b"name,400,500,600\nsoil,0.1,0.2,0.3\ntree,0.2,,0.1\n".to_vec(),
            b"band,wavelength_nm,soil_mean,soil_sd,soil_q05,soil_q95\n\
              1,400,0.1,0.01,0.09,0.11\n2,500,0.2,0.01,0.19,0.21\n"
                .to_vec(),
            b"# made up\nwavelength,a,b\n400,0.1,0.2\n500,0.3,0.4\n".to_vec(),
        ],
        "truth-npz" => {
            write_truth(at("a.npz"), made.endmembers.view(), made.abundances.view()).unwrap();
            vec![read("a.npz")]
        }
        "truth-mat" => {
            let abundances: Vec<f64> = made.abundances.iter().map(|&w| w.into()).collect();
            let spectra: Vec<f64> = made.endmembers.iter().copied().collect();
            let a = mat5::Var::double("A", &[3, 12], abundances);
            let m = mat5::Var::double("M", &[5, 3], spectra);
            vec![mat5::file(&[m, a], true, false)]
        }
        "bench" => vec![
            br#"{"unmixel":"0.1.0","host":{"os":"x","cpu":"y"},
                "devices":[{"device":{"name":"CPU"},"cases":[]}]}"#
                .to_vec(),
        ],
        "record" => {
            let results = OutputFolder::prepare(at("out"), false).unwrap();
            for name in ["new.png", "old.png", "abundance_mean.npy"] {
                results.write(name, |to| to.write_all(b"a result")).unwrap();
            }
            results.commit("fit").unwrap();
            vec![read("out/record.json")]
        }
        other => panic!("no seeds for {other}"),
    }
}

/// Tokens of a dictionary in libFuzzer's form, one in quotes a line.
fn dictionary(reader: &str) -> Vec<Vec<u8>> {
    let name = match reader {
        "npy" | "npz" | "truth-npz" => "npy",
        "mat" | "truth-mat" => "mat",
        "bench" | "record" | "checkpoint" | "fit" => "json",
        "enmap" => "xml",
        other => other,
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/dictionaries/{name}.dict"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let tokens = text.lines().filter(|line| line.starts_with('"')).map(|line| unquote(line.trim()));
    let tokens: Vec<Vec<u8>> = tokens.collect();
    assert!(tokens.len() > 5, "{name}");
    tokens
}

fn unquote(line: &str) -> Vec<u8> {
    let inner = line.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap();
    let (mut out, mut rest) = (Vec::new(), inner.as_bytes());
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'\\' {
            out.push(first);
        } else if let [b'x', a, b, tail @ ..] = rest {
            let digits = String::from_utf8(vec![*a, *b]).unwrap();
            out.push(u8::from_str_radix(&digits, 16).unwrap());
            rest = tail;
        } else {
            out.push(rest[0]);
            rest = &rest[1..];
        }
    }
    out
}

const SIZES: [u32; 10] = [0, 1, 2, 5, 127, 65_535, 1 << 20, 1 << 31, u32::MAX - 7, u32::MAX];

/// One to eight changes.
fn mutate(bytes: &mut Vec<u8>, words: &[Vec<u8>], rng: &mut ChaCha8Rng) {
    for _ in 0..rng.random_range(1..=8) {
        let len = bytes.len();
        let at = rng.random_range(0..=len);
        let end = (at + rng.random_range(0..32)).min(len);
        match rng.random_range(0..9) {
            0 if at < len => bytes[at] ^= 1 << rng.random_range(0..8),
            1 if at < len => bytes[at] = rng.random(),
            2 => {
                bytes.splice(at..end, words.choose(rng).into_iter().flatten().copied());
            }
            3 => {
                bytes.splice(at..at, words.choose(rng).into_iter().flatten().copied());
            }
            4 => {
                bytes.drain(at..end);
            }
            5 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            6 => bytes.truncate(at),
            7 if at + 4 <= len => {
                let word = *SIZES.choose(rng).unwrap();
                let word = if rng.random() { word.to_le_bytes() } else { word.to_be_bytes() };
                bytes[at..at + 4].copy_from_slice(&word);
            }
            _ => bytes.extend((0..rng.random_range(0..16)).map(|_| rng.random::<u8>())),
        }
        bytes.truncate(1 << 16);
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// Runs one reader; the number of inputs and the slowest.
fn fuzz(reader: &str, body: fn(&Path, &[u8])) -> (u64, Duration) {
    let (seeds, words) = (seeds(reader), dictionary(reader));
    let rng = &mut ChaCha8Rng::seed_from_u64(number("UNMIXEL_FUZZ_SEED").unwrap_or(1));
    let runs = number("UNMIXEL_FUZZ_RUNS");
    let (begin, mut slowest, mut done) = (Instant::now(), Duration::ZERO, 0);
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{reader}.bin"));
    for seed in &seeds {
        body(bodies::folder(), seed);
    }
    while runs.map_or(begin.elapsed() < Duration::from_secs(2), |runs| done < runs) {
        let mut input = seeds.choose(rng).unwrap().clone();
        mutate(&mut input, &words, rng);
        let start = Instant::now();
        let survived = std::panic::catch_unwind(|| body(bodies::folder(), &input));
        let took = start.elapsed();
        if survived.is_err() || took > SLOW {
            std::fs::write(&kept, &input).unwrap();
            panic!(
                "{reader}: input number {done} took {took:?}, or panicked; it is {}",
                kept.display()
            );
        }
        (slowest, done) = (slowest.max(took), done + 1);
    }
    (done, slowest)
}

#[test]
fn readers_survive_any_bytes() {
    let wanted = std::env::var("UNMIXEL_FUZZ_READER").ok();
    let all = all_bodies();
    let chosen = all.iter().filter(|(name, _)| wanted.as_deref().is_none_or(|w| w == *name));
    for &(reader, body) in chosen {
        let (begin, (done, slowest)) = (Instant::now(), fuzz(reader, body));
        assert!(done > 20, "{reader}: {done} inputs in two seconds are none");
        let seconds = begin.elapsed().as_secs_f64();
        eprintln!("{reader}: {done} inputs in {seconds:.0} s, the slowest took {slowest:.1?}");
    }
    let _ = std::fs::remove_dir_all(bodies::folder());
}

#[test]
fn seeds_are_what_the_readers_take() {
    // Else the mutants would all end at the first byte.
    let folder = tempfile::tempdir().unwrap();
    for (reader, name) in
        [("npy", "a.npy"), ("npz", "a.npz"), ("mat", "a.mat"), ("tiff", "a.tif"), ("hdf5", "a.h5")]
    {
        for seed in seeds(reader) {
            let path = folder.path().join(name);
            std::fs::write(&path, seed).unwrap();
            unmixel::rooms::io::open(&path, &Default::default()).unwrap();
        }
    }
    for seed in seeds("zarr") {
        let store = bodies::zarr_store(folder.path(), &seed);
        let mut source = unmixel::rooms::io::open(&store, &Default::default()).unwrap();
        source.read_rows(0, 2, &mut [0.0; 40]).unwrap();
    }
    let saved = |reader: &str| {
        let path = folder.path().join(reader);
        std::fs::write(&path, &seeds(reader)[0]).unwrap();
        path
    };
    unmixel::Checkpoint::load(saved("checkpoint")).unwrap();
    unmixel::Fit::load(saved("fit")).unwrap();
    #[cfg(feature = "cli")]
    for line in LINES {
        let words = std::iter::once("unmixel").chain(line.split('\n'));
        <arguments::args::Arguments as clap::Parser>::try_parse_from(words).unwrap();
    }
    for seed in seeds("csv") {
        let path = folder.path().join("a.csv");
        std::fs::write(&path, seed).unwrap();
        unmixel::rooms::io::library::read(&path).unwrap();
    }
}

#[test]
fn what_is_wrong_with_mutated_zarr_stores_is_seen() {
    // Else the mutants would say nothing of the readers.
    let folder = tempfile::tempdir().unwrap();
    let (words, rng) = (dictionary("zarr"), &mut ChaCha8Rng::seed_from_u64(1));
    for seed in seeds("zarr") {
        let fails = |_: &u32| {
            let mut bytes = seed.clone();
            mutate(&mut bytes, &words, rng);
            let store = bodies::zarr_store(folder.path(), &bytes);
            let read = |mut source: Box<dyn unmixel::scene::CubeSource>| {
                source.read_rows(0, 2, &mut [0.0; 40])
            };
            unmixel::rooms::io::open(&store, &Default::default()).and_then(read).is_err()
        };
        let failed = (0..100).filter(fails).count();
        assert!(failed > 25, "{}: {failed} of 100", String::from_utf8_lossy(&seed));
    }
}

#[test]
fn a_panic_and_a_hang_are_seen() {
    let panics = std::panic::catch_unwind(|| fuzz("csv", |_, data| assert!(data.len() < 40)));
    assert!(panics.is_err());
    assert_eq!(unquote(r#""a\x00\\\"b""#), b"a\0\\\"b");
}

/// Writes the seeds for libFuzzer: `cargo test --test fuzz -- --ignored corpus`.
#[test]
#[ignore = "writes fuzz/corpus"]
fn corpus() {
    for (reader, _) in all_bodies() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/corpus")
            .join(reader.replace('-', "_"));
        std::fs::create_dir_all(&folder).unwrap();
        for (n, seed) in seeds(reader).into_iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{n}")), seed).unwrap();
        }
    }
}
