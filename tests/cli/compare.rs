//! `rank`, `compare`, and `score` on results of other programs.

use ndarray::Array3;
use ndarray_npy::write_npy;
use unmixel::rooms::io::{write_envi, write_truth};

use super::bench::Bench;

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn rank_says_how_many_and_fit_takes_it() {
    let bench = Bench::new();
    bench.ok("simulate --out s --rows 20 --cols 21 --bands 20 --noise 0.004 -k 3");
    let ran = bench.ok("rank s/scene.npz --out r");
    assert!(ran.stdout.contains("HySime") && ran.stdout.contains("recommended: 3"), "{ran:?}");
    assert_eq!(bench.names_in("r"), ["count.json", "count.png", "record.json"]);
    assert!(image::open(bench.at("r/count.png")).unwrap().width() > 500);
    let said = json(&bench.ok("rank s/scene.npz --json").stdout);
    let written = json(&std::fs::read_to_string(bench.at("r/count.json")).unwrap());
    assert_eq!(said, written);
    assert_eq!(said["recommended"], 3);
    let fits = said["evidence"].as_array().unwrap();
    assert!(fits.len() > 3 && fits[2]["endmembers"] == 3, "{fits:?}");
    for one in fits {
        let elbo = format!("{:.2}", one["elbo"].as_f64().unwrap());
        assert!(ran.stdout.contains(&elbo) && ran.stderr.contains(&elbo), "{elbo}: {ran:?}");
    }
    let other = json(&bench.ok("rank s/scene.npz --json --seed 1 --device cpu").stdout);
    assert_ne!(other["evidence"], said["evidence"], "the seed is that of the fits");
    bench.refuses(["rank", "s/scene.npz", "--device", "nosuch"], &["nosuch"]);

    let ran = bench.ok("fit s/scene.npz -k auto --out o --steps 5 --device cpu");
    assert!(ran.stderr.contains("3 endmembers: "), "{}", ran.stderr);
    assert_eq!(bench.abundances("o").dim().2, 3);
    let notes = bench.report("o")["scene"]["notes"].to_string();
    assert!(notes.contains("3 endmembers: "), "{notes}");
    bench.refuses(["fit", "s/scene.npz", "-k", "many", "--out", "p"], &["many", "auto"]);
    bench.refuses(["rank", "s/scene.npz", "--out", "r"], &["r", "--force"]);
}

#[test]
fn compare_writes_one_table_and_one_picture() {
    let bench = Bench::new();
    bench.ok("simulate --out s --rows 20 --cols 23 --bands 20 --noise 0.004");
    let line = "compare s/scene.npz --truth s/truth.npz -k 3 --out c --names soil,tree,lake \
        --steps 300 --device cpu";
    let ran = bench.ok(line);
    assert_eq!(
        bench.names_in("c"),
        ["comparison.json", "comparison.md", "comparison.png", "fit", "record.json"]
    );
    let table = std::fs::read_to_string(bench.at("c/comparison.md")).unwrap();
    let record = json(&std::fs::read_to_string(bench.at("c/comparison.json")).unwrap());
    let methods = record["methods"].as_array().unwrap();
    let names = ["VCA + FCLS", "N-FINDR + FCLS", "VCA + NNLS", "N-FINDR + NNLS", "unmixel fit"];
    assert_eq!(methods.len(), 5);
    assert_eq!(table.lines().count(), 2 + 5);
    for (method, name) in methods.iter().zip(names) {
        assert_eq!(method["method"], name);
        assert!(table.contains(name) && ran.stdout.contains(name), "{table}");
        let own = &method["peak"];
        assert_eq!(own["sad"].as_array().unwrap().len(), 3);
        let left = method["reconstruction_rmse"].as_f64().unwrap();
        // Brightness is left over by sum-to-one abundances only; noise of 0.004 always.
        assert!((0.003..0.1).contains(&left), "{method}");
    }
    let left = |i: usize| methods[i]["reconstruction_rmse"].as_f64().unwrap();
    assert!(left(2) < left(0) && left(3) < left(1), "free amounts fit better");
    // The noise of water draws corners to it, a right angle from all; the fit's start is another.
    let sad = |i: usize| methods[i]["peak"]["mean_sad"].as_f64().unwrap();
    assert!(sad(4) < 0.5 * sad(0), "{table}");
    for word in ["soil", "tree", "lake", "mean SAD"] {
        assert!(table.contains(word), "{word}: {table}");
    }
    bench.refuses(
        "compare s/scene.npz --truth s/truth.npz -k 2 --out d".split_whitespace(),
        &["truth.npz", "3 endmembers"],
    );
}

