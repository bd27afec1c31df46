//! Files that say what they are in unusual ways: each is understood, or refused in a sentence.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/folder.rs"]
mod folder;
#[path = "common/mat5.rs"]
mod mat5;

use std::io::Write;
use std::path::{Path, PathBuf};

use folder::Folder;
use mat5::Var;
use ndarray::{Array1, Array2, Array3, ArrayD, Axis};
use unmixel::rooms::io::{self, OpenOptions};
use unmixel::scene::{CubeSource, Header};

const ROWS: usize = 26;
const COLS: usize = 31;
const BANDS: usize = 40;

/// Mixtures of three smooth spectra in shares without a pattern.
fn value(row: usize, col: usize, band: usize) -> f64 {
    let b = band as f64 / BANDS as f64;
    let spectra = [0.1 + 0.4 * b, 0.5 - 0.3 * b, 0.25 + 0.2 * (7.0 * b).sin()];
    let at = |k: usize| 1.0 + ((row * 7919 + col * 104_729 + k * 31_337) % 97) as f64;
    let (x, y, z) = (at(0), at(1), at(2));
    (x * spectra[0] + y * spectra[1] + z * spectra[2]) / (x + y + z)
}

fn cube() -> Array3<f64> {
    Array3::from_shape_fn((ROWS, COLS, BANDS), |(r, c, b)| value(r, c, b))
}

fn nm() -> Vec<f64> {
    (0..BANDS).map(|b| 450.25 + 37.5 * b as f64).collect()
}

