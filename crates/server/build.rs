//! Sees to it that the folder of the built web app is there, so that a debug build finds later what is put into it, and
//! that a release build embeds what was built last.

fn main() {
    const APP: &str = "../../web/dist";
    // Where nothing can be written, nothing was built either, and the server says so.
    let _ = std::fs::create_dir_all(APP);
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    println!("cargo::rerun-if-changed={}", if release { APP } else { "build.rs" });
}
