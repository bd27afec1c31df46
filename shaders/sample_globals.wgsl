// Draws the scene latents x = loc + exp(log scale) * (eps + V eta) and writes them as the model
// takes them (equations 1, 3, 4, 5, 19, 21, 26): endmembers, noise and variability variances,
// Dirichlet parameters and their total, once more for the common mixture, the precision of
// log brightness, regressions between bands.
// Grid: for each particle a workgroup for every WORKGROUP times four latents, as many normals as
// Philox gives at a time, and one whose lanes share the Dirichlet parameters.
@group(0) @binding(1) var<storage, read> globals: array<f32>;
@group(0) @binding(2) var<storage, read_write> eps: array<f32>;
@group(0) @binding(3) var<storage, read_write> theta: array<f32>;
@group(0) @binding(4) var<storage, read_write> status: array<atomic<u32>>;
@group(0) @binding(5) var<storage, read> eta: array<f32>;

// Latents of Dirichlets that are drawn once for all lanes; beyond, each lane draws its own.
const MOST_SHARED = 256u;

var<workgroup> shared_latents: array<f32, MOST_SHARED>;
var<workgroup> sums: array<vec4f, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    fit = group.z;
    let at = group.y * GROUPS_X + group.x;
    if (at == 0u && lane == 0u) {
        atomicStore(&status[STATUS * fit], 0u);
    }
    let fours = (p.globals + 3u) / 4u;
    let blocks = (fours + WORKGROUP - 1u) / WORKGROUP + 1u;
    if (at >= p.particles * blocks) {
        return;
    }
    let particle = at / blocks;
    if (at % blocks + 1u == blocks) {
        dirichlets(particle, theta_at(particle) + dirichlet_at(), lane);
        return;
    }
    let first = 4u * (at % blocks * WORKGROUP + lane);
    if (first >= p.globals) {
        return;
    }
    let drawn = normals(STREAM_GLOBAL, particle, first / 4u, 0u);
    // All reads before the first write: a device cannot tell that they are of other places.
    var locs = vec4f(0.0);
    var log_scales = vec4f(0.0);
    for (var i = 0u; i < 4u; i++) {
        let j = min(first + i, p.globals - 1u);
        locs[i] = globals[globals_at() + j];
        log_scales[i] = globals[globals_at() + p.globals + j];
    }
    for (var i = 0u; i < min(4u, p.globals - first); i++) {
        write(particle, first + i, drawn[i], locs[i], log_scales[i]);
    }
}

// Draws a latent from its normal, and gives it as the model takes it.
fn write(particle: u32, j: u32, drawn: f32, loc: f32, log_scale: f32) {
    let e = with_loadings(particle, j, drawn);
    eps[particle_of_all(particle) * p.globals + j] = e;
    let out = theta_at(particle);
    let x = loc + exp(log_scale) * e;
    if (j < noise_at()) {
        theta[out + j] = select(0.0, softplus(x), j % stride() < p.bands);
    } else if (j < mean_at()) {
        let l = j - noise_at();
        let variance = p.noise_floor + exp(2.0 * x);
        if (p.noises == 1u) {
            for (var i = 0u; i < stride(); i++) {
                write_noise(out + noise_at() + i, select(1.0, variance, i < p.bands));
            }
        } else {
            write_noise(out + noise_at() + l, select(1.0, variance, l < p.bands));
        }
    } else if (j >= regression_at()) {
        let i = j - regression_at();
        let l = i / stride();
        theta[out + theta_regression_at() + i] = select(0.0, x, i % stride() < l && l < p.bands);
    } else if (j >= variability_at()) {
        let l = j - variability_at();
        theta[out + noise_at() + stride() + l] = select(0.0, exp(2.0 * x), l % stride() < p.bands);
    }
}

// A variance; and one over it where the first row of variability has nothing to hold.
fn write_noise(at: u32, variance: f32) {
    theta[at] = variance;
    if (!has(VARIABILITY)) {
        theta[at + stride()] = 1.0 / variance;
    }
}

