//! A pass as a compute pipeline with its bind group.

#[cfg(not(target_arch = "wasm32"))]
use rayon::prelude::*;

use super::buffers::DeviceBuffers;
use crate::engine::layout::{HALF, MOST_CONSTANTS, Params, VARIABILITY};
use crate::engine::passes::{Access, Grid, Pass};

/// A compiled pass: what all runs on a device share.
#[derive(Debug, Clone)]
pub struct Compiled {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
}

/// A compiled pass, bound to a run's buffers.
pub struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub bind_group: wgpu::BindGroup,
    pub grid: fn(&Params) -> Grid,
    pub name: &'static str,
}

/// What is a constant of a pass where its shader asks for it, so that loops unroll and what is not
/// needed is left out; zeros for other passes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Constants {
    endmembers: u32,
    varies: bool,
    half: bool,
}

impl Constants {
    pub fn new(pass: &Pass, params: &Params) -> Self {
        let (unrolls, reads) = (asks(pass, "ENDMEMBERS"), asks(pass, "HALF"));
        Constants {
            endmembers: if unrolls { params.endmembers } else { 0 },
            varies: unrolls && params.has(VARIABILITY),
            half: reads && params.has(HALF),
        }
    }
}

/// Whether a pass has a constant of this name.
fn asks(pass: &Pass, name: &str) -> bool {
    pass.shader.contains(&format!("override {name}:"))
}

/// Makes some pipelines, a core for each as far as there are any: a driver takes some tens of
/// milliseconds for one that it has not seen before.
#[cfg(not(target_arch = "wasm32"))]
pub fn each<T: Sync, R: Send>(of: &[T], make: impl Fn(&T) -> R + Sync + Send) -> Vec<R> {
    of.par_iter().map(make).collect()
}

/// Makes some pipelines, one after the other: a browser compiles them on threads of its own.
#[cfg(target_arch = "wasm32")]
pub fn each<T, R>(of: &[T], make: impl Fn(&T) -> R) -> Vec<R> {
    of.iter().map(make).collect()
}

/// What a pipeline is made of.
pub struct Source<'a> {
    pub name: &'static str,
    pub text: &'static str,
    /// Bindings 1, 2, ...; binding 0 is a uniform.
    pub bindings: &'a [Access],
    /// Bytes of the uniform, and whether it is bound anew, at another offset, for each dispatch.
    pub uniform: (usize, bool),
    /// Values of the constants that the text overrides.
    pub constants: &'a [(&'a str, f64)],
    /// Values of constants of the text, each at most that of the text: lengths of arrays.
    pub lengths: &'a [(&'static str, u32)],
}

impl Compiled {
    /// Compiles a pass. What goes wrong is reported by the device.
    pub fn new(device: &wgpu::Device, pass: &'static Pass, constants: Constants) -> Self {
        let bindings: Vec<Access> = pass.bindings.iter().map(|&(_, access)| access).collect();
        let on = |yes: bool| f64::from(u8::from(yes));
        let mut all = vec![
            ("ENDMEMBERS", f64::from(constants.endmembers)),
            ("VARIES", on(constants.varies)),
            ("HALF", on(constants.half)),
        ];
        all.retain(|(name, _)| asks(pass, name));
        let lengths = [("MOST_ENDMEMBERS", constants.endmembers)];
        Compiled::of(
            device,
            &Source {
                name: pass.name,
                text: pass.shader,
                bindings: &bindings,
                uniform: (size_of::<Params>(), true),
                constants: &all,
                lengths: if asks(pass, "ENDMEMBERS") { &lengths[..] } else { &[] },
            },
        )
    }

    /// Compiles a shader. What goes wrong is reported by the device.
    pub fn of(device: &wgpu::Device, source: &Source) -> Self {
        let module = module(device, source);
        let entry = |binding: usize, ty, dynamic, size| wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty,
                has_dynamic_offset: dynamic,
                min_binding_size: size,
            },
            count: None,
        };
        let (bytes, dynamic) = source.uniform;
        let uniform_size = wgpu::BufferSize::new(bytes as u64);
        let mut entries = vec![entry(0, wgpu::BufferBindingType::Uniform, dynamic, uniform_size)];
        entries.extend(source.bindings.iter().enumerate().map(|(i, access)| {
            let ty = match access {
                Access::Read => wgpu::BufferBindingType::Storage { read_only: true },
                Access::Write => wgpu::BufferBindingType::Storage { read_only: false },
                Access::Constant => wgpu::BufferBindingType::Uniform,
            };
            entry(i + 1, ty, false, None)
        }));
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(source.name),
            entries: &entries,
        });
        let all_layouts = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(source.name),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(source.name),
            layout: Some(&all_layouts),
            module: &module,
            entry_point: Some("main"),
            // Workgroup memory is written before it is read; clearing it first costs some drivers
            // dearly.
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: source.constants,
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        Compiled { pipeline, layout }
    }
}

