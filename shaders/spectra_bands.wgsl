// On a software driver, with `spectra_rows` instead of `spectra`: the sums over a chunk's rows that
// each band needs (equations 6, 7, 13). Four bands of endmembers, variances and sums stay in
// registers.
// Grid: chunks x particles x quads.
@group(0) @binding(1) var<storage, read> cube: array<vec4u>;
@group(0) @binding(2) var<storage, read> theta: array<vec4f>;
@group(0) @binding(3) var<storage, read> pixel_of: array<u32>;
@group(0) @binding(4) var<storage, read> draws: array<f32>;
@group(0) @binding(5) var<storage, read_write> partials: array<vec4f>;

override ENDMEMBERS: u32 = 3u;
override VARIES: bool = true;
const MOST_ENDMEMBERS = 31u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    fit = group.z;
    let at = invocation(group, lane);
    if (at >= p.chunks * p.particles * p.quads) {
        return;
    }
    let quad = at % p.quads;
    let particle = (at / p.quads) % p.particles;
    let chunk = at / (p.quads * p.particles);
    let endmembers = theta_at(particle) / 4u + quad;
    let varieties = endmembers + (ENDMEMBERS + 1u) * p.quads;
    var endmember: array<vec4f, MOST_ENDMEMBERS>;
    var varies: array<vec4f, MOST_ENDMEMBERS>;
    var sum_mean: array<vec4f, MOST_ENDMEMBERS>;
    var sum_varies: array<vec4f, MOST_ENDMEMBERS>;
    var sum_variance = vec4f(0.0);
    let noise = theta[endmembers + ENDMEMBERS * p.quads];
    // Without variability there is the noise precision.
    var inverse = theta[varieties];
    for (var k = 0u; k < ENDMEMBERS; k++) {
        endmember[k] = theta[endmembers + k * p.quads];
        sum_mean[k] = vec4f(0.0);
        sum_varies[k] = vec4f(0.0);
        if (VARIES) {
            varies[k] = theta[varieties + k * p.quads];
        }
    }
    let first = chunk * p.chunk_rows;
    let last = min(first + p.chunk_rows, p.batch);
    for (var place = first; place < last; place++) {
        let draw = row_at(particle, place, draw_stride());
        let brightness = draws[draw + ROW_GROUP * 2u * ENDMEMBERS];
        var residual = observed(pixel_of[place] * p.quads + quad);
        var variance = noise;
        var amount: array<f32, MOST_ENDMEMBERS>;
        var square: array<f32, MOST_ENDMEMBERS>;
        for (var k = 0u; k < ENDMEMBERS; k++) {
            let w = draws[draw + ROW_GROUP * k];
            amount[k] = brightness * w;
            square[k] = w * w;
            residual -= amount[k] * endmember[k];
            if (VARIES) {
                variance += square[k] * varies[k];
            }
        }
        if (VARIES) {
            inverse = 1.0 / variance;
        }
        let a = residual * inverse;
        let twice_b = a * a - inverse;
        sum_variance += twice_b;
        for (var k = 0u; k < ENDMEMBERS; k++) {
            sum_mean[k] += amount[k] * a;
            if (VARIES) {
                sum_varies[k] += square[k] * twice_b;
            }
        }
    }
    // Padding is no data.
    let counts = 4u * quad + vec4u(0u, 1u, 2u, 3u) < vec4u(p.bands);
    let weight = p.weight * select(vec4f(0.0), vec4f(1.0), counts);
    let out = partials_at(chunk, particle) + quad;
    partials[out + ENDMEMBERS * p.quads] = 0.5 * weight * sum_variance;
    for (var k = 0u; k < ENDMEMBERS; k++) {
        partials[out + k * p.quads] = weight * sum_mean[k];
        if (VARIES) {
            partials[out + (ENDMEMBERS + 1u + k) * p.quads] = 0.5 * weight * sum_varies[k];
        }
    }
}
