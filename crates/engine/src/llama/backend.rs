//! Loads the compute backends from one folder and says what they found.
//!
//! One per process: llama.cpp's registry of backends is global. Never searches the executable's folder or the working directory, where
//! anybody could have put a library. (ggml also loads the one library that the variable `GGML_BACKEND_PATH` names, if it is set.)

use std::ffi::{CStr, CString};
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_sys_2 as sys;

use super::{log, memory, shim};
use crate::error::{Error, Result};

static STARTED: OnceLock<Backend> = OnceLock::new();
/// ggml's list of backends and devices has no lock of its own: it grows under this one, and whoever walks it holds it.
static REGISTRY: RwLock<()> = RwLock::new(());

/// Proof that the backends are loaded. Lives as long as the process: other engine threads, and other JavaScript environments, use it.
#[derive(Debug)]
pub struct Backend {
    _inner: LlamaBackend,
}

/// A device that can compute.
#[derive(Clone, Debug)]
pub struct Device {
    /// Short name, for instance `CPU` or `Vulkan0`.
    pub name: String,
    /// The hardware's own name.
    pub description: String,
    /// The backend that drives it: `CPU`, `CUDA`, `Vulkan`, `Metal`.
    pub backend: String,
    /// What it is.
    pub kind: DeviceKind,
    /// Bytes in all.
    pub memory_total: u64,
    /// Bytes free at this moment.
    pub memory_free: u64,
}

/// What a [`Device`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// The processor.
    Cpu,
    /// A graphics card with memory of its own.
    Gpu,
    /// A graphics unit that shares the processor's memory.
    IntegratedGpu,
    /// Anything else, for instance a matrix unit.
    Accelerator,
}

impl Backend {
    /// Loads the backends of `directory` on the first call; later calls return the same, whatever their directory.
    ///
    /// # Errors
    /// [`Error::BackendUnavailable`] when the folder has no CPU backend, or none for this processor.
    pub fn start(directory: &Path) -> Result<&'static Self> {
        static STARTING: Mutex<()> = Mutex::new(());
        // OK because nothing is held that a panic could leave half done.
        let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(backend) = STARTED.get() {
            log::die_for_a_test();
            return Ok(backend);
        }
        log::install();
        load_from(directory)?;
        let inner = LlamaBackend::init().map_err(|error| unavailable(error.to_string()))?;
        log::die_for_a_test();
        Ok(STARTED.get_or_init(|| Self { _inner: inner }))
    }

    /// Loads a further backend, as that of a GPU. One that is loaded already stays.
    ///
    /// # Errors
    /// The system's reason, or the backend's own.
    pub fn load(&self, library: &Path) -> std::result::Result<(), String> {
        let path = library.to_str().and_then(|path| CString::new(path).ok());
        let path = path.ok_or_else(|| format!("`{}` is no usable path", library.display()))?;
        // Nobody panics while holding it half done: the list is C++'s.
        let _registry = REGISTRY.write().unwrap_or_else(PoisonError::into_inner);
        log::clear_errors();
        // SAFETY: `path` is a zero-terminated string that outlives the call; the lock keeps readers of the registry away.
        let loaded = shim::call(|error| unsafe { shim::lw_load_backend(path.as_ptr(), error) })?;
        if loaded {
            return Ok(());
        }
        Err(log::errors_or("it is not for this system"))
    }

    /// Every device found, the processor included.
    #[must_use]
    pub fn devices(&self) -> Vec<Device> {
        let _registry = registry();
        // SAFETY: reads a number.
        let n_devices = unsafe { sys::ggml_backend_dev_count() };
        let mut devices: Vec<Device> = (0..n_devices).map(device).collect();
        // ggml reports all of the processor's memory as free.
        for processor in devices.iter_mut().filter(|device| device.kind == DeviceKind::Cpu) {
            processor.memory_free = memory::available();
        }
        devices
    }

    /// The instruction sets that the chosen CPU backend uses, for instance `AVX2`.
    #[must_use]
    pub fn cpu_features(&self) -> Vec<String> {
        cpu_features().unwrap_or_default()
    }

    /// Which of several builds of the CPU backend is loaded, for instance `haswell`; none when there is only one.
    #[must_use]
    pub fn cpu_variant(&self) -> Option<String> {
        let file = library_of(cpu_function(c"ggml_backend_get_features")?)?;
        variant_of(&file).map(str::to_owned)
    }

    /// The version of llama.cpp.
    #[must_use]
    pub fn llama_cpp_version(&self) -> String {
        // SAFETY: returns a static zero-terminated string.
        text(unsafe { sys::llama_version() })
    }
}

