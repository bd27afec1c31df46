//! A search hands its fit over with the optimiser's momentum and at a rate that undoes none of it.
#![allow(missing_docs, clippy::unwrap_used)]

use unmixel::engine::backend::device;
use unmixel::engine::model::{Family, Model};
use unmixel::engine::svi::{self, Run};
use unmixel::engine::wait::block_on;
use unmixel::posterior::Posterior;
use unmixel::score::Reference;
use unmixel::statistics::effective::default_bands;
use unmixel::{Convention, Scene, search};

#[test]
#[ignore = "an experiment"]
fn samson() {
    let data = std::path::PathBuf::from(std::env::var_os("UNMIXEL_DATA").unwrap()).join("samson");
    let scene = Scene::open(data.join("samson_1.mat")).unwrap();
    let truth = unmixel::io::truth::read(data.join("samson_dataset.mat"), &scene).unwrap();
    let reference = Reference::new(&scene, &truth).in_convention(Convention::Peak).unwrap();
    let pixels = scene.pixels();
    let cpu = device::cpu("test");
    let weight = default_bands(scene.cube(), 3).0 / scene.bands().len() as f64;
    let model = Model {
        brightness: Some(1.0),
        variability: Some(0.02),
        family: Family::FullRank,
        likelihood_weight: weight,
        ..Model::new(3)
    };
    let seeds: u64 = std::env::var("SEEDS").map_or(1, |s| s.parse().unwrap());
    for seed in 0..seeds {
        let settings = svi::Settings { seed, ..Default::default() };
        let found = block_on(search::search(
            &cpu,
            &model,
            &settings,
            &Default::default(),
            &pixels,
            &|_| (),
            &|| false,
        ))
        .unwrap();
        let best = found.solutions.iter().find(|s| s.chosen).unwrap();
        println!("seed {seed}: found {:?} {:?} fitted {}", best.origin, best.elbo, found.fitted);
        let score = |guide: &unmixel::engine::guide::Guide| {
            let p = Posterior::new(guide, &pixels, Convention::Peak);
            let s = reference
                .scores(p.endmember_mean.view(), p.abundance_mean.view(), Convention::Peak)
                .unwrap();
            serde_json::to_value(s.own()).unwrap()
        };
        let told = |v: &serde_json::Value| {
            let text = v.to_string();
            text.chars().take(400).collect::<String>()
        };
        println!("  at hand-over {}", told(&score(&found.guide)));
        for config in std::env::var("CONFIGS").unwrap().split(';') {
            let parts: Vec<&str> = config.split(',').collect();
            let names = ["X_SHARE", "X_STEPS", "X_EPOCHS", "X_MOM"];
            for (name, value) in names.iter().zip(&parts) {
                // One thread here.
                unsafe { std::env::set_var(name, value) };
            }
            let settings = svi::Settings { warm: true, ..settings.clone() };
            let outcome = block_on(async {
                let mut run =
                    Run::open(&cpu, &settings, &pixels, found.guide.clone()).await.unwrap();
                let mut elbos = Vec::new();
                while let Some(p) = run.advance(&|| false).await.unwrap() {
                    elbos.push(format!("{:.1}", p.elbo));
                }
                println!("  {config}: {}", elbos.join(" "));
                run.finish().await.unwrap()
            });
            println!("    {} {:?} {}", outcome.trace.len(), outcome.elbo(), told(&score(&outcome.guide)));
        }
    }
}
