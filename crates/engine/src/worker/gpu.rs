//! Which GPU evaluates: what is loaded for a choice, and which devices models are put on.
//!
//! Knows no library's place and no package's name: both are handed in. At most one backend is chosen, because the same card often answers to
//! several.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::llama::{Backend, Device, DeviceKind};

/// Which GPU to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gpu {
    /// The best that is installed and works; the processor if there is none.
    #[default]
    Auto,
    /// None.
    Off,
    /// An NVIDIA card through CUDA.
    Cuda,
    /// An Apple GPU.
    Metal,
    /// Any card through Vulkan.
    Vulkan,
}

/// A backend that this platform can have.
#[derive(Clone, Debug)]
pub struct GpuBackend {
    /// Which.
    pub gpu: Gpu,
    /// The library to load, where it is installed.
    pub library: Option<PathBuf>,
    /// What to do when it is missing or finds no card; part of an error's sentence.
    pub remedy: String,
}

/// What was chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// The devices for models, by their index; none means the processor.
    pub(super) devices: Vec<usize>,
    /// Why something better that is installed was not taken.
    pub(super) warnings: Vec<String>,
}

/// The better ones first. Metal has no rival.
const BY_PREFERENCE: [Gpu; 3] = [Gpu::Cuda, Gpu::Metal, Gpu::Vulkan];

impl Gpu {
    /// Loads what the choice needs of `installed`, and finds its devices.
    ///
    /// # Errors
    /// [`Error::BackendUnavailable`] when a backend was named that is not installed, does not load, or finds no device.
    pub(super) fn choose(self, backend: &Backend, installed: &[GpuBackend]) -> Result<Choice> {
        match self {
            Self::Off => Ok(Choice::default()),
            Self::Auto => Ok(choose_best(backend, installed)),
            Self::Cuda | Self::Metal | Self::Vulkan => {
                let devices = self
                    .start(backend, installed)
                    .map_err(|reason| Error::BackendUnavailable { reason })?;
                Ok(Choice {
                    devices,
                    warnings: Vec::new(),
                })
            }
        }
    }

    /// The devices of this backend, which is loaded first if need be.
    fn start(self, backend: &Backend, installed: &[GpuBackend]) -> std::result::Result<Vec<usize>, String> {
        let name = self.backend_name();
        let known = installed.iter().find(|known| known.gpu == self);
        if self.devices(&backend.devices()).is_empty() {
            let known = known.ok_or_else(|| format!("there is no {name} backend for this platform"))?;
            let library = known.library.as_deref();
            let library = library.ok_or_else(|| format!("the {name} backend is not installed: {}", known.remedy))?;
            backend
                .load(library)
                .map_err(|reason| format!("the {name} backend does not load ({reason}): {}", known.remedy))?;
        }
        let devices = self.devices(&backend.devices());
        let remedy = known.map_or("check its driver", |known| known.remedy.as_str());
        if devices.is_empty() {
            return Err(format!("the {name} backend found no device: {remedy}"));
        }
        Ok(devices)
    }

    /// The devices that this backend drives. A unit that shares the processor's memory is taken only when there is no card.
    fn devices(self, devices: &[Device]) -> Vec<usize> {
        let of_kind = |kind| {
            let all = devices.iter().enumerate();
            let driven = all.filter(move |(_, device)| device.kind == kind && device.backend.eq_ignore_ascii_case(self.backend_name()));
            driven.map(|(index, _)| index).collect::<Vec<_>>()
        };
        let cards = of_kind(DeviceKind::Gpu);
        if cards.is_empty() {
            of_kind(DeviceKind::IntegratedGpu)
        } else {
            cards
        }
    }

    fn backend_name(self) -> &'static str {
        match self {
            Self::Auto | Self::Off => "CPU",
            Self::Cuda => "CUDA",
            Self::Metal => "Metal",
            Self::Vulkan => "Vulkan",
        }
    }
}

/// The first that is installed and has a device.
fn choose_best(backend: &Backend, installed: &[GpuBackend]) -> Choice {
    let mut warnings = Vec::new();
    for gpu in BY_PREFERENCE {
        let is_installed = installed.iter().any(|known| known.gpu == gpu && known.library.is_some());
        if !is_installed && gpu.devices(&backend.devices()).is_empty() {
            continue;
        }
        match gpu.start(backend, installed) {
            Ok(devices) => return Choice { devices, warnings },
            Err(reason) => warnings.push(reason),
        }
    }
    Choice {
        devices: Vec::new(),
        warnings,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(backend: &str, kind: DeviceKind) -> Device {
        Device {
            name: String::new(),
            description: String::new(),
            backend: backend.into(),
            kind,
            memory_total: 0,
            memory_free: 0,
        }
    }

    #[test]
    fn a_backend_drives_its_cards_before_what_shares_memory() {
        use DeviceKind::{Cpu, Gpu as Card, IntegratedGpu};
        let (processor, integrated) = (device("CPU", Cpu), device("Vulkan", IntegratedGpu));
        let (card, rival) = (device("Vulkan", Card), device("CUDA", Card));
        let all = [processor.clone(), integrated.clone(), card.clone(), rival.clone(), card.clone()];
        for (gpu, devices, expected) in [
            (Gpu::Vulkan, &all[..], vec![2, 4]),
            (Gpu::Cuda, &all[..], vec![3]),
            (Gpu::Metal, &all[..], vec![]),
            (Gpu::Vulkan, &all[..2], vec![1]),
            (Gpu::Vulkan, &all[..1], vec![]),
        ] {
            assert_eq!(gpu.devices(devices), expected, "{gpu:?}");
        }
    }
}
