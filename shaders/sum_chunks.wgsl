// The partial sums over chunks of rows, added in a fixed order: first those of the bands, four at a
// time, then those of the pixels. Large devices wait for memory here: sixteen lanes share the
// chunks of a sum, each with four reads on their way at a time, and meet in workgroup memory.
// Grid: one workgroup a particle and four sums of columns x quads + scalars.
@group(0) @binding(1) var<storage, read> partials: array<vec4f>;
@group(0) @binding(2) var<storage, read> row_sums: array<f32>;
@group(0) @binding(3) var<storage, read_write> totals: array<f32>;

const SUMS = 4u;

var<workgroup> parts: array<vec4f, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
    fit = group.z;
    let quads = columns() * p.quads;
    let sums = quads + scalars();
    let groups_a_particle = (sums + SUMS - 1u) / SUMS;
    let at = group.y * GROUPS_X + group.x;
    if (at >= p.particles * groups_a_particle) {
        return;
    }
    let particle = at / groups_a_particle;
    let i = at % groups_a_particle * SUMS + lane % SUMS;
    let slice = lane / SUMS;
    var sum = vec4f(0.0);
    if (i < quads) {
        sum = of_bands(particle, i, slice);
    } else if (i < sums) {
        sum.x = of_pixels(particle, i - quads, slice);
    }
    parts[lane] = sum;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half >= SUMS; half /= 2u) {
        if (lane < half) {
            parts[lane] += parts[lane + half];
        }
        workgroupBarrier();
    }
    if (slice != 0u) {
        return;
    }
    let out = particle_of_all(particle) * totals_stride();
    let total = parts[lane];
    if (i < quads) {
        // A particle's totals need not begin with a whole vector.
        totals[out + 4u * i] = total.x;
        totals[out + 4u * i + 1u] = total.y;
        totals[out + 4u * i + 2u] = total.z;
        totals[out + 4u * i + 3u] = total.w;
    } else if (i < sums) {
        totals[out + 3u * quads + i] = total.x;
    }
}

fn slices() -> u32 {
    return WORKGROUP / SUMS;
}

// Four bands' sum over the chunks of a slice.
fn of_bands(particle: u32, i: u32, slice: u32) -> vec4f {
    let step = slices() * p.particles * columns() * p.quads;
    var at = partials_at(slice, particle) + i;
    var four = array<vec4f, 4>(vec4f(0.0), vec4f(0.0), vec4f(0.0), vec4f(0.0));
    var chunk = slice;
    for (; chunk + 3u * slices() < p.chunks; chunk += 4u * slices()) {
        four[0] += partials[at];
        four[1] += partials[at + step];
        four[2] += partials[at + 2u * step];
        four[3] += partials[at + 3u * step];
        at += 4u * step;
    }
    for (; chunk < p.chunks; chunk += slices()) {
        four[0] += partials[at];
        at += step;
    }
    return (four[0] + four[1]) + (four[2] + four[3]);
}

// A sum of the pixels over the chunks of a slice.
fn of_pixels(particle: u32, j: u32, slice: u32) -> f32 {
    var sum = 0.0;
    for (var chunk = slice; chunk < p.chunks; chunk += slices()) {
        sum += row_sums[(particle_of_all(particle) * p.chunks + chunk) * scalars() + j];
    }
    return sum;
}
