// One step of Adam (Kingma and Ba 2015), uphill. `moments` is (first, second); EPSILON only guards
// against a gradient that has been zero since the start.
const EPSILON = 1e-20;

fn moments_after(moments: vec2f, grad: f32, decay: vec2f) -> vec2f {
    return decay * moments + (1.0 - decay) * vec2f(grad, grad * grad);
}

fn climb(moments: vec2f) -> f32 {
    return moments.x / sqrt(moments.y + EPSILON);
}
