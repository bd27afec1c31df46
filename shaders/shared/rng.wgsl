// Philox4x32-10 and what is made of it: see `src/engine/ground/rng.rs`, its twin, for sources and
// reasons.
const STREAM_PIXEL = 1u;
const STREAM_GLOBAL = 2u;
const STREAM_SHUFFLE = 3u;
const STREAM_RANK = 5u;
const MAX_WALK = 512u;

// The high word of a 32 x 32 bit product; WGSL has no 64-bit integers.
fn high_product(a: u32, b: u32) -> u32 {
    let a0 = a & 0xffffu;
    let a1 = a >> 16u;
    let b0 = b & 0xffffu;
    let b1 = b >> 16u;
    let low = a0 * b0;
    let cross = a1 * b0 + (low >> 16u);
    let middle = a0 * b1 + (cross & 0xffffu);
    return a1 * b1 + (cross >> 16u) + (middle >> 16u);
}

fn philox(counter: vec4u) -> vec4u {
    var c = counter;
    var key = vec2u(p.seed_low, p.seed_high);
    for (var round = 0u; round < 10u; round++) {
        let high = vec2u(high_product(0xD2511F53u, c.x), high_product(0xCD9E8D57u, c.z));
        let low = vec2u(0xD2511F53u * c.x, 0xCD9E8D57u * c.z);
        c = vec4u(high.y ^ c.y ^ key.x, low.y, high.x ^ c.w ^ key.y, low.x);
        key += vec2u(0x9E3779B9u, 0xBB67AE85u);
    }
    return c;
}

fn normals(stream: u32, particle: u32, index: u32, block: u32) -> vec4f {
    let words = philox(vec4u(index, block, p.step, stream | ((particle / 2u) << 8u)));
    let four = vec4f(normal(words.x), normal(words.y), normal(words.z), normal(words.w));
    return select(four, -four, particle % 2u == 1u);
}

// The inverse of the error function, after Giles.
fn normal(word: u32) -> f32 {
    let x = f32(((word >> 9u) << 1u) | 1u) * (1.0 / 8388608.0) - 1.0;
    let w = -plain_log((1.0 - x) * (1.0 + x));
    let centre = w - 2.5;
    var a = 2.81022636e-08;
    a = a * centre + 3.43273939e-07;
    a = a * centre + -3.5233877e-06;
    a = a * centre + -4.39150654e-06;
    a = a * centre + 0.00021858087;
    a = a * centre + -0.00125372503;
    a = a * centre + -0.00417768164;
    a = a * centre + 0.246640727;
    a = a * centre + 1.50140941;
    let tail = sqrt(w) - 3.0;
    var b = -0.000200214257;
    b = b * tail + 0.000100950558;
    b = b * tail + 0.00134934322;
    b = b * tail + -0.00367342844;
    b = b * tail + 0.00573950773;
    b = b * tail + -0.0076224613;
    b = b * tail + 0.00943887047;
    b = b * tail + 1.00167406;
    b = b * tail + 2.83297682;
    return select(b, a, w < 5.0) * x * 1.41421356;
}

// fdlibm's logf for positive normal numbers: the driver's own log is rough near 1.
fn plain_log(x: f32) -> f32 {
    let bits = bitcast<u32>(x) + (0x3f800000u - 0x3f3504f3u);
    let k = f32(i32(bits >> 23u) - 127);
    let m = bitcast<f32>((bits & 0x007fffffu) + 0x3f3504f3u);
    let f = m - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let r = w * (0.40000010 + w * 0.24279079) + z * (0.66666660 + w * 0.28498787);
    let half_square = 0.5 * f * f;
    return s * (half_square + r) + k * 9.0580010e-6 - half_square + f + k * 0.69313810;
}

// The group of pixels at a place of the epoch's order: a Feistel network walked until it lands
// inside.
fn shuffled(place: u32) -> u32 {
    let low_bits = p.shuffle_bits / 2u;
    let low_mask = (1u << low_bits) - 1u;
    let high_mask = (1u << (p.shuffle_bits - low_bits)) - 1u;
    // Small domains need more: see `src/engine/ground/rng.rs`.
    let rounds = select(2u, 4u, p.shuffle_bits < 8u);
    var at = place;
    for (var walk = 0u; walk < MAX_WALK; walk++) {
        var low = at & low_mask;
        var high = at >> low_bits;
        for (var round = 0u; round < rounds; round++) {
            low ^= philox(vec4u(high, 2u * round, p.epoch, STREAM_SHUFFLE)).x & low_mask;
            high ^= philox(vec4u(low, 2u * round + 1u, p.epoch, STREAM_SHUFFLE)).x & high_mask;
        }
        at = low | (high << low_bits);
        if (at < scene_groups()) {
            break;
        }
    }
    return at;
}
