// Residuals of the drawn mixtures, r = y - mu (equation 6), where bands share their noise.
// Grid: rows x quads, none without covariance.
@group(0) @binding(1) var<storage, read> cube: array<vec4u>;
@group(0) @binding(2) var<storage, read> pixel_of: array<u32>;
@group(0) @binding(3) var<storage, read> mu: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> residuals: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let at = invocation(group, lane);
    if (at >= rows() * p.quads) {
        return;
    }
    let pixel = pixel_of[(at / p.quads) % p.batch];
    residuals[at] = observed(pixel * p.quads + at % p.quads) - mu[at];
}
