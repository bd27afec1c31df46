// Derivative of the log density by the mixture where bands share their noise (equation 23): a
// band's own score, less what it gives to the bands after it. Grid: rows x quads, none without
// covariance.
@group(0) @binding(1) var<storage, read> theta: array<vec4f>;
@group(0) @binding(2) var<storage, read> score_innovation: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> score_mean: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let at = invocation(group, lane);
    if (at >= rows() * p.quads) {
        return;
    }
    let row = at / p.quads;
    let quad = at % p.quads;
    let phi = (row / p.batch) * (theta_stride() / 4u) + theta_regression_at() / 4u + quad;
    var sum = score_innovation[at];
    for (var q = quad; q < p.quads; q++) {
        let a = score_innovation[row * p.quads + q];
        let below = phi + 4u * q * p.quads;
        sum -= a.x * theta[below] + a.y * theta[below + p.quads]
            + a.z * theta[below + 2u * p.quads] + a.w * theta[below + 3u * p.quads];
    }
    score_mean[at] = sum;
}