/// ggml's own short name of it.
const METAL: &str = "MTL";

/// The device at `index`, which is there. One whose driver fails has no memory, and stays in its place: others are named by their index.
fn device(index: usize) -> Device {
    // SAFETY: a struct of numbers and pointers may be zero.
    let mut props: sys::ggml_backend_dev_props = unsafe { std::mem::zeroed() };
    let mut backend = std::ptr::null();
    // SAFETY: both are live; the texts live as long as the registry, and are read at once.
    let asked = shim::call(|error| unsafe { shim::lw_device(index, &raw mut props, &raw mut backend, error) });
    if let Err(reason) = asked {
        return Device {
            name: format!("Unusable{index}"),
            description: reason,
            backend: String::new(),
            kind: DeviceKind::Accelerator,
            memory_total: 0,
            memory_free: 0,
        };
    }
    let backend = text(backend);
    Device {
        name: text(props.name),
        description: text(props.description),
        backend: if backend == METAL { "Metal".into() } else { backend },
        kind: match props.type_ {
            sys::GGML_BACKEND_DEVICE_TYPE_CPU => DeviceKind::Cpu,
            sys::GGML_BACKEND_DEVICE_TYPE_GPU => DeviceKind::Gpu,
            sys::GGML_BACKEND_DEVICE_TYPE_IGPU => DeviceKind::IntegratedGpu,
            _ => DeviceKind::Accelerator,
        },
        memory_total: props.memory_total as u64,
        memory_free: props.memory_free as u64,
    }
}

/// To be held while ggml's list of backends and devices is walked, as llama.cpp does while it loads a model or makes a context.
pub(super) fn registry() -> RwLockReadGuard<'static, ()> {
    // OK because nothing is held that a panic could leave half done.
    REGISTRY.read().unwrap_or_else(PoisonError::into_inner)
}

fn unavailable(reason: impl Into<String>) -> Error {
    Error::BackendUnavailable { reason: reason.into() }
}

fn load_from(directory: &Path) -> Result<()> {
    check_processor(directory)?;
    let path = directory.to_str().and_then(|path| CString::new(path).ok());
    let path = path.ok_or_else(|| unavailable(format!("the folder `{}` has no usable name", directory.display())))?;
    log::clear_errors();
    // SAFETY: `path` is a zero-terminated string that outlives the call.
    shim::call(|error| unsafe { shim::lw_load_backends(path.as_ptr(), error) }).map_err(unavailable)?;
    if cpu_registry().is_null() {
        let reason = log::errors_or("no CPU backend for this processor was found");
        return Err(unavailable(format!("{reason} in `{}`", directory.display())));
    }
    Ok(())
}

/// A build with one CPU backend runs the instructions it was compiled with on any processor, and dies there if they are missing.
#[cfg(target_arch = "x86_64")]
fn check_processor(directory: &Path) -> Result<()> {
    let is_single_build = ["libggml-cpu.so", "ggml-cpu.dll"].iter().any(|name| directory.join(name).exists());
    let is_supported = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("bmi2");
    if is_single_build && !is_supported {
        return Err(unavailable("this build needs a processor with AVX2, FMA and BMI2"));
    }
    Ok(())
}

#[cfg(not(target_arch = "x86_64"))]
#[expect(clippy::unnecessary_wraps, reason = "the same signature as on x86-64")]
fn check_processor(_directory: &Path) -> Result<()> {
    Ok(())
}

/// The registry of the CPU backend, or null when none is loaded.
pub(super) fn cpu_registry() -> sys::ggml_backend_reg_t {
    // SAFETY: looks up a device in ggml's registry; null when there is none, which the next call must not see.
    let device = unsafe { sys::ggml_backend_dev_by_type(sys::GGML_BACKEND_DEVICE_TYPE_CPU) };
    if device.is_null() {
        return std::ptr::null_mut();
    }
    // SAFETY: `device` is a live device of the registry.
    unsafe { sys::ggml_backend_dev_backend_reg(device) }
}

