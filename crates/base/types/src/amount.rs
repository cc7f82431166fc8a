//! Amounts of a resource as people write them: `1.5` CPUs, `24 GiB` of memory.

use crate::MilliCpu;

/// CPUs, to a thousandth and without trailing zeros: `1.5`
#[must_use]
pub fn cpus(milli: MilliCpu) -> String {
    trimmed(&format!("{}.{:03}", milli / 1000, milli % 1000))
}

/// `1 CPU`, `1.5 CPUs`
#[must_use]
pub fn cpus_in_words(milli: MilliCpu) -> String {
    let unit = if milli == 1000 { "CPU" } else { "CPUs" };
    format!("{} {unit}", cpus(milli))
}

/// Memory in its largest whole binary unit, rounded down to hundredths: `23.54 GiB`, `900 bytes`
#[must_use]
pub fn memory(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(bits, _)| bytes >> bits > 0) {
        Some((bits, name)) => {
            let hundredths = (u128::from(bytes) * 100) >> bits;
            let number = trimmed(&format!("{}.{:02}", hundredths / 100, hundredths % 100));
            format!("{number} {name}")
        }
        None => format!("{bytes} bytes"),
    }
}

fn trimmed(number: &str) -> String {
    number.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_people_write_them() {
        assert_eq!([1000, 1500, 125, 10_000].map(cpus), ["1", "1.5", "0.125", "10"]);
        assert_eq!([1000, 500].map(cpus_in_words), ["1 CPU", "0.5 CPUs"]);
        assert_eq!(
            [0, 1023, 1024, 3 << 29, 900 << 40, u64::MAX].map(memory),
            [
                "0 bytes",
                "1023 bytes",
                "1 KiB",
                "1.5 GiB",
                "900 TiB",
                "16777215.99 TiB"
            ]
        );
    }
}
