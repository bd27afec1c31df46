// The chain from abundances to the guide of each pixel of the minibatch (equations 10 to 12), mean
// over particles. No N / B: a pixel's own terms count once. Loadings: see `gradient_rank_pixels`.
// Grid: groups of the batch x latents.
@group(0) @binding(1) var<storage, read> theta: array<f32>;
@group(0) @binding(2) var<storage, read> locals: array<f32>;
@group(0) @binding(3) var<storage, read> pixel_of: array<u32>;
@group(0) @binding(4) var<storage, read> eps: array<f32>;
@group(0) @binding(5) var<storage, read> draws: array<f32>;
@group(0) @binding(6) var<storage, read> row_grads: array<f32>;
@group(0) @binding(7) var<storage, read_write> grads: array<f32>;
@group(0) @binding(8) var<storage, read_write> status: array<atomic<u32>>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    fit = group.z;
    let at = invocation(group, lane);
    let j = at / ROW_GROUP % p.latents;
    let place = at / (ROW_GROUP * p.latents) * ROW_GROUP + at % ROW_GROUP;
    if (place >= p.batch) {
        return;
    }
    let guide = pixel_at(pixel_of[place], p.local_stride);
    let out = gradient_at(place);
    let scale = exp(locals[guide + ROW_GROUP * (p.latents + j)]);
    var by_loc = 0.0;
    var by_log_scale = 0.0;
    for (var particle = 0u; particle < p.particles; particle++) {
        let by_z = slope_of_latent(particle, place, j);
        let by_standard = by_z * scale;
        let noise = row_at(particle, place, p.latents);
        grads[by_standards() + noise + ROW_GROUP * j] = by_standard;
        var standard = eps[noise + ROW_GROUP * j];
        if (has(FULL_RANK)) {
            for (var m = 0u; m < j; m++) {
                standard += locals[guide + ROW_GROUP * below(j, m)] * eps[noise + ROW_GROUP * m];
            }
        }
        by_loc += by_z;
        by_log_scale += by_standard * standard + 1.0;
    }
    write(out, j, by_loc);
    write(out, p.latents + j, by_log_scale);
    if (has(FULL_RANK)) {
        for (var m = 0u; m < j; m++) {
            var sum = 0.0;
            for (var particle = 0u; particle < p.particles; particle++) {
                let noise = row_at(particle, place, p.latents);
                let by_standard = grads[by_standards() + noise + ROW_GROUP * j];
                sum += by_standard * eps[noise + ROW_GROUP * m];
            }
            write(out, below(j, m), sum);
        }
    }
    for (var r = 0u; r < p.rank; r++) {
        grads[out + ROW_GROUP * (loadings_at() + j * p.rank + r)] = 0.0;
    }
}

// The guide's parameter below the diagonal, of latents j and m < j.
fn below(j: u32, m: u32) -> u32 {
    return 2u * p.latents + j * (j - 1u) / 2u + m;
}

// Writes the mean over particles of a gradient of the guide.
fn write(out: u32, d: u32, sum: f32) {
    let mean = sum / f32(p.particles);
    grads[out + ROW_GROUP * d] = mean;
    if (!finite(mean)) {
        atomicOr(&status[STATUS * fit], 1u);
    }
}

// Derivative of a row's log density by latent j.
fn slope_of_latent(particle: u32, place: u32, j: u32) -> f32 {
    let draw = row_at(particle, place, draw_stride());
    let sums = row_at(particle, place, row_grad_stride());
    let brightness = draws[draw + ROW_GROUP * 2u * p.endmembers];
    let a = theta_at(particle) + dirichlet_at();
    let share = common_share(draw);
    if (j + 1u < p.endmembers) {
        var mean_slope = 0.0;
        var total = 0.0;
        for (var k = 0u; k < p.endmembers; k++) {
            mean_slope += draws[draw + ROW_GROUP * k] * slope(sums, draw, k, brightness);
            total += parameter(a, k, share);
        }
        let w = draws[draw + ROW_GROUP * j];
        let by_w = slope(sums, draw, j, brightness) - mean_slope;
        return w * by_w + parameter(a, j, share) - total * w;
    }
    var mixed = 0.0;
    for (var k = 0u; k < p.endmembers; k++) {
        mixed += draws[draw + ROW_GROUP * k] * row_grads[sums + ROW_GROUP * k];
    }
    let g = draws[draw + ROW_GROUP * (2u * p.endmembers + 1u)];
    return brightness * mixed - theta[theta_at(particle) + precision_at()] * g;
}

// The probability that the row has the common mixture.
fn common_share(draw: u32) -> f32 {
    if (has(COMMON)) {
        return draws[draw + ROW_GROUP * (2u * p.endmembers + 3u)];
    }
    return 0.0;
}

// A Dirichlet parameter of the row: between a and b of the common mixture as it has one.
fn parameter(a: u32, k: u32, share: f32) -> f32 {
    if (has(COMMON)) {
        return mix(theta[a + k], theta[a + p.endmembers + 1u + k], share);
    }
    return theta[a + k];
}

// Derivative of the row's log density by its abundance k.
fn slope(sums: u32, draw: u32, k: u32, brightness: f32) -> f32 {
    let by_mean = row_grads[sums + ROW_GROUP * k];
    let by_variance = row_grads[sums + ROW_GROUP * (p.endmembers + k)];
    return brightness * by_mean + 2.0 * draws[draw + ROW_GROUP * k] * by_variance;
}
