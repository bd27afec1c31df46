//! The way from a simulated scene to scores, and every file on it.

use ndarray::Array3;
use ndarray_npy::NpzReader;

use super::bench::{Bench, assert_shares};

#[test]
fn the_demo_writes_every_file() {
    let bench = Bench::new();
    let ran = bench.ok("demo --out d --device cpu --steps 60");

    let mut files: Vec<String> = Vec::new();
    for name in ["soil", "vegetation", "water"] {
        files.extend([
            format!("abundance_{name}.png"),
            format!("abundance_{name}_sd.png"),
            format!("abundance_{name}_width.png"),
            format!("truth_{name}.png"),
        ]);
    }
    files.extend(
        [
            "brightness.png",
            "composite.png",
            "residual.png",
            "elbo.png",
            "endmembers.png",
            "endmembers.csv",
            "abundance_mean.npy",
            "abundance_sd.npy",
            "abundance_q05.npy",
            "abundance_q50.npy",
            "abundance_q95.npy",
            "brightness.npy",
            "residual.npy",
            "report.json",
            "record.json",
        ]
        .map(str::to_owned),
    );
    files.sort();
    assert_eq!(bench.names_in("d"), files);
    let report = bench.report("d");
    let mut listed: Vec<&str> =
        report["files"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
    listed.sort_unstable();
    assert_eq!(listed, files);

    for file in files.iter().filter(|file| file.ends_with(".png")) {
        let picture = image::open(bench.at("d").join(file)).unwrap().to_rgb8();
        let first = *picture.get_pixel(0, 0);
        assert!(picture.pixels().any(|p| *p != first), "{file} is blank");
    }
    let used = report["scene"]["pixels_used"].as_u64().unwrap() as usize;
    let maps = bench.abundances("d");
    assert_eq!(maps.dim(), (80, 110, 3));
    assert!(used < 80 * 110, "the demo has holes");
    assert_shares(&maps, used);
    let sd: Array3<f32> = ndarray_npy::read_npy(bench.at("d/abundance_sd.npy")).unwrap();
    assert_eq!(sd.dim(), (80, 110, 3));
    // Shares between 0 and 1 have an sd of at most 1/2.
    let sane = sd.iter().filter(|v| (0.0..=0.5).contains(*v) && **v > 0.0).count();
    assert_eq!(sane, 3 * used);
    let table = std::fs::read_to_string(bench.at("d/endmembers.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 80, "a header and a line a band");
    assert!(
        table.starts_with(
            "band,wavelength_nm,soil_mean,soil_sd,soil_q05,soil_q95,soil_variability,"
        )
    );

    assert_eq!(report["device"]["backend"], "cpu");
    assert_eq!(report["device"]["reason"], "asked for");
    assert_eq!(report["stop_reason"], "the ceiling of steps was reached");
    assert_eq!(report["interrupted"], false);
    assert_eq!(report["seed"], 0);
    assert_eq!((&report["steps_run"], &report["steps_ceiling"]), (&60.into(), &60.into()));
    assert_eq!(report["settings"]["svi"]["steps"], 60);
    assert_eq!(report["settings"]["model"]["endmembers"], 3);
    assert_eq!(report["elbo"]["trace"].as_array().unwrap().len(), 60);
    assert_eq!(report["scores"]["peak"]["sad"].as_array().unwrap().len(), 3);
    assert!(report["run"]["command"].as_array().unwrap().iter().any(|a| a == "demo"));

    for word in ["SAD", "soil", "vegetation", "water", "all", "27 files in d"] {
        assert!(ran.stdout.contains(word), "{word}: {}", ran.stdout);
    }
    let device = ran.stderr.lines().filter(|line| line.starts_with("device: CPU")).count();
    assert_eq!(device, 1, "{}", ran.stderr);
}

#[test]
fn npz_and_envi_of_one_scene_give_the_same_fit_and_scores() {
    let bench = Bench::new();
    bench.ok("simulate --out s --rows 11 --cols 17 --bands 20 --no-data 0.15 --seed 3");
    assert_eq!(
        bench.names_in("s"),
        ["record.json", "scene.hdr", "scene.img", "scene.npz", "truth.npz"]
    );
    let fit = |scene: &str, out: &str| {
        bench.ok(&format!(
            "fit s/{scene} -k 3 --truth s/truth.npz --out {out} --device cpu --steps 60 \
             --brightness off"
        ))
    };
    fit("scene.npz", "n");
    fit("scene.img", "e");
    fit("scene.hdr", "h");

    // Holes are where the scene has them: not elsewhere, not transposed.
    let mut archive =
        NpzReader::new(std::fs::File::open(bench.at("s/scene.npz")).unwrap()).unwrap();
    let cube: Array3<f32> = archive.by_name("cube").unwrap();
    let maps = bench.abundances("n");
    assert_eq!((cube.dim(), maps.dim()), ((11, 17, 20), (11, 17, 3)));
    let mut holes = 0;
    for row in 0..11 {
        for col in 0..17 {
            let hole = cube[[row, col, 0]].is_nan();
            assert_eq!(maps[[row, col, 0]].is_nan(), hole, "row {row}, column {col}");
            holes += usize::from(hole);
        }
    }
    assert!(holes > 0);
    assert_shares(&maps, 11 * 17 - holes);

    // Both files hold the same float32 values, and NaN and -9999 are both left out before the fit:
    // it sees the same cube and must give the same bytes.
    for other in ["e", "h"] {
        for file in ["abundance_mean.npy", "abundance_sd.npy"] {
            let read = |folder: &str| std::fs::read(bench.at(folder).join(file)).unwrap();
            assert!(read("n") == read(other), "{file} of {other}");
        }
    }

    // The maps are kept as the float32 they are computed in, the table of spectra with as many
    // digits as it takes: scores of the files are those of the fit to the last digit.
    let report = bench.report("n");
    let ran = bench.ok("score n --truth s/truth.npz --json");
    let scores: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    for convention in ["reflectance", "peak"] {
        for key in ["sad", "mean_sad", "abundance_rmse", "abundance_rmse_each", "pixels"] {
            let (own, said) = (&scores[convention][key], &report["scores"][convention][key]);
            assert!(!own.is_null(), "{convention} {key}");
            assert_eq!(own, said, "{convention} {key}");
        }
    }
    assert_eq!(scores["reflectance"]["pixels"], 11 * 17 - holes);
    // Noise of 0.01 against contrasts of some tenths. A transposed map is off by about 0.4.
    assert!(scores["reflectance"]["abundance_rmse"].as_f64().unwrap() < 0.1, "{scores}");
    let table = bench.ok("score n --truth s/truth.npz").stdout;
    assert!(table.contains("endmember 1") && table.contains("all"), "{table}");
}
