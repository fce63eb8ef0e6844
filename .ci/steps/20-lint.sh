# The alias of .cargo/config.toml. Clippy also refuses what rust-version does not have yet (incompatible_msrv).
source "$(dirname "$0")/../lib.sh"
cargo lint
