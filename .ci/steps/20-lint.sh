# The alias of .cargo/config.toml. Clippy also refuses what rust-version does not have yet (incompatible_msrv).
source "$(dirname "$0")/../lib.sh"
cargo lint
# The fuzz targets are a workspace of their own, which follows core's dependencies.
cargo metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null
