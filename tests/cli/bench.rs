//! A fresh folder, and the program run in it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use assert_cmd::Command;
use ndarray::{Array3, ArrayView3};
use serde_json::Value;
use tempfile::TempDir;
use unmixel::rooms::io::write_npz;
use unmixel::simulate::{Settings, simulate};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_unmixel");

/// The small scene's size: not square, so that a transposed map shows.
pub const ROWS: usize = 6;
pub const COLS: usize = 7;
pub const BANDS: usize = 8;

/// A folder that goes away with it.
pub struct Bench(TempDir);

/// What a run left, files apart.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Bench {
    pub fn new() -> Self {
        Bench(TempDir::new().unwrap())
    }

    /// With the small scene in `s`, three endmembers.
    pub fn with_scene() -> Self {
        let bench = Bench::new();
        bench.ok(&format!("simulate --out s --rows {ROWS} --cols {COLS} --bands {BANDS}"));
        bench
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The program, to be started in the folder. The longest run here, a calibration, takes three
    /// quarters of a minute on two idle cores; nine times that, as others may be at work.
    pub fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(PROGRAM);
        command.current_dir(self.0.path()).args(args).timeout(Duration::from_secs(420));
        command
    }

    /// Runs it with the words of a line.
    pub fn run(&self, line: &str) -> Ran {
        Ran::of(&mut self.command(line.split_whitespace()))
    }

    /// The same, and it must succeed.
    pub fn ok(&self, line: &str) -> Ran {
        let ran = self.run(line);
        assert_eq!(ran.code, Some(0), "{line}\n{}", ran.stderr);
        assert!(!ran.stderr.lines().any(|l| l.starts_with("error")), "{line}\n{}", ran.stderr);
        ran
    }

    /// Runs it, and it must say in one line that the input is bad, with all of `says` in it, and
    /// leave the folder as it was.
    pub fn refuses<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>, says: &[&str]) {
        let before = self.files();
        let ran = Ran::of(&mut self.command(args));
        let errors: Vec<&str> =
            ran.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(ran.code, Some(2), "{says:?}: {ran:?}");
        assert_eq!(errors.len(), 1, "{says:?}: {ran:?}");
        assert_eq!(ran.stderr.lines().last(), Some(errors[0]), "{says:?}: {ran:?}");
        for part in says {
            assert!(errors[0].contains(part), "`{part}` is missing: {}", errors[0]);
        }
        assert_eq!(ran.stdout, "", "{says:?}");
        assert!(before == self.files(), "{says:?}: the folder was changed");
    }

    /// Everything below the folder; folders without content.
    pub fn files(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let mut found = BTreeMap::new();
        walk(self.0.path(), self.0.path(), &mut found);
        found
    }

    /// Names of the files in a folder of results, sorted.
    pub fn names_in(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.at(folder)).unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub fn report(&self, folder: &str) -> Value {
        let text = std::fs::read_to_string(self.at(folder).join("report.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    pub fn abundances(&self, folder: &str) -> Array3<f32> {
        ndarray_npy::read_npy(self.at(folder).join("abundance_mean.npy")).unwrap()
    }

    /// Saves a cube as an NPZ without wavelengths.
    pub fn save(&self, name: &str, cube: ArrayView3<f32>) {
        write_npz(self.at(name), cube, None).unwrap();
    }
}

fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<PathBuf, Option<Vec<u8>>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_owned();
        if path.is_dir() {
            found.insert(name, None);
            walk(root, &path, found);
        } else {
            found.insert(name, Some(std::fs::read(&path).unwrap()));
        }
    }
}

impl Ran {
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The small scene's cube.
pub fn small_cube() -> Array3<f32> {
    let settings =
        Settings { rows: ROWS, cols: COLS, bands: BANDS, brightness_sd: 0.0, ..Default::default() };
    simulate(&settings).unwrap().cube
}

/// Every pixel without data is NaN in all layers; all others lie on the simplex.
pub fn assert_shares(maps: &Array3<f32>, pixels_used: usize) {
    let mut used = 0;
    for pixel in maps.rows() {
        if pixel.iter().all(|w| w.is_nan()) {
            continue;
        }
        used += 1;
        assert!(pixel.iter().all(|w| (0.0..=1.0).contains(w)), "{pixel}");
        // A few roundings of numbers below 1, each of at most 6e-8.
        assert!((pixel.sum() - 1.0).abs() < 1e-5, "{pixel}");
    }
    assert_eq!(used, pixels_used);
}
