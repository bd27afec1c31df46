//! Flags and output folders that cannot be used: exit code 2, one line, nothing written.

use super::bench::{BANDS, Bench, small_cube};

/// A fit of the small scene with these flags must be refused; a flag may not come twice, so that
/// the usual ones are added only where they are not among them.
fn refuses(bench: &Bench, flags: &str, says: &[&str]) {
    let mut line = format!("fit s/scene.npz --out o/new {flags}");
    for (flag, value) in [("-k", "3"), ("--device", "cpu"), ("--steps", "5")] {
        if !flags.split(' ').any(|word| word == flag) {
            line += &format!(" {flag} {value}");
        }
    }
    bench.refuses(line.split_whitespace(), says);
}

#[test]
fn the_number_of_endmembers() {
    let bench = Bench::with_scene();
    refuses(&bench, "-k 0", &["--endmembers 0", "1 or more"]);
    refuses(&bench, "-k -1", &["'-1'", "--endmembers"]);
    refuses(&bench, "-k three", &["'three'", "--endmembers"]);
    refuses(&bench, &format!("-k {}", BANDS + 1), &["--endmembers 9", "8 bands"]);
    for most in [u64::from(u32::MAX), u64::MAX] {
        refuses(&bench, &format!("-k {most}"), &[&format!("--endmembers {most}"), "8 bands"]);
    }
    bench.save("few.npz", small_cube().slice(ndarray::s![..1, ..2, ..]));
    let few = "fit few.npz -k 3 --out o --device cpu".split_whitespace();
    bench.refuses(few, &["--endmembers 3", "2 valid pixels"]);
    refuses(&bench, "--names a,b", &["--names a,b", "2 names for 3"]);
    refuses(&bench, "--names a,b,c,d", &["--names a,b,c,d", "4 names for 3"]);
}

#[test]
fn numbers_out_of_their_range() {
    let bench = Bench::with_scene();
    for (flag, value, says) in [
        ("--steps", "0", "at least 1"),
        ("--steps", "-1", "invalid"),
        ("--steps", "4294967296", "4294967295"),
        ("--batch-size", "0", "at least 1"),
        ("--batch-size", "-5", "invalid"),
        ("--particles", "0", "at least 1"),
        ("--particles", "1000", "64"),
        ("--learning-rate", "0", "above 0"),
        ("--learning-rate", "-1", "above 0"),
        ("--learning-rate", "nan", "above 0"),
        ("--learning-rate", "inf", "above 0"),
        ("--concentration", "0", "above 0"),
        ("--concentration", "-2", "above 0"),
        ("--concentration", "nan", "above 0"),
        ("--concentration", "inf", "above 0"),
        ("--scale", "0", "above 0"),
        ("--scale", "-1", "above 0"),
        ("--scale", "nan", "above 0"),
        ("--seed", "-1", "invalid"),
        ("--noise", "purple", "isotropic, band"),
        ("--search", "0s", "a time above 0"),
        ("--search", "infs", "a time above 0"),
        ("--search", "5m", "number of moves"),
        ("--search", "-1", "number of moves"),
        ("--restarts", "0", "at least 1"),
    ] {
        let shown = if value == "nan" { "NaN" } else { value };
        refuses(&bench, &format!("{flag} {value}"), &[flag, shown, says]);
    }
}

#[test]
fn a_search_where_a_start_is_given() {
    let bench = Bench::with_scene();
    for (flag, value) in [("--search", "4"), ("--search", "2.5s"), ("--restarts", "3")] {
        refuses(&bench, &format!("--init vca {flag} {value}"), &[flag, value, "--init vca"]);
    }
}

#[test]
fn spectra_that_nothing_gives() {
    let bench = Bench::with_scene();
    refuses(&bench, "--spectra first", &["--spectra first", "brightness off"]);
    for init in ["", " --init vca"] {
        refuses(&bench, &format!("--spectra given{init}"), &["--spectra given", "the start"]);
    }
}