fn with_loadings(particle: u32, j: u32, drawn: f32) -> f32 {
    var sum = drawn;
    for (var r = 0u; r < p.rank; r++) {
        sum += globals[2u * p.globals + j * p.rank + r] * eta[particle * p.rank + r];
    }
    return sum;
}

fn latent(particle: u32, j: u32) -> f32 {
    let drawn = normals(STREAM_GLOBAL, particle, j / 4u, 0u)[j % 4u];
    let own = globals_at() + j;
    return globals[own] + exp(globals[own + p.globals]) * with_loadings(particle, j, drawn);
}

// A latent of those from the mean abundance on, by its place among them.
fn shared_latent(particle: u32, i: u32) -> f32 {
    if (i < MOST_SHARED) {
        return shared_latents[i];
    }
    return latent(particle, mean_at() + i);
}

// a = alpha softmax(logits, 0), then alpha; with a common mixture b, beta and constants likewise.
fn dirichlets(particle: u32, out: u32, lane: u32) {
    let count = variability_at() - mean_at();
    for (var i = lane; i < min(count, MOST_SHARED); i += WORKGROUP) {
        shared_latents[i] = latent(particle, mean_at() + i);
    }
    workgroupBarrier();
    var concentration = p.concentration;
    if (has(CONCENTRATION)) {
        concentration = exp(shared_latent(particle, concentration_at() - mean_at()));
    }
    var own = vec4f(0.0);
    let of_a = dirichlet(particle, lane, out, 0u, concentration);
    own.x = of_a.x;
    own.y = of_a.y;
    if (lane == 0u) {
        var over_variance = p.brightness_precision;
        if (has(SPREAD)) {
            over_variance = exp(-2.0 * shared_latent(particle, spread_at() - mean_at()));
        }
        theta[theta_at(particle) + precision_at()] = over_variance;
    }
    if (!has(COMMON)) {
        return;
    }
    let b = out + p.endmembers + 1u;
    let logits = common_at() - mean_at();
    let beta = logits + p.endmembers - 1u;
    let of_b = dirichlet(particle, lane, b, logits, exp(shared_latent(particle, beta)));
    own.z = of_b.x;
    own.w = of_b.y;
    sums[lane] = own;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if (lane < half) {
            sums[lane] += sums[lane + half];
        }
        workgroupBarrier();
    }
    if (lane < 2u) {
        // Logs of one minus the share, and of the share.
        let share = shared_latent(particle, beta + 1u);
        let all = select(sums[0].xy, sums[0].zw, lane == 1u);
        theta[b + p.endmembers + 1u + lane] =
            all.y + ln_gamma(all.x) - softplus(select(share, -share, lane == 1u));
    }
}

// A lane's parameters of a Dirichlet from its logits, kept away from zero, where log-gamma and
// digamma have poles; then their total. Gives the lane's sums of what is written and of -log-gamma
// of it; the latter only for a common mixture, which asks for it.
fn dirichlet(particle: u32, lane: u32, out: u32, logits: u32, total: f32) -> vec2f {
    var top = 0.0;
    for (var k = 0u; k + 1u < p.endmembers; k++) {
        top = max(top, shared_latent(particle, logits + k));
    }
    // The last logit is zero.
    var sum = 0.0;
    for (var k = 0u; k + 1u < p.endmembers; k++) {
        sum += exp(shared_latent(particle, logits + k) - top);
    }
    sum += exp(-top);
    var own = vec2f(0.0);
    for (var k = lane; k < p.endmembers; k += WORKGROUP) {
        var x = 0.0;
        if (k + 1u < p.endmembers) {
            x = shared_latent(particle, logits + k);
        }
        let parameter = max(total * exp(x - top) / sum, 1e-6);
        theta[out + k] = parameter;
        own.x += parameter;
        if (has(COMMON)) {
            own.y -= ln_gamma(parameter);
        }
    }
    if (lane == 0u) {
        theta[out + p.endmembers] = total;
    }
    return own;
}
