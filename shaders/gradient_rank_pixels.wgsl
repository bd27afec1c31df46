// Gradient of the loadings of the minibatch's pixels, mean over particles (equation 29). No N / B:
// a pixel's own terms count once.
// Grid: batch x latents, none without the low-rank guide.
@group(0) @binding(1) var<storage, read> locals: array<f32>;
@group(0) @binding(2) var<storage, read> pixel_of: array<u32>;
@group(0) @binding(3) var<storage, read> eta: array<f32>;
@group(0) @binding(4) var<storage, read> inverse: array<f32>;
@group(0) @binding(5) var<storage, read_write> grads: array<f32>;
@group(0) @binding(6) var<storage, read_write> status: array<atomic<u32>>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let at = invocation(group, lane);
    if (at >= p.batch * p.latents) {
        return;
    }
    let place = at / p.latents;
    let j = at % p.latents;
    let guide = pixel_at(pixel_of[place], p.local_stride);
    let row = guide + ROW_GROUP * (loadings_at() + j * p.rank);
    let out = gradient_at(place) + ROW_GROUP * (loadings_at() + j * p.rank);
    // The entropy's gradient: V M^-1.
    for (var r = 0u; r < p.rank; r++) {
        var sum = 0.0;
        for (var q = 0u; q < p.rank; q++) {
            sum += locals[row + ROW_GROUP * q] * inverse[q * p.rank + r];
        }
        grads[out + ROW_GROUP * r] = sum;
    }
    for (var particle = 0u; particle < p.particles; particle++) {
        let by_standard = by_standards() + row_at(particle, place, p.latents);
        var by_shared = grads[by_standard + ROW_GROUP * j];
        // Latent j is in those after it, by the column of T.
        for (var i = j + 1u; i < p.latents; i++) {
            let t = 2u * p.latents + i * (i - 1u) / 2u + j;
            by_shared += locals[guide + ROW_GROUP * t] * grads[by_standard + ROW_GROUP * i];
        }
        by_shared /= f32(p.particles);
        for (var r = 0u; r < p.rank; r++) {
            grads[out + ROW_GROUP * r] += by_shared * eta[particle * p.rank + r];
        }
    }
    for (var r = 0u; r < p.rank; r++) {
        if (!finite(grads[out + ROW_GROUP * r])) {
            atomicOr(&status[0], 1u);
        }
    }
}
