//! The published Samson scene, where `UNMIXEL_DATA` names a folder that has it.

use std::path::PathBuf;

use super::bench::Bench;

fn data() -> Option<PathBuf> {
    let found = std::env::var_os("UNMIXEL_DATA").map(PathBuf::from);
    if found.is_none() {
        eprintln!("SKIPPED, UNMIXEL_DATA is not set: no published scene was fitted in this test");
    }
    found
}

/// A fit with the default settings.
fn fit(bench: &Bench, data: &std::path::Path, out: &str, device: &str) {
    let folder = data.join("samson");
    let (scene, truth) = (folder.join("samson_1.mat"), folder.join("samson_dataset.mat"));
    let mut command = bench.command(["fit", "-k", "3", "--out", out, "--device", device]);
    // A software adapter takes half a minute on two free cores, more on busy ones.
    command.timeout(std::time::Duration::from_secs(300));
    command.arg(scene).arg("--truth").arg(truth);
    let ran = super::bench::Ran::of(&mut command);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn samson_on_the_cpu_repeats_to_the_byte() {
    let Some(data) = data() else { return };
    let bench = Bench::new();
    fit(&bench, &data, "a", "cpu");
    fit(&bench, &data, "b", "cpu");
    let names = bench.names_in("a");
    assert_eq!(names, bench.names_in("b"));
    for name in names.iter().filter(|name| *name != "report.json") {
        let read = |folder: &str| std::fs::read(bench.at(folder).join(name)).unwrap();
        assert!(read("a") == read("b"), "{name} differs");
    }
    assert_eq!(bench.abundances("a").dim(), (95, 95, 3));
}

#[test]
fn samson_on_a_software_adapter_agrees_with_the_cpu() {
    let Some(data) = data() else { return };
    if std::env::var("UNMIXEL_GPU").is_ok_and(|mode| mode == "skip") {
        eprintln!("SKIPPED, UNMIXEL_GPU=skip: no shader ran in this test");
        return;
    }
    let bench = Bench::new();
    let devices: serde_json::Value =
        serde_json::from_str(&bench.ok("devices --json").stdout).unwrap();
    let software = |d: &serde_json::Value| d["name"].as_str().unwrap().contains("llvmpipe");
    if !devices.as_array().unwrap().iter().any(software) {
        eprintln!("SKIPPED, NO llvmpipe FOUND: no shader ran in this test");
        return;
    }
    fit(&bench, &data, "c", "cpu");
    fit(&bench, &data, "g", "llvmpipe");
    assert_eq!(bench.report("g")["device"]["backend"], "vulkan");
    let (c, g) = (bench.abundances("c"), bench.abundances("g"));
    let squares: f64 = c.iter().zip(&g).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let rmse = (squares / c.len() as f64).sqrt();
    // Same draws, sums in another order. Measured: 1e-6. The bound leaves room for other drivers'
    // roundings, which thousands of steps can amplify; it is below what can be read off a map.
    assert!(rmse < 0.01, "RMSE between the devices: {rmse}");
    eprintln!("RMSE between the devices: {rmse:.6}");
}
