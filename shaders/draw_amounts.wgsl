// Weighted draws of a pixel's amounts given draws of the scene (equations 30 to 38): each amount
// from its normal given those before it, times its power, from tables of quantiles; weights are
// density over proposal. The reasons are told in `posterior/nested/amounts.rs` and
// `power_normal.rs`.
// Grid: pixels x draws of the scene. An invocation reads the spectrum once, keeps the log
// likelihood as a quadratic form in registers, and draws given its scene. Amounts are in the
// pixel's own order, the smallest first. Constants of the pipeline make loops unroll.
@group(0) @binding(1) var<storage, read> spectra: array<f32>;
@group(0) @binding(2) var<storage, read> scene: array<f32>;
@group(0) @binding(3) var<storage, read> bands: array<f32>;
@group(0) @binding(4) var<storage, read> placed: array<f32>;
@group(0) @binding(5) var<storage, read> list: array<u32>;
@group(0) @binding(6) var<storage, read> shifts: array<u32>;
// What bands share, (N, blocks, L, 2).
@group(0) @binding(7) var<storage, read> factors: array<vec4f>;
// A row a draw of columns, column by column, (entries, K + 2, draws).
@group(0) @binding(8) var<storage, read_write> draws: array<f32>;

const RIDGE = 1.0;
const LEAST_LOG = -87.0;
const LEAST = 1.1754944e-38;
const FAR = 12.0;
const FINE = 4.0;
const CELLS = 64u;
const HALVINGS = 14u;
const TABLE = CELLS + HALVINGS;
const TABLES = 97u;

// The square of the form and the factor of its proposal: whole, so that an index is a constant
// where loops unroll.
var<private> square: array<f32, MOST_ENDMEMBERS * MOST_ENDMEMBERS>;
var<private> factor: array<f32, MOST_ENDMEMBERS * MOST_ENDMEMBERS>;
var<private> linear: array<f32, MOST_ENDMEMBERS>;
var<private> around: array<f32, MOST_ENDMEMBERS>;
var<private> order: array<u32, MOST_ENDMEMBERS>;
var<private> centre: array<f32, MOST_ENDMEMBERS>;
var<private> sds: array<f32, MOST_ENDMEMBERS>;
var<private> amounts: array<f32, MOST_ENDMEMBERS>;

// A value of a power normal, its logarithm, and the log density of the logarithm.
struct Drawn {
    value: f32,
    log: f32,
    density: f32,
}

