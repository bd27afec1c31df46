//! `unmixel info`, and the options that say which part of a scene to use.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;

use ndarray::Array3;
use unmixel::rooms::io;

const ROWS: usize = 20;
const COLS: usize = 30;
const BANDS: usize = 40;

/// A scene in reflectance times 10000, of which the first row has no data.
fn scene(folder: &Path) -> String {
    let cube = Array3::from_shape_fn((ROWS, COLS, BANDS), |(r, c, b)| {
        let bright = 2000.0 + 1500.0 * ((b as f32) * 0.2).sin() + 40.0 * ((r * c) % 17) as f32;
        if r == 0 { -9999.0 } else { bright }
    });
    let nm: Vec<f64> = (0..BANDS).map(|b| 420.0 + 10.0 * b as f64).collect();
    let path = folder.join("field.npz");
    io::write_npz(&path, cube.view(), Some(&nm)).unwrap();
    path.display().to_string()
}

fn run(args: &[&str]) -> (i32, String, String) {
    let run =
        std::process::Command::new(env!("CARGO_BIN_EXE_unmixel")).args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (run.status.code().unwrap(), text(run.stdout), text(run.stderr))
}

fn json(args: &[&str]) -> serde_json::Value {
    let (code, out, error) = run(&[&["info", "--json"], args].concat());
    assert_eq!(code, 0, "{error}");
    serde_json::from_str(&out).unwrap()
}

#[test]
fn what_is_understood_is_told_as_text_and_json() {
    let folder = tempfile::tempdir().unwrap();
    let path = scene(folder.path());
    let info = json(&[&path]);
    assert_eq!((info["rows"].as_u64(), info["cols"].as_u64()), (Some(20), Some(30)));
    assert_eq!(info["file_bands"], 40);
    assert_eq!(info["pixels_used"], 570);
    assert!((info["share_left_out"].as_f64().unwrap() - 0.05).abs() < 1e-12);
    assert_eq!(info["wavelengths"][1], 430.0);
    assert_eq!(info["scaling"]["gain"], 1e-4);
    assert_eq!(info["format"], "NumPy, float32");
    assert!(info["notes"].as_array().unwrap().len() > 1);
    let (code, text, _) = run(&["info", &path]);
    assert_eq!(code, 0);
    for words in
        ["20 rows x 30 columns x 40 bands", "420.0 to 810.0 nm", "570 of 600", "times 10000"]
    {
        assert!(text.contains(words), "`{words}` is missing in: {text}");
    }
}

#[test]
fn parts_of_a_scene() {
    let folder = tempfile::tempdir().unwrap();
    let path = scene(folder.path());
    let dropped =
        json(&[&path, "--drop-bands", "1-3,40", "--drop-wavelengths", "500-520,0.60-0.61"]);
    assert_eq!(dropped["bands_left_out"], serde_json::json!([1, 2, 3, 9, 10, 11, 19, 20, 40]));
    let window = json(&[&path, "--window", "5:15,:10"]);
    assert_eq!((window["rows"].as_u64(), window["cols"].as_u64()), (Some(10), Some(10)));
    // A mask of the whole scene goes with a window, too.
    let mask = folder.path().join("mask.npy");
    let keep = ndarray::Array2::from_shape_fn((ROWS, COLS), |(_, c)| u8::from(c < 4));
    ndarray_npy::write_npy(&mask, &keep).unwrap();
    let mask = mask.display().to_string();
    assert_eq!(json(&[&path, "--mask", &mask])["pixels_used"], 19 * 4);
    let both = json(&[&path, "--mask", &mask, "--window", "5:15,:10"]);
    assert_eq!(both["pixels_used"], 40);
    // Zero rows of data stand for no data only where that is asked.
    let all = json(&[&path, "--no-data", "-1", "--scale", "10000"]);
    assert_eq!(all["pixels_used"], 570, "values below -0.5 are no reflectance");
    for (args, word) in [
        (["--window", "5:50,0:3"], "rows"),
        (["--window", "a"], "window"),
        (["--drop-bands", "41"], "41"),
        (["--axes", "a,b,c"], "axes"),
        (["--variable", "other"], "other"),
    ] {
        let (code, _, error) = run(&["info", &path, args[0], args[1]]);
        assert_eq!(code, 2, "{args:?}: {error}");
        assert!(error.contains(word), "{args:?}: {error}");
    }
}

#[test]
fn true_colours_are_drawn_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = scene(folder.path());
    let out = folder.path().join("field.png");
    let png = out.display().to_string();
    let (code, _, error) = run(&["info", &path, "--out", &png]);
    assert_eq!(code, 0, "{error}");
    let first = std::fs::read(&out).unwrap();
    assert!(first.starts_with(b"\x89PNG"));
    let (code, _, error) = run(&["info", &path, "--out", &png]);
    assert_eq!(code, 2);
    assert!(error.contains("--force"), "{error}");
    let (code, ..) = run(&["info", &path, "--out", &png, "--force"]);
    assert_eq!(code, 0);
    assert_eq!(std::fs::read(&out).unwrap(), first);
}
