//! ENVI headers as people have them: what is not needed to read an image never stops a run.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/folder.rs"]
mod folder;

use std::path::PathBuf;

use folder::Folder;
use ndarray::Array3;
use unmixel::rooms::io::{self, OpenOptions};
use unmixel::scene::{self, Header, LoadOptions, Scene};

const ROWS: usize = 6;
const COLS: usize = 7;
const BANDS: usize = 5;

fn cube() -> Array3<i16> {
    Array3::from_shape_fn((ROWS, COLS, BANDS), |(r, c, b)| {
        (1000 + 600 * ((r * 3 + c) % 5) + 211 * b) as i16
    })
}

impl Folder {
    /// An int16 bip pair whose header ends in `extra`; gives the header's path.
    fn pair(&self, extra: &str) -> PathBuf {
        self.put("s.img", bytes());
        self.put("s.hdr", header() + extra)
    }
}

fn bytes() -> Vec<u8> {
    cube().iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn header() -> String {
    format!(
        "ENVI\nsamples = {COLS}\nlines = {ROWS}\nbands = {BANDS}\nheader offset = 0\ndata type = \
         2\ninterleave = bip\nbyte order = 0\n"
    )
}

fn open(path: &PathBuf) -> (Header, Scene) {
    let mut source = io::open(path, &OpenOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    let scene = scene::load(&mut *source, "s", &LoadOptions::default()).unwrap();
    (source.header().clone(), scene)
}

#[test]
fn odd_optional_keys_are_noted_and_the_rest_is_read() {
    let folder = Folder::new();
    let right = open(&folder.pair("")).1;
    let note = |extra: &str, words: &str| {
        let (_, scene) = open(&folder.pair(extra));
        assert_eq!(scene.cube().padded(), right.cube().padded(), "{extra}");
        let notes = scene.notes().join(" ");
        assert!(notes.contains(words), "{extra}: {notes}");
    };
    note("bbl = {1, 1, 1, 0}\n", "4 values, but there are 5 bands");
    note("bbl = {1, 1, x, 0, 1}\n", "`x`, which is not a number");
    note("wavelength = {1, 2}\n", "2 wavelengths for 5 bands");
    note("wavelength = {a, b, c, d, e}\n", "`a`, which is not a number");
    note("wavelength = {1, 2, 3, 4, 5}\nwavelength units = Index\n", "Index");
    note("fwhm = {1, 2}\nwavelength = {400, 500, 600, 700, 800}\n", "`fwhm` holds 2 values");
    note("data ignore value = about zero\n", "`data ignore value = about zero` is not a number");
    note("reflectance scale factor = 0\n", "above 0");
    note("reflectance scale factor = ten\n", "not a number");
    note("data gain values = {1, 2}\n", "2 values");
    note("data gain values = {-1, 1, 1, 1, 1}\n", "below 0");
    for quiet in
        ["data ignore value = None\n", "data ignore value = {-9999}\n", "data ignore value =\n"]
    {
        let (header, scene) = open(&folder.pair(quiet));
        assert_eq!(scene.cube().padded(), right.cube().padded());
        assert_eq!(header.ignore_value, quiet.contains('9').then_some(-9999.0));
    }
    // A comment behind a number that is needed.
    folder.put("s.hdr", header().replace("data type = 2", "data type = 2 ; int16"));
    assert_eq!(open(&folder.0.path().join("s.hdr")).1.cube().padded(), right.cube().padded());
    // A dead band has no gain, and is no band.
    let (_, scene) = open(&folder.pair("data gain values = {0, 0.0001, 0.0001, 0.0001, 0.0001}\n"));
    assert_eq!(scene.bands().len(), BANDS - 1);
    assert_eq!(scene.scaling().gain, 1e-4);
}

#[test]
fn wavelengths_and_flags_in_unusual_places() {
    let folder = Folder::new();
    for extra in [
        "wavelength = {400, 500.5, 600, 700, 800}\n",
        "wavelength =\n{400, 500.5,\n 600, 700, 800}\n",
        "wavelength = [400. 500.5 600. 700. 800.]\n",
        "wavelength = [400. 500.5 600.\n 700. 800.]\n",
        "wavelength = {400 nm, 500.5 nm, 600 nm, 700 nm, 800 nm}\n",
        "wavelength units = Micrometers\nwavelength = {0.4, 0.5005, 0.6, 0.7, 0.8}\n",
        "wavelength units = Micrometers\nwavelength = {400, 500.5, 600, 700, 800}\n",
        "wavelength units = Nanometers\nwavelength = {0.4, 0.5005, 0.6, 0.7, 0.8}\n",
        "Wavelengths = {400, 500.5, 600, 700, 800}\n",
        "band names = {B1 (400 Nanometers), B2 (500.5 Nanometers), B3 (600 Nanometers), B4 (700 \
         Nanometers), B5 (800 Nanometers)}\n",
    ] {
        let (header, _) = open(&folder.pair(extra));
        let nm = header.wavelengths.unwrap_or_else(|| panic!("{extra}"));
        assert!((nm[1] - 500.5).abs() < 1e-9 && (nm[4] - 800.0).abs() < 1e-9, "{extra} {nm:?}");
    }
    for extra in [
        "bbl = {0, 1, 1, 1, 1}\n",
        "bbl =\n {0, 1, 1,\n 1, 1} ; noise\n",
        "bad bands = {1}\n",
        "Bad Band List = {0 1 1 1 1}\n",
    ] {
        let (_, scene) = open(&folder.pair(extra));
        assert_eq!(scene.bands().len(), BANDS - 1, "{extra}");
        assert_eq!(scene.bands()[0].index, 1, "{extra}");
    }
    let widths = "wavelength units = um\nwavelength = {0.4, 0.5, 0.6, 0.7, 0.8}\nfwhm = {0.01, \
        0.01, 0.01, 0.01, 0.02}\n";
    let (_, scene) = open(&folder.pair(widths));
    assert!((scene.bands()[4].fwhm.unwrap() - 20.0).abs() < 1e-9);
}

#[test]
fn pairs_under_any_extension() {
    let right = open(&Folder::new().pair("")).1;
    for data in ["a.bin", "a.rfl", "a.hyspex", "a.cube", "a.float", "a.Img", "a.b.pix", "a"] {
        let folder = Folder::new();
        let header = if data == "a.b.pix" { "a.b.hdr" } else { "a.HDR" };
        let paths = [folder.put(data, bytes()), folder.put(header, self::header())];
        // Others of the stem are not taken for the data.
        folder.put("a.txt", "notes");
        folder.put("a.xml", "<a/>");
        for path in paths {
            assert_eq!(open(&path).1.cube().padded(), right.cube().padded(), "{data}");
        }
    }
    // Two files of the stem: the one of the right size.
    let folder = Folder::new();
    folder.put("a.img", b"too short");
    folder.put("a.bin", bytes());
    let path = folder.put("a.hdr", header());
    assert_eq!(open(&path).1.cube().padded(), right.cube().padded());
}

#[test]
fn trailing_bytes_are_noted_and_missing_ones_refused() {
    let folder = Folder::new();
    let path = folder.pair("");
    let right = open(&path).1;
    let mut long = bytes();
    long.extend([7; 512]);
    folder.put("s.img", long);
    let (_, scene) = open(&path);
    assert_eq!(scene.cube().padded(), right.cube().padded());
    assert!(scene.notes().join(" ").contains("512 bytes after"), "{:?}", scene.notes());
    folder.put("s.img", &bytes()[1..]);
    assert!(io::open(&path, &OpenOptions::default()).is_err_and(|e| e.is_bad_input()));
}

#[test]
fn classes_and_pictures_are_no_scenes() {
    let folder = Folder::new();
    for kind in ["ENVI Classification", "ENVI classification", "ENVI Mask"] {
        let path = folder.pair(&format!("file type = {kind}\n"));
        let error = io::open(path, &OpenOptions::default()).err().unwrap().to_string();
        assert!(error.contains("classes, not spectra"), "{error}");
    }
}
