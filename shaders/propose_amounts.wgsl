// The log likelihood of a pixel as a quadratic form of its amounts, given a draw of the scene
// (equations 30 and 38), and the normal that amounts are proposed from.
// Grid: pixels x draws of the scene. An invocation reads the spectrum once, and once more for each
// eight shapes that bands share, with its sums in registers. Amounts are in the pixel's own order,
// the smallest first. Constants of the pipeline make loops unroll. Where curvatures are ALIKE for
// all draws, the square is that of the spectra that pixels are placed by.
@group(0) @binding(1) var<storage, read> spectra: array<f32>;
@group(0) @binding(2) var<storage, read> scene: array<f32>;
@group(0) @binding(3) var<storage, read> bands: array<f32>;
@group(0) @binding(4) var<storage, read> placed: array<f32>;
@group(0) @binding(5) var<storage, read> list: array<u32>;
// What bands share, (N, blocks, L, 2).
@group(0) @binding(6) var<storage, read> factors: array<vec4f>;
// Form and proposal, (entries, columns, SCENES); `scene_draws.wgsl` has the columns.
@group(0) @binding(7) var<storage, read_write> proposals: array<f32>;

const RIDGE = 1.0;
// The least brightness that the common mixture may have in a pixel.
const DARKEST = 1e-3;

// The square of the form and the factor of its proposal: whole, so that an index is a constant
// where loops unroll.
var<private> square: array<f32, MOST_ENDMEMBERS * MOST_ENDMEMBERS>;
var<private> factor: array<f32, MOST_ENDMEMBERS * MOST_ENDMEMBERS>;
var<private> linear: array<f32, MOST_ENDMEMBERS>;
var<private> around: array<f32, MOST_ENDMEMBERS>;
var<private> order: array<u32, MOST_ENDMEMBERS>;
var<private> centre: array<f32, MOST_ENDMEMBERS>;
var<private> sds: array<f32, MOST_ENDMEMBERS>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let at = invocation(group, lane);
    let entry = at / SCENES;
    if (entry >= p.count) {
        return;
    }
    let pixel = list[entry];
    let of_scene = at % SCENES;
    for (var a = 0u; a < ENDMEMBERS; a++) {
        order[a] = u32(placed[(2u * pixel + 1u) * ENDMEMBERS + a]);
        around[a] = placed[2u * pixel * ENDMEMBERS + order[a]];
    }
    read_spectrum(pixel, of_scene);
    if (SHAPED) {
        for (var block = 0u; block < shape_blocks(); block++) {
            share(pixel, of_scene, block);
        }
    }
    mirror();
    for (var a = 0u; a < ENDMEMBERS; a++) {
        proposals[proposal_at(entry, slope_column() + a, of_scene)] = linear[a];
        for (var b = 0u; b < ENDMEMBERS; b++) {
            let column = square_column() + a * ENDMEMBERS + b;
            proposals[proposal_at(entry, column, of_scene)] = square[a * ENDMEMBERS + b];
        }
    }
    propose();
    write(entry, of_scene, false);
    if (MIXED) {
        narrow(of_scene);
        propose();
        write(entry, of_scene, true);
    }
}

fn write(entry: u32, of_scene: u32, mixed: bool) {
    for (var a = 0u; a < free(); a++) {
        proposals[proposal_at(entry, centre_column(mixed) + a, of_scene)] = centre[a];
        proposals[proposal_at(entry, sd_column(mixed) + a, of_scene)] = sds[a];
        for (var b = 0u; b < a; b++) {
            let column = factor_column(mixed) + b * ENDMEMBERS + a;
            proposals[proposal_at(entry, column, of_scene)] = factor[b * ENDMEMBERS + a];
        }
    }
}

// Parameters of the Dirichlet of the common mixture.
fn mixture(a: u32, of_scene: u32) -> f32 {
    return scene[power_at() + order[a]] + scene[common_at() + order[a] * SCENES + of_scene];
}

// Multiplies the form by the normal that is most like the Dirichlet of the common mixture; the
// formula is told in `posterior/nested/propose.rs`.
fn narrow(of_scene: u32) {
    var beta = 0.0;
    for (var a = 0u; a < ENDMEMBERS; a++) {
        beta += mixture(a, of_scene);
    }
    var size = 1.0;
    var whole = 0.0;
    if (BRIGHT) {
        var above = 0.0;
        var below = 0.0;
        for (var a = 0u; a < ENDMEMBERS; a++) {
            let m = mixture(a, of_scene) / beta;
            above += m * linear[a];
            for (var b = 0u; b < ENDMEMBERS; b++) {
                let s = m * square[a * ENDMEMBERS + b];
                above += s * around[b];
                below += s * mixture(b, of_scene) / beta;
            }
        }
        size = max(above / below, DARKEST);
        whole = (p.over_variance - beta) / (size * size);
    }
    for (var a = 0u; a < ENDMEMBERS; a++) {
        let own = beta / (size * size) * beta / mixture(a, of_scene);
        for (var b = 0u; b < ENDMEMBERS; b++) {
            let bend = whole + select(0.0, own, a == b);
            linear[a] -= bend * (around[b] - size * mixture(b, of_scene) / beta);
            square[a * ENDMEMBERS + b] += bend;
        }
    }
}

// The value of a spectrum that curvature is made of, beside the one that was drawn.
fn bent_by(l: u32, a: u32, drawn: f32) -> f32 {
    if (ALIKE) {
        return scene[centre_at() + l * ENDMEMBERS + order[a]];
    }
    return drawn;
}

