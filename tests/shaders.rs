//! Every shader, without a GPU: valid WGSL that translates for Vulkan, Metal, DX12 and GL, whose
//! bindings, uniform, constants and limits are those that the Rust side assumes.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "shaders/checks.rs"]
mod checks;

use checks::Shader;
use unmixel::engine::ground::rng::{self, Stream};
use unmixel::engine::layout::limits::{GROUPS_X, MOST_FUSED, MOST_SHAPES, WORKGROUP};
use unmixel::engine::layout::{
    BRIGHTNESS, COMMON, CONCENTRATION, COVARIANCE, FULL_RANK, HELD, HELD_VARIABILITY,
    MOST_CONSTANTS, Params, SEPARATE, SPREAD, STATUS, TRACE_LEN, VARIABILITY,
};
use unmixel::engine::model::MOST_RANK;
use unmixel::engine::passes::{self, Pass};
use unmixel::rooms::posterior::nested::{self, KERNELS, Sizes};

fn pass(name: &str) -> &'static Pass {
    passes::every().into_iter().find(|pass| pass.name == name).expect("a pass of that name")
}

/// Every pass through one check; all complaints at once.
fn every_pass(check: impl Fn(&Shader, &Pass) -> Result<(), String>) {
    let complaints: Vec<String> = passes::every()
        .into_iter()
        .filter_map(|pass| {
            let result = checks::parse(pass.shader).and_then(|shader| check(&shader, pass));
            result.err().map(|e| format!("{}: {e}", pass.name))
        })
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Every shader there is, of passes and of kernels, through one check; all complaints at once.
fn every_shader(check: impl Fn(&Shader) -> Result<(), String>) {
    let complaints: Vec<String> = texts()
        .into_iter()
        .filter_map(|(name, text)| {
            let result = checks::parse(text).and_then(|shader| check(&shader));
            result.err().map(|e| format!("{name}: {e}"))
        })
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Names and texts of all shaders.
fn texts() -> Vec<(&'static str, &'static str)> {
    let passes = passes::every().into_iter().map(|pass| (pass.name, pass.shader));
    passes.chain(KERNELS.map(|kernel| (kernel.name, kernel.shader))).collect()
}

/// The shader of a pass with one piece of its text replaced.
fn mutant(name: &str, from: &str, to: &str) -> Result<Shader, String> {
    let source = pass(name).shader;
    assert!(source.contains(from), "{name} has no {from:?}: the test changes nothing");
    checks::parse(&source.replace(from, to))
}

#[track_caller]
fn assert_complains<T: std::fmt::Debug>(result: Result<T, String>, of: &str) {
    let complaint = result.unwrap_err();
    assert!(complaint.contains(of), "{complaint}");
}

#[test]
fn every_shader_translates_for_every_interface() {
    every_shader(|shader| {
        let lengths = checks::translate(shader)?;
        // An empty kernel takes 300 characters.
        if lengths.iter().all(|&n| n > 300) { Ok(()) } else { Err(format!("{lengths:?}")) }
    });
}

#[test]
fn what_is_not_core_wgsl_is_refused() {
    // f64 and subgroups: valid for naga with capabilities that we do not give.
    assert_complains(
        mutant("mix", "var sum = vec4f(0.0);", "var sum = vec4f(f32(f64(1.0)));"),
        "f64",
    );
    assert_complains(mutant("mix", "mu[at] =", "mu[at] = f32(subgroupAdd(1u)) *"), "SUBGROUP");
    assert_complains(mutant("mix", "let row = ", "let row: f32 = "), "row");
}

#[test]
fn an_entry_point_that_cannot_be_written_is_seen() {
    let shader =
        checks::parse("override A: u32; @compute @workgroup_size(A) fn main() {}").unwrap();
    assert_complains(checks::translate(&shader), "MissingValue");
    let shader = checks::parse("@compute @workgroup_size(1) fn other() {}").unwrap();
    checks::translate(&shader).unwrap_err();
}

#[test]
fn bindings_are_those_of_the_pass() {
    every_pass(|shader, pass| checks::bindings(shader, "Params", pass.bindings));
}

/// Bindings, uniform and constants of the kernels of the pixels' posterior.
#[test]
fn kernels_are_those_of_rust() {
    for kernel in KERNELS {
        let name = kernel.name;
        let shader = checks::parse(kernel.shader).unwrap();
        checks::bindings(&shader, "Sizes", kernel.bindings).unwrap();
        checks::layout_of::<Sizes>(&shader).unwrap();
        for (constant, value) in [
            ("WORKGROUP", WORKGROUP),
            ("GROUPS_X", GROUPS_X),
            ("MOST_ENDMEMBERS", MOST_FUSED as u32),
            ("MOST_SHAPES", MOST_SHAPES as u32),
            ("SCENES", nested::SCENES as u32),
            ("PER_SCENE", nested::PER_SCENE as u32),
        ] {
            assert_eq!(checks::constant(&shader, constant), Some(value), "{name}: {constant}");
        }
    }
    // Two fields in another order.
    let swapped =
        KERNELS[0].shader.replace("bands: u32,", "bonds: u32,").replace("p.bands", "p.bonds");
    let shader = checks::parse(&swapped).unwrap();
    assert_complains(checks::layout_of::<Sizes>(&shader), "bonds");
}

#[test]
fn wrong_bindings_are_seen() {
    let check = |from: &str, to: &str| {
        let pass = pass("likelihood");
        checks::bindings(&mutant("likelihood", from, to).unwrap(), "Params", pass.bindings)
    };
    let read = "var<storage, read> mu";
    check(read, read).unwrap();
    assert_complains(check(read, "var<storage, read_write> mu"), "the pass says Read of Mu");
    assert_complains(check("y, mu[at],", "y, vec4f(),"), "mu: declared");
    assert_complains(check("log_density[at] = normal.density;", ""), "log_density: declared");
    assert_complains(check("@binding(5)", "@binding(9)"), "binding 9 is not in the list");
    assert_complains(check("@group(0) @binding(5)", "@group(1) @binding(5)"), "group 1");
    assert_complains(
        check("@compute", "@group(0) @binding(4) var<storage> more: array<f32>;\n@compute"),
        "more: binding 4 is there twice",
    );
    assert_complains(
        check(
            "@group(0) @binding(5) var<storage, read> mu: array<vec4f>;",
            "const mu = array(vec4f());",
        ),
        "binding 5 is missing",
    );
    assert_complains(
        check(
            "@binding(5) var<storage, read> mu: array<vec4f>",
            "@binding(5) var<uniform> mu: array<vec4f, 2>",
        ),
        "no storage buffer",
    );
    let check = |from: &str, to: &str| {
        let pass = pass("spectra_rows");
        checks::bindings(&mutant("spectra_rows", from, to).unwrap(), "Params", pass.bindings)
    };
    let uniform = "var<uniform> theta: array<vec4f, MOST_CONSTANTS / 4u>";
    check(uniform, uniform).unwrap();
    assert_complains(check(uniform, "var<storage, read> theta: array<vec4f>"), "a uniform of");
    assert_complains(check(uniform, "var<uniform> theta: array<vec4f, 99>"), "theta: 1584 bytes");
    // Two buffers of one access swapped cannot be seen here: `twins` compares what they hold.
}

#[test]
fn the_uniform_is_the_rust_struct() {
    every_pass(|shader, _| checks::layout_of::<Params>(shader));
    let fields = checks::rust_fields::<Params>();
    assert_eq!(4 * fields.len(), size_of::<Params>());
    // Two fields by the compiler's own word: that what `Debug` prints is the layout.
    for (name, offset) in [
        ("flags", std::mem::offset_of!(Params, flags)),
        ("decay_second_local", std::mem::offset_of!(Params, decay_second_local)),
    ] {
        assert!(fields.iter().any(|f| f.0 == name && f.2 as usize == offset), "{name}");
    }
}

#[test]
fn a_changed_uniform_is_seen() {
    let check =
        |from: &str, to: &str| checks::layout_of::<Params>(&mutant("mix", from, to).unwrap());
    assert_complains(
        check("scale: f32,\n    weight: f32", "weight: f32,\n    scale: f32"),
        "\"scale\"",
    );
    assert_complains(check("trace_slot: u32", "trace_slot: f32"), "trace_slot");
    assert_complains(check("    decay_second_local: f32,\n", ""), "47 fields");
    assert_complains(
        check("decay_second_local: f32,", "decay_second_local: f32, more: vec2f,"),
        "more",
    );
}

#[test]
fn constants_are_those_of_rust() {
    every_pass(|shader, _| {
        let overrides: Vec<_> =
            shader.module.overrides.iter().filter_map(|(_, o)| o.name.clone()).collect();
        // `backend::gpu::pipelines` sets those after the first, and no other.
        let known =
            |name: &String| ["WORKGROUP", "ENDMEMBERS", "VARIES", "HALF"].contains(&&**name);
        if !overrides.iter().all(known) {
            return Err(format!("nobody sets one of the overrides {overrides:?}"));
        }
        let mut expected = vec![
            ("WORKGROUP", WORKGROUP),
            ("GROUPS_X", GROUPS_X),
            ("BRIGHTNESS", BRIGHTNESS),
            ("VARIABILITY", VARIABILITY),
            ("FULL_RANK", FULL_RANK),
            ("CONCENTRATION", CONCENTRATION),
            ("COVARIANCE", COVARIANCE),
            ("COMMON", COMMON),
            ("SPREAD", SPREAD),
            ("HELD", HELD),
            ("HELD_VARIABILITY", HELD_VARIABILITY),
            ("SEPARATE", SEPARATE),
            ("TRACE_LEN", TRACE_LEN),
            ("STATUS", STATUS),
        ];
        if shader.module.functions.iter().any(|(_, f)| f.name.as_deref() == Some("philox")) {
            expected.extend([
                ("STREAM_PIXEL", Stream::Pixel as u32),
                ("STREAM_GLOBAL", Stream::Global as u32),
                ("STREAM_SHUFFLE", Stream::Shuffle as u32),
                ("STREAM_RANK", Stream::Rank as u32),
                ("MAX_WALK", rng::MAX_WALK),
            ]);
        }
        if shader.module.constants.iter().any(|(_, c)| c.name.as_deref() == Some("MOST_RANK")) {
            expected.push(("MOST_RANK", MOST_RANK as u32));
        }
        if shader.module.constants.iter().any(|(_, c)| c.name.as_deref() == Some("MOST_CONSTANTS"))
        {
            expected.push(("MOST_CONSTANTS", MOST_CONSTANTS as u32));
        }
        for (name, value) in expected {
            let found = checks::constant(shader, name);
            if found != Some(value) {
                return Err(format!("{name}: {found:?}, Rust says {value}"));
            }
        }
        Ok(())
    });
    assert_eq!(
        checks::constant(&mutant("mix", "FULL_RANK = 4u", "FULL_RANK = 8u").unwrap(), "FULL_RANK"),
        Some(8)
    );
}

/// Multipliers and Weyl constants of Philox4x32, as its authors give them; `rng` proves those of
/// the Rust side by their known answers.
const PHILOX: [u32; 4] = [0x9E37_79B9, 0xBB67_AE85, 0xCD9E_8D57, 0xD251_1F53];

#[test]
fn philox_has_its_authors_constants() {
    for name in ["sample_globals", "sample_pixels", "sample_rank"] {
        let shader = checks::parse(pass(name).shader).unwrap();
        assert_eq!(checks::magic_numbers(&shader, "philox"), PHILOX, "{name}");
    }
    let wrong = mutant("sample_pixels", "0xD2511F53u * c.x", "0xD2511F54u * c.x").unwrap();
    assert_ne!(checks::magic_numbers(&wrong, "philox"), PHILOX);
}

#[test]
fn every_shader_is_within_the_limits_of_every_device() {
    every_shader(checks::limits);
    // A sum over lanes, 64 floats; 63 rows of 65, rounded up; the matrix of the highest rank, all
    // there is.
    let of_rank = 4 * (MOST_RANK * MOST_RANK) as u32;
    for (name, bytes) in [("elbo", 256), ("spectra", 16_384), ("factor_rank", of_rank)] {
        let shader = checks::parse(pass(name).shader).unwrap();
        assert_eq!(checks::workgroup_bytes(&shader), Ok(bytes), "{name}");
    }
}

#[test]
fn what_exceeds_the_limits_is_seen() {
    let check = |name, from, to: &str| checks::limits(&mutant(name, from, to).unwrap());
    // 64 KiB of workgroup memory, by a constant length and by an override's.
    assert_complains(
        check("elbo", "sums: array<f32, WORKGROUP>", "sums: array<f32, 16384>"),
        "workgroup memory: 65536",
    );
    assert_complains(
        check(
            "elbo",
            "sums: array<f32, WORKGROUP>",
            "sums: array<f32, WORKGROUP * 256u>; var<workgroup> unused: array<f32, 64>",
        ),
        "workgroup memory: 65536",
    );
    assert_complains(
        check("mix", "WORKGROUP: u32 = 64u", "WORKGROUP: u32 = 512u"),
        "invocations a workgroup: 512",
    );
    assert_complains(
        check(
            "likelihood",
            "@compute",
            "@group(0) @binding(9) var<storage> more: array<f32>;\n@compute",
        ),
        "storage buffers: 9",
    );
    let more: String = (0..24).map(|i| format!("more_{i}: u32,")).collect();
    assert_complains(check("mix", "noises: u32,", &format!("noises: u32, {more}")), "uniform: 288");
}

#[test]
fn workgroup_memory_has_its_barrier() {
    every_shader(checks::barrier);
    let without = mutant("elbo", "    workgroupBarrier();\n", "").unwrap();
    assert_complains(checks::barrier(&without), "without a workgroupBarrier");
}

/// Writes the shaders where `tests/tint/check.mjs` reads them: the same texts that pipelines get.
#[test]
fn shaders_are_written_out_for_tint() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("shaders");
    // Nothing of an earlier run may stay: Tint would check a shader that is gone.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    for (name, text) in texts() {
        std::fs::write(folder.join(name).with_extension("wgsl"), text).unwrap();
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), texts().len());
}
