// Draws the latents of the minibatch's pixels (equations 8 and 26) and writes them as the model
// takes them: abundances, their logarithms, brightness, log brightness.
// Grid: particles x batch.
@group(0) @binding(1) var<storage, read> locals: array<f32>;
@group(0) @binding(2) var<storage, read_write> pixel_of: array<u32>;
@group(0) @binding(3) var<storage, read_write> eps: array<f32>;
@group(0) @binding(4) var<storage, read_write> draws: array<f32>;
@group(0) @binding(5) var<storage, read> eta: array<f32>;
@group(0) @binding(6) var<storage, read> theta: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    fit = group.z;
    let row = invocation(group, lane);
    if (row >= rows()) {
        return;
    }
    let place = row % p.batch;
    let particle = row / p.batch;
    let pixel = drawn(place / ROW_GROUP) * ROW_GROUP + place % ROW_GROUP;
    if (particle_of_all(particle) == 0u) {
        pixel_of[place] = pixel;
    }
    let guide = pixel_at(pixel, p.local_stride);
    let noise = row_at(particle, place, p.latents);
    let weight = row_at(particle, place, draw_stride());
    let log_weight = weight + ROW_GROUP * p.endmembers;
    var four = vec4f(0.0);
    var brightness = 0.0;
    var top = 0.0;
    var log_scales = 0.0;
    for (var j = 0u; j < p.latents; j++) {
        if (j % 4u == 0u) {
            four = normals(STREAM_PIXEL, particle, pixel, j / 4u);
        }
        var standard = four[j % 4u];
        for (var r = 0u; r < p.rank; r++) {
            let loading = locals[guide + ROW_GROUP * (loadings_at() + j * p.rank + r)];
            standard += loading * eta[particle * p.rank + r];
        }
        eps[noise + ROW_GROUP * j] = standard;
        if (has(FULL_RANK)) {
            for (var m = 0u; m < j; m++) {
                let t = 2u * p.latents + j * (j - 1u) / 2u + m;
                standard += locals[guide + ROW_GROUP * t] * eps[noise + ROW_GROUP * m];
            }
        }
        let log_scale = locals[guide + ROW_GROUP * (p.latents + j)];
        log_scales += log_scale;
        let z = locals[guide + ROW_GROUP * j] + exp(log_scale) * standard;
        if (j + 1u < p.endmembers) {
            draws[log_weight + ROW_GROUP * j] = z;
            top = max(top, z);
        } else {
            brightness = z;
        }
    }
    draws[log_weight + ROW_GROUP * (p.endmembers - 1u)] = 0.0;
    var sum = 0.0;
    for (var k = 0u; k < p.endmembers; k++) {
        sum += exp(draws[log_weight + ROW_GROUP * k] - top);
    }
    let log_sum = top + log(sum);
    for (var k = 0u; k < p.endmembers; k++) {
        let log_w = draws[log_weight + ROW_GROUP * k] - log_sum;
        draws[log_weight + ROW_GROUP * k] = log_w;
        draws[weight + ROW_GROUP * k] = exp(log_w);
    }
    draws[weight + ROW_GROUP * 2u * p.endmembers] = exp(brightness);
    draws[weight + ROW_GROUP * (2u * p.endmembers + 1u)] = brightness;
    draws[weight + ROW_GROUP * (2u * p.endmembers + 2u)] = log_scales;
    if (has(COMMON)) {
        write_common(theta_at(particle) + dirichlet_at(), weight);
    }
}

// The probability that a row has the common mixture, and by how much its log density of abundances
// is more than a'log W. Dirichlet parameters begin at a.
fn write_common(a: u32, weight: u32) {
    let b = a + p.endmembers + 1u;
    let constants = b + p.endmembers + 1u;
    var odds = theta[constants + 1u] - theta[constants];
    for (var k = 0u; k < p.endmembers; k++) {
        let log_w = draws[weight + ROW_GROUP * (p.endmembers + k)];
        odds += (theta[b + k] - theta[a + k]) * log_w;
    }
    let out = weight + ROW_GROUP * (2u * p.endmembers + 3u);
    draws[out] = sigmoid(odds);
    draws[out + ROW_GROUP] = theta[constants] + softplus(odds);
}

// The scene's group at a place of the minibatch. That which is not full takes the last place.
fn drawn(at: u32) -> u32 {
    // All pixels in any order are the same minibatch, and in this one they lie side by side.
    if (groups() == scene_groups()) {
        return at;
    }
    let last = groups() - 1u;
    var place = at;
    if (at == last) {
        place = p.odd_group;
    } else if (at == p.odd_group) {
        place = last;
    }
    return shuffled(p.first_group + place);
}
