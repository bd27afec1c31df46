//! What a shader is held against, each as a function that says what is wrong.

use naga::back::{self, glsl, hlsl, msl, pipeline_constants::process_overrides, spv};
use naga::valid::{Capabilities, GlobalUse, ModuleInfo, ValidationFlags, Validator};
use naga::{
    AddressSpace, ArraySize, GlobalVariable, Handle, Literal, Module, ScalarKind, ShaderStage,
    StorageAccess, TypeInner,
};
use unmixel::engine::layout::MOST_CONSTANTS;
use unmixel::engine::passes::Access;

#[derive(Debug)]
pub struct Shader {
    pub module: Module,
    pub info: ModuleInfo,
}

/// Parses and validates core WGSL: no arithmetic in f16 or f64, no subgroups and no float atomics,
/// which some of the three interfaces lack.
pub fn parse(source: &str) -> Result<Shader, String> {
    let module = naga::front::wgsl::parse_str(source).map_err(|e| e.emit_to_string(source))?;
    // WGSL has `unpack2x16float` in its core; naga asks for it, as OpenGL ES 3.0 lacks it.
    let allowed = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    let info = Validator::new(ValidationFlags::all(), allowed)
        .validate(&module)
        .map_err(|e| e.emit_to_string(source))?;
    Ok(Shader { module, info })
}

/// The shader as pipelines get it: overrides replaced by their defaults, since
/// `backend::gpu::pipelines` sets none.
pub fn resolve(shader: &Shader) -> Result<Shader, String> {
    let entry = (ShaderStage::Compute, "main");
    let (module, info) =
        process_overrides(&shader.module, &shader.info, Some(entry), &Default::default())
            .map_err(|e| format!("{e:?}"))?;
    Ok(Shader { module: module.into_owned(), info: info.into_owned() })
}

/// Writes the shader in the language of every interface; the texts' lengths, SPIR-V in words.
pub fn translate(shader: &Shader) -> Result<[usize; 4], String> {
    let Shader { module, info } = resolve(shader)?;
    let (stage, entry) = (ShaderStage::Compute, "main".to_owned());
    let options = spv::PipelineOptions { shader_stage: stage, entry_point: entry.clone() };
    let spirv = spv::write_vec(&module, &info, &spv::Options::default(), Some(&options))
        .map_err(|e| format!("SPIR-V: {e}"))?;

    // Metal 2.0 is the oldest that wgpu asks for.
    let options = msl::Options { lang_version: (2, 0), ..Default::default() };
    let pipeline =
        msl::PipelineOptions { entry_point: Some((stage, entry.clone())), ..Default::default() };
    let (metal, translation) =
        msl::write_string(&module, &info, &options, &pipeline).map_err(|e| format!("MSL: {e}"))?;
    for name in translation.entry_point_names {
        name.map_err(|e| format!("MSL: {e}"))?;
    }

    let mut direct = String::new();
    let pipeline = hlsl::PipelineOptions { entry_point: Some((stage, entry.clone())) };
    let reflection = hlsl::Writer::new(&mut direct, &hlsl::Options::default(), &pipeline)
        .write(&module, &info, None)
        .map_err(|e| format!("HLSL: {e}"))?;
    // An entry point that could not be written is no error of the whole.
    for name in reflection.entry_point_names {
        name.map_err(|e| format!("HLSL: {e}"))?;
    }

    let mut gl = String::new();
    let pipeline =
        glsl::PipelineOptions { shader_stage: stage, entry_point: entry, multiview: None };
    let options = glsl::Options { version: glsl::Version::new_gles(310), ..Default::default() };
    let policies = naga::proc::BoundsCheckPolicies::default();
    back::glsl::Writer::new(&mut gl, &module, &info, &options, &pipeline, policies)
        .and_then(|mut writer| writer.write())
        .map_err(|e| format!("GLSL: {e}"))?;
    Ok([spirv.len(), metal.len(), direct.len(), gl.len()])
}

