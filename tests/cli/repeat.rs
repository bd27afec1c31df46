//! Same seed, same device, same bytes.

use std::path::{Path, PathBuf};

use super::bench::{Bench, Ran};

const FIT: &str =
    "fit s/scene.npz -k 3 --truth s/truth.npz --device cpu --steps 120 --batch-size 20";

#[test]
fn a_seed_settles_every_byte() {
    let benches = [Bench::with_scene(), Bench::with_scene()];
    let [first, second] = benches.each_ref().map(|bench| {
        bench.ok(&format!("{FIT} --out o --seed 7"));
        let mut files = bench.files();
        // The one file with times in it; all of them under one key.
        let report = PathBuf::from("o/report.json");
        let text = files.remove(&report).unwrap().unwrap();
        let mut value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert!(value.as_object_mut().unwrap().remove("run").is_some());
        files.insert(report, Some(value.to_string().into_bytes()));
        files
    });
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    for (name, content) in &first {
        assert!(second[name] == *content, "{} differs", name.display());
    }

    // Sums are taken in a fixed order, whatever the number of threads.
    let line = format!("{FIT} --out one --seed 7");
    let mut command = benches[0].command(line.split_whitespace());
    assert_eq!(Ran::of(command.env("RAYON_NUM_THREADS", "1")).code, Some(0));
    for name in ["abundance_mean.npy", "abundance_sd.npy", "endmembers.csv"] {
        let one = std::fs::read(benches[0].at("one").join(name)).unwrap();
        let before = first[&Path::new("o").join(name)].as_ref().unwrap();
        assert!(*before == one, "{name} differs on one thread");
    }

    benches[0].ok(&format!("{FIT} --out p --seed 8"));
    let maps = std::fs::read(benches[0].at("p/abundance_mean.npy")).unwrap();
    let before = first[Path::new("o/abundance_mean.npy")].as_ref().unwrap();
    assert!(*before != maps, "seeds 7 and 8 gave the same maps");
}
