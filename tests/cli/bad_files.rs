//! Scenes and other input files that cannot be used: exit code 2, one line, nothing written.

use ndarray::{Array1, Array2, Array3, s};
use unmixel::rooms::io::write_truth;

use super::bench::{BANDS, Bench, COLS, ROWS, small_cube};
use super::mat5::{self, Var};

const PIXELS: usize = ROWS * COLS;

/// A scene of flat pixels as MATLAB has them: bands x pixels, columns of the image first.
fn flat() -> Var<'static> {
    let cube = small_cube();
    let values = (0..PIXELS).flat_map(|n| {
        let spectrum = cube.slice(s![n % ROWS, n / ROWS, ..]).to_owned();
        spectrum.into_iter().map(f64::from)
    });
    Var::double("V", &[BANDS, PIXELS], values.collect())
}

fn refuses(bench: &Bench, scene: &str, flags: &str, says: &[&str]) {
    let line = format!("fit {scene} -k 2 --out o/new --device cpu --steps 5 {flags}");
    bench.refuses(line.split_whitespace(), says);
}

#[test]
fn files_that_are_no_scene() {
    let bench = Bench::new();
    let garbage: Vec<u8> = (0..4000u32).map(|i| ((i * 7919) >> 3) as u8).collect();
    let mut hdf = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".to_vec();
    hdf.resize(124, b' ');
    hdf.extend(b"\x00\x02IM");
    hdf.resize(512, 0);
    hdf.extend(b"\x89HDF\r\n\x1a\n");
    hdf.resize(4096, 0);
    let whole = mat5::file(&[flat()], false, true);
    for (name, content, says) in [
        ("empty.mat", vec![], "0 bytes"),
        ("empty.npz", vec![], "no scene"),
        ("empty", vec![], "no scene"),
        ("garbage.xyz", garbage.clone(), "no scene"),
        ("garbage.mat", garbage.clone(), ""),
        ("garbage.img", garbage, ""),
        ("seven.mat", hdf.clone(), "HDF5"),
        ("bare.h5", hdf[512..].to_vec(), "HDF5"),
        ("short.mat", whole[..whole.len() - 40].to_vec(), "cut short"),
    ] {
        std::fs::write(bench.at(name), content).unwrap();
        refuses(&bench, name, "", &[&format!("{name}: "), says]);
    }
    std::fs::create_dir(bench.at("folder")).unwrap();
    refuses(&bench, "folder", "", &["folder: is a folder"]);
    refuses(&bench, "nosuch.mat", "", &["nosuch.mat: "]);
    refuses(&bench, "nosuch/scene.npz", "", &["nosuch/scene.npz: "]);
}

#[test]
fn a_damaged_matlab_file() {
    let bench = Bench::new();
    let whole = mat5::file(&[flat()], false, true);
    let size = format!("--rows {ROWS} --cols {COLS}");
    std::fs::write(bench.at("c.mat"), &whole).unwrap();
    bench.ok(&format!("fit c.mat -k 2 --out sound --device cpu --steps 5 {size}"));
    // Behind 128 bytes of header and the 8 of its tag lies the compressed array. Its checksum tells
    // what the decompressor lets through.
    for at in [140, whole.len() / 2, whole.len() - 2] {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        std::fs::write(bench.at("c.mat"), damaged).unwrap();
        refuses(&bench, "c.mat", &size, &["c.mat: "]);
    }
    let plain = mat5::file(&[flat()], false, false);
    std::fs::write(bench.at("c.mat"), &plain[..plain.len() / 2]).unwrap();
    refuses(&bench, "c.mat", &size, &["c.mat: ", "cut short"]);
}

#[test]
fn a_matlab_file_without_a_cube() {
    let bench = Bench::new();
    for (class, stored, what) in [(1, 9, "cell"), (2, 9, "struct"), (4, 2, "text")] {
        let var = Var { stored, class, ..Var::double("V", &[2, 3], vec![65.0; 6]) };
        std::fs::write(bench.at("v.mat"), mat5::file(&[var], false, true)).unwrap();
        refuses(&bench, "v.mat", "", &["v.mat: ", "`V`", what, "bands x pixels"]);
    }
}

#[test]
fn flat_pixels_of_unknown_or_wrong_size() {
    let bench = Bench::new();
    std::fs::write(bench.at("v.mat"), mat5::file(&[flat()], false, true)).unwrap();
    refuses(&bench, "v.mat", "", &["v.mat: ", "42", "--rows", "--cols"]);
    refuses(&bench, "v.mat", "--rows 5 --cols 7", &["v.mat: ", "5 rows x 7 columns"]);
    refuses(&bench, "v.mat", "--rows 5", &["v.mat: ", "5 rows"]);
    refuses(&bench, "v.mat", "--rows 0 --cols 7", &["v.mat: ", "0 rows x 7 columns"]);
    let huge = usize::MAX;
    let flags = format!("--rows {huge} --cols {huge}");
    refuses(&bench, "v.mat", &flags, &["v.mat: ", &huge.to_string()]);
    // A size says which axis is which, and no cube is reshaped to meet it.
    bench.save("c.npz", small_cube().view());
    bench.ok("fit c.npz -k 2 --rows 7 --cols 6 --device cpu --steps 5 --out turned");
    assert_eq!(bench.abundances("turned").dim(), (7, 6, 2));
    refuses(&bench, "c.npz", "--rows 5", &["5"]);
}