/// An archive of NumPy arrays, and of one that is given as the bytes of an NPY.
fn npz(folder: &Folder, arrays: &[(&str, ArrayD<f64>)], raw: &[(&str, Vec<u8>)]) -> PathBuf {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default();
    for (name, array) in arrays {
        zip.start_file(format!("{name}.npy"), stored).unwrap();
        ndarray_npy::WriteNpyExt::write_npy(array, &mut zip).unwrap();
    }
    for (name, bytes) in raw {
        zip.start_file(format!("{name}.npy"), stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    folder.put("scene.npz", zip.finish().unwrap().into_inner())
}

/// An NPY of texts, as NumPy writes `<U` and `|S`.
fn texts(list: &[String], wide: bool) -> Vec<u8> {
    let longest = list.iter().map(String::len).max().unwrap();
    let kind = if wide { "<U" } else { "|S" };
    let mut header = format!(
        "{{'descr': '{kind}{longest}', 'fortran_order': False, 'shape': ({},), }}",
        list.len()
    );
    let padded = (10 + header.len() + 1).next_multiple_of(64) - 11;
    header += &" ".repeat(padded - header.len());
    header.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    for text in list {
        let letters = text.bytes().chain(std::iter::repeat(0)).take(longest);
        match wide {
            true => out.extend(letters.flat_map(|b| u32::from(b).to_le_bytes())),
            false => out.extend(letters),
        }
    }
    out
}

/// The content of a structure of one element whose fields are these.
fn structure(name: &str, fields: &[Var]) -> Vec<u8> {
    let word = |n: u32| n.to_le_bytes();
    let mut body = Vec::new();
    let element = |body: &mut Vec<u8>, kind: u32, data: &[u8]| {
        body.extend(word(kind));
        body.extend(word(data.len() as u32));
        body.extend(data);
        body.resize(body.len().next_multiple_of(8), 0);
    };
    element(&mut body, 6, &[word(2), word(0)].concat());
    element(&mut body, 5, &[word(1), word(1)].concat());
    element(&mut body, 1, name.as_bytes());
    body.extend([word(4 << 16 | 5), word(16)].concat());
    let mut names = Vec::new();
    for field in fields {
        let end = names.len() + 16;
        names.extend(field.name.as_bytes());
        names.resize(end, 0);
    }
    element(&mut body, 1, &names);
    for field in fields {
        let unnamed =
            Var { name: "", dims: field.dims.clone(), values: field.values.clone(), ..*field };
        body.extend(&mat5::file(&[unnamed], false, false)[128..]);
    }
    [word(14).to_vec(), word(body.len() as u32).to_vec(), body].concat()
}

fn open(path: &Path) -> Box<dyn CubeSource> {
    io::open(path, &OpenOptions::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn refusal(path: &Path) -> String {
    match io::open(path, &OpenOptions::default()) {
        Ok(source) => panic!("{:?}", source.header()),
        Err(error) => error.to_string(),
    }
}

/// Reads the file, asserts that it holds the cube, and gives its header.
fn is_cube(path: &Path) -> Header {
    let mut source = open(path);
    let h = source.header().clone();
    assert_eq!((h.rows, h.cols, h.bands), (ROWS, COLS, BANDS), "{:?}", h.notes);
    let mut all = vec![0.0; ROWS * COLS * BANDS];
    source.read_rows(0, ROWS, &mut all).unwrap();
    for (found, wanted) in all.iter().zip(&cube()) {
        // f32 of values below 1.
        assert!((f64::from(*found) - wanted).abs() < 1e-6, "{found} {wanted}");
    }
    h
}

fn near(found: &Option<Vec<f64>>, wanted: &[f64]) -> bool {
    found.as_ref().is_some_and(|list| {
        list.len() == wanted.len() && list.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-3)
    })
}

#[test]
fn wavelengths_as_texts() {
    let folder = Folder::new();
    let arrays = [("cube", cube().into_dyn())];
    let written: [fn(f64) -> String; 3] =
        [|v| format!("{v}"), |v| format!("{v} nm"), |v| format!("B ({:.5} um)", v / 1e3)];
    for write in written {
        for wide in [true, false] {
            let list: Vec<String> = nm().into_iter().map(write).collect();
            let path = npz(&folder, &arrays, &[("wavelength", texts(&list, wide))]);
            assert!(near(&is_cube(&path).wavelengths, &nm()), "{list:?}");
        }
    }
    let names: Vec<String> = (0..BANDS).map(|b| format!("B{b}")).collect();
    let path = npz(&folder, &arrays, &[("bands", texts(&names, true))]);
    assert_eq!(is_cube(&path).wavelengths, None);
}

#[test]
fn flags_of_bands_under_any_name_with_a_word_for_good_or_bad() {
    let folder = Folder::new();
    let mut good = vec![true; BANDS];
    (good[3], good[17]) = (false, false);
    for (name, marks_good) in [
        ("isGood", true),
        ("valid_channels", true),
        ("keep", true),
        ("channels_to_reject", false),
        ("waterVapourBands", false),
    ] {
        let flags = good.iter().map(|g| f64::from(*g == marks_good));
        let flags = Array1::from_iter(flags).into_dyn();
        let arrays = [("cube", cube().into_dyn()), (name, flags)];
        assert_eq!(is_cube(&npz(&folder, &arrays, &[])).good_bands, Some(good.clone()), "{name}");
    }
    // Which of two detectors sees a band says nothing of its quality.
    let detector = Array1::from_shape_fn(BANDS, |b| f64::from(b > 25)).into_dyn();
    let arrays = [("cube", cube().into_dyn()), ("detector", detector)];
    assert_eq!(is_cube(&npz(&folder, &arrays, &[])).good_bands, None);
}

#[test]
fn sizes_in_other_languages_and_in_structures() {
    let folder = Folder::new();
    let flat: Vec<f64> = cube().permuted_axes([1, 0, 2]).iter().copied().collect();
    let flat = |name| Var::double(name, &[BANDS, ROWS * COLS], flat.clone());
    let one = |name, value: usize| Var::double(name, &[1, 1], vec![value as f64]);
    for (scene, rows, cols) in [
        ("Daten", "Zeilen", "Spalten"),
        ("donnees", "lignes", "colonnes"),
        ("datos", "n_filas", "n_columnas"),
        ("X", "nl", "ns"),
    ] {
        let vars = [flat(scene), one(rows, ROWS), one(cols, COLS)];
        is_cube(&folder.put("scene.mat", mat5::file(&vars, false, false)));
    }
    let values: Vec<f64> = cube().permuted_axes([2, 1, 0]).iter().copied().collect();
    let fields = [
        Var::double("cube", &[ROWS, COLS, BANDS], values),
        Var::double("wavelength", &[1, BANDS], nm()),
        Var { class: 1, ..Var::double("names", &[1, 1], Vec::new()) },
    ];
    let inner = structure("data", &fields);
    let mut plain = mat5::file(&[], false, false);
    let mut packed = plain.clone();
    plain.extend(&inner);
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), Default::default());
    zlib.write_all(&inner).unwrap();
    let zlib = zlib.finish().unwrap();
    packed.extend([15u32.to_le_bytes(), (zlib.len() as u32).to_le_bytes()].concat());
    packed.extend(zlib);
    for bytes in [&plain, &packed] {
        let header = is_cube(&folder.put("scene.mat", bytes));
        assert!(near(&header.wavelengths, &nm()));
    }
    // Cut within its fields, it is no scene.
    for part in 1..20 {
        let cut = &plain[..128 + inner.len() * part / 20];
        assert!(refusal(&folder.put("cut.mat", cut)).contains("cut short"));
    }
}

#[test]
fn per_cent_in_bytes_are_no_classes() {
    let folder = Folder::new();
    let percent = cube().mapv(|v| (v * 100.0).round());
    let bytes: Vec<u8> = percent.iter().map(|v| *v as u8).collect();
    let header =
        format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({ROWS}, {COLS}, {BANDS}), }}");
    let header = format!("{header:<117}\n");
    let start = [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes()].concat();
    let npy = [&start, header.as_bytes(), &bytes].concat();
    let wavelengths = Array1::from(nm()).into_dyn();
    let path = npz(&folder, &[("wl", wavelengths)], &[("x1", npy)]);
    let header = open(&path).header().clone();
    assert_eq!((header.rows, header.cols, header.bands), (ROWS, COLS, BANDS));

    let classes = Array2::from_shape_fn((ROWS, COLS), |(r, c)| ((r / 5 + c / 7) % 4) as f64);
    let path = npz(&folder, &[("x1", classes.into_dyn())], &[]);
    assert!(refusal(&path).contains("classes"));
}