/// A text as a module. Arrays get the length that they need: a driver keeps short ones in
/// registers. Loops have no counter beside their own, which keeps drivers from unrolling
/// short ones (`spectra` takes twice as long on an H100); reads and writes are checked.
fn module(device: &wgpu::Device, source: &Source) -> wgpu::ShaderModule {
    let mut text = source.text.to_owned();
    for &(name, length) in source.lengths {
        let begin = format!("const {name} = ");
        if let Some(at) = text.find(&begin).map(|at| at + begin.len())
            && let Some(end) = text[at..].find(';')
        {
            text.replace_range(at..at + end, &format!("{}u", length.max(1)));
        }
    }
    let descriptor = wgpu::ShaderModuleDescriptor {
        label: Some(source.name),
        source: wgpu::ShaderSource::Wgsl(text.into()),
    };
    let checks = wgpu::ShaderRuntimeChecks {
        force_loop_bounding: false,
        ..wgpu::ShaderRuntimeChecks::checked()
    };
    // SAFETY: the text is the program's own, and every loop in it ends: each pass states a bound of
    // its iterations, which tests/trips.rs counts.
    unsafe { device.create_shader_module_trusted(descriptor, checks) }
}

impl Pipeline {
    /// Binds a compiled pass to a run.
    pub fn new(
        device: &wgpu::Device,
        pass: &'static Pass,
        compiled: Compiled,
        buffers: &DeviceBuffers,
        params: &wgpu::Buffer,
    ) -> Self {
        let size = wgpu::BufferSize::new(size_of::<Params>() as u64);
        let params = wgpu::BufferBinding { buffer: params, offset: 0, size };
        let mut entries = vec![wgpu::BindGroupEntry {
            binding: 0,
            resource: wgpu::BindingResource::Buffer(params),
        }];
        entries.extend(pass.bindings.iter().enumerate().map(|(i, (buf, access))| {
            let buffer = buffers.get(*buf);
            let size = match access {
                Access::Constant => wgpu::BufferSize::new(4 * MOST_CONSTANTS as u64),
                _ => None,
            };
            wgpu::BindGroupEntry {
                binding: i as u32 + 1,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer,
                    offset: 0,
                    size,
                }),
            }
        }));
        let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(pass.name),
            layout: &compiled.layout,
            entries: &entries,
        });
        Pipeline { pipeline: compiled.pipeline, bind_group, grid: pass.grid, name: pass.name }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::layout::Buf;
    use crate::engine::model::Model;
    use crate::engine::passes;

    /// What wgpu has against pipelines of these passes on a device with the limits that every
    /// WebGPU device has. The device is a stub, so no driver is needed and none has a say.
    fn complaint(passes: impl IntoIterator<Item = &'static Pass>) -> Option<String> {
        let (device, _queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
        let params = Params::new(&Model::new(3), 10, 5, 4, 1, 0).unwrap();
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let buffers = DeviceBuffers::new(&device, &params, 2, None);
        let uniform = device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 256,
            usage: wgpu::BufferUsages::UNIFORM,
            mapped_at_creation: false,
        });
        for pass in passes {
            let compiled = Compiled::new(&device, pass, Constants::new(pass, &params));
            Pipeline::new(&device, pass, compiled, &buffers, &uniform);
        }
        crate::engine::wait::block_on(scope.pop()).map(|error| error.to_string())
    }

    #[test]
    fn every_pipeline_is_valid() {
        assert_eq!(complaint(passes::every()), None);
    }

    #[test]
    fn an_invalid_pipeline_is_seen() {
        static WRONG_ACCESS: Pass = Pass {
            bindings: &[
                (Buf::Theta, Access::Read),
                (Buf::Draws, Access::Read),
                (Buf::Mu, Access::Read),
            ],
            ..passes::mix::PASS
        };
        static MISSING: Pass =
            Pass { bindings: &[(Buf::Theta, Access::Read)], ..passes::mix::PASS };
        static BROKEN: Pass = Pass { shader: "fn main() {}", ..passes::mix::PASS };
        for (pass, expected) in [
            (&WRONG_ACCESS, "doesn't match the shader"),
            (&MISSING, "missing from the pipeline layout"),
            (&BROKEN, "Unable to find entry point"),
        ] {
            let text = complaint([pass]).unwrap();
            assert!(text.contains(expected), "{text}");
        }
    }
}