#[test]
fn arrays_of_other_shapes() {
    let bench = Bench::new();
    ndarray_npy::write_npy(bench.at("one.npy"), &Array1::<f32>::ones(9)).unwrap();
    refuses(&bench, "one.npy", "", &["one.npy: ", "has three"]);
    ndarray_npy::write_npy(bench.at("none.npy"), &Array3::<f32>::ones((0, 3, 4))).unwrap();
    refuses(&bench, "none.npy", "", &["none.npy: ", "0 rows x 3 columns", "empty"]);
}

#[test]
fn cubes_without_anything_to_unmix() {
    let bench = Bench::new();
    let size = (ROWS, COLS, BANDS);
    for (name, value, says) in [
        ("nan", f32::NAN, "no data"),
        ("infinite", f32::INFINITY, "no data"),
        ("zero", 0.0, "no data"),
        ("constant", 0.3, "constant"),
        ("negative", -0.3, "constant"),
    ] {
        bench.save(&format!("{name}.npz"), Array3::from_elem(size, value).view());
        refuses(&bench, &format!("{name}.npz"), "", &[name, says]);
    }
    bench.save("below.npz", small_cube().mapv(|v| -v.abs() - 0.1).view());
    refuses(&bench, "below.npz", "", &["below: ", "above zero"]);
}

#[test]
fn spectra_to_start_from() {
    let bench = Bench::with_scene();
    let text = |k: usize, bands: usize| {
        let mut text = "band".to_owned();
        text.extend((0..k).map(|i| format!(",m{i}")));
        for band in 0..bands {
            text += &format!("\n{band}");
            text.extend((0..k).map(|i| format!(",{}", 0.1 + 0.05 * (band * (i + 1) % 7) as f64)));
        }
        text
    };
    for (name, content, says) in [
        ("count.csv", text(1, BANDS), vec!["--init", "1 spectra", "2"]),
        ("bands.csv", text(2, BANDS + 3), vec!["--init bands.csv", "11 bands", "8"]),
        ("words.csv", "band,a,b\n1,x,y\n".to_owned(), vec!["words.csv: ", "`x`"]),
        ("empty.csv", String::new(), vec!["empty.csv: ", "empty"]),
    ] {
        std::fs::write(bench.at(name), content).unwrap();
        refuses(&bench, "s/scene.npz", &format!("--init {name}"), &says);
    }
    refuses(
        &bench,
        "s/scene.npz",
        "--init nosuch.csv",
        &["--init nosuch.csv", "nfindr-normalised, random"],
    );
    refuses(&bench, "s/scene.npz", "--init s", &["s: is a folder"]);
}

#[test]
fn truths_that_do_not_belong_to_the_scene() {
    let bench = Bench::with_scene();
    let save = |name: &str, k: usize, bands: usize, size: (usize, usize)| {
        let spectra = Array2::from_shape_fn((k, bands), |(i, l)| 0.1 + 0.1 * ((i + l) % 5) as f64);
        let maps = Array3::from_elem((size.0, size.1, k), 1.0 / k as f32);
        write_truth(bench.at(name), spectra.view(), maps.view()).unwrap();
    };
    save("more.npz", 3, BANDS, (ROWS, COLS));
    save("turned.npz", 2, BANDS, (COLS, ROWS));
    save("bands.npz", 2, BANDS + 1, (ROWS, COLS));
    bench.save("cube.npz", small_cube().view());
    let mut maps = Array3::from_elem((ROWS, COLS, 2), 0.5f32);
    maps[[1, 2, 0]] = f32::NAN;
    let spectra = Array2::from_elem((2, BANDS), 0.5);
    write_truth(bench.at("hole.npz"), spectra.view(), maps.view()).unwrap();
    for (name, says) in [
        ("nosuch.npz", ""),
        ("more.npz", "3 endmembers"),
        ("turned.npz", "7 x 6 x 2"),
        ("bands.npz", "2 x 9"),
        ("cube.npz", "`endmembers`"),
        ("hole.npz", "row 1, column 2"),
        ("s", "is a folder"),
    ] {
        let says = [&format!("{name}: "), says];
        refuses(&bench, "s/scene.npz", &format!("--truth {name}"), &says);
    }
    bench.ok("fit s/scene.npz -k 2 --out o --device cpu --steps 5");
    bench.refuses("score o --truth more.npz".split_whitespace(), &["3 endmembers", "2"]);
    bench.refuses("score o --truth turned.npz".split_whitespace(), &["turned.npz: "]);
    bench.refuses("score s --truth more.npz".split_whitespace(), &["report.json: "]);
    std::fs::write(bench.at("o/report.json"), "{}").unwrap();
    bench.refuses("score o --truth more.npz".split_whitespace(), &["report.json: "]);
}