/// A function of the loaded CPU backend. It cannot be linked: the backend is chosen at run time.
pub(super) fn cpu_function(name: &CStr) -> Option<*mut std::ffi::c_void> {
    let registry = cpu_registry();
    if registry.is_null() {
        return None;
    }
    // SAFETY: `registry` is live and `name` zero-terminated; unknown names give null.
    let function = unsafe { sys::ggml_backend_reg_get_proc_address(registry, name.as_ptr()) };
    (!function.is_null()).then_some(function)
}

/// The variant in the file name of a CPU backend: ggml builds `libggml-cpu-haswell.so` and its like, or one `libggml-cpu.so`.
fn variant_of(file: &str) -> Option<&str> {
    let name = file.rsplit(['/', '\\']).next()?;
    let name = name.strip_prefix("lib").unwrap_or(name).strip_prefix("ggml-cpu-")?;
    let end = name.rfind('.').unwrap_or(name.len());
    Some(&name[..end])
}

/// The file that a function was loaded from.
#[cfg(unix)]
fn library_of(function: *mut std::ffi::c_void) -> Option<String> {
    // SAFETY: all fields of the struct may be zero.
    let mut found: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: `found` is live; any address may be asked for.
    let is_known = unsafe { libc::dladdr(function, &raw mut found) } != 0;
    is_known.then(|| text(found.dli_fname))
}

/// The file that a function was loaded from.
#[cfg(windows)]
fn library_of(function: *mut std::ffi::c_void) -> Option<String> {
    use std::os::windows::ffi::OsStringExt;

    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GetModuleHandleExW(flags: u32, name: *const std::ffi::c_void, module: *mut *mut std::ffi::c_void) -> i32;
        fn GetModuleFileNameW(module: *mut std::ffi::c_void, name: *mut u16, size: u32) -> u32;
    }
    const FROM_ADDRESS: u32 = 4;
    const UNCHANGED_COUNT: u32 = 2;
    const LONGEST_PATH: u32 = 32_768;

    let mut module = std::ptr::null_mut();
    // SAFETY: with these flags the name is an address, and nothing has to be given back.
    if unsafe { GetModuleHandleExW(FROM_ADDRESS | UNCHANGED_COUNT, function, &raw mut module) } == 0 {
        return None;
    }
    let mut name = vec![0_u16; LONGEST_PATH as usize];
    // SAFETY: `name` has room for as many characters as it is said to.
    let length = unsafe { GetModuleFileNameW(module, name.as_mut_ptr(), LONGEST_PATH) };
    let path = std::ffi::OsString::from_wide(&name[..length as usize]);
    Some(path.to_string_lossy().into_owned())
}

#[repr(C)]
struct Feature {
    name: *const std::ffi::c_char,
    value: *const std::ffi::c_char,
}

fn cpu_features() -> Option<Vec<String>> {
    let function = cpu_function(c"ggml_backend_get_features")?;
    // SAFETY: ggml documents this name as `ggml_backend_feature * (*)(ggml_backend_reg_t)`.
    let list: extern "C" fn(sys::ggml_backend_reg_t) -> *const Feature = unsafe { std::mem::transmute(function) };
    let mut feature = list(cpu_registry());
    let mut names = Vec::new();
    // SAFETY: the list is a static array that ends with a null name.
    while let Some(entry) = unsafe { feature.as_ref() }.filter(|entry| !entry.name.is_null()) {
        if text(entry.value) == "1" {
            names.push(text(entry.name));
        }
        // SAFETY: not yet at the end, see above.
        feature = unsafe { feature.add(1) };
    }
    Some(names)
}

fn text(pointer: *const std::ffi::c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: callers pass zero-terminated strings that llama.cpp never frees.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variant_is_in_the_file_name() {
        for (file, expected) in [
            ("/opt/app/libggml-cpu-haswell.so", Some("haswell")),
            ("/opt/app/libggml-cpu-armv8.2_1.so", Some("armv8.2_1")),
            (r"C:\app\ggml-cpu-zen4.dll", Some("zen4")),
            ("/opt/my-libggml-cpu-x64/libggml-cpu.so", None),
            ("libggml-vulkan.so", None),
        ] {
            assert_eq!(variant_of(file), expected, "{file}");
        }
    }
}
