//! Flags that choose the model: what they write, and which of them contradict each other.

use super::bench::Bench;

const SCENE: &str = "simulate --out s --rows 9 --cols 13 --bands 12 --brightness 0.2";

#[test]
fn brightness_and_variability_are_written_where_they_are_on() {
    let bench = Bench::new();
    bench.ok(SCENE);
    let fit = "fit s/scene.npz -k 2 --device cpu --steps 60";
    bench.ok(&format!("{fit} --out on"));
    bench.ok(&format!("{fit} --out off --brightness off --variability off"));
    let header = |folder: &str| {
        let table = std::fs::read_to_string(bench.at(folder).join("endmembers.csv")).unwrap();
        table.lines().next().unwrap().to_owned()
    };
    assert!(bench.names_in("on").contains(&"brightness.png".to_owned()));
    assert!(header("on").contains("endmember 1_variability"), "{}", header("on"));
    assert!(!bench.names_in("off").contains(&"brightness.png".to_owned()));
    assert!(!header("off").contains("variability"));
    assert_eq!(bench.report("on")["settings"]["convention"], "peak");
    assert_eq!(bench.report("off")["settings"]["convention"], "reflectance");
}

#[test]
fn spectra_are_joint_first_or_given() {
    let bench = Bench::new();
    bench.ok(SCENE);
    let fit = "fit s/scene.npz -k 3 --device cpu --steps 60";
    let spectra = |flags: &str, out: &str| {
        bench.ok(&format!("{fit} --out {out} {flags}"));
        bench.report(out)["settings"]["spectra"].as_str().unwrap().to_owned()
    };
    assert_eq!(spectra("", "on"), "joint");
    // Few steps leave no search.
    assert_eq!(spectra("--brightness off", "quick"), "joint");
    assert_eq!(spectra("--brightness off --restarts 1 --search 0", "first"), "first");
    let first = bench.report("first");
    assert_eq!(first["settings"]["model"]["held"], "spectra-and-variability");
    assert!(first["estimates"]["elbo_with_brightness"].is_f64());
    // Given spectra come back as they went in.
    assert_eq!(spectra("--init s/truth.npz --spectra given --brightness off", "given"), "given");
    let npz = ndarray_npy::NpzReader::new(std::fs::File::open(bench.at("s/truth.npz")).unwrap());
    let truth: ndarray::Array2<f64> = npz.unwrap().by_name("endmembers").unwrap();
    let mut table = csv::Reader::from_path(bench.at("given/endmembers.csv")).unwrap();
    let column = table.headers().unwrap().iter().position(|h| h == "endmember 1_mean").unwrap();
    for (line, &c) in table.records().zip(truth.row(0)) {
        let mean: f64 = line.unwrap()[column].parse().unwrap();
        // The guide's scale is 5e-5 of the value, and a start is at least 0.001.
        assert!((mean - c.max(1e-3)).abs() < 1e-4, "{mean} for {c}");
    }
    // Nested keeps them, too.
    let nested = bench
        .ok(&format!("{fit} --out nested --init s/truth.npz --spectra given --posterior nested"));
    assert!(nested.stderr.contains("moved in 0 steps"), "{}", nested.stderr);
}

#[test]
fn a_peak_is_one_in_the_peak_convention() {
    let bench = Bench::new();
    bench.ok(SCENE);
    bench.ok("fit s/scene.npz -k 2 --out o --device cpu --steps 200");
    let mut table = csv::Reader::from_path(bench.at("o/endmembers.csv")).unwrap();
    let column = table.headers().unwrap().iter().position(|h| h == "endmember 1_mean").unwrap();
    let values: Vec<f64> =
        table.records().map(|line| line.unwrap()[column].parse().unwrap()).collect();
    let peak = values.iter().copied().fold(0.0, f64::max);
    // Of twelve uncertain values the largest lies a little above the true peak.
    assert!(peak > 0.95 && peak < 1.05, "{peak}");
}

#[test]
fn what_is_learned_is_reported() {
    let bench = Bench::new();
    bench.ok(SCENE);
    let fit = "fit s/scene.npz -k 2 --device cpu --steps 300";
    bench.ok(&format!("{fit} --out given --concentration 1.5"));
    bench.ok(&format!("{fit} --out learned --concentration learn --guide mean-field"));
    let alpha = |folder: &str| bench.report(folder)["estimates"]["concentration"].as_f64().unwrap();
    assert_eq!(alpha("given"), 1.5);
    // It begins at 0.2 K.
    assert!(
        alpha("learned") > 0.0 && (alpha("learned") - 0.4).abs() > 1e-3,
        "{}",
        alpha("learned")
    );
}

#[test]
fn the_low_rank_guide_is_recorded() {
    let bench = Bench::new();
    bench.ok(SCENE);
    let fit = "fit s/scene.npz -k 2 --device cpu --steps 60 --guide low-rank";
    for (flags, rank) in [("", 10), (" --rank 4", 4)] {
        bench.ok(&format!("{fit} --out o --force{flags}"));
        let guide = &bench.report("o")["settings"]["model"]["family"];
        assert_eq!(guide["low-rank"]["rank"], rank, "{guide}");
    }
    // Two pixels of two bands have 9 latents without variability and brightness: two endmembers of
    // two bands, two noises, a mean abundance, and an abundance each.
    let one: ndarray::Array3<f32> = ndarray::array![[[0.3, 0.4]], [[0.2, 0.6]]];
    bench.save("two.npz", one.view());
    let fit = "fit two.npz -k 2 --device cpu --steps 5 --variability off --brightness off \
        --common-mixture off --guide low-rank";
    bench.ok(&format!("{fit} --out few --rank 9"));
    let line = format!("{fit} --out more --rank 10");
    bench.refuses(line.split_whitespace(), &["--rank 10", "9 latents", "full-rank"]);
}

