// Log density of the observed spectra and its derivatives by mean (A) and variance (B), equation 7,
// each times the likelihood's weight. The residual is formed, never expanded: y'y - 2 y'mu + mu'mu
// loses the digits that matter. Grid: rows x quads, none with covariance.
@group(0) @binding(1) var<storage, read> cube: array<vec4f>;
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
        for (var k = 0u; k < p.endmembers; k++) {
            let w = draws[row * draw_stride() + k];
            variance += w * w * theta[variances + (k + 1u) * p.quads];
        }
    }
    let r = cube[pixel_of[row % p.batch] * p.quads + quad] - mu[at];
    let a = r / variance;
    let b = 0.5 * (a * a - 1.0 / variance);
    let density = -0.5 * (r * a + log(variance));
    // Padding is no data.
    let used = p.weight * select(vec4f(0.0), vec4f(1.0), 4u * quad + vec4u(0u, 1u, 2u, 3u) < vec4u(p.bands));
    score_mean[at] = used * a;
    score_variance[at] = used * b;
    log_density[at] = dot(used, density);
}
