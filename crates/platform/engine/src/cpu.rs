//! Which CPU the language model engine is compiled for, and the check that this machine is one.
//!
//! llama-cpp-sys-2 compiles llama.cpp with `GGML_NATIVE` off unless Rust itself is built for the native
//! CPU, and forwards `GGML_*` from the environment to CMake. `.cargo/config.toml` therefore sets:
//!
//! - `GGML_SSE42 … GGML_FMA` on: x86-64-v3 (AVX2, FMA, F16C, BMI2), which every x86 server since 2015 has
//!   and on which decoding is many times the baseline's speed. They are also ggml's defaults, but only as
//!   long as `SOURCE_DATE_EPOCH` is unset; a reproducible build must not be silently slow.
//! - `GGML_AMX_*` off: a native build with AMX has crashed when a context was created.
//! - AVX-512 is left off because one binary must start on any x86-64-v3 machine. For a binary that stays
//!   on one machine, build with `GGML_AVX512=ON GGML_AVX512_VBMI=ON GGML_AVX512_VNNI=ON` in the
//!   environment; [`check`] then asks for these too.
//! - `LLAMA_LIB_PROFILE` Release: `-O3` also in a debug build of ours, since tests decode for real.
//!
//! How compute threads wait for each other is told in `openmp`.
//!
//! Without the check, a machine that lacks a feature would die of SIGILL in the middle of a request.

use crate::EngineError;

/// Refuses a CPU that lacks what the engine was compiled for.
pub fn check() -> Result<(), EngineError> {
    let missing = missing();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(EngineError::CpuUnsupported {
            missing: missing.join(", "),
        })
    }
}

#[cfg(target_arch = "x86_64")]
fn missing() -> Vec<&'static str> {
    let compiled = |setting: Option<&str>| matches!(setting, Some("ON" | "on" | "1"));
    let avx512 = compiled(option_env!("GGML_AVX512"));
    let vbmi = compiled(option_env!("GGML_AVX512_VBMI"));
    let vnni = compiled(option_env!("GGML_AVX512_VNNI"));
    let wanted = [
        ("AVX2", true, is_x86_feature_detected!("avx2")),
        ("FMA", true, is_x86_feature_detected!("fma")),
        ("F16C", true, is_x86_feature_detected!("f16c")),
        ("BMI2", true, is_x86_feature_detected!("bmi2")),
        ("AVX-512F", avx512, is_x86_feature_detected!("avx512f")),
        ("AVX-512BW", avx512, is_x86_feature_detected!("avx512bw")),
        ("AVX-512VBMI", vbmi, is_x86_feature_detected!("avx512vbmi")),
        ("AVX-512VNNI", vnni, is_x86_feature_detected!("avx512vnni")),
    ];
    wanted
        .into_iter()
        .filter(|(_, needed, present)| *needed && !present)
        .map(|(name, ..)| name)
        .collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn missing() -> Vec<&'static str> {
    Vec::new()
}