// Amounts that are drawn: without brightness the last one is what the others leave.
fn free() -> u32 {
    return select(ENDMEMBERS - 1u, ENDMEMBERS, BRIGHT);
}

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
    propose();
    for (var i = 0u; i < p.rounds * PER_SCENE; i++) {
        let number = i / PER_SCENE * ROUND + of_scene * PER_SCENE + i % PER_SCENE;
        let weight = draw(pixel, number);
        write(entry, of_scene, i * SCENES + of_scene, weight);
    }
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
        var rest = spectra[pixel * p.stride + l];
        for (var a = 0u; a < ENDMEMBERS; a++) {
            c[a] = scene[spectra_at() + (l * ENDMEMBERS + order[a]) * SCENES + of_scene];
            rest -= c[a] * around[a];
        }
        let over_variance = bands[2u * p.bands * pixel + l];
        for (var a = 0u; a < ENDMEMBERS; a++) {
            let weighted = over_variance * c[a];
            linear[a] += weighted * rest;
            for (var b = 0u; b <= a; b++) {
                square[a * ENDMEMBERS + b] += weighted * c[b];
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
            low[a] += first * c;
            high[a] += second * c;
        }
        low_rest += first * rest;
        high_rest += second * rest;
    }
    for (var a = 0u; a < ENDMEMBERS; a++) {
        linear[a] -= dot(low[a], low_rest) + dot(high[a], high_rest);
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

// Draws the amounts of the point of this number; gives the logarithm of its weight.
fn draw(pixel: u32, number: u32) -> f32 {
    var off: array<f32, MOST_ENDMEMBERS>;
    var log_weight = 0.0;
    var total = 0.0;
    var mixed = 0.0;
    for (var a = 0u; a < free(); a++) {
        var pull = 0.0;
        for (var b = 0u; b < a; b++) {
            pull += factor[b * ENDMEMBERS + a] * off[b];
        }
        let mean = around[a] + centre[a] - sds[a] * pull;
        let step = bitcast<u32>(scene[step_at() + a]);
        let word = shifts[pixel * ENDMEMBERS + a] + number * step;
        let power = scene[power_at() + order[a]];
        let x = power_normal(order[a], power, mean, sds[a], word);
        off[a] = x.value - around[a] - centre[a];
        amounts[a] = x.value;
        total += x.value;
        log_weight += power * x.log - x.density;
        if (MIXED) {
            // Logarithms of nothing would make nothing of what has no power.
            mixed += scene[common_at() + order[a]] * max(x.log, LEAST_LOG);
        }
    }
    var possible = true;
    if (BRIGHT) {
        let g = log(total);
        log_weight -= g * g * 0.5 * p.over_variance + g * p.alpha;
        possible = total >= LEAST;
        for (var a = 0u; a < ENDMEMBERS; a++) {
            if (MIXED) {
                mixed -= scene[common_at() + order[a]] * g;
            }
        }
    } else {
        let last = 1.0 - total;
        let at = order[ENDMEMBERS - 1u];
        amounts[ENDMEMBERS - 1u] = max(last, 0.0);
        // The density of an amount that is not drawn is over the amount itself.
        let log_last = log(max(last, LEAST));
        log_weight += (scene[power_at() + at] - 1.0) * log_last;
        if (MIXED) {
            mixed += scene[common_at() + at] * log_last;
        }
        possible = last > 0.0;
    }
    if (MIXED) {
        log_weight += softplus(mixed + p.odds);
    }
    for (var a = 0u; a < ENDMEMBERS; a++) {
        var product = 0.0;
        for (var b = 0u; b < ENDMEMBERS; b++) {
            product += square[a * ENDMEMBERS + b] * (amounts[b] - around[b]);
        }
        log_weight += (amounts[a] - around[a]) * (linear[a] - 0.5 * product);
    }
    return select(NONE, log_weight, possible && finite(log_weight));
}

// Shares of the amounts, brightness and log weight; the amounts that fit best where no draw is
// possible. Columns are endmembers in the scene's order.
fn write(entry: u32, of_scene: u32, place: u32, log_weight: f32) {
    var total = LEAST;
    for (var a = 0u; a < ENDMEMBERS; a++) {
        let amount = select(around[a], amounts[a], log_weight > NONE);
        amounts[a] = amount * scene[height_at() + order[a] * SCENES + of_scene];
        total += amounts[a];
    }
    let rows = p.rounds * ROUND;
    let out = entry * draw_columns() * rows + place;
    for (var a = 0u; a < ENDMEMBERS; a++) {
        draws[out + order[a] * rows] = amounts[a] / total;
    }
    draws[out + ENDMEMBERS * rows] = total;
    draws[out + (ENDMEMBERS + 1u) * rows] = log_weight;
}

// The value of the power normal of an endmember at the probability that a word stands for.
fn power_normal(endmember: u32, power: f32, mean: f32, sd: f32, word: u32) -> Drawn {
    let ratio = mean / sd;
    let near = clamp(ratio, -FAR, FAR);
    let table = u32(round((near + FAR) * FINE));
    // The first six bits are the cell, those behind them the place in it.
    var cell = word >> 26u;
    let inside = max(bitcast<f32>(((word << 6u) >> 9u) | 0x3f800000u) - 1.0, 6e-8);
    let is_first = cell == 0u;
    var part = inside;
    if (cell == CELLS - 1u) {
        // The exponent of what is left: each cell of the tail is half of the one before.
        let left = clamp(1.0 - inside, 6e-8, 0.99999994);
        let halving = min(126u - (bitcast<u32>(left) >> 23u), HALVINGS - 1u);
        let within = 1.0 - left * bitcast<f32>((halving + 127u) << 23u);
        part = min(select(2.0 * within, within, halving == HALVINGS - 1u), 1.0);
        cell = halving + CELLS - 2u;
    } else {
        cell = select(cell - 1u, 0u, is_first);
    }
    let at = cells_at() + 2u * ((endmember * TABLES + table) * TABLE + cell);
    let begin = scene[at];
    var density = scene[at + 1u];
    var place = begin + (scene[at + 2u] - begin) * part;
    if (is_first) {
        // Left of the first cell the density is that of the power alone.
        let below = log(inside);
        place = begin + below / power;
        density = log(power) + below - log(f32(CELLS));
    }
    place += log(sd);
    if (ratio < -FAR) {
        // Far below zero only the slope at zero counts, mean / sd^2.
        place += log(-FAR / ratio);
    }
    var value = exp(place);
    if (ratio > FAR) {
        // The power is flat far above zero: a normal, as in the last table but for its place.
        value += mean - sd * FAR;
        let moved = log(value);
        density += moved - place;
        place = moved;
    }
    return Drawn(value, place, density);
}
