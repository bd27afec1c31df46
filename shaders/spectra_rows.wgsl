// On a software driver, with `spectra_bands` instead of `spectra`: the sums over bands that each
// row needs (equations 6, 7, 9). The scene's draw is a uniform: there llvmpipe reads a value for
// eight lanes at once, in storage for one after the other.
// Grid: particles x batch.
@group(0) @binding(1) var<storage, read> cube: array<vec4u>;
@group(0) @binding(2) var<uniform> theta: array<vec4f, MOST_CONSTANTS / 4u>;
@group(0) @binding(3) var<storage, read> pixel_of: array<u32>;
@group(0) @binding(4) var<storage, read> draws: array<f32>;
@group(0) @binding(5) var<storage, read_write> row_grads: array<f32>;

override ENDMEMBERS: u32 = 3u;
override VARIES: bool = true;
const MOST_ENDMEMBERS = 31u;
const MOST_CONSTANTS = 16384u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    fit = group.z;
    let row = invocation(group, lane);
    if (row >= rows()) {
        return;
    }
    let place = row % p.batch;
    let particle = row / p.batch;
    let draw = row_at(particle, place, draw_stride());
    let brightness = draws[draw + ROW_GROUP * 2u * ENDMEMBERS];
    var amount: array<f32, MOST_ENDMEMBERS>;
    var square: array<f32, MOST_ENDMEMBERS>;
    var by_mean: array<f32, MOST_ENDMEMBERS>;
    var by_variance: array<f32, MOST_ENDMEMBERS>;
    var fit = 0.0;
    for (var k = 0u; k < ENDMEMBERS; k++) {
        let w = draws[draw + ROW_GROUP * k];
        amount[k] = brightness * w;
        square[k] = w * w;
        by_mean[k] = 0.0;
        by_variance[k] = 0.0;
    }
    let spectrum = pixel_of[place] * p.quads;
    let endmembers = theta_at(particle) / 4u;
    let noise = endmembers + ENDMEMBERS * p.quads;
    // Without variability there is the noise precision.
    let varieties = noise + p.quads;
    // Padding counts for nothing: there spectra, endmembers and variability are 0 and the noise is
    // 1.
    for (var quad = 0u; quad < p.quads; quad++) {
        var residual = observed(spectrum + quad);
        var variance = theta[noise + quad];
        for (var k = 0u; k < ENDMEMBERS; k++) {
            residual -= amount[k] * theta[endmembers + k * p.quads + quad];
            if (VARIES) {
                variance += square[k] * theta[varieties + k * p.quads + quad];
            }
        }
        var inverse = theta[varieties + quad];
        if (VARIES) {
            inverse = 1.0 / variance;
        }
        let a = residual * inverse;
        let twice_b = a * a - inverse;
        // A logarithm of two variances at once is half the work; their product stays in range.
        let logs = log(variance.xy * variance.zw);
        fit += dot(residual, a) + logs.x + logs.y;
        for (var k = 0u; k < ENDMEMBERS; k++) {
            by_mean[k] += dot(a, theta[endmembers + k * p.quads + quad]);
            if (VARIES) {
                by_variance[k] += dot(twice_b, theta[varieties + k * p.quads + quad]);
            }
        }
    }
    let out = row_at(particle, place, row_grad_stride());
    for (var k = 0u; k < ENDMEMBERS; k++) {
        row_grads[out + ROW_GROUP * k] = p.weight * by_mean[k];
        row_grads[out + ROW_GROUP * (ENDMEMBERS + k)] = 0.5 * p.weight * by_variance[k];
    }
    row_grads[out + ROW_GROUP * 2u * ENDMEMBERS] = -0.5 * p.weight * fit;
}