/// The module's resources are a uniform of that name and the bindings, no more and no fewer, and
/// what it does with each is what they say. Other globals are workgroup memory.
pub fn bindings<B: std::fmt::Debug>(
    shader: &Shader,
    uniform: &str,
    bindings: &[(B, Access)],
) -> Result<(), String> {
    let mut found: Vec<Option<Handle<GlobalVariable>>> = vec![None; bindings.len() + 1];
    for (handle, global) in shader.module.global_variables.iter() {
        let name = global.name.as_deref().unwrap_or("?");
        let Some(binding) = global.binding else {
            if matches!(global.space, AddressSpace::WorkGroup | AddressSpace::Private) {
                continue;
            }
            return Err(format!("{name}: neither bound nor workgroup memory"));
        };
        if binding.group != 0 {
            return Err(format!("{name}: group {}", binding.group));
        }
        let place = found
            .get_mut(binding.binding as usize)
            .ok_or_else(|| format!("{name}: binding {} is not in the list", binding.binding))?;
        if place.replace(handle).is_some() {
            return Err(format!("{name}: binding {} is there twice", binding.binding));
        }
    }
    let uses = shader.info.get_entry_point(0);
    for (i, place) in found.into_iter().enumerate() {
        let handle = place.ok_or_else(|| format!("binding {i} is missing"))?;
        let global = &shader.module.global_variables[handle];
        let name = global.name.as_deref().unwrap_or("?");
        let used = uses[handle];
        if i == 0 {
            let ty = &shader.module.types[global.ty];
            if global.space != AddressSpace::Uniform || ty.name.as_deref() != Some(uniform) {
                return Err(format!("{name}: binding 0 must be the uniform {uniform}"));
            }
            continue;
        }
        let (buf, expected) = (&bindings[i - 1].0, bindings[i - 1].1);
        if global.space == AddressSpace::Uniform && expected == Access::Constant {
            let size = module_size(shader, global.ty)?;
            if size as usize != 4 * MOST_CONSTANTS {
                return Err(format!("{name}: {size} bytes"));
            }
            continue;
        }
        let AddressSpace::Storage { access } = global.space else {
            return Err(format!("{name}: binding {i} is no storage buffer"));
        };
        if expected == Access::Constant {
            return Err(format!("{name}: the pass says a uniform of {buf:?}"));
        }
        let written = access.contains(StorageAccess::STORE);
        if written != (expected == Access::Write) {
            return Err(format!("{name}: {access:?}, but the pass says {expected:?} of {buf:?}"));
        }
        if written != used.intersects(GlobalUse::WRITE | GlobalUse::ATOMIC) || used.is_empty() {
            return Err(format!("{name}: declared {access:?}, used {used:?}"));
        }
    }
    Ok(())
}

fn module_size(shader: &Shader, ty: Handle<naga::Type>) -> Result<u32, String> {
    let mut layouter = naga::proc::Layouter::default();
    layouter.update(shader.module.to_ctx()).map_err(|e| e.to_string())?;
    Ok(layouter[ty].size)
}

