#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]
use std::sync::Arc; use std::time::Instant;
use unmixel::{buffers::Buffers, guide::State, layout::Params, model::{Model,Guide}, passes, simulate::{self, simulate}, starts::{Init, start}, svi::{self, Settings}};
fn main() {
    let s = simulate::Settings { rows: 95, cols: 95, bands: 156, ..Default::default() };
    let scene = simulate(&s).unwrap().scene("bench").unwrap();
    let cube = Arc::new(scene.cube);
    for full in [false, true] {
        let model = if full { Model { variability: Some(0.02), brightness: Some(1.0), guide: Guide::FullRank, likelihood_weight: 0.1, ..Model::new(3) } } else { Model::new(3) };
        let st = start(&cube, 3, &Init::Vca, full, 0).unwrap();
        let settings = Settings { particles: if full { 2 } else { 1 }, ..Settings::default() };
        let params = svi::params(&model, &settings, &cube).unwrap();
        let state = State::around(&params, &model, &cube, st.endmembers.view(), st.abundances.view(), st.log_brightness.as_ref().map(|b| b.view()));
        let mut b = Buffers::<f32>::new(&params, Arc::clone(&cube));
        b.globals[..state.globals.len()].copy_from_slice(&state.globals);
        b.locals[..state.locals.len()].copy_from_slice(&state.locals);
        b.prior_centre[..state.prior_centre.len()].copy_from_slice(&state.prior_centre);
        let list = passes::step(&params);
        let mut t = vec![f64::MAX; list.len()];
        for step in 0..400u32 {
            let p = Params { step, epoch: step / 18, batch_first: step % 18 * 500, rate_global: 0.01, rate_local: 0.05, correction_first: 1.0, correction_second: 1.0, ..params };
            for (i, (_, run)) in list.iter().enumerate() { let a = Instant::now(); run(&p, &mut b); t[i] = t[i].min(a.elapsed().as_secs_f64()); }
        }
        for (i, (pass, _)) in list.iter().enumerate() { println!("{:24} {:8.1} us", pass.name, 1e6 * t[i]); }
        if !full { for i in 0..500 { b.pixel_of[i] = i as u32; } let mut m = f64::MAX; for _ in 0..400 { let a = Instant::now(); passes::spectra::run(&params, &mut b); m = m.min(a.elapsed().as_secs_f64()); } println!("in order {:.1} us", 1e6*m); }
        println!("sum {:.1} us", 1e6 * t.iter().sum::<f64>());
    }
}