// Slope and minus curvature of the log likelihood around the amounts that fit best. Residuals are
// formed before they are squared.
fn read_spectrum(pixel: u32, of_scene: u32) {
    for (var a = 0u; a < ENDMEMBERS; a++) {
        linear[a] = 0.0;
        for (var b = 0u; b <= a; b++) {
            square[a * ENDMEMBERS + b] = 0.0;
        }
    }
    for (var l = 0u; l < p.bands; l++) {
        var c: array<f32, MOST_ENDMEMBERS>;
        var bent: array<f32, MOST_ENDMEMBERS>;
        var rest = spectra[pixel * p.stride + l];
        for (var a = 0u; a < ENDMEMBERS; a++) {
            c[a] = scene[spectra_at() + (l * ENDMEMBERS + order[a]) * SCENES + of_scene];
            rest -= c[a] * around[a];
            bent[a] = bent_by(l, a, c[a]);
        }
        let over_variance = bands[2u * p.bands * pixel + l];
        for (var a = 0u; a < ENDMEMBERS; a++) {
            linear[a] += over_variance * c[a] * rest;
            let weighted = over_variance * bent[a];
            for (var b = 0u; b <= a; b++) {
                square[a * ENDMEMBERS + b] += weighted * bent[b];
            }
        }
    }
}

// Takes out of the form what a block of shapes may explain: with the inverse covariance P - F F'
// that is what F' makes of the spectra, and of the rest, times itself.
fn share(pixel: u32, of_scene: u32, block: u32) {
    var low: array<vec4f, MOST_ENDMEMBERS>;
    var high: array<vec4f, MOST_ENDMEMBERS>;
    var low_rest = vec4f(0.0);
    var high_rest = vec4f(0.0);
    for (var a = 0u; a < ENDMEMBERS; a++) {
        low[a] = vec4f(0.0);
        high[a] = vec4f(0.0);
    }
    for (var l = 0u; l < p.bands; l++) {
        let at = factor_at(pixel, block, l);
        let first = factors[at];
        let second = factors[at + 1u];
        var rest = spectra[pixel * p.stride + l];
        for (var a = 0u; a < ENDMEMBERS; a++) {
            let c = scene[spectra_at() + (l * ENDMEMBERS + order[a]) * SCENES + of_scene];
            rest -= c * around[a];
            let bent = bent_by(l, a, c);
            low[a] += first * bent;
            high[a] += second * bent;
        }
        low_rest += first * rest;
        high_rest += second * rest;
    }
    if (ALIKE) {
        for (var l = 0u; l < p.bands; l++) {
            let at = factor_at(pixel, block, l);
            let explained = dot(factors[at], low_rest) + dot(factors[at + 1u], high_rest);
            for (var a = 0u; a < ENDMEMBERS; a++) {
                let c = scene[spectra_at() + (l * ENDMEMBERS + order[a]) * SCENES + of_scene];
                linear[a] -= explained * c;
            }
        }
    }
    for (var a = 0u; a < ENDMEMBERS; a++) {
        if (!ALIKE) {
            linear[a] -= dot(low[a], low_rest) + dot(high[a], high_rest);
        }
        for (var b = 0u; b <= a; b++) {
            square[a * ENDMEMBERS + b] -= dot(low[a], low[b]) + dot(high[a], high[b]);
        }
    }
}

// The upper half of the square.
fn mirror() {
    for (var a = 0u; a < ENDMEMBERS; a++) {
        for (var b = 0u; b < a; b++) {
            square[b * ENDMEMBERS + a] = square[a * ENDMEMBERS + b];
        }
    }
}

// The normal that amounts are proposed from: its precision is U U' with U upper triangular,
// `centre` its mean less the amounts that fit best, `sds` the inverse of U's diagonal.
fn propose() {
    let count = free();
    let last = ENDMEMBERS - 1u;
    for (var back_a = 0u; back_a < count; back_a++) {
        let a = count - 1u - back_a;
        for (var back_b = 0u; back_b <= a; back_b++) {
            let b = a - back_b;
            var rest = square[a * ENDMEMBERS + b];
            if (!BRIGHT) {
                rest += square[last * ENDMEMBERS + last] - square[a * ENDMEMBERS + last]
                    - square[last * ENDMEMBERS + b];
            }
            for (var c = a + 1u; c < count; c++) {
                rest -= factor[a * ENDMEMBERS + c] * factor[b * ENDMEMBERS + c];
            }
            if (a == b) {
                // A pivot that rounding or a value that is no number took away.
                let pivot = sqrt(max(rest + RIDGE, RIDGE));
                factor[a * ENDMEMBERS + a] = pivot;
                sds[a] = 1.0 / pivot;
            } else {
                factor[b * ENDMEMBERS + a] = rest * sds[a];
            }
        }
    }
    // U U' centre = slope.
    for (var back = 0u; back < count; back++) {
        let a = count - 1u - back;
        var rest = linear[a];
        if (!BRIGHT) {
            rest -= linear[last];
        }
        for (var c = a + 1u; c < count; c++) {
            rest -= factor[a * ENDMEMBERS + c] * centre[c];
        }
        centre[a] = rest * sds[a];
    }
    for (var a = 0u; a < count; a++) {
        var rest = centre[a];
        for (var b = 0u; b < a; b++) {
            rest -= factor[b * ENDMEMBERS + a] * centre[b];
        }
        centre[a] = rest * sds[a];
    }
}
