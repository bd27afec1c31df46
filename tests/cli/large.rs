//! Scenes that are read and written by rows, and parts that are put together.

use serde_json::Value;

use super::bench::Bench;

/// A scene of more pixels than it is learned from.
const SCENE: &str = "simulate --out s --rows 190 --cols 180 --bands 12 --brightness 0.2 \
                     --no-data 0.05";
const FIT: &str = "fit s/scene.img -k 3 --init vca --steps 200 --device cpu --save --out";
const ARRAYS: [&str; 7] = [
    "abundance_mean.npy",
    "abundance_sd.npy",
    "abundance_q05.npy",
    "abundance_q50.npy",
    "abundance_q95.npy",
    "residual.npy",
    "brightness.npy",
];

/// A budget that the command says is the least, and some rows more.
fn least(bench: &Bench, line: &str) -> String {
    let ran = bench.run(&format!("{line} --memory 1MiB"));
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let words: Vec<&str> = ran.stderr.split_whitespace().collect();
    let at = words.windows(3).position(|w| w == ["MiB", "that", "a"]).unwrap();
    let mebibytes: usize = words[at - 1].parse().unwrap();
    format!("{mebibytes}MiB")
}

fn same(bench: &Bench, one: &str, other: &str, files: &[&str]) {
    for file in files {
        let read = |folder: &str| std::fs::read(bench.at(folder).join(file)).unwrap();
        assert!(read(one) == read(other), "{file} of {one} and {other}");
    }
}

/// A report without what differs between the two ways to the same results.
fn said(bench: &Bench, folder: &str) -> Value {
    let mut report = bench.report(folder);
    report["run"] = Value::Null;
    let mut files: Vec<String> = serde_json::from_value(report["files"].take()).unwrap();
    files.sort();
    report["files"] = serde_json::json!(files);
    report["search"] = Value::Null;
    report
}

#[test]
fn a_fit_by_rows_writes_what_a_fit_in_memory_writes() {
    let bench = Bench::new();
    bench.ok(SCENE);
    bench.ok(&format!("{FIT} whole"));
    let budget = least(&bench, &format!("{FIT} rows"));
    let by_rows = format!("{FIT} rows --memory {budget}");
    let told = bench.ok(&by_rows).stderr;
    assert!(told.contains("memory: about") && told.contains("by blocks of"), "{told}");
    assert!(told.contains("abundances: row 190 of 190"), "{told}");
    same(&bench, "rows", "whole", &ARRAYS);
    same(&bench, "rows", "whole", &["endmembers.csv", "endmembers.png", "elbo.png"]);
    // Small enough for its pictures to be of all pixels.
    same(&bench, "rows", "whole", &["composite.png", "residual.png", "brightness.png"]);
    assert_eq!(bench.names_in("rows"), bench.names_in("whole"));
    assert_eq!(said(&bench, "rows"), said(&bench, "whole"));
    unmixel::rooms::results::check(&bench.at("rows"), &["abundance_mean.npy"]).unwrap();

    // What is kept of it applies to the scene as what is kept of the whole.
    bench.ok("apply whole s/scene.img --device cpu --out a --format npy,envi,geotiff");
    let apply = "apply rows s/scene.img --device cpu --format npy,envi,geotiff --out";
    let budget = least(&bench, &format!("{apply} b"));
    let told = bench.ok(&format!("{apply} b --memory {budget}")).stderr;
    assert!(told.contains("The file is read three times"), "{told}");
    same(&bench, "a", "b", &ARRAYS);
    same(&bench, "a", "whole", &ARRAYS);
    same(&bench, "a", "b", &["abundance_mean.img", "abundance_mean.hdr", "residual.img"]);
    same(&bench, "a", "b", &["abundance_q95.tif", "brightness.tif", "endmembers.sli"]);
    assert_eq!(bench.names_in("a"), bench.names_in("b"));
    assert_eq!(said(&bench, "a"), said(&bench, "b"));
}

