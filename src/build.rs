//! Hands the linker the order of functions in `order.ld`, so that what starts and serves the program stands together: the
//! kernel maps code in pieces of 64 KiB around what is touched, and scattered functions would make all of it resident. And the
//! names of functions in `ring.ld`, for static builds whose cryptography leaves its large tables out.

use std::env::var;
use std::io::Write;

fn main() -> std::io::Result<()> {
    let said = |name: &str| var(name).unwrap_or_default();
    let mut cargo = std::io::stdout();
    writeln!(cargo, "cargo::rerun-if-changed=src/order.ld")?;
    writeln!(cargo, "cargo::rerun-if-env-changed=MQTT_MCP_UNORDERED")?;
    // Linkers that know no linker scripts.
    let flags = said("CARGO_ENCODED_RUSTFLAGS");
    let other = ["mold", "gold", "wild"].iter().any(|linker| flags.contains(linker));
    let is_linux_release = said("CARGO_CFG_TARGET_OS") == "linux" && said("PROFILE") == "release";
    if said("CARGO_CFG_TARGET_ENV") == "musl" {
        // Does nothing where ring was built with all of its functions.
        writeln!(cargo, "cargo::rerun-if-changed=src/ring.ld")?;
        writeln!(cargo, "cargo::rustc-link-arg={}/src/ring.ld", said("CARGO_MANIFEST_DIR"))?;
    }
    if is_linux_release && !other && said("MQTT_MCP_UNORDERED").is_empty() {
        writeln!(cargo, "cargo::rustc-link-arg-bins=-T{}/src/order.ld", said("CARGO_MANIFEST_DIR"))?;
    }
    let is_static = said("CARGO_CFG_TARGET_FEATURE").split(',').any(|feature| feature == "crt-static");
    if is_linux_release && said("CARGO_CFG_TARGET_ENV") == "gnu" && !is_static {
        // At a fixed address nothing has to be relocated at start: 4000 addresses and their list, 170 kB of memory.
        writeln!(cargo, "cargo::rustc-link-arg-bins=-no-pie")?;
    }
    Ok(())
}
