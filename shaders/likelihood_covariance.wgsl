// Log density of the observed spectra where bands share their noise, and its derivatives by the
// innovation's mean (A) and variance (B), equation 22: what `likelihood` does, with the residual of
// a band less what the bands before it predict. Grid: rows x quads, none without covariance.
@group(0) @binding(1) var<storage, read> theta: array<vec4f>;
@group(0) @binding(2) var<storage, read> residuals: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> score_innovation: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> score_variance: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> log_density: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let at = invocation(group, lane);
    if (at >= rows() * p.quads) {
        return;
    }
    let row = at / p.quads;
    let quad = at % p.quads;
    let draw = (row / p.batch) * (theta_stride() / 4u);
    let variance = theta[draw + noise_at() / 4u + quad];
    // Four rows of phi; what is not below the diagonal is zero.
    var phi = draw + theta_regression_at() / 4u + 4u * quad * p.quads;
    var predicted = vec4f(0.0);
    for (var q = 0u; q <= quad; q++) {
        let r = residuals[row * p.quads + q];
        predicted += vec4f(
            dot(theta[phi], r),
            dot(theta[phi + p.quads], r),
            dot(theta[phi + 2u * p.quads], r),
            dot(theta[phi + 3u * p.quads], r),
        );
        phi++;
    }
    let e = residuals[at] - predicted;
    let a = e / variance;
    let b = 0.5 * (a * a - 1.0 / variance);
    let density = -0.5 * (e * a + log(variance));
    // Padding is no data.
    let counts = 4u * quad + vec4u(0u, 1u, 2u, 3u) < vec4u(p.bands);
    let used = p.weight * select(vec4f(0.0), vec4f(1.0), counts);
    score_innovation[at] = used * a;
    score_variance[at] = used * b;
    log_density[at] = dot(used, density);
}
