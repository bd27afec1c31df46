// All that a pass may know of a step: the words of `layout::Params`, in its order.
struct Params {
    pixels: u32,
    bands: u32,
    quads: u32,
    endmembers: u32,
    batch: u32,
    particles: u32,
    latents: u32,
    local_stride: u32,
    globals: u32,
    rank: u32,
    noises: u32,
    flags: u32,
    chunk_rows: u32,
    chunks: u32,
    seed_low: u32,
    seed_high: u32,
    shuffle_bits: u32,
    step: u32,
    epoch: u32,
    first_group: u32,
    odd_group: u32,
    trace_slot: u32,
    scale: f32,
    weight: f32,
    concentration: f32,
    concentration_precision: f32,
    common_concentration: f32,
    common_precision: f32,
    mean_concentration: f32,
    endmember_precision: f32,
    brightness_precision: f32,
    spread_precision: f32,
    noise_floor: f32,
    noise_jacobian: f32,
    noise_quadratic: f32,
    noise_centre: f32,
    noise_precision: f32,
    regression_precision: f32,
    variability_quadratic: f32,
    per_pixel: f32,
    rate_global: f32,
    rate_local: f32,
    correction_first: f32,
    correction_second: f32,
    decay_first_global: f32,
    decay_second_global: f32,
    decay_first_local: f32,
    decay_second_local: f32,
}

@group(0) @binding(0) var<uniform> p: Params;

// Which of several fits that run side by side, the third dimension of the grid. Each has its own
// part of every buffer, one after the other, but for the spectra and the minibatch, which all of
// them share.
var<private> fit: u32;

const BRIGHTNESS = 1u;
const VARIABILITY = 2u;
const FULL_RANK = 4u;
const CONCENTRATION = 8u;
const COVARIANCE = 16u;
const SEPARATE = 32u;
const HELD = 64u;
const HELD_VARIABILITY = 128u;
const COMMON = 256u;
const SPREAD = 512u;

// Words of the status and of the trace of a fit.
const STATUS = 4u;
const TRACE_LEN = 1024u;

fn has(flag: u32) -> bool {
    return (p.flags & flag) != 0u;
}

// Offsets and strides, in floats, as the methods of `layout::Params` give them.
fn stride() -> u32 { return 4u * p.quads; }
fn noise_at() -> u32 { return p.endmembers * stride(); }
fn mean_at() -> u32 { return noise_at() + p.noises; }
fn concentration_at() -> u32 { return mean_at() + p.endmembers - 1u; }
fn common_at() -> u32 { return concentration_at() + select(0u, 1u, has(CONCENTRATION)); }
fn spread_at() -> u32 { return common_at() + select(0u, p.endmembers + 1u, has(COMMON)); }
fn variability_at() -> u32 { return spread_at() + select(0u, 1u, has(SPREAD)); }
fn regression_at() -> u32 {
    return variability_at() + select(0u, p.endmembers * stride(), has(VARIABILITY));
}
fn dirichlet_at() -> u32 { return (2u * p.endmembers + 1u) * stride(); }
fn precision_at() -> u32 {
    return dirichlet_at() + p.endmembers + 1u + select(0u, p.endmembers + 3u, has(COMMON));
}
fn theta_regression_at() -> u32 { return (precision_at() + 16u) & ~15u; }
fn theta_stride() -> u32 {
    return theta_regression_at() + select(0u, stride() * stride(), has(COVARIANCE));
}
fn draw_stride() -> u32 { return 2u * p.endmembers + select(3u, 5u, has(COMMON)); }
fn row_grad_stride() -> u32 { return 2u * p.endmembers + 1u; }
fn columns() -> u32 { return select(p.endmembers + 1u, 2u * p.endmembers + 1u, has(VARIABILITY)); }
// The partial sums of a chunk and particle, in vectors of four.
fn partials_at(chunk: u32, particle: u32) -> u32 {
    return ((fit * p.chunks + chunk) * p.particles + particle) * columns() * p.quads;
}
fn scalars() -> u32 {
    return (p.endmembers + 1u) * select(1u, 2u, has(COMMON)) + select(0u, 1u, has(SPREAD));
}
fn totals_stride() -> u32 { return columns() * stride() + scalars(); }
fn global_stride() -> u32 { return p.globals * (2u + p.rank); }
fn globals_at() -> u32 { return fit * global_stride(); }
fn terms_at() -> u32 { return fit * p.globals * (1u + p.particles); }
fn loadings_at() -> u32 { return p.local_stride - p.latents * p.rank; }
fn scene_chunk() -> u32 { return max((p.globals + 255u) / 256u, 64u); }
fn scene_chunks() -> u32 { return (p.globals + scene_chunk() - 1u) / scene_chunk(); }
// A particle among those of all fits.
fn particle_of_all(particle: u32) -> u32 { return fit * p.particles + particle; }
fn theta_at(particle: u32) -> u32 { return particle_of_all(particle) * theta_stride(); }
// Where a row begins whose columns lie ROW_GROUP apart: rows are places of the minibatch or pixels
// of the scene, and lie side by side.
const ROW_GROUP = 16u;
fn row_at(particle: u32, place: u32, columns: u32) -> u32 {
    let group = fit * groups() + place / ROW_GROUP;
    return (group * p.particles + particle) * columns * ROW_GROUP + place % ROW_GROUP;
}
fn pixel_at(pixel: u32, columns: u32) -> u32 {
    return (fit * scene_groups() + pixel / ROW_GROUP) * columns * ROW_GROUP + pixel % ROW_GROUP;
}
// Gradients of the guide of the minibatch's pixels; where they end, those by each latent begin, to
// be found by their `row_at`.
fn gradient_at(place: u32) -> u32 {
    let before = fit * groups() * ROW_GROUP * p.particles * p.latents;
    let group = fit * groups() + place / ROW_GROUP;
    return before + group * p.local_stride * ROW_GROUP + place % ROW_GROUP;
}
fn by_standards() -> u32 { return (fit + 1u) * groups() * ROW_GROUP * p.local_stride; }
fn groups() -> u32 { return (p.batch + ROW_GROUP - 1u) / ROW_GROUP; }
fn scene_groups() -> u32 { return (p.pixels + ROW_GROUP - 1u) / ROW_GROUP; }
fn rows() -> u32 { return p.particles * p.batch; }