#[test]
fn effective_bands_weigh_the_likelihood() {
    let bench = Bench::new();
    bench.ok(SCENE);
    for (given, bands) in [("3", 3.0), ("all", 12.0), ("500", 12.0)] {
        bench.ok(&format!(
            "fit s/scene.npz -k 2 --device cpu --steps 20 --out e{given} --effective-bands {given}"
        ));
        let settings = &bench.report(&format!("e{given}"))["settings"];
        assert_eq!(settings["effective_bands"], bands, "{given}");
        assert_eq!(settings["model"]["likelihood_weight"], bands / 12.0, "{given}");
    }
    let ran =
        bench.ok("fit s/scene.npz -k 2 --device cpu --steps 20 --out auto --effective-bands auto");
    assert!(ran.stderr.contains("residuals"), "{}", ran.stderr);
    let found = bench.report("auto")["settings"]["effective_bands"].as_f64().unwrap();
    assert!((1.0..=12.0).contains(&found), "{found}");
}

#[test]
fn covariance_noise_is_written() {
    let bench = Bench::new();
    bench.ok(SCENE);
    bench.ok("fit s/scene.npz -k 2 --device cpu --steps 60 --out o --noise covariance");
    let correlation: ndarray::Array2<f64> =
        ndarray_npy::read_npy(bench.at("o/noise_correlation.npy")).unwrap();
    assert_eq!(correlation.dim(), (12, 12));
    assert!(correlation.diag().iter().all(|&c| c == 1.0));
    assert!(correlation.iter().all(|c| c.abs() <= 1.0));
    assert!(bench.names_in("o").contains(&"noise_correlation.png".to_owned()));
    assert_eq!(bench.report("o")["settings"]["effective_bands"], 12.0);
    assert!(bench.report("o")["settings"]["model"]["variability"].is_null());
}

#[test]
fn contradictions_are_refused() {
    let bench = Bench::with_scene();
    for (flags, says) in [
        ("--noise covariance --variability on", ["--noise covariance", "variability"]),
        ("--noise covariance --posterior nested", ["--posterior exact", "noise covariance"]),
        ("--effective-bands 0", ["--effective-bands", "auto or all"]),
        ("--effective-bands some", ["'some'", "auto or all"]),
        ("--concentration learnt", ["'learnt'", "learn"]),
        ("--guide rank-one", ["rank-one", "full-rank"]),
        ("--rank 3", ["--rank 3", "--guide low-rank"]),
        ("--rank 3 --guide mean-field", ["--rank 3", "--guide low-rank"]),
        ("--rank 0 --guide low-rank", ["--rank 0", "at least 1"]),
        ("--rank 65 --guide low-rank", ["--rank 65", "at most 64"]),
        ("--rank 18446744073709551615 --guide low-rank", ["--rank 1844", "at most 64"]),
        ("--brightness maybe", ["maybe", "on, off"]),
    ] {
        let line = format!("fit s/scene.npz --out o/new -k 3 --device cpu --steps 5 {flags}");
        bench.refuses(line.split_whitespace(), &says);
    }
}

/// Floats of 16 bits hold the spectra on a GPU, where noise hides the rounding; what became of the
/// wish is told and on record.
#[test]
fn spectra_are_halved_on_a_gpu_and_told_why_not_elsewhere() {
    let bench = Bench::new();
    bench.ok(&SCENE.replace("--rows 9", "--rows 20"));
    let fit = "fit s/scene.npz -k 2 --steps 60 --cube f16";
    let told = bench.ok(&format!("{fit} --device cpu --out cpu")).stderr;
    assert!(told.contains("the CPU has them in memory; 16 is for a GPU"), "{told}");
    let report = bench.report("cpu");
    assert_eq!(report["device"]["held"]["why"], "cpu");
    assert_eq!(report["settings"]["svi"]["half"], false);
    bench.ok("fit s/scene.npz -k 2 --steps 60 --device cpu --out plain");
    assert!(bench.report("plain")["device"]["held"].is_null());
    let map = |of: &str| std::fs::read(bench.at(of).join("abundance_mean.npy")).unwrap();
    assert_eq!(map("cpu"), map("plain"));
    // Elsewhere there may be none.
    if !std::env::var("UNMIXEL_GPU").is_ok_and(|mode| mode == "require") {
        return;
    }
    let told = bench.ok(&format!("{fit} --device gpu --out gpu")).stderr;
    assert!(told.contains("floats of 16 bits: rounding is"), "{told}");
    let report = bench.report("gpu");
    let share = report["device"]["held"]["rounding_of_noise"].as_f64().unwrap();
    assert!(share > 0.0 && share <= 0.25, "{share}");
    assert_eq!(report["settings"]["svi"]["half"], true);
    bench.ok("fit s/scene.npz -k 2 --steps 60 --device gpu --out full");
    assert_ne!(map("gpu"), map("full"));
    // Next to no noise: rounding would show.
    bench.ok("simulate --out t --rows 20 --cols 13 --bands 12 --brightness 0.2 --noise 0.0002");
    let told = bench.ok(&format!("{} --device gpu --out t32", fit.replace("s/", "t/"))).stderr;
    assert!(told.contains("floats of 32 bits: rounding to 16 would be"), "{told}");
    assert_eq!(bench.report("t32")["settings"]["svi"]["half"], false);
}
