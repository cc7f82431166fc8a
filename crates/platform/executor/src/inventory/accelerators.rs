//! Accelerators by a port: NVIDIA's management library, loaded when asked, whose absence is normal.

use corliss_types::Accelerator;
use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

/// Tells which accelerators there are.
pub trait AcceleratorProbe {
    /// The accelerators, in any order.
    ///
    /// # Errors
    /// One sentence on why none can be used.
    fn list(&self) -> Result<Vec<Accelerator>, String>;
}

/// Asks NVIDIA's driver.
#[derive(Debug, Clone, Copy, Default)]
pub struct NvmlProbe;

impl AcceleratorProbe for NvmlProbe {
    fn list(&self) -> Result<Vec<Accelerator>, String> {
        let nvml = match Nvml::init() {
            Ok(nvml) => nvml,
            // A machine without NVIDIA's driver has nothing to tell, and that is no trouble.
            Err(NvmlError::LibloadingError(_) | NvmlError::LibraryNotFound | NvmlError::DriverNotLoaded) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(format!("NVIDIA's driver answers: {error}")),
        };
        let read = || -> Result<Vec<Accelerator>, NvmlError> {
            (0..nvml.device_count()?)
                .map(|index| {
                    let device = nvml.device_by_index(index)?;
                    Ok(Accelerator {
                        index,
                        uuid: device.uuid()?,
                        model: device.name()?,
                        memory_bytes: device.memory_info()?.total,
                    })
                })
                .collect()
        };
        read().map_err(|error| format!("NVIDIA's driver answers: {error}"))
    }
}