#[test]
fn bands_first_without_a_word_on_it_is_not_taken_for_rows_first() {
    let folder = Folder::new();
    let first = cube().permuted_axes([2, 0, 1]).as_standard_layout().to_owned();
    let told = refusal(&npz(&folder, &[("x1", first.into_dyn())], &[]));
    assert!(told.contains("bands x rows x columns"), "{told}");
    is_cube(&npz(&folder, &[("x1", cube().into_dyn())], &[]));
}

#[test]
fn bytes_in_the_order_that_the_header_does_not_state() {
    let folder = Folder::new();
    let header = |order: &str, kind: usize| {
        format!(
            "ENVI\nsamples = {COLS}\nlines = {ROWS}\nbands = {BANDS}\ndata type = {kind}\n\
             interleave = bip\n{order}"
        )
    };
    let big: Vec<u8> = cube().iter().flat_map(|v| (*v as f32).to_be_bytes()).collect();
    folder.put("scene.img", &big);
    for order in ["byte order = 0\n", ""] {
        let found = is_cube(&folder.put("scene.hdr", header(order, 4)));
        assert!(found.notes.iter().any(|note| note.contains("byte order")), "{:?}", found.notes);
    }
    let found = is_cube(&folder.put("scene.hdr", header("byte order = 1\n", 4)));
    assert_eq!(found.notes, Vec::<String>::new());
    // Gaps are odd numbers in either order.
    let mut gaps = cube();
    gaps.index_axis_mut(Axis(0), 3).fill(-1.23e34);
    gaps.index_axis_mut(Axis(0), 5).fill(f64::NAN);
    folder.put("scene.img", gaps.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
    let found = open(&folder.put("scene.hdr", header("byte order = 0\n", 5))).header().clone();
    assert_eq!(found.notes, Vec::<String>::new());
}

#[test]
fn a_single_flag_for_all_bands_selects_none() {
    let folder = Folder::new();
    folder.put("s.img", cube().iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
    let header = folder.put(
        "s.hdr",
        format!(
            "ENVI\nsamples = {COLS}\nlines = {ROWS}\nbands = {BANDS}\ndata type = 5\n\
             interleave = bip\nbyte order = 0\nbbl = 1\n"
        ),
    );
    let header = is_cube(&header);
    assert_eq!(header.good_bands, None);
    assert!(header.notes.iter().any(|note| note.contains("1 value")), "{:?}", header.notes);
}

/// A Zarr store of version 2 or 3, its chunks not compressed.
fn store(folder: &Folder, name: &str, version: usize, order: &str) -> PathBuf {
    let chunks = [10, 16, 15];
    let shape = [ROWS, COLS, BANDS];
    let array = match version {
        2 => serde_json::json!({
            "zarr_format": 2, "shape": shape, "chunks": chunks, "dtype": ">f8", "order": order,
            "fill_value": null, "compressor": null, "filters": null, "dimension_separator": "/",
        }),
        _ => serde_json::json!({
            "zarr_format": 3, "node_type": "array", "shape": shape, "data_type": "float64",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": "NaN", "dimension_names": ["line", "sample", "channel"],
            "codecs": match order {
                "F" => serde_json::json!([
                    {"name": "transpose", "configuration": {"order": [2, 1, 0]}},
                    {"name": "bytes", "configuration": {"endian": "big"}},
                ]),
                _ => serde_json::json!([{"name": "bytes", "configuration": {"endian": "big"}}]),
            },
        }),
    };
    let mark = if version == 2 { (".zgroup", ".zarray") } else { ("zarr.json", "zarr.json") };
    let group = serde_json::json!({"zarr_format": version, "node_type": "group"});
    folder.put(&format!("{name}/{}", mark.0), group.to_string());
    folder.put(&format!("{name}/cube/{}", mark.1), array.to_string());
    let whole = cube();
    for i in 0..3 {
        for j in 0..2 {
            for k in 0..3 {
                let part = Array3::from_shape_fn((10, 16, 15), |(r, c, b)| {
                    whole.get((10 * i + r, 16 * j + c, 15 * k + b)).copied().unwrap_or(-1.0)
                });
                let part = if order == "F" { part.permuted_axes([2, 1, 0]) } else { part };
                let bytes: Vec<u8> = part.iter().flat_map(|v| v.to_be_bytes()).collect();
                let prefix = if version == 2 { "" } else { "c/" };
                folder.put(&format!("{name}/cube/{prefix}{i}/{j}/{k}"), bytes);
            }
        }
    }
    folder.0.path().join(name)
}

#[test]
fn zarr_stores_of_both_versions_and_orders() {
    let folder = Folder::new();
    for version in [2, 3] {
        for order in ["C", "F"] {
            let path = store(&folder, &format!("{version}{order}.zarr"), version, order);
            assert!(is_cube(&path).format.contains("Zarr"));
            // The array itself, and the text that makes a folder a store.
            is_cube(&path.join("cube"));
            is_cube(&path.join(if version == 2 { ".zgroup" } else { "zarr.json" }));
        }
    }
}

#[test]
fn rows_that_a_store_cannot_hold_ask_for_no_memory() {
    let folder = Folder::new();
    let path = store(&folder, "s.zarr", 2, "C");
    let text = std::fs::read_to_string(path.join("cube/.zarray")).unwrap().replace(' ', "");
    let wide = |cols: &str| {
        let changed = text.replacen("[26,31,40]", &format!("[26,{cols},40]"), 1);
        assert_ne!(changed, text);
        std::fs::write(path.join("cube/.zarray"), changed).unwrap();
        io::open(&path, &OpenOptions::default())
    };
    // 18 chunks of 19,200 bytes: rows of 64 times that and 67 MB are believed.
    wide("500000").unwrap();
    let why = wide("600000").err().unwrap().to_string();
    assert!(why.contains("96 MB each") && why.contains("0.3 MB in all"), "{why}");
}

#[test]
fn what_is_wrong_with_a_zarr_store_is_said() {
    let folder = Folder::new();
    let path = store(&folder, "s.zarr", 2, "C");
    let read = |path: &Path| -> Result<(), String> {
        let mut source = io::open(path, &OpenOptions::default()).map_err(|e| e.to_string())?;
        let mut all = vec![0.0; ROWS * COLS * BANDS];
        source.read_rows(0, ROWS, &mut all).map_err(|e| e.to_string())
    };
    let chunk = path.join("cube/1/1/1");
    let sound = std::fs::read(&chunk).unwrap();
    for length in [0, 1, sound.len() / 2, sound.len() - 1] {
        std::fs::write(&chunk, &sound[..length]).unwrap();
        let why = read(&path).unwrap_err();
        assert!(why.contains("cube/1/1/1"), "{why}");
    }
    // A chunk that is not there was never written.
    std::fs::remove_file(&chunk).unwrap();
    read(&path).unwrap();
    std::fs::write(&chunk, &sound).unwrap();

    let text = std::fs::read_to_string(path.join("cube/.zarray")).unwrap();
    for (from, to, words) in [
        ("\">f8\"", "\">c16\"", "type >c16"),
        ("null,\"dimension", "{\"id\":\"bz2\"},\"dimension", "bz2"),
        ("[10,16,15]", "[10,0,15]", "chunks"),
        ("[10,16,15]", "[10,16]", "chunks"),
        ("[10,16,15]", "[100000,160000,1500]", "larger than"),
        ("[26,31,40]", "[26,31]", "chunks"),
        ("\"zarr_format\":2", "\"zarr_format\":7", "version"),
        ("{", "", "JSON"),
    ] {
        let text = text.replace(" ", "");
        let changed = text.replacen(from, to, 1);
        // Keys of JSON here are in the order of the alphabet.
        let changed = match from {
            "null,\"dimension" => {
                text.replacen("\"compressor\":null", "\"compressor\":{\"id\":\"bz2\"}", 1)
            }
            _ => changed,
        };
        assert_ne!(changed, text, "{from}");
        std::fs::write(path.join("cube/.zarray"), &changed).unwrap();
        let why = read(&path).unwrap_err();
        assert!(why.contains(words), "{words}: {why}");
    }
    assert!(refusal(folder.0.path()).contains("folder"));
}

/// The abundances of one scene have the same bits from every format that the project itself, or
/// this file, writes.
#[test]
fn one_scene_in_every_format_gives_the_same_abundances() {
    use unmixel::rooms::io::rasters::{About, Raster, write_envi_maps, write_geotiff};
    let folder = Folder::new();
    let at = |name: &str| folder.0.path().join(name);
    let narrow = cube().mapv(|v| v as f32);
    let names: Vec<String> = (0..BANDS).map(|b| format!("B{b}")).collect();
    let raster =
        Raster { name: "cube", title: "A scene", unit: "1", bands: &names, values: narrow.view() };
    let about = About { place: None, history: "made by a test" };
    let mut tiff = Vec::new();
    write_geotiff(&raster, &about, &mut tiff).unwrap();
    let mut maps = Vec::new();
    let header = write_envi_maps(&raster, &about, &mut maps).unwrap();
    folder.put("maps.hdr", header);
    io::write_npz(at("a.npz"), narrow.view(), None).unwrap();
    io::write_envi(at("a.img"), narrow.view(), None, None).unwrap();
    let mut npy = Vec::new();
    ndarray_npy::WriteNpyExt::write_npy(&narrow, &mut npy).unwrap();
    let values = cube().permuted_axes([2, 1, 0]).iter().copied().collect();
    let matlab = Var { stored: 7, ..Var::double("cube", &[ROWS, COLS, BANDS], values) };
    let paths = [
        at("a.npz"),
        at("a.img"),
        folder.put("maps.img", maps),
        folder.put("a.npy", npy),
        folder.put("a.tif", tiff),
        folder.put("a.mat", mat5::file(&[matlab], false, true)),
        store(&folder, "two.zarr", 2, "F"),
        store(&folder, "three.zarr", 3, "C"),
    ];
    let scene = |path: &Path| unmixel::Scene::open(path).unwrap_or_else(|e| panic!("{e}"));
    let bits = |scene: &unmixel::Scene| -> Vec<u32> {
        scene.cube().padded().iter().map(|v| v.to_bits()).collect()
    };
    let fit = |path: &Path| -> Vec<u32> {
        let fit = unmixel::Unmixing::new(3)
            .seed(5)
            .steps(50)
            .restarts(1)
            .search(unmixel::SearchBudget::Moves(0))
            .fit(&scene(path))
            .unwrap();
        fit.abundances().mean().iter().map(|v| v.to_bits()).collect()
    };
    // The same spectra give the same fit; that they do is looked at for the two that differ most.
    for path in &paths {
        assert!(bits(&scene(path)) == bits(&scene(&paths[0])), "{}", path.display());
    }
    let first = fit(&paths[0]);
    assert_eq!(first.len(), ROWS * COLS * 3);
    assert!(fit(&paths[7]) == first, "{}", paths[7].display());
    let mut other = narrow.clone();
    other[(3, 4, 5)] += 0.01;
    io::write_npz(at("a.npz"), other.view(), None).unwrap();
    assert!(fit(&paths[0]) != first, "the comparison sees nothing");
}
