// Compiles every shader of the folder given with Tint, the WGSL compiler of Chrome, on Dawn's null
// backend: no GPU. Tint sees what naga 30 lets pass, above all barriers that not every invocation
// reaches and too much workgroup memory. Run by tests/run.sh after the Rust tests, which write the
// folder.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { create, globals } from 'webgpu';

Object.assign(globalThis, globals);

// Dawn does not hold on to its own instance: collected as garbage, it takes the process down.
globalThis.gpu = create(['backend=null']);
globalThis.adapter = await gpu.requestAdapter();
const device = await adapter.requestDevice();

// What Tint and the pipeline have against a shader: one text each, none if all is well.
async function complaints(code) {
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ code });
  const { messages } = await module.getCompilationInfo();
  const found = messages.map((m) => `${m.type} in line ${m.lineNum}: ${m.message}`);
  device.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } });
  const error = await device.popErrorScope();
  if (error && found.length === 0) found.push(error.message);
  return found;
}

// A check that cannot fail proves nothing.
const kernel = (memory, condition) => `
  @group(0) @binding(0) var<storage, read_write> data: array<f32>;
  var<workgroup> sums: array<f32, ${memory}>;
  @compute @workgroup_size(64)
  fn main(@builtin(local_invocation_index) lane: u32) {
    sums[lane] = data[lane];
    ${condition}
    workgroupBarrier();
    data[lane] = sums[63u - lane];
  }`;
const wrong = {
  'a barrier that half of the lanes miss': kernel(64, 'if (lane < 32u) { return; }'),
  'a barrier that depends on what a buffer holds': kernel(64, 'if (data[0] > 0.0) { return; }'),
  '64 KiB of workgroup memory': kernel(16384, ''),
};

let failures = 0;
const fail = (text) => {
  failures += 1;
  console.error(`tint: ${text}`);
};
for (const text of await complaints(kernel(64, ''))) fail(`a right shader is refused: ${text}`);
for (const [what, code] of Object.entries(wrong)) {
  if ((await complaints(code)).length === 0) fail(`${what} is not refused`);
}

const folder = process.argv[2];
const names = readdirSync(folder).filter((name) => name.endsWith('.wgsl'));
if (names.length === 0) fail(`no shader in ${folder}`);
for (const name of names) {
  for (const text of await complaints(readFileSync(join(folder, name), 'utf8'))) {
    fail(`${name}: ${text}`);
  }
}
console.log(`tint: ${names.length} shaders, ${failures} complaints`);
// Dawn keeps the process alive otherwise.
process.exit(failures === 0 ? 0 : 1);
