//! Embeds the console again whenever it was built again.

fn main() {
    println!("cargo:rerun-if-changed=../../../ui/dist");
    println!("cargo:rerun-if-changed=build.rs");
}
