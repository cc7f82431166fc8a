//! Where a model is computed: on the accelerators that this process was given, if it was built for any, or else on CPUs.

use llama_cpp_2::{LlamaBackendDevice, LlamaBackendDeviceType, list_llama_ggml_backend_devices};

/// What a job is told of its accelerators: their numbers, and nothing if it asked for none.
const GIVEN: &str = "CUDA_VISIBLE_DEVICES";
/// More than any model has.
const ALL_LAYERS: u32 = 9_999;

/// Layers of a model to compute on accelerators; llama.cpp divides them among those that it sees.
pub(super) fn layers() -> u32 {
    let given = std::env::var(GIVEN).ok();
    let used = used(list_llama_ggml_backend_devices(), given.as_deref());
    for device in &used {
        tracing::info!(
            name = %device.name,
            description = %device.description,
            memory_mib = device.memory_total >> 20,
            "computes on"
        );
    }
    if used.is_empty() { 0 } else { ALL_LAYERS }
}

/// Accelerators to compute on. A process that was told nothing, because nobody manages them, has them all.
fn used(devices: Vec<LlamaBackendDevice>, given: Option<&str>) -> Vec<LlamaBackendDevice> {
    if given.is_some_and(|given| given.trim().is_empty()) {
        return Vec::new();
    }
    let is_accelerator = |device: &LlamaBackendDevice| {
        matches!(
            device.device_type,
            LlamaBackendDeviceType::Gpu | LlamaBackendDeviceType::IntegratedGpu
        )
    };
    devices.into_iter().filter(is_accelerator).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, device_type: LlamaBackendDeviceType) -> LlamaBackendDevice {
        LlamaBackendDevice {
            index: 0,
            name: name.to_owned(),
            description: String::new(),
            backend: String::new(),
            memory_total: 1 << 30,
            memory_free: 1 << 30,
            device_type,
        }
    }

    #[test]
    fn accelerators_are_used_unless_none_was_given() {
        let devices = || {
            vec![
                device("CPU", LlamaBackendDeviceType::Cpu),
                device("CUDA0", LlamaBackendDeviceType::Gpu),
                device("Vulkan0", LlamaBackendDeviceType::IntegratedGpu),
            ]
        };
        let names = |given| -> Vec<String> {
            let used = used(devices(), given);
            used.into_iter().map(|device| device.name).collect()
        };
        assert_eq!(names(None), ["CUDA0", "Vulkan0"]);
        assert_eq!(names(Some("0")), ["CUDA0", "Vulkan0"]);
        assert!(names(Some("")).is_empty(), "the endpoint asked for none");
        assert!(used(devices()[..1].to_vec(), None).is_empty());
    }
}
