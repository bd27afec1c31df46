// Adam on the guide of the minibatch's pixels. Each pixel keeps its own moments, touched only in
// steps that draw it. No bias correction: with decays 0.8 and 0.95 the first step has 0.9 of its length.
// Grid: batch x local_stride.
@group(0) @binding(1) var<storage, read> pixel_of: array<u32>;
@group(0) @binding(2) var<storage, read> grads: array<f32>;
@group(0) @binding(3) var<storage, read_write> locals: array<f32>;
@group(0) @binding(4) var<storage, read_write> moments: array<f32>;
@group(0) @binding(5) var<storage, read> status: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let at = invocation(group, lane);
    if (at >= p.batch * p.local_stride || status[0] != 0u) {
        return;
    }
    let pixel = pixel_of[at / p.local_stride];
    let d = at % p.local_stride;
    let first = pixel * 2u * p.local_stride + d;
    let second = first + p.local_stride;
    let after = moments_after(vec2f(moments[first], moments[second]), grads[at], vec2f(p.decay_first_local, p.decay_second_local));
    moments[first] = after.x;
    moments[second] = after.y;
    locals[pixel * p.local_stride + d] += p.rate_local * climb(after);
}
