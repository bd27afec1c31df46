// Log density of the observed spectra and its derivatives by mean (A) and variance (B), equation 7.
// Grid: rows x quads, none with covariance.
@group(0) @binding(1) var<storage, read> cube: array<vec4u>;
@group(0) @binding(2) var<storage, read> theta: array<vec4f>;
@group(0) @binding(3) var<storage, read> pixel_of: array<u32>;
@group(0) @binding(4) var<storage, read> draws: array<f32>;
@group(0) @binding(5) var<storage, read> mu: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> score_mean: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> score_variance: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> log_density: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let at = invocation(group, lane);
    if (at >= rows() * p.quads) {
        return;
    }
    let row = at / p.quads;
    let quad = at % p.quads;
    let variances = (row / p.batch) * (theta_stride() / 4u) + p.endmembers * p.quads + quad;
    var variance = theta[variances];
    if (has(VARIABILITY)) {
        let draw = row_at(row / p.batch, row % p.batch, draw_stride());
        for (var k = 0u; k < p.endmembers; k++) {
            let w = draws[draw + ROW_GROUP * k];
            variance += w * w * theta[variances + (k + 1u) * p.quads];
        }
    }
    let y = observed(pixel_of[row % p.batch] * p.quads + quad);
    let normal = normal_of_bands(y, mu[at], 1.0 / variance, log(variance), quad);
    score_mean[at] = normal.by_mean;
    score_variance[at] = normal.by_variance;
    log_density[at] = normal.density;
}
