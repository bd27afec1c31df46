// Gradient of the loadings of the scene latents, mean over particles, of the ELBO a pixel (equation
// 29). Padding has no loadings, and no slope to get some.
// Grid: globals, none without the low-rank guide.
@group(0) @binding(1) var<storage, read> globals: array<f32>;
@group(0) @binding(2) var<storage, read> eta: array<f32>;
@group(0) @binding(3) var<storage, read> inverse: array<f32>;
@group(0) @binding(4) var<storage, read> terms: array<f32>;
@group(0) @binding(5) var<storage, read_write> grads: array<f32>;
@group(0) @binding(6) var<storage, read_write> status: array<atomic<u32>>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let j = invocation(group, lane);
    if (j >= p.globals) {
        return;
    }
    let row = 2u * p.globals + j * p.rank;
    for (var r = 0u; r < p.rank; r++) {
        // The entropy's gradient: V M^-1.
        var sum = 0.0;
        for (var q = 0u; q < p.rank; q++) {
            sum += globals[row + q] * inverse[q * p.rank + r];
        }
        for (var particle = 0u; particle < p.particles; particle++) {
            let by_standard = terms[p.globals + j * p.particles + particle];
            sum += by_standard / f32(p.particles) * eta[particle * p.rank + r];
        }
        sum *= p.per_pixel;
        grads[row + r] = sum;
        if (!finite(sum)) {
            atomicOr(&status[0], 1u);
        }
    }
}
