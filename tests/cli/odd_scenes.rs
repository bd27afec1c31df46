//! Scenes at the edge of what can be unmixed, and flags at the edge of what they may say: all of
//! these succeed, and say what was done.

use ndarray::s;

use super::bench::{BANDS, Bench, COLS, ROWS, Ran, assert_shares, small_cube};

/// Each of `notes` is on the screen and in the report.
fn assert_noted(ran: &Ran, report: &serde_json::Value, notes: &[&str]) {
    let recorded: Vec<&str> =
        report["scene"]["notes"].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
    for note in notes {
        let said = ran.stderr.lines().any(|l| l.starts_with("note: ") && l.contains(note));
        assert!(said, "`{note}` is not on the screen: {}", ran.stderr);
        assert!(recorded.iter().any(|n| n.contains(note)), "`{note}`: {recorded:?}");
    }
}

#[test]
fn bad_pixels_and_dead_bands_are_left_out_and_told() {
    let bench = Bench::new();
    let mut cube = small_cube();
    cube.slice_mut(s![0, 0, ..]).fill(f32::NAN);
    cube.slice_mut(s![0, 1, ..]).fill(f32::INFINITY);
    cube.slice_mut(s![5, 6, ..]).fill(0.0);
    // One lost value is filled from its neighbours in the spectrum, and told.
    cube[[2, 3, 4]] = f32::NAN;
    cube[[3, 3, 4]] = f32::NEG_INFINITY;
    // Bands that were never alive, one that died, and one that lacks most of its values.
    cube.slice_mut(s![.., .., 0]).fill(0.0);
    cube.slice_mut(s![.., .., 2]).fill(0.25);
    cube.slice_mut(s![.., .., 3]).fill(f32::NAN);
    cube.slice_mut(s![1..5, .., 6]).fill(f32::NAN);
    bench.save("c.npz", cube.view());
    let ran = bench.ok("fit c.npz -k 2 --out o --device cpu --steps 60");
    let report = bench.report("o");
    let first = "4 of 8 bands were left out: 2 without a value in most valid pixels, 2 constant \
                 over all valid pixels.";
    let used: Vec<u64> = report["scene"]["bands_used"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| b.as_u64().unwrap())
        .collect();
    assert_eq!(used, [2, 5, 6, 8], "counted from 1");
    // The band of 0.25 gives a value even to the pixels that were filled with NaN, infinity and
    // zero: they are left out for what they lack in the bands in use.
    let pixels = report["scene"]["pixels_used"].as_u64().unwrap() as usize;
    assert_eq!(pixels, ROWS * COLS - 3);
    assert_noted(&ran, &report, &[first, "2 single values"]);
    let maps = bench.abundances("o");
    assert_shares(&maps, pixels);
    for (row, col) in [(0, 0), (0, 1), (5, 6)] {
        assert!(maps[[row, col, 0]].is_nan(), "row {row}, column {col}");
    }
    assert!(maps[[2, 3, 0]].is_finite() && maps[[3, 3, 0]].is_finite(), "{maps}");
}

#[test]
fn one_endmember_fills_every_pixel() {
    let bench = Bench::with_scene();
    // A pixel whose only band is not above zero would hold no data: lifted clear of the noise.
    let cube = small_cube() + 0.1;
    bench.save("pixel.npz", cube.slice(s![..1, ..1, ..]));
    bench.save("band.npz", cube.slice(s![.., .., 3..4]));
    for (scene, size) in
        [("s/scene.npz", (ROWS, COLS)), ("pixel.npz", (1, 1)), ("band.npz", (ROWS, COLS))]
    {
        // Of one band nothing tells which axis it lies along.
        let axes = "--axes rows,columns,bands";
        bench.ok(&format!("fit {scene} {axes} -k 1 --out o --force --device cpu --steps 60"));
        let maps = bench.abundances("o");
        assert_eq!(maps.dim(), (size.0, size.1, 1), "{scene}");
        // A share of the only endmember is no estimate.
        assert!(maps.iter().all(|w| *w == 1.0), "{scene}: {maps}");
        let sd: ndarray::Array3<f32> =
            ndarray_npy::read_npy(bench.at("o/abundance_sd.npy")).unwrap();
        assert!(sd.iter().all(|v| *v == 0.0), "{scene}: {sd}");
        assert!(bench.report("o")["elbo"]["final_per_pixel"].is_f64(), "{scene}");
    }
}

#[test]
fn as_many_endmembers_as_bands_or_pixels() {
    let bench = Bench::with_scene();
    bench.ok(&format!("fit s/scene.npz -k {BANDS} --out bands --device cpu --steps 60"));
    assert_eq!(bench.abundances("bands").dim(), (ROWS, COLS, BANDS));
    assert_shares(&bench.abundances("bands"), ROWS * COLS);
    bench.save("few.npz", small_cube().slice(s![..2, ..2, ..]));
    bench.ok("fit few.npz -k 4 --out pixels --device cpu --steps 60");
    assert_shares(&bench.abundances("pixels"), 4);
}

#[test]
fn a_batch_larger_than_the_scene_is_the_scene() {
    let bench = Bench::with_scene();
    let all = ROWS * COLS;
    for (out, batch) in [("all", all.to_string()), ("more", u64::MAX.to_string())] {
        bench.ok(&format!(
            "fit s/scene.npz -k 3 --out {out} --device cpu --steps 60 --batch-size {batch}"
        ));
    }
    assert_eq!(bench.abundances("all"), bench.abundances("more"));
}

