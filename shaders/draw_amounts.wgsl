// Weighted draws of a pixel's amounts given draws of the scene (equations 30 to 38): each amount
// from its normal given those before it, times its power, from tables of quantiles; weights are
// density over proposal. The reasons are told in `posterior/nested/amounts.rs` and
// `power_normal.rs`.
// Grid: pixels x draws. Neighbouring invocations have draws of the scene that follow each other,
// and read neighbouring words. Amounts are in the pixel's own order, the smallest first.
@group(0) @binding(1) var<storage, read> scene: array<f32>;
@group(0) @binding(2) var<storage, read> placed: array<f32>;
@group(0) @binding(3) var<storage, read> list: array<u32>;
@group(0) @binding(4) var<storage, read> shifts: array<u32>;
// Form and proposal, (entries, columns, SCENES).
@group(0) @binding(5) var<storage, read> proposals: array<f32>;
// A row a draw of columns, column by column, (entries, K + 2, draws).
@group(0) @binding(6) var<storage, read_write> draws: array<f32>;

const LEAST_LOG = -87.0;
const LEAST = 1.1754944e-38;
const FAR = 12.0;
const FINE = 4.0;
const CELLS = 64u;
const HALVINGS = 14u;
// Of so many draws that follow each other all but the first are proposed around the common mixture.
const CYCLE = 8u;
const SPARSE = 6u;
// The least share that is not none, with at most 31 endmembers.
const TRACE = 1e-4;
const TABLE = CELLS + HALVINGS;
const TABLES = 97u;

var<private> around: array<f32, MOST_ENDMEMBERS>;
var<private> order: array<u32, MOST_ENDMEMBERS>;
var<private> amounts: array<f32, MOST_ENDMEMBERS>;

// A value of a power normal, its logarithm, and the log density of the logarithm.
struct Drawn {
    value: f32,
    log: f32,
    density: f32,
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    let at = invocation(group, lane);
    let rows = p.rounds * ROUND;
    let entry = at / rows;
    if (entry >= p.count) {
        return;
    }
    let pixel = list[entry];
    let place = at % rows;
    let of_scene = place % SCENES;
    let i = place / SCENES;
    for (var a = 0u; a < ENDMEMBERS; a++) {
        order[a] = u32(placed[(2u * pixel + 1u) * ENDMEMBERS + a]);
        around[a] = placed[2u * pixel * ENDMEMBERS + order[a]];
    }
    let number = i / PER_SCENE * ROUND + of_scene * PER_SCENE + i % PER_SCENE;
    let weight = draw(pixel, proposal_at(entry, 0u, of_scene), of_scene, number);
    write(entry, of_scene, place, weight);
}

// Draws the amounts of the point of this number; gives the logarithm of its weight. The columns of
// form and proposal begin at `own`.
fn draw(pixel: u32, own: u32, of_scene: u32, number: u32) -> f32 {
    var off: array<f32, MOST_ENDMEMBERS>;
    var log_weight = 0.0;
    var total = 0.0;
    var mixed = 0.0;
    let is_mixed = MIXED && number % CYCLE >= SPARSE;
    for (var a = 0u; a < free(); a++) {
        var pull = 0.0;
        for (var b = 0u; b < a; b++) {
            let column = factor_column(is_mixed) + b * ENDMEMBERS + a;
            pull += proposals[own + column * SCENES] * off[b];
        }
        let sd = proposals[own + (sd_column(is_mixed) + a) * SCENES];
        let centre = around[a] + proposals[own + (centre_column(is_mixed) + a) * SCENES];
        let mean = centre - sd * pull;
        let step = bitcast<u32>(scene[step_at() + a]);
        let word = shifts[pixel * ENDMEMBERS + a] + number * step;
        let power = scene[power_at() + order[a]];
        // The last table is that of power one: a normal above zero.
        let table = select(order[a], ENDMEMBERS, is_mixed);
        let x = power_normal(table, select(power, 1.0, is_mixed), mean, sd, word);
        off[a] = x.value - centre;
        amounts[a] = x.value;
        total += x.value;
        log_weight += power * x.log - x.density;
        if (MIXED) {
            // Logarithms of nothing would make nothing of what has no power.
            mixed += scene[common_at() + order[a] * SCENES + of_scene] * max(x.log, LEAST_LOG);
        }
    }
    var possible = true;
    if (BRIGHT) {
        let g = log(total);
        log_weight -= g * g * 0.5 * p.over_variance + g * p.alpha;
        possible = total >= LEAST;
        for (var a = 0u; a < ENDMEMBERS; a++) {
            if (MIXED) {
                mixed -= scene[common_at() + order[a] * SCENES + of_scene] * g;
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
            mixed += scene[common_at() + at * SCENES + of_scene] * log_last;
        }
        possible = last > 0.0;
    }
    if (MIXED) {
        // Either mean is over all draws, of which a part is its own.
        let own = mixed + scene[odds_at() + of_scene] + log(f32(CYCLE) / f32(CYCLE - SPARSE));
        log_weight += select(log(f32(CYCLE) / f32(SPARSE)), own, is_mixed);
    }
    for (var a = 0u; a < ENDMEMBERS; a++) {
        var product = 0.0;
        for (var b = 0u; b < ENDMEMBERS; b++) {
            let at = square_column() + a * ENDMEMBERS + b;
            product += proposals[own + at * SCENES] * (amounts[b] - around[b]);
        }
        let slope = proposals[own + (slope_column() + a) * SCENES];
        log_weight += (amounts[a] - around[a]) * (slope - 0.5 * product);
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
    // Traces are none, and a pixel without any amount has no share of anything.
    let least = total * TRACE;
    var kept = LEAST;
    for (var a = 0u; a < ENDMEMBERS; a++) {
        amounts[a] = select(amounts[a], 0.0, amounts[a] < least);
        kept += amounts[a];
    }
    let rows = p.rounds * ROUND;
    let out = entry * draw_columns() * rows + place;
    for (var a = 0u; a < ENDMEMBERS; a++) {
        // A division need not give exactly one.
        draws[out + order[a] * rows] = select(amounts[a] / kept, 1.0, amounts[a] == kept);
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
