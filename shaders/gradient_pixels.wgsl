// The chain from abundances to the guide of each pixel of the minibatch (equations 10 to 12), mean
// over particles. No N / B: a pixel's own terms count once. Loadings: see `gradient_rank_pixels`.
// Grid: batch.
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
    let place = invocation(group, lane);
    if (place >= p.batch) {
        return;
    }
    let guide = place_at(pixel_of[place], p.local_stride);
    let out = place_at(place, p.local_stride);
    let by_standards = groups() * ROW_GROUP * p.local_stride;
    for (var d = 0u; d < p.local_stride; d++) {
        grads[out + ROW_GROUP * d] = 0.0;
    }
    for (var particle = 0u; particle < p.particles; particle++) {
        let draw = row_at(particle, place, draw_stride());
        let sums = row_at(particle, place, row_grad_stride());
        let noise = row_at(particle, place, p.latents);
        let brightness = draws[draw + ROW_GROUP * 2u * p.endmembers];
        let a = particle * theta_stride() + dirichlet_at();
        let share = common_share(draw);
        var mean_slope = 0.0;
        var total = 0.0;
        var mixed = 0.0;
        for (var k = 0u; k < p.endmembers; k++) {
            mean_slope += draws[draw + ROW_GROUP * k] * slope(sums, draw, k, brightness);
            total += parameter(a, k, share);
            mixed += draws[draw + ROW_GROUP * k] * row_grads[sums + ROW_GROUP * k];
        }
        for (var j = 0u; j < p.latents; j++) {
            var by_z = 0.0;
            if (j + 1u < p.endmembers) {
                let w = draws[draw + ROW_GROUP * j];
                let by_w = slope(sums, draw, j, brightness) - mean_slope;
                by_z = w * by_w + parameter(a, j, share) - total * w;
            } else {
                let g = draws[draw + ROW_GROUP * (2u * p.endmembers + 1u)];
                by_z = brightness * mixed - theta[particle * theta_stride() + precision_at()] * g;
            }
            grads[out + ROW_GROUP * j] += by_z;
            let by_standard = by_z * exp(locals[guide + ROW_GROUP * (p.latents + j)]);
            grads[by_standards + noise + ROW_GROUP * j] = by_standard;
            var standard = eps[noise + ROW_GROUP * j];
            if (has(FULL_RANK)) {
                for (var m = 0u; m < j; m++) {
                    let t = 2u * p.latents + j * (j - 1u) / 2u + m;
                    standard += locals[guide + ROW_GROUP * t] * eps[noise + ROW_GROUP * m];
                    grads[out + ROW_GROUP * t] += by_standard * eps[noise + ROW_GROUP * m];
                }
            }
            grads[out + ROW_GROUP * (p.latents + j)] += by_standard * standard + 1.0;
        }
    }
    for (var d = 0u; d < p.local_stride; d++) {
        let mean = grads[out + ROW_GROUP * d] / f32(p.particles);
        grads[out + ROW_GROUP * d] = mean;
        if (!finite(mean)) {
            atomicOr(&status[0], 1u);
        }
    }
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
