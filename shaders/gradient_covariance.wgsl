// The likelihood's gradient by the regressions between bands (equation 24): sum A_l r_m over the
// rows of a particle, in a fixed order. Each invocation takes four by four of them.
// Grid: particles x quads x quads, none without covariance; above the diagonal they have nothing to
// do.
@group(0) @binding(1) var<storage, read> residuals: array<vec4f>;
@group(0) @binding(2) var<storage, read> score_innovation: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> sums: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let at = invocation(group, lane);
    let m = at % p.quads;
    let l = (at / p.quads) % p.quads;
    let particle = at / (p.quads * p.quads);
    if (particle >= p.particles || m > l) {
        return;
    }
    var sum_0 = vec4f(0.0);
    var sum_1 = vec4f(0.0);
    var sum_2 = vec4f(0.0);
    var sum_3 = vec4f(0.0);
    for (var place = 0u; place < p.batch; place++) {
        let row = (particle * p.batch + place) * p.quads;
        let a = score_innovation[row + l];
        let r = residuals[row + m];
        sum_0 += a.x * r;
        sum_1 += a.y * r;
        sum_2 += a.z * r;
        sum_3 += a.w * r;
    }
    let out = (particle * stride() + 4u * l) * p.quads + m;
    sums[out] = sum_0;
    sums[out + p.quads] = sum_1;
    sums[out + 2u * p.quads] = sum_2;
    sums[out + 3u * p.quads] = sum_3;
}
