// The likelihood's gradient by the abundances of each row (equation 9), as sums over bands: H_k =
// sum A c_k, Q_k = sum B v_k^2, and the row's log density.
// Grid: batch x particles x (2 K + 1).
@group(0) @binding(1) var<storage, read> theta: array<vec4f>;
@group(0) @binding(2) var<storage, read> score_mean: array<vec4f>;
@group(0) @binding(3) var<storage, read> score_variance: array<vec4f>;
@group(0) @binding(4) var<storage, read> log_density: array<f32>;
@group(0) @binding(5) var<storage, read_write> row_grads: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let at = invocation(group, lane);
    if (at >= rows() * row_grad_stride()) {
        return;
    }
    let place = at / (p.particles * row_grad_stride());
    let particle = (at / row_grad_stride()) % p.particles;
    let column = at % row_grad_stride();
    let endmembers = particle * (theta_stride() / 4u);
    let first = (particle * p.batch + place) * p.quads;
    var sum = 0.0;
    if (column < p.endmembers) {
        for (var q = 0u; q < p.quads; q++) {
            sum += dot(score_mean[first + q], theta[endmembers + column * p.quads + q]);
        }
    } else if (column == 2u * p.endmembers) {
        for (var q = 0u; q < p.quads; q++) {
            sum += log_density[first + q];
        }
    } else if (has(VARIABILITY)) {
        for (var q = 0u; q < p.quads; q++) {
            sum += dot(score_variance[first + q], theta[endmembers + (column + 1u) * p.quads + q]);
        }
    }
    row_grads[row_at(particle, place, row_grad_stride()) + ROW_GROUP * column] = sum;
}
