//! `unmixel calibrate` at sizes that say nothing about intervals: files, table, exit codes.

use serde_json::Value;

use super::bench::Bench;

fn read(bench: &Bench, name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(bench.at(name)).unwrap()).unwrap()
}

#[test]
fn writes_a_table_a_file_and_a_picture() {
    let bench = Bench::new();
    let ran = bench.ok("calibrate --out c --device cpu --steps 2 --guide mean-field --seed 3");
    assert_eq!(bench.names_in("c"), ["calibration.json", "calibration.png", "record.json"]);
    let json = read(&bench, "c/calibration.json");
    let rows = json["rows"].as_array().unwrap();
    // K, pure pixels, errors, effective bands: two of each.
    assert_eq!(rows.len(), 16);
    for row in rows {
        assert_eq!(row["guide"], "mean-field");
        assert_eq!(row["fits"].as_array().unwrap().len(), 1);
        assert_eq!(row["fits"][0]["steps"], 2);
        let other = row["fits"][0]["mean_sad"].as_f64().unwrap() > 0.1;
        assert_eq!(row["other_modes"], u64::from(other));
        for of in ["abundances", "endmembers"] {
            let curve = row["observed"][of].as_array().unwrap();
            assert_eq!(curve.len(), 19);
            let at = |i: usize, j: usize| curve[i][j].as_f64().unwrap();
            // Wider intervals hold no less.
            assert!((1..19).all(|i| at(i, 0) > at(i - 1, 0) && at(i, 1) >= at(i - 1, 1)));
            let without = row["observed_without_other_modes"][of].as_array().unwrap();
            assert_eq!(without.len(), if other { 0 } else { 19 });
        }
        assert!(ran.stdout.contains(row["name"].as_str().unwrap()), "{}", ran.stdout);
    }
    let png = image::open(bench.at("c/calibration.png")).unwrap();
    assert!(png.width() > png.height() / 2 && png.height() > 400);
}

#[test]
fn options_that_cannot_be() {
    let bench = Bench::new();
    for (flags, says) in [
        ("--scenes 0", vec!["--scenes 0", "1 to 1000"]),
        ("--scenes 1001", vec!["--scenes 1001", "1 to 1000"]),
        ("--steps 0", vec!["--steps 0", "at least 1"]),
        ("--guide nosuch", vec!["--guide", "nosuch", "mean-field", "full-rank"]),
        ("--device nosuch", vec!["--device nosuch", "no such device"]),
        ("--seed -1", vec!["--seed"]),
    ] {
        let line = format!("calibrate --out c {flags}");
        bench.refuses(line.split_whitespace(), &says);
    }
}
