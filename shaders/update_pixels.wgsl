// Adam on the guide of the minibatch's pixels. Each pixel keeps its own moments, touched only in
// steps that draw it. No bias correction: with decays 0.8 and 0.95 the first step has 0.9 of its
// length. The step of a loc is at most LOC_STEP times its scale: what is known well needs no longer
// one, and the noise of longer ones would stay in the answer.
// Grid: groups of the batch x parameters, a loc and its log scale together.
@group(0) @binding(1) var<storage, read> pixel_of: array<u32>;
@group(0) @binding(2) var<storage, read> grads: array<f32>;
@group(0) @binding(3) var<storage, read_write> locals: array<f32>;
@group(0) @binding(4) var<storage, read_write> moments: array<f32>;
@group(0) @binding(5) var<storage, read> status: array<u32>;

const LOC_STEP = 2.0;
// Loadings of many pixels move less: see `src/engine/guide/transform.rs`.
const LOADING_PIXELS = 6.25;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    fit = group.z;
    let at = invocation(group, lane);
    let units = p.local_stride - p.latents;
    let unit = at / ROW_GROUP % units;
    let place = at / (ROW_GROUP * units) * ROW_GROUP + at % ROW_GROUP;
    if (place >= p.batch || status[STATUS * fit] != 0u) {
        return;
    }
    let pixel = pixel_of[place];
    if (unit >= p.latents) {
        var rate = p.rate_local;
        if (unit + p.latents >= loadings_at()) {
            rate *= min(1.0, sqrt(LOADING_PIXELS * p.per_pixel));
        }
        update(pixel, place, unit + p.latents, rate);
        return;
    }
    // The loc comes first, so that it sees the log scale as it was.
    let guide = pixel_at(pixel, p.local_stride);
    let scale = exp(locals[guide + ROW_GROUP * (p.latents + unit)]);
    update(pixel, place, unit, p.rate_local * min(1.0, LOC_STEP * scale));
    update(pixel, place, p.latents + unit, p.rate_local);
}

// One step of Adam on parameter d of a pixel.
fn update(pixel: u32, place: u32, d: u32, rate: f32) {
    let first = pixel_at(pixel, 2u * p.local_stride) + ROW_GROUP * d;
    let second = first + ROW_GROUP * p.local_stride;
    let grad = grads[gradient_at(place) + ROW_GROUP * d];
    let decay = vec2f(p.decay_first_local, p.decay_second_local);
    let after = moments_after(vec2f(moments[first], moments[second]), grad, decay);
    moments[first] = after.x;
    moments[second] = after.y;
    locals[pixel_at(pixel, p.local_stride) + ROW_GROUP * d] += rate * climb(after);
}
