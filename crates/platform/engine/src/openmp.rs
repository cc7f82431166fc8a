//! How long llama.cpp's compute threads wait for each other before they sleep.
//!
//! They meet some hundred times for every token. With OpenMP's barrier (compiled in, statically: ggml's own spins
//! without bound) whoever is there first spins so many turns of a loop, and sleeps if the other is still not there. What
//! is best depends on what else the machine does, so the engine goes by that while it runs (`gguf/patience.rs`) and
//! says so here. The number is a variable inside libgomp, which reads it at each wait; what libgomp offers instead is an
//! environment variable that it reads once, before `main`.

/// Turns of the waiting loop before a thread sleeps, from the next wait on. Without effect where the environment says how
/// to wait, or where OpenMP is not GNU's.
pub(crate) fn set_spins(spins: u64) {
    if told_by_environment() {
        return;
    }
    gomp::set_spins(spins);
}

fn told_by_environment() -> bool {
    use std::sync::OnceLock;
    static TOLD: OnceLock<bool> = OnceLock::new();
    *TOLD.get_or_init(|| {
        ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"]
            .iter()
            .any(|name| std::env::var_os(name).is_some())
    })
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
mod gomp {
    use std::sync::atomic::{AtomicU64, Ordering};

    unsafe extern "C" {
        /// `unsigned long long` of libgomp's `env.c`; hidden, so only a static libgomp has it for us.
        static mut gomp_spin_count_var: u64;
    }

    pub(super) fn set_spins(spins: u64) {
        // SAFETY: the variable is an aligned 64-bit integer that lives as long as the process. libgomp wrote it before
        // `main` and only reads it since, in one instruction, so nobody sees half of a value.
        let variable = unsafe { AtomicU64::from_ptr(&raw mut gomp_spin_count_var) };
        variable.store(spins, Ordering::Relaxed);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod gomp {
    pub(super) fn set_spins(_: u64) {}
}