#[test]
fn what_cannot_be_done_by_rows_is_said_before_anything_is_read() {
    let bench = Bench::new();
    bench.ok(SCENE);
    let budget = least(&bench, &format!("{FIT} o"));
    let with = |more: &str| format!("{FIT} o --memory {budget} {more}");
    for (more, says) in [
        ("--truth s/truth.npz", "unmixel score"),
        ("--posterior guide", "all pixels in memory"),
        ("--draws 4", "--draws 4"),
        ("--noise covariance", "all pixels in memory"),
        ("--memory 0", "8GiB"),
        ("--memory tiny", "8GiB"),
        ("--device-memory 1kB", "--device-memory 1000 bytes"),
    ] {
        let line = with(more);
        let line = match more.starts_with("--memory") {
            true => format!("{FIT} o {more}"),
            false => line,
        };
        let before = bench.files();
        let ran = bench.run(&line);
        assert_eq!(ran.code, Some(2), "{more}: {ran:?}");
        assert!(ran.stderr.lines().last().unwrap().contains(says), "{more}: {}", ran.stderr);
        assert!(before == bench.files(), "{more}");
    }
}

#[test]
fn parts_that_are_put_together_are_the_whole_to_the_bit() {
    let bench = Bench::new();
    bench.ok("simulate --out s --rows 20 --cols 13 --bands 12 --brightness 0.2 --no-data 0.05");
    let fit = "fit s/scene.img -k 2 --init vca --device cpu --steps 60 --scale 1 --save --out";
    bench.ok(&format!("{fit} fit"));
    bench.ok("apply fit s/scene.img --device cpu --scale 1 --out whole");
    let part = |name: &str, window: &str| {
        let apply = "apply fit s/scene.img --device cpu --scale 1";
        bench.ok(&format!("{apply} --window {window} --out {name}"));
    };
    part("north", "0:7,:");
    part("west", "7:20,0:5");
    part("east", "7:20,5:13");
    let told = bench.ok("mosaic east north west --out all").stderr;
    assert!(told.contains("20 x 13 pixels in 3 parts"), "{told}");
    same(&bench, "all", "whole", &ARRAYS);
    same(&bench, "all", "whole", &["endmembers.csv", "composite.png", "residual.png"]);
    assert_eq!(bench.names_in("all"), bench.names_in("whole"));
    let (all, whole) = (bench.report("all"), bench.report("whole"));
    for key in ["rows", "cols", "pixels_used", "window", "name"] {
        assert_eq!(all["scene"][key], whole["scene"][key], "{key}");
    }
    assert_eq!(all["estimates"]["mean_abundance"], whole["estimates"]["mean_abundance"]);
    unmixel::rooms::results::check(&bench.at("all"), &["abundance_mean.npy"]).unwrap();

    let refuses = |parts: &str, says: &[&str]| {
        let line = format!("mosaic {parts} --out none");
        bench.refuses(line.split_whitespace(), says);
    };
    refuses("north west", &["gap", "row 7, column 5"]);
    refuses("east west", &["gap", "row 0, column 0"]);
    refuses("north whole", &["whole", "no part of a scene"]);
    part("middle", "5:9,:");
    refuses("north middle west east", &["middle", "overlaps", "rows 5:9"]);
    refuses("north north", &["overlaps"]);
    // Another fit, another scene, another scale, a file that was changed.
    bench.ok(&format!("{fit} other --seed 3"));
    bench.ok("apply other s/scene.img --scale 1 --window 7:20,5:13 --out foreign");
    refuses("north west foreign", &["foreign", "another fit", "north"]);
    bench.ok("apply fit s/scene.img --scale 2 --window 7:20,5:13 --out dark");
    refuses("north west dark", &["dark", "--scale"]);
    bench.ok("simulate --out t --rows 20 --cols 14 --bands 12");
    bench.ok("apply fit t/scene.img --scale 1 --window 7:20,5:13 --out elsewhere");
    refuses("north west elsewhere", &["elsewhere", "another scene"]);
    let changed = bench.at("east").join("abundance_sd.npy");
    let mut bytes = std::fs::read(&changed).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&changed, bytes).unwrap();
    refuses("north west east", &["abundance_sd.npy", "not the file on record"]);
}