#[test]
fn score_takes_results_of_any_program() {
    let bench = Bench::new();
    bench.ok("simulate --out s --rows 9 --cols 11 --bands 12 --noise 0.004");
    let truth = unmixel::rooms::io::estimate::read(bench.at("s/truth.npz"), None, None).unwrap();
    let (spectra, maps) = (truth.endmembers.unwrap(), truth.abundances.unwrap());
    // Endmembers in another order, one share off by 0.1 everywhere.
    let order = [2, 0, 1];
    let mut other = maps.select(ndarray::Axis(2), &order);
    other.index_axis_mut(ndarray::Axis(2), 0).mapv_inplace(|w| w + 0.1);
    let shuffled = spectra.select(ndarray::Axis(0), &order);
    write_truth(bench.at("o.npz"), shuffled.view(), other.view()).unwrap();
    write_npy(bench.at("o.npy"), &other).unwrap();
    write_envi(bench.at("o.img"), other.view(), None, Some(-1.0)).unwrap();
    let flat = ndarray::Array2::from_shape_fn((99, 3), |(n, k)| other[[n / 11, n % 11, k]]);
    write_npy(bench.at("flat.npy"), &flat).unwrap();

    let score =
        |line: &str| json(&bench.ok(&format!("score {line} --truth s/truth.npz --json")).stdout);
    let whole = score("o.npz");
    assert_eq!(whole["reflectance"]["matching"], serde_json::json!([1, 2, 0]));
    // One of three is off by 0.1: sqrt(0.01 / 3); shares and 0.1 are rounded to f32.
    let close =
        |value: &serde_json::Value, want: f64| (value.as_f64().unwrap() - want).abs() < 1e-6;
    assert!(close(&whole["reflectance"]["abundance_rmse"], (0.01_f64 / 3.0).sqrt()), "{whole}");
    assert!(close(&whole["reflectance"]["mean_sad"], 0.0), "{whole}");
    for line in ["o.npy", "o.img", "o.hdr", "flat.npy --rows 9 --cols 11"] {
        let found = score(line);
        // Without spectra the abundances decide which is which.
        assert_eq!(found["reflectance"]["matching"], whole["reflectance"]["matching"], "{line}");
        assert_eq!(found["reflectance"]["abundance_rmse"], whole["reflectance"]["abundance_rmse"]);
        assert!(found["reflectance"]["sad"].is_null(), "{line}");
    }
    let with = score("o.npy --endmembers o.npz");
    assert_eq!(with, whole);
    let peak = score("o.npz --convention peak");
    assert!(peak["reflectance"].is_null() && !peak["peak"].is_null());

    bench.ok("score o.npz --truth s/truth.npz --out d --names soil,tree,water");
    assert_eq!(
        bench.names_in("d"),
        ["record.json", "scores.json", "truth_soil.png", "truth_tree.png", "truth_water.png"]
    );
    // Of a fit with these names, in its own order, names decide.
    bench.ok("fit s/scene.npz -k 3 --out f --names a,b,c --steps 5 --device cpu");
    let named = score("f --names c,a,b");
    assert_eq!(named["peak"]["matching"], serde_json::json!([2, 0, 1]));

    let wrong = Array3::<f32>::zeros((9, 10, 3));
    write_npy(bench.at("wrong.npy"), &wrong).unwrap();
    for (line, says) in [
        ("wrong.npy", vec!["truth.npz", "9 rows x 10 columns"]),
        ("flat.npy", vec!["flat.npy", "--rows"]),
        ("o.npz --names a,b", vec!["--names a,b", "3 endmembers"]),
        ("f --endmembers o.npz", vec!["--endmembers", "leave the flag out"]),
        ("nosuch", vec!["nosuch"]),
    ] {
        let line = format!("score {line} --truth s/truth.npz");
        bench.refuses(line.split_whitespace(), &says);
    }
}
