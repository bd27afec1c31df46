//! `unmixel bench` at sizes that say nothing about speed: files, tables, exit codes.

use serde_json::Value;

use super::bench::Bench;

const QUICK: &str = "bench --device cpu --scene small --repeats 2 --steps 2 --quick";

fn json(bench: &Bench, name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(bench.at(name)).unwrap()).unwrap()
}

#[test]
fn writes_every_pass_and_can_be_compared() {
    let bench = Bench::new();
    let ran = bench.ok(&format!("{QUICK} --out a"));
    assert_eq!(bench.names_in("a"), ["bench.json", "bench.png", "record.json"]);
    let report = json(&bench, "a/bench.json");
    let device = &report["devices"][0];
    assert_eq!(report["devices"].as_array().unwrap().len(), 1);
    assert!(device["fma_per_second"].as_f64().unwrap() > 0.0);
    assert!(report["host"]["threads"].as_u64().unwrap() > 0);
    let cases = device["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    for (case, model) in cases.iter().zip(["plain", "default"]) {
        assert_eq!(case["model"], model);
        let found = &case["measured"];
        let of = |name: &str| found[name].as_f64().unwrap();
        assert_eq!(found["steps_per_second"]["count"], 2);
        assert_eq!(found["block_steps"], 2);
        assert_eq!(found["skipped_steps"], 0);
        let speed = found["steps_per_second"]["median"].as_f64().unwrap();
        // The reader of JSON may miss the last digit.
        let expected = 512.0 * speed;
        assert!((of("pixel_steps_per_second") - expected).abs() < 1e-12 * expected);
        let names: Vec<&str> = found["passes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pass| {
                assert!(pass["of_copy"].as_f64().unwrap() > 0.0, "{pass}");
                assert!(pass["of_fma"].as_f64().unwrap() > 0.0, "{pass}");
                pass["name"].as_str().unwrap()
            })
            .collect();
        assert!(names.contains(&"spectra") && names.contains(&"update_pixels"), "{names:?}");
        assert!(names.iter().all(|name| ran.stdout.contains(name)), "{}", ran.stdout);
        assert!(!names.contains(&"factor_rank") && !names.contains(&"mix"), "{names:?}");
    }

    // Another machine, ten times as fast.
    let mut other = report.clone();
    other["devices"][0]["device"]["name"] = "Other".into();
    for case in other["devices"][0]["cases"].as_array_mut().unwrap() {
        case["measured"]["steps_per_second"]["median"] = 123_456.0.into();
    }
    std::fs::write(bench.at("b.json"), other.to_string()).unwrap();
    let ran = bench.ok("bench --compare a/bench.json b.json --out c");
    assert_eq!(bench.names_in("c"), ["comparison.md", "comparison.png", "record.json"]);
    let table = std::fs::read_to_string(bench.at("c/comparison.md")).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    assert!(lines[0].contains("small, plain") && lines[0].contains("small, default"), "{table}");
    assert!(lines[2].contains("a/bench.json") && !lines[2].contains("123456.0"), "{table}");
    assert!(lines[3].contains("Other") && lines[3].contains("123456.0"), "{table}");
    assert!(ran.stdout.contains("123456.0"), "{}", ran.stdout);
}

#[test]
fn reports_that_cannot_be_compared() {
    let bench = Bench::new();
    bench.ok(&format!("{QUICK} --out a"));
    let good = json(&bench, "a/bench.json");
    let mut old = good.clone();
    old["format"] = 0.into();
    let mut standing = good.clone();
    standing["devices"][0]["cases"][0]["measured"]["pixel_steps_per_second"] = 0.0.into();
    let mut half = good.to_string();
    half.truncate(half.len() / 2);
    for (name, text, says) in [
        ("old.json", old.to_string(), vec!["format 0", "again"]),
        ("standing.json", standing.to_string(), vec!["small, plain", "above 0"]),
        ("half.json", half, vec!["no report of `unmixel bench`", "EOF"]),
        ("empty.json", String::new(), vec!["no report of `unmixel bench`"]),
        ("other.json", "{\"a\": 1}".into(), vec!["missing field"]),
    ] {
        std::fs::write(bench.at(name), text).unwrap();
        let says: Vec<&str> = std::iter::once(name).chain(says).collect();
        bench.refuses(["bench", "--compare", "a/bench.json", name, "--out", "c"], &says);
    }
    bench.refuses(["bench", "--compare", "none.json", "--out", "c"], &["none.json"]);
}

#[test]
fn options_that_cannot_be() {
    let bench = Bench::new();
    for (flags, says) in [
        ("--repeats 0", vec!["--repeats 0", "1 to 1000"]),
        ("--repeats 1001", vec!["--repeats 1001", "1 to 1000"]),
        ("--steps 0", vec!["--steps 0", "1 to 1024"]),
        ("--steps 1025", vec!["--steps 1025"]),
        ("--scene huge", vec!["--scene huge", "small, full, medium, large"]),
        ("--device nosuch", vec!["--device nosuch", "no such device"]),
        ("--quick --compare a.json", vec!["--quick", "--compare"]),
    ] {
        let line = format!("bench --out c {flags}");
        bench.refuses(line.split_whitespace(), &says);
    }
}
