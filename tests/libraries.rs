//! Spectra in every kind of table, brought onto the bands of a scene.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;

use ndarray::Array3;
use unmixel::rooms::io::library;
use unmixel::scene::{self, CubeSource, Header, LoadOptions, Scene};

const BANDS: usize = 12;

fn nm() -> Vec<f64> {
    (0..BANDS).map(|b| 450.0 + 62.5 * b as f64).collect()
}

/// Reflectance of three materials.
fn reflectance(k: usize, b: usize) -> f64 {
    let x = b as f64 / BANDS as f64;
    [0.1 + 0.4 * x, 0.3 + 0.1 * (9.0 * x).sin(), 0.5 - 0.3 * x][k]
}

struct Made(Header);

impl CubeSource for Made {
    fn header(&self) -> &Header {
        &self.0
    }

    fn read_rows(&mut self, first: usize, count: usize, out: &mut [f32]) -> unmixel::Result<()> {
        let rows = Array3::from_shape_fn((count, self.0.cols, BANDS), |(r, c, b)| {
            reflectance((first + r + c) % 3, b) as f32 + 0.001 * c as f32
        });
        out.iter_mut().zip(&rows).for_each(|(to, from)| *to = *from);
        Ok(())
    }
}

fn a_scene(fwhm: Option<f64>) -> Scene {
    let header = Header {
        rows: 4,
        cols: 5,
        bands: BANDS,
        wavelengths: Some(nm()),
        fwhm: fwhm.map(|width| vec![width; BANDS]),
        ..Header::default()
    };
    scene::load(&mut Made(header), "s", &LoadOptions::default()).unwrap()
}

/// A table with a row a band; `number` writes numbers.
fn table(head: &str, divider: &str, number: impl Fn(f64) -> String) -> String {
    let mut text = [head, "one", "two", "three"].join(divider) + "\n";
    for (b, w) in nm().into_iter().enumerate() {
        let row = [w, reflectance(0, b), reflectance(1, b), reflectance(2, b)];
        text += &(row.map(&number).join(divider) + "\n");
    }
    text
}

fn point(v: f64) -> String {
    format!("{v:.6}")
}

fn comma(v: f64) -> String {
    point(v).replace('.', ",")
}

/// Largest difference of the spectra in the file from the three materials.
fn off(path: &Path, scene: &Scene) -> f64 {
    let found = library::read(path).unwrap_or_else(|e| panic!("{e}")).covering(scene).unwrap();
    assert_eq!(found.values.dim(), (3, BANDS));
    let all = found.values.indexed_iter();
    all.map(|((k, b), v)| (v - reflectance(k, b)).abs()).fold(0.0, f64::max)
}

// Six digits are written.
const WRITTEN: f64 = 1e-6;