#[test]
fn force_writes_into_a_used_folder_and_leaves_strangers_alone() {
    let bench = Bench::with_scene();
    let fit = "fit s/scene.npz -k 2 --device cpu --out used";
    bench.ok(&format!("{fit} --steps 60 --seed 1"));
    let first = bench.abundances("used");
    std::fs::write(bench.at("used/notes.txt"), "mine").unwrap();
    let names = bench.names_in("used");
    bench.ok(&format!("{fit} --steps 61 --seed 2 --force"));
    assert_eq!(bench.names_in("used"), names);
    assert_eq!(std::fs::read_to_string(bench.at("used/notes.txt")).unwrap(), "mine");
    assert_eq!(bench.report("used")["steps_run"], 61);
    assert_ne!(bench.abundances("used"), first);

    // Pictures under other names would pass for results of this fit.
    std::fs::write(bench.at("stranger.png"), "mine").unwrap();
    let mut report = bench.report("used");
    report["files"].as_array_mut().unwrap().push("../stranger.png".into());
    std::fs::write(bench.at("used/report.json"), report.to_string()).unwrap();
    bench.ok(&format!("{fit} --steps 5 --force --names soil,lake"));
    let after = bench.names_in("used");
    assert!(after.contains(&"abundance_soil.png".to_owned()), "{after:?}");
    assert!(!after.iter().any(|name| name.contains("endmember_")), "{after:?}");
    // The report was changed by somebody since: it is another's file now, and kept as one.
    assert!(after.contains(&"report.json.kept-1".to_owned()), "{after:?}");
    assert_eq!(after.len(), names.len() + 1);
    assert!(bench.at("used/notes.txt").exists() && bench.at("stranger.png").exists());
}

#[test]
fn only_no_early_stop_goes_on_to_the_last_step() {
    let bench = Bench::with_scene();
    let fit = "fit s/scene.npz -k 3 --device cpu --steps 3333";
    bench.ok(&format!("{fit} --out early"));
    let report = bench.report("early");
    assert!(report["steps_run"].as_u64().unwrap() < 3333, "this scene converges within a thousand");
    // After a search nothing is left but the descent; from a start of its own a fit must settle
    // first.
    assert!(report["stop_reason"].as_str().unwrap().starts_with("the rate came down to zero"));
    bench.ok(&format!("{fit} --out cold --init vca"));
    let cold = bench.report("cold");
    assert!(cold["stop_reason"].as_str().unwrap().starts_with("the ELBO stood still"));
    bench.ok(&format!("{fit} --out late --no-early-stop"));
    let report = bench.report("late");
    assert_eq!(report["steps_run"], 3333);
    assert_eq!(report["stop_reason"], "the ceiling of steps was reached");
}

#[test]
fn names_of_any_shape_stay_in_the_folder() {
    let bench = Bench::with_scene();
    let before = bench.files();
    let names = "dry grass/soil,../../up,Ünïcode wåter";
    let mut command = bench.command(["fit", "s/scene.npz", "-k", "3", "--out", "o"]);
    let ran = Ran::of(command.args(["--device", "cpu", "--steps", "20", "--names", names]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for (path, _) in bench.files().iter().filter(|(path, _)| !before.contains_key(*path)) {
        assert!(path.starts_with("o"), "{}", path.display());
    }
    assert!(bench.names_in("o").contains(&"abundance_dry_grass_soil.png".to_owned()));
    assert!(bench.names_in("o").contains(&"abundance_up_sd.png".to_owned()));
    let table = std::fs::read_to_string(bench.at("o/endmembers.csv")).unwrap();
    let header = table.lines().next().unwrap();
    assert!(header.contains("dry grass/soil_mean") && header.contains("Ünïcode wåter_mean"));
}

#[test]
fn a_fit_begins_where_another_ended() {
    let bench = Bench::with_scene();
    bench.ok("fit s/scene.npz -k 3 --out first --device cpu --steps 60 --names a,b,c");
    let ran = bench.ok(
        "fit s/scene.npz -k 3 --out second --device cpu --steps 60 --init first/endmembers.csv",
    );
    assert!(ran.stderr.contains("start: given spectra"), "{}", ran.stderr);
    assert!(bench.names_in("second").contains(&"abundance_a.png".to_owned()), "names go along");
    bench.ok("fit s/scene.npz -k 3 --out third --device cpu --steps 60 --init random");
    assert!(bench.report("third")["settings"]["start"].as_str().unwrap().starts_with("random"));
}

#[test]
fn a_search_takes_a_time() {
    let bench = Bench::with_scene();
    let fit = "fit s/scene.npz -k 3 --device cpu --steps 60 --restarts 2 --out";
    let ran = bench.ok(&format!("{fit} timed --search 0.001s"));
    assert!(ran.stderr.contains("for 0.001 s"), "{}", ran.stderr);
    // Those that are fitted once more, without a common mixture, are no others.
    let once = |of: &&serde_json::Value| !of["origin"].as_str().unwrap().contains("no common");
    let rows = |out: &str| {
        let report = bench.report(out);
        report["search"]["solutions"].as_array().unwrap().iter().filter(once).count()
    };
    assert_eq!(rows("timed"), 2, "the starts alone");
    bench.ok(&format!("{fit} none --search 0"));
    assert_eq!(rows("none"), 2);
    let ran = bench.ok(&format!("{fit} some --search 3"));
    assert!(rows("some") > 2);
    // What the search decided of the model is on record as it is told.
    let report = bench.report("some");
    let decided = &report["search"]["learned_concentration"];
    let gain = decided["gain"].as_f64().unwrap();
    let told = format!("a concentration that is learned gains {gain:.3} nats a pixel");
    assert!(decided["taken"].is_boolean() && ran.stderr.contains(&told), "{}", ran.stderr);
    assert!(report["search"]["common_mixture"]["gain"].is_f64(), "{}", report["search"]);
}
