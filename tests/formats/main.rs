//! One cube through every format, written by the libraries that people use, and the results opened
//! by GDAL.
//!
//! `UNMIXEL_PYTHON=auto|require|skip`: `auto` runs where Python has the libraries of
//! `tests/formats/requirements.txt`, and says so where it has not.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::type_complexity
)]

mod damage;

use std::path::{Path, PathBuf};
use std::process::Command;

use ndarray::Array3;
use serde_json::Value;
use unmixel::rooms::io::{self, OpenOptions};
use unmixel::scene::Header;

const LIBRARIES: &str = "import rasterio, h5py, netCDF4, scipy, hdf5storage";
/// Those that are often missing where the others are; without them their share is left out.
const MORE: &str = "import zarr, xarray, numcodecs, rio_cogeo";

/// The Python with the libraries; none where they are missing and may be.
fn python() -> Option<PathBuf> {
    let mode = std::env::var("UNMIXEL_PYTHON").unwrap_or_else(|_| "auto".into());
    if mode == "skip" {
        eprintln!("SKIPPED: UNMIXEL_PYTHON=skip");
        return None;
    }
    assert!(["auto", "require"].contains(&mode.as_str()), "UNMIXEL_PYTHON={mode}");
    let name = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let has =
        Command::new(&name).args(["-c", LIBRARIES]).output().is_ok_and(|o| o.status.success());
    assert!(has || mode == "auto", "UNMIXEL_PYTHON=require, and {name} cannot `{LIBRARIES}`");
    if !has {
        eprintln!("SKIPPED: {name} cannot `{LIBRARIES}`");
    }
    has.then(|| name.into())
}

/// True where Python has the libraries for Zarr and for the validation of GeoTIFFs, too.
fn has_more(python: &Path) -> bool {
    let has = Command::new(python).args(["-c", MORE]).output().is_ok_and(|o| o.status.success());
    let required = std::env::var("UNMIXEL_PYTHON").is_ok_and(|mode| mode == "require");
    assert!(has || !required, "UNMIXEL_PYTHON=require, and {} cannot `{MORE}`", python.display());
    if !has {
        eprintln!("SKIPPED: Zarr and the validation of GeoTIFFs: Python cannot `{MORE}`");
    }
    has
}

fn run(python: &Path, script: &str, arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats").join(script);
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    told
}