#[test]
fn numbers_of_a_simulation() {
    let bench = Bench::new();
    for (flag, value) in [
        ("--rows", "0"),
        ("--cols", "-3"),
        ("--bands", "0"),
        ("--endmembers", "0"),
        ("--endmembers", "157"),
        ("--noise", "-0.1"),
        ("--noise", "nan"),
        ("--brightness", "3"),
        ("--variability", "-1"),
        ("--band-correlation", "1"),
        ("--no-data", "1"),
        ("--shared-variability", "1"),
        ("--signal-noise", "-1"),
        ("--least-abundance", "0.5"),
        ("--outliers", "0.3"),
        ("--dark", "0"),
        ("--rows", "99999999999"),
    ] {
        let shown = if value == "nan" { "NaN" } else { value };
        bench.refuses(["simulate", "--out", "x", flag, value], &[flag, shown]);
    }
}

#[test]
fn devices_that_are_not_there() {
    let bench = Bench::with_scene();
    let json = bench.ok("devices --json").stdout;
    let devices: serde_json::Value = serde_json::from_str(&json).unwrap();
    let mut says = vec!["--device nosuchdevice", "cpu"];
    let others = devices.as_array().unwrap().iter().filter(|d| d["kind"] != "cpu");
    says.extend(others.map(|d| d["name"].as_str().unwrap()));
    refuses(&bench, "--device nosuchdevice", &says);
    let empty = ["fit", "s/scene.npz", "-k", "3", "--out", "o", "--device", ""];
    bench.refuses(empty, &["--device", "empty", "cpu", "unmixel devices"]);
    bench.refuses(["demo", "--out", "o", "--device", "nosuchdevice"], &["nosuchdevice", "cpu"]);
}

#[test]
fn places_that_results_cannot_go_to() {
    let bench = Bench::with_scene();
    std::fs::create_dir(bench.at("used")).unwrap();
    std::fs::write(bench.at("used/notes.txt"), "mine").unwrap();
    let fit = "fit s/scene.npz -k 3 --device cpu --steps 5 --out";
    for (place, says) in [
        ("used", "--force"),
        ("used/notes.txt", "is a file"),
        ("used/notes.txt/below", ""),
        ("used/notes.txt/far/below", ""),
    ] {
        for command in [fit, "demo --device cpu --steps 5 --out", "simulate --out"] {
            let line = format!("{command} {place}");
            bench.refuses(line.split_whitespace(), &[&format!("{place}: "), says]);
        }
    }
    // Force is for folders: it replaces no file that is in the way.
    let line = format!("{fit} used/notes.txt --force");
    bench.refuses(line.split_whitespace(), &["used/notes.txt: ", "is a file"]);
    // Refused settings leave no trace in a folder that may be written to.
    let line = format!("{fit} used --force --particles 0");
    bench.refuses(line.split_whitespace(), &["--particles 0"]);
    bench.refuses(["fit", "s/scene.npz", "-k", "3", "--out", ""], &["--out"]);
}

#[test]
fn words_that_mean_nothing() {
    let bench = Bench::with_scene();
    for (line, says) in [
        ("", "fit, apply, mosaic, resume, info, demo, simulate, score"),
        ("frobnicate", "'frobnicate'"),
        ("fit s/scene.npz -k 3 --frce", "'--frce'"),
        ("fit s/scene.npz s/scene.npz -k 3", "'s/scene.npz'"),
        ("fit -k 3", "<SCENE>"),
        ("fit s/scene.npz", "--endmembers <K|auto>"),
        ("fit s/scene.npz -k", "--endmembers <K|auto>"),
        ("fit s/scene.npz -k 2 -k 3", "--endmembers <K|auto>"),
        ("score s", "--truth <FILE>"),
        ("score", "<RESULTS>"),
        ("completions tcsh", "'tcsh'"),
        ("completions", "<SHELL>"),
        ("devices --steps 5", "'--steps'"),
    ] {
        bench.refuses(line.split_whitespace(), &[says]);
    }
}