#[test]
fn tables_in_every_dialect_agree() {
    let folder = tempfile::tempdir().unwrap();
    let scene = a_scene(None);
    let path = folder.path().join("l.csv");
    let latin: Vec<u8> = table("wavelength", ",", point)
        .replace("one", "\u{fc}ber")
        .chars()
        .map(|c| c as u8)
        .collect();
    let utf16: Vec<u8> = "\u{feff}"
        .to_owned()
        .encode_utf16()
        .chain(table("wl", "\t", point).encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut texts: Vec<Vec<u8>> = vec![latin, utf16];
    for text in [
        table("wavelength", ",", point),
        table("wavelength", ";", point),
        table("wavelength", ";", comma),
        table("wavelength", "\t", point),
        table("Wellenl\u{e4}nge", "\t", comma),
        table("wavelength", "  ", point),
        format!("\u{feff}{}", table("wavelength", ",", point)),
        table("wavelength", ",", point).replace('\n', "\r\n"),
        format!("# from the field\n{}\n\n", table("wavelength", ",", point)),
        table("wavelength", ";", point),
        // Micrometres.
        table("Wavelength (um)", ",", |v| point(if v > 100.0 { v / 1e3 } else { v })),
        // A column that counts, and one of doubt.
        table("wl", ",", point)
            .lines()
            .enumerate()
            .map(|(i, l)| {
                format!("{},{l},0.1\n", if i == 0 { "band".into() } else { i.to_string() })
            })
            .collect::<String>()
            .replace("three,0.1", "three,three_sd"),
        // Without a header.
        table("x", ",", point).lines().skip(1).collect::<Vec<_>>().join("\n"),
    ] {
        texts.push(text.into_bytes());
    }
    for name in ["wl", "nm", "lambda", "WVL", "wave", "Wave length", "\u{3bb} [nm]", "foo"] {
        texts.push(table(name, ",", point).into_bytes());
    }
    for text in texts {
        std::fs::write(&path, &text).unwrap();
        let off = off(&path, &scene);
        assert!(off < WRITTEN, "{off}: {}", String::from_utf8_lossy(&text));
    }
    // Comparator: another spectrum is seen.
    std::fs::write(&path, table("wl", ",", |v| point(if v < 1.0 { v * 0.9 } else { v }))).unwrap();
    assert!(off(&path, &scene) > 0.01);
}

#[test]
fn spectra_in_rows_beside_words() {
    let folder = tempfile::tempdir().unwrap();
    let scene = a_scene(None);
    let path = folder.path().join("l.csv");
    for begin in ["", "X", "nm_"] {
        let mut text = "name,level 1".to_owned();
        nm().iter().for_each(|w| text += &format!(",{begin}{w:.1}"));
        for (k, name) in ["one", "two", "three"].iter().enumerate() {
            text += &format!("\n{name},ground");
            (0..BANDS).for_each(|b| text += &format!(",{:.6}", reflectance(k, b)));
        }
        std::fs::write(&path, &text).unwrap();
        assert!(off(&path, &scene) < WRITTEN, "{text}");
        assert_eq!(library::read(&path).unwrap().names.unwrap()[2], "three");
    }
}

#[test]
fn text_of_instruments_is_resampled() {
    let folder = tempfile::tempdir().unwrap();
    let scene = a_scene(None);
    // ECOSTRESS: per cent against micrometres, from long to short waves, in steps of 5 nm.
    let mut text = "Name: Grass\nType: vegetation\nX Units: Wavelength (micrometers)\nY Units: \
                    Reflectance (percent)\n\n"
        .to_owned();
    for i in (0..200).rev() {
        let w = 0.4 + 0.005 * f64::from(i);
        text += &format!("{w:.4}\t{:.4}\n", 100.0 * (0.2 + 0.1 * w));
    }
    let path = folder.path().join("grass.txt");
    std::fs::write(&path, text).unwrap();
    let found = library::read(&path).unwrap().covering(&scene).unwrap();
    assert_eq!(found.names.as_deref(), Some(&["Grass".to_owned()][..]));
    for (v, w) in found.values.row(0).iter().zip(nm()) {
        // Four digits of per cent.
        assert!((v - (0.2 + 0.1 * w / 1e3)).abs() < 1e-5, "{v} at {w}");
    }
}

#[test]
fn a_narrow_feature_is_seen_with_the_width_of_the_band() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fine.csv");
    let mut text = "wavelength,dip\n".to_owned();
    for w in 400..1300 {
        text += &format!("{w},{}\n", if w == 512 || w == 513 { 0.0 } else { 0.5 });
    }
    std::fs::write(&path, text).unwrap();
    let at = |scene: &Scene| library::read(&path).unwrap().for_scene(scene).unwrap()[(0, 1)];
    // The band at 512.5 nm: on the line between two channels, or a tenth of a response of 20 nm.
    assert_eq!(at(&a_scene(None)), 0.0);
    let wide = at(&a_scene(Some(20.0)));
    assert!((0.44..0.47).contains(&wide), "{wide}");
}

#[test]
fn spectra_that_do_not_cover_the_scene_are_left_out_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let scene = a_scene(None);
    let path = folder.path().join("l.csv");
    let short = |text: String, from: usize| {
        let lines = text.lines().enumerate();
        lines
            .map(|(i, l)| match i {
                0 => format!("{l},short\n"),
                i if i > from => format!("{l},0.4\n"),
                _ => format!("{l},\n"),
            })
            .collect::<String>()
    };
    std::fs::write(&path, short(table("wl", ",", point), 6)).unwrap();
    assert!(off(&path, &scene) < WRITTEN);
    let spectra = library::read(&path).unwrap();
    let notes = spectra.covering(&scene).unwrap().notes.join(" ");
    assert!(notes.contains("`short`") && notes.contains("825.0"), "{notes}");
    assert!(spectra.for_scene(&scene).is_err(), "all were asked for");
    // None left is an error that says why.
    std::fs::write(&path, "wl,a\n900,0.1\n950,0.2\n1000,0.3\n").unwrap();
    let error = library::read(&path).unwrap().covering(&scene).unwrap_err().to_string();
    assert!(error.contains("`a` covers 900.0 to 1000.0 nm") && error.contains("drop"), "{error}");
}
