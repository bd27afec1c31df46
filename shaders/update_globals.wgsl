// Adam on the guide of the scene latents, with bias correction; endmembers that are held stay.
// Grid: global_stride.
@group(0) @binding(1) var<storage, read> grads: array<f32>;
@group(0) @binding(2) var<storage, read_write> globals: array<f32>;
@group(0) @binding(3) var<storage, read_write> moments: array<f32>;
@group(0) @binding(4) var<storage, read> status: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    fit = group.z;
    let j = invocation(group, lane);
    let count = global_stride();
    if (j >= count || status[STATUS * fit] != 0u || held(j)) {
        return;
    }
    let own = globals_at() + j;
    // There are two moments of each: twice as many before those of this fit.
    let first = own + globals_at();
    let before = vec2f(moments[first], moments[first + count]);
    let decay = vec2f(p.decay_first_global, p.decay_second_global);
    let after = moments_after(before, grads[own], decay);
    moments[first] = after.x;
    moments[first + count] = after.y;
    globals[own] += p.rate_global * climb(after * vec2f(p.correction_first, p.correction_second));
}

// Whether the loc, log scale or loading at j is of a latent that stays.
fn held(j: u32) -> bool {
    var latent = j % p.globals;
    if (j >= 2u * p.globals) {
        latent = (j - 2u * p.globals) / p.rank;
    }
    let varies = latent >= variability_at() && latent < regression_at();
    return (has(HELD) && latent < noise_at()) || (has(HELD_VARIABILITY) && varies);
}