/// A field of the uniform: name, type, offset.
pub type Field = (String, &'static str, u32);

/// The fields of the uniform at binding 0, and its size.
pub fn shader_fields(shader: &Shader) -> Result<(Vec<Field>, u32), String> {
    let module = &shader.module;
    let mut layouter = naga::proc::Layouter::default();
    layouter.update(module.to_ctx()).map_err(|e| e.to_string())?;
    let at_zero = |global: &naga::GlobalVariable| {
        global.space == AddressSpace::Uniform && global.binding.is_some_and(|b| b.binding == 0)
    };
    let mut globals = module.global_variables.iter().map(|(_, global)| global);
    let handle = globals.find(|global| at_zero(global)).ok_or("binding 0 is no uniform")?.ty;
    let ty = &module.types[handle];
    let TypeInner::Struct { members, .. } = &ty.inner else {
        return Err("the uniform is no struct".into());
    };
    let fields = members
        .iter()
        .map(|member| {
            let name = member.name.clone().ok_or("a field has no name")?;
            let kind = match module.types[member.ty].inner {
                TypeInner::Scalar(scalar)
                    if scalar.width == 4 && scalar.kind == ScalarKind::Uint =>
                {
                    "u32"
                }
                TypeInner::Scalar(scalar)
                    if scalar.width == 4 && scalar.kind == ScalarKind::Float =>
                {
                    "f32"
                }
                ref other => return Err(format!("{name}: {other:?}")),
            };
            Ok((name, kind, member.offset))
        })
        .collect::<Result<_, String>>()?;
    Ok((fields, layouter[handle].size))
}

/// The fields of a struct of words. `Debug` names them in the order of their declaration, and for a
/// `repr(C)` struct of words without gaps, which `bytemuck::Pod` asks for, that is the layout.
pub fn rust_fields<T: bytemuck::Pod + std::fmt::Debug>() -> Vec<Field> {
    let text = format!("{:?}", T::zeroed());
    let text = text.split_once(" { ").unwrap().1.trim_end_matches(" }");
    let mut fields = Vec::new();
    for field in text.split(", ") {
        let (name, value) = field.split_once(": ").unwrap();
        let mut push = |name: String, kind| {
            let offset = 4 * fields.len() as u32;
            fields.push((name, kind, offset));
        };
        match value {
            "0" => push(name.to_owned(), "u32"),
            "0.0" => push(name.to_owned(), "f32"),
            other => panic!("{name}: what is {other}?"),
        }
    }
    fields
}

/// The shader's uniform is the struct, word by word.
pub fn layout_of<T: bytemuck::Pod + std::fmt::Debug>(shader: &Shader) -> Result<(), String> {
    let (fields, size) = shader_fields(shader)?;
    let expected = rust_fields::<T>();
    for (shader, rust) in fields.iter().zip(&expected) {
        if shader != rust {
            return Err(format!("{shader:?} in the shader, {rust:?} in Rust"));
        }
    }
    if fields.len() != expected.len() || size as usize != size_of::<T>() {
        return Err(format!(
            "{} fields and {size} bytes in the shader, {} and {} in Rust",
            fields.len(),
            expected.len(),
            size_of::<T>()
        ));
    }
    Ok(())
}

/// A module constant or an override's default.
pub fn constant(shader: &Shader, name: &str) -> Option<u32> {
    let module = &shader.module;
    let named = |n: &Option<String>| n.as_deref() == Some(name);
    let init = module.constants.iter().find(|(_, c)| named(&c.name)).map(|(_, c)| c.init).or_else(
        || module.overrides.iter().find(|(_, o)| named(&o.name)).and_then(|(_, o)| o.init),
    )?;
    match module.global_expressions[init] {
        naga::Expression::Literal(Literal::U32(value)) => Some(value),
        _ => None,
    }
}

/// The large literals of a function: its magic numbers, in order of value, each once.
pub fn magic_numbers(shader: &Shader, function: &str) -> Vec<u32> {
    let mut found: Vec<u32> = shader
        .module
        .functions
        .iter()
        .filter(|(_, f)| f.name.as_deref() == Some(function))
        .flat_map(|(_, f)| f.expressions.iter())
        .filter_map(|(_, e)| match e {
            naga::Expression::Literal(Literal::U32(value)) if *value > 0xffff => Some(*value),
            _ => None,
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Bytes of workgroup memory that the entry point uses. Devices hand it out in pieces of 16.
pub fn workgroup_bytes(shader: &Shader) -> Result<u32, String> {
    let Shader { module, info } = resolve(shader)?;
    let mut layouter = naga::proc::Layouter::default();
    layouter.update(module.to_ctx()).map_err(|e| e.to_string())?;
    let uses = info.get_entry_point(0);
    let mut sum = 0;
    for (handle, global) in module.global_variables.iter() {
        if global.space != AddressSpace::WorkGroup || uses[handle].is_empty() {
            continue;
        }
        let bytes = match module.types[global.ty].inner {
            // The layouter takes arrays whose length comes from an override for one element long.
            TypeInner::Array { size: size @ ArraySize::Pending(_), stride, .. } => {
                match size.resolve(module.to_ctx()).map_err(|e| e.to_string())? {
                    naga::proc::IndexableLength::Known(count) => count * stride,
                    naga::proc::IndexableLength::Dynamic => return Err("no length".into()),
                }
            }
            _ => layouter[global.ty].size,
        };
        sum += bytes.next_multiple_of(16);
    }
    Ok(sum)
}

/// The shader stays within the limits that every WebGPU device has; wgpu 30 itself does not look at
/// workgroup memory.
pub fn limits(shader: &Shader) -> Result<(), String> {
    let limits = wgpu::Limits::default();
    let within = |what: &str, value: u32, limit: u32| {
        if value <= limit { Ok(()) } else { Err(format!("{what}: {value}, {limit} is the limit")) }
    };
    let resolved = resolve(shader)?.module;
    let [x, y, z] = resolved.entry_points[0].workgroup_size;
    within("invocations a workgroup", x * y * z, limits.max_compute_invocations_per_workgroup)?;
    within(
        "workgroup memory",
        workgroup_bytes(shader)?,
        limits.max_compute_workgroup_storage_size,
    )?;
    let storage =
        |(_, global): &(_, &GlobalVariable)| matches!(global.space, AddressSpace::Storage { .. });
    let buffers = shader.module.global_variables.iter().filter(storage).count() as u32;
    within("storage buffers", buffers, limits.max_storage_buffers_per_shader_stage)?;
    let (_, uniform) = shader_fields(shader)?;
    // Steps lie in one buffer, so that a step's parameters may not reach the next offset.
    within("uniform", uniform, limits.min_uniform_buffer_offset_alignment)
}

/// Workgroup memory is there to be shared, and what is shared needs a barrier.
pub fn barrier(shader: &Shader) -> Result<(), String> {
    let called = shader.module.functions.iter().map(|(_, function)| &function.body);
    let mut bodies = called.chain([&shader.module.entry_points[0].function.body]);
    let waits =
        bodies.any(|body| format!("{body:?}").contains("ControlBarrier(Barrier(WORK_GROUP))"));
    if workgroup_bytes(shader)? > 0 && !waits {
        return Err("workgroup memory without a workgroupBarrier".into());
    }
    Ok(())
}
