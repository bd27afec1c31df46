// Invocations in a line. A dispatch holds 65,535 workgroups a dimension, so long lines are folded
// into rows of GROUPS_X workgroups (`engine::backend::gpu` dispatches them so).
override WORKGROUP: u32 = 64u;
const GROUPS_X = 32768u;

fn invocation(group: vec3u, lane: u32) -> u32 {
    return (group.y * GROUPS_X + group.x) * WORKGROUP + lane;
}
