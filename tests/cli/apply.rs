//! An earlier fit on other scenes: `fit --save`, `apply`, and draws.

use ndarray::{Array3, Array4, s};
use ndarray_npy::ReadNpyExt;

use super::bench::Bench;

fn maps(bench: &Bench, file: &str) -> Array3<f32> {
    Array3::read_npy(std::fs::File::open(bench.at(file)).unwrap()).unwrap()
}

/// Numbers as bits: pixels without data are equal, too.
fn bits(maps: &Array3<f32>) -> Array3<u32> {
    maps.mapv(|x| if x.is_nan() { 0 } else { x.to_bits() })
}

#[test]
fn a_saved_fit_is_applied_to_the_scene_and_to_parts_of_it() {
    let bench = Bench::new();
    bench.ok("simulate --out s --rows 9 --cols 13 --bands 12 --brightness 0.2");
    let fit = "fit s/scene.npz -k 2 --device cpu --steps 60 --out fit";
    let apply = "apply fit s/scene.npz --out none".split(' ');
    bench.refuses(apply.clone(), &["fit"]);
    bench.ok(fit);
    bench.refuses(apply, &["--save"]);
    bench.ok(&format!("{fit} --save --draws 7 --force"));
    let names = bench.names_in("fit");
    for name in ["fit.unmixel", "abundance_q05.npy", "abundance_draws.npy", "brightness.npy"] {
        assert!(names.contains(&name.to_owned()), "{name} of {names:?}");
    }
    let drawn = std::fs::File::open(bench.at("fit/abundance_draws.npy")).unwrap();
    assert_eq!(Array4::<f32>::read_npy(drawn).unwrap().dim(), (7, 9, 13, 2));

    bench.ok("apply fit s/scene.npz --device cpu --out whole");
    bench.ok("apply fit/fit.unmixel s/scene.npz --device cpu --window 2:6,1:12 --out part");
    assert!(!bench.names_in("whole").contains(&"elbo.png".to_owned()));
    for name in ["mean", "sd", "q05", "q50", "q95"] {
        let of = |folder: &str| maps(&bench, &format!("{folder}/abundance_{name}.npy"));
        assert_eq!(bits(&of("whole")), bits(&of("fit")), "{name}");
        let inside = of("whole").slice(s![2..6, 1..12, ..]).to_owned();
        assert_eq!(bits(&of("part")), bits(&inside), "{name}");
    }
    // A device that is there and leaves pixels to the CPU says so; one that is not is an error.
    bench.refuses("apply fit s/scene.npz --device vax --out none".split(' '), &["vax"]);
    if std::env::var("UNMIXEL_GPU").is_ok_and(|mode| mode == "require") {
        bench.ok("apply fit s/scene.npz --device gpu --out on");
        let report = bench.report("on");
        let device = &report["device"];
        if device["kind"] != "hardware" {
            let mean = |folder: &str| bits(&maps(&bench, &format!("{folder}/abundance_mean.npy")));
            assert_eq!(mean("on"), mean("whole"));
            assert_eq!(device["backend"], "cpu", "{device}");
            assert!(device["reason"].as_str().unwrap().contains("software adapter"), "{device}");
        }
    }
    // Draws in the thousands are no result that anyone can keep.
    let many = "fit s/scene.npz -k 2 --draws 5000 --out many".split(' ');
    bench.refuses(many, &["--draws 5000"]);
}