/// The folder with one cube in all formats, and what its files must be understood as.
fn files() -> Option<(tempfile::TempDir, Value)> {
    let folder = tempfile::tempdir().unwrap();
    run(&python()?, "make.py", &[folder.path().to_str().unwrap()]);
    let text = std::fs::read_to_string(folder.path().join("manifest.json")).unwrap();
    Some((folder, serde_json::from_str(&text).unwrap()))
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// The whole cube, in windows of `at_once` rows.
fn read(path: &Path, at_once: usize) -> (Header, Array3<f32>) {
    let mut source = io::open(path, &OpenOptions::default()).unwrap();
    let header = source.header().clone();
    let row = header.cols * header.bands;
    let mut values = vec![0.0; header.rows * row];
    for first in (0..header.rows).step_by(at_once) {
        let count = at_once.min(header.rows - first);
        source.read_rows(first, count, &mut values[first * row..][..count * row]).unwrap();
    }
    let cube = Array3::from_shape_vec((header.rows, header.cols, header.bands), values).unwrap();
    (header, cube)
}

/// What differs between a file and what it must be understood as.
fn differences(
    header: &Header,
    cube: &Array3<f32>,
    expected: &Array3<f32>,
    (all, wanted): (&Value, &Value),
) -> Vec<String> {
    let mut found = Vec::new();
    let own: Vec<Option<usize>> = match wanted["order"].as_array() {
        Some(order) => order.iter().map(|v| v.as_u64().map(|n| n as usize)).collect(),
        None => (0..expected.dim().2).map(Some).collect(),
    };
    let mut expect = |what: &str, good: bool| {
        if !good {
            found.push(what.to_owned());
        }
    };
    expect(
        "size",
        (header.rows, header.cols, header.bands) == (expected.dim().0, expected.dim().1, own.len()),
    );
    if header.bands == own.len()
        && header.rows == expected.dim().0
        && header.cols == expected.dim().1
    {
        for (band, from) in own.iter().enumerate() {
            let Some(from) = from else { continue };
            let same = cube.index_axis(ndarray::Axis(2), band)
                == expected.index_axis(ndarray::Axis(2), *from);
            expect(&format!("values of band {band}"), same);
        }
    }
    if wanted["wavelengths"] == true {
        let nm = numbers(&all["wavelengths"]);
        let close = header.wavelengths.as_ref().is_some_and(|got| {
            // Some formats hold wavelengths in 32 bits.
            own.iter()
                .zip(got)
                .all(|(from, got)| from.is_none_or(|from| (nm[from] - got).abs() < 1e-3))
        });
        expect("wavelengths", close);
    }
    if wanted["fwhm"] == true {
        let widths = numbers(&all["fwhm"]);
        let close = |got: &Vec<f64>| got.iter().zip(&widths).all(|(a, b)| (a - b).abs() < 1e-3);
        expect("widths", header.fwhm.as_ref().is_some_and(close));
    }
    if let Some(bad) = wanted["bad"].as_array() {
        let bad: Vec<usize> = bad.iter().map(|v| v.as_u64().unwrap() as usize).collect();
        let flags: Vec<bool> = (0..header.bands).map(|band| !bad.contains(&band)).collect();
        expect("bad bands", header.good_bands.as_ref() == Some(&flags));
    }
    if let Some(ignore) = wanted["ignore"].as_f64() {
        expect("no-data value", header.ignore_value == Some(ignore));
    }
    if let Some(scale) = wanted["scale"].as_f64() {
        // PRISMA holds the ends of the range in 32 bits.
        let close = |gains: &[f64]| gains.iter().all(|gain| (gain / scale - 1.0).abs() < 1e-6);
        expect("scale", header.stated_scale.as_ref().is_some_and(|(gains, _, _)| close(gains)));
    }
    if wanted["place"].is_array() {
        let place = header.georeference.as_ref();
        let transform = numbers(&wanted["place"]);
        let near = |t: &[f64; 6]| {
            t.iter().zip(&transform).all(|(a, b)| (a - b).abs() <= 1e-9 * b.abs().max(1.0))
        };
        expect("transform", place.is_some_and(|place| near(&place.transform)));
        let epsg = place.and_then(|place| place.crs.epsg);
        expect("EPSG number", epsg.map(u64::from) == wanted["epsg"].as_u64());
    }
    if let Some(grid) = wanted["grid"].as_array() {
        let lookup = header.georeference.as_ref().and_then(|place| place.lookup.as_ref());
        let same = |(rows, cols): (usize, usize)| grid[0] == rows && grid[1] == cols;
        expect("grid", lookup.is_some_and(|lookup| same((lookup.rows, lookup.cols))));
    }
    found
}

#[test]
fn every_format_gives_the_values_that_its_library_reads() {
    let Some((folder, manifest)) = files() else { return };
    let values = |of: &Value| -> Array3<f32> {
        let name = of.as_str().unwrap_or("expected.npy");
        ndarray_npy::read_npy(folder.path().join(name)).unwrap()
    };
    let files = manifest["files"].as_object().unwrap();
    // Fewer would mean that the script wrote none of some kind.
    let fewest = if has_more(&python().unwrap()) { 250 } else { 170 };
    assert!(files.len() > fewest, "{}", files.len());
    let mut wrong = Vec::new();
    for (name, wanted) in files {
        let expected = values(&wanted["of"]);
        for at_once in [7, expected.dim().0] {
            let (header, cube) = read(&folder.path().join(name), at_once);
            let found = differences(&header, &cube, &expected, (&manifest, wanted));
            wrong.extend(
                found.into_iter().map(|what| format!("{name}, {at_once} rows at once: {what}")),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // The comparison sees each kind of difference.
    let expected = values(&Value::Null);
    let (mut header, cube) = read(&folder.path().join("prisma.he5"), 5);
    // Its bands that are not in use are no part of the list.
    header.fwhm = Some(numbers(&manifest["fwhm"]));
    let mut wanted = files["prisma.he5"].clone();
    wanted["fwhm"] = true.into();
    let seen = |header: &Header, cube: &Array3<f32>| {
        differences(header, cube, &expected, (&manifest, &wanted))
    };
    let mut other = cube.clone();
    other[(3, 4, 7)] += 1.0;
    assert_eq!(seen(&header, &other), ["values of band 7"]);
    let changes: [(&str, fn(&mut Header)); 7] = [
        ("widths", |h| h.fwhm = Some(vec![6500.0; 14])),
        ("wavelengths", |h| h.wavelengths = None),
        ("bad bands", |h| h.good_bands = None),
        ("no-data value", |h| h.ignore_value = Some(1.0)),
        ("scale", |h| h.stated_scale = None),
        ("transform", |h| h.georeference.as_mut().unwrap().transform[5] *= -1.0),
        ("EPSG number", |h| h.georeference.as_mut().unwrap().crs.epsg = Some(32733)),
    ];
    for (what, change) in changes {
        let mut header = header.clone();
        change(&mut header);
        assert_eq!(seen(&header, &cube), [what]);
    }
}

/// Fits a file with few steps and gives the folder of results.
fn fit(scene: &Path, out: &Path, formats: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_unmixel"))
        .arg("fit")
        .arg(scene)
        .args([
            "-k", "3", "--device", "cpu", "--steps", "60", "--format", formats, "--force", "--out",
        ])
        .arg(out)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}: {}",
        scene.display(),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn one_cube_in_every_format_gives_the_same_abundances_to_the_bit() {
    let Some((folder, manifest)) = files() else { return };
    let mut seen: Vec<(String, Vec<u8>)> = Vec::new();
    let mut families = std::collections::BTreeSet::new();
    for (name, wanted) in manifest["files"].as_object().unwrap() {
        // Values of all files are compared above; of each kind of file one is fitted.
        let family = name.split(['-', '.']).next().unwrap_or_default();
        let ending = name.rsplit('.').next().unwrap_or_default();
        if wanted["of"].is_string() || !families.insert((family, ending, wanted["bad"].to_string()))
        {
            continue;
        }
        // Its scale is one in 32 bits, so its reflectance differs in the last digits.
        if name == "prisma.he5" {
            continue;
        }
        let out = folder.path().join("out");
        fit(&folder.path().join(name), &out, "npy");
        let bytes = std::fs::read(out.join("abundance_mean.npy")).unwrap();
        // Files that flag a band as bad stand for another scene.
        let kind = wanted["bad"].to_string();
        match seen.iter().find(|(other, _)| *other == kind) {
            Some((_, first)) => assert!(*first == bytes, "{name} gives other abundances"),
            None => seen.push((kind, bytes)),
        }
    }
    assert_eq!(seen.len(), 2);
    assert_ne!(seen[0].1, seen[1].1, "the comparison sees nothing");
}

#[test]
fn results_open_in_gdal_at_the_place_of_the_scene() {
    let Some((folder, _)) = files() else { return };
    let python = python().unwrap();
    let out = folder.path().join("out");
    let check = |scene: &str, more: &[&str]| {
        let scene = folder.path().join(scene);
        fit(&scene, &out, "png,npy,envi,geotiff,netcdf,zarr");
        let mut arguments = vec![out.to_str().unwrap(), scene.to_str().unwrap()];
        arguments.extend(more);
        run(&python, "check.py", &arguments)
    };
    for scene in ["pixel-tiles-zstd.tif", "rotated.tif", "envi.img", "envi-rotated.img"] {
        check(scene, &[]);
    }
    let utm = ["366015", "30", "0", "5809965", "0", "-30", "32633", "37", "53"];
    for scene in ["prisma.he5", "neon.h5", "netcdf.nc"] {
        check(scene, &utm);
    }
    // EMIT's maps are put on the file's grid, which is larger than the scene.
    let grid = ["-115.9", "0.00054", "0", "33.4", "0", "-0.00054", "4326", "39", "56"];
    check("emit.nc", &grid);

    // The check sees another place, and other values.
    let failed = |more: &[&str]| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/check.py");
        let scene = folder.path().join("emit.nc");
        let output =
            Command::new(&python).arg(script).arg(&out).arg(scene).args(more).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(failed(&utm).contains("corners"));
    let tif = out.join("abundance_mean.tif");
    std::fs::copy(out.join("abundance_sd.tif"), &tif).unwrap();
    assert!(failed(&grid).contains("formats differ"));
    if has_more(&python) {
        let chunk = out.join("unmixing.zarr/brightness/0.0");
        std::fs::copy(out.join("unmixing.zarr/residual/0.0"), chunk).unwrap();
        assert!(failed(&grid).contains("brightness: Zarr and NetCDF differ"));
    }
}
